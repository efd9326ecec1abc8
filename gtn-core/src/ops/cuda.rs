//! What operations on feature maps share on a CUDA device.

use crate::Result;
use crate::cuda::{Launch, empty};
use crate::layout::channels_first;
use candle_core::Tensor;

/// The feature map (or matrix) of shape `dims` that the kernel `name` makes of `maps`, feature maps whose
/// channels come last, with a thread for each element. `sizes` are the kernel's last arguments.
pub(super) fn feature_map<const N: usize, const M: usize>(
    name: &'static str,
    maps: [Option<&Tensor>; N],
    dims: &[usize],
    sizes: [usize; M],
) -> Result<Tensor> {
    let like = maps.iter().flatten().next().expect("one of the maps is there");
    let out = empty_map(like, dims)?;
    Launch::each(name, like, out.elem_count())?
        .optional(maps)?
        .tensors([&out])?
        .ints(sizes)?
        .run()?;
    channels_first(out)
}

/// As [`feature_map`], by a kernel of which a thread works on several channels at once where it can.
pub(super) fn feature_map_by_lanes<const M: usize>(
    name: &'static str,
    map: &Tensor,
    dims: &[usize],
    sizes: [usize; M],
) -> Result<Tensor> {
    let out = empty_map(map, dims)?;
    Launch::channels(name, map, out.elem_count(), dims[1])?
        .tensors([map, &out])?
        .ints(sizes)?
        .run()?;
    channels_first(out)
}

/// Memory for a feature map (or matrix) of shape `dims`, its channels last.
pub(super) fn empty_map(like: &Tensor, dims: &[usize]) -> Result<Tensor> {
    match *dims {
        [batch, channels, height, width] => empty(like, &[batch, height, width, channels]),
        _ => empty(like, dims),
    }
}
