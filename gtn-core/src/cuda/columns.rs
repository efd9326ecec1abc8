//! Sums by channel, in two stages: parts of the rows, then the parts. Few rows are one part.
//!
//! The number of parts depends on sizes alone, and the parts are added up in order.

use super::{Launch, empty, int};
use crate::Result;
use crate::layout::channels_last;
use candle_core::Tensor;

/// Columns and rows that a block works on at a time, as in `shared.cuh`.
pub(crate) const TILE: usize = 32;
const LINES: usize = 8;

/// Parts at most: a few for each multiprocessor of a large device.
const PARTS: usize = 256;

/// Rows that are one part, so that there is no second stage.
const FEW: usize = 32 * LINES;

/// The first stage of sums over the rows of matrices with so many columns.
#[derive(Debug)]
pub(crate) struct Sums {
    partial: Tensor,
    columns: usize,
    parts: usize,
}

impl Sums {
    /// Starts the kernel `name`, which takes the sums of `each` columns for every one of `columns`
    /// (`groups` times over, each time another sum): the number of rows is its first argument, `args` adds
    /// what lies before the partial sums, and what comes behind them.
    pub(crate) fn new(
        name: &'static str,
        like: &Tensor,
        [rows, columns, each, groups]: [usize; 4],
        args: impl FnOnce(Launch, &Tensor, usize) -> Result<Launch>,
    ) -> Result<Self> {
        // Kernels number the elements, not only the rows.
        int(rows * columns)?;
        let parts = if rows <= FEW { 1 } else { rows.div_ceil(4 * LINES).min(PARTS) };
        let partial = empty(like, &[parts, groups * each * columns])?;
        let blocks = parts * groups * columns.div_ceil(TILE);
        args(Launch::blocks(name, like, blocks, rows)?, &partial, parts)?.run()?;
        Ok(Self { partial, columns: groups * each * columns, parts })
    }

    /// The sums, in a tensor of this shape.
    pub(crate) fn total(&self, shape: &[usize]) -> Result<Tensor> {
        if self.parts == 1 {
            return Ok(self.partial.reshape(shape)?);
        }
        let sums = empty(&self.partial, shape)?;
        self.last("total_columns")?
            .tensors([&self.partial, &sums])?
            .optional([None, None])?
            .int(self.parts)?
            .run()?;
        Ok(sums)
    }

    /// The sums, and what is left of `from` (zeros if absent) without them.
    pub(crate) fn total_and_rest(&self, from: Option<&Tensor>) -> Result<[Tensor; 2]> {
        let [sums, rest] = [(); 2].map(|()| empty(&self.partial, &[self.columns]));
        let (sums, rest) = (sums?, rest?);
        self.last("total_columns")?
            .tensors([&self.partial, &sums])?
            .optional([from])?
            .tensors([&rest])?
            .int(self.parts)?
            .run()?;
        Ok([sums, rest])
    }

    /// What the kernel `name` makes of the parts `(parts, columns)`: with these numbers behind them.
    pub(crate) fn finished(
        &self,
        name: &'static str,
        shape: &[usize],
        count: usize,
        reals: &[f64],
    ) -> Result<Tensor> {
        let sums = empty(&self.partial, shape)?;
        self.last(name)?
            .tensors([&self.partial, &sums])?
            .ints([self.parts, count])?
            .reals(reals.iter().copied())
            .run()?;
        Ok(sums)
    }

    fn last(&self, name: &'static str) -> Result<Launch> {
        Launch::blocks(name, &self.partial, self.columns.div_ceil(TILE), self.columns)
    }
}

/// The sums of the channels of `x (batch, channels, …)` times `scale`: `(channels)`.
pub(crate) fn channel_sums(x: &Tensor, scale: f64) -> Result<Tensor> {
    let x = channels_last(x)?;
    let channels = x.dims()[x.dims().len() - 1];
    let size = [x.elem_count() / channels, channels, 1, 1];
    let sums = Sums::new("channel_sums", &x, size, |launch, partial, parts| {
        Ok(launch.tensors([&x, partial])?.ints([channels, parts])?.reals([scale]))
    })?;
    sums.total(&[channels])
}
