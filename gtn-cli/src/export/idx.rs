//! The format of the MNIST files: a big-endian header, then bytes.

use anyhow::{Result, anyhow};

use super::arrays::Arrays;
use super::draft::Draft;
use super::teaching::Teaching;

pub(crate) const LABELS: &str = "train-labels-idx1-ubyte";

/// The name of the file of images with so many channels.
pub(crate) fn images_name(channels: usize) -> &'static str {
    match channels {
        1 => "train-images-idx3-ubyte",
        _ => "train-images-idx4-ubyte",
    }
}

pub(crate) fn write(arrays: &Arrays, teaching: &Teaching, draft: &mut Draft) -> Result<()> {
    let labels: Vec<u8> = (arrays.flat_labels()?.into_iter())
        .map(u8::try_from)
        .collect::<Result<_, _>>()
        .map_err(|_| anyhow!("idx has room for 256 classes, here are more: use the npz format"))?;
    let pixels = arrays.pixels(&teaching.normalization)?;
    let dims = match pixels.dims() {
        &[count, 1, height, width] => vec![count, height, width],
        dims => dims.to_vec(),
    };
    let pixels = pixels.flatten_all()?.to_vec1()?;
    draft.write(images_name(teaching.image[0]), &idx(&dims, &pixels)?)?;
    draft.write(LABELS, &idx(&[labels.len()], &labels)?)
}

fn idx(dims: &[usize], bytes: &[u8]) -> Result<Vec<u8>> {
    const UNSIGNED_BYTE: u8 = 8;
    let mut file = vec![0, 0, UNSIGNED_BYTE, dims.len() as u8];
    for &dim in dims {
        let dim = u32::try_from(dim)
            .map_err(|_| anyhow!("idx has room for 32-bit sizes: use the npz format"))?;
        file.extend_from_slice(&dim.to_be_bytes());
    }
    file.extend_from_slice(bytes);
    Ok(file)
}
