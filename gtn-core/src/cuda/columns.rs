//! Sums by channel, in two stages: parts of the rows, then the parts.
//!
//! The number of parts depends on sizes alone, and the parts are added up in order.

use super::{Launch, empty};
use crate::Result;
use crate::layout::channels_last;
use candle_core::Tensor;

/// Columns and rows that a block works on at a time, as in `shared.cuh`.
const TILE: usize = 32;
const LINES: usize = 8;

/// Parts at most: a few for each multiprocessor of a large device.
const PARTS: usize = 256;

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
        let parts = rows.div_ceil(4 * LINES).clamp(1, PARTS);
        let partial = empty(like, &[parts, groups * each * columns])?;
        let blocks = parts * groups * columns.div_ceil(TILE);
        args(Launch::blocks(name, like, blocks, rows)?, &partial, parts)?.run()?;
        Ok(Self { partial, columns: groups * each * columns, parts })
    }

    /// The sums times `scale`, in a tensor of this shape.
    pub(crate) fn scaled(&self, scale: f64, shape: &[usize]) -> Result<Tensor> {
        let sums = empty(&self.partial, shape)?;
        self.total("total_columns")?
            .tensors([&self.partial, &sums])?
            .optional([None])?
            .int(self.parts)?
            .reals([scale])
            .run()?;
        Ok(sums)
    }

    /// The sums and their opposites.
    pub(crate) fn both_signs(&self, shape: &[usize]) -> Result<[Tensor; 2]> {
        let (sums, opposites) = (empty(&self.partial, shape)?, empty(&self.partial, shape)?);
        self.total("total_columns")?
            .tensors([&self.partial, &sums, &opposites])?
            .int(self.parts)?
            .reals([1.0])
            .run()?;
        Ok([sums, opposites])
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
        self.total(name)?
            .tensors([&self.partial, &sums])?
            .ints([self.parts, count])?
            .reals(reals.iter().copied())
            .run()?;
        Ok(sums)
    }

    fn total(&self, name: &'static str) -> Result<Launch> {
        Launch::blocks(name, &self.partial, self.columns.div_ceil(TILE), self.columns)
    }
}

/// The sums of the channels of `x (batch, channels, …)` times `scale`: `(channels)`.
pub(crate) fn channel_sums(x: &Tensor, scale: f64) -> Result<Tensor> {
    let x = channels_last(x)?;
    let channels = x.dims()[x.dims().len() - 1];
    let size = [x.elem_count() / channels, channels, 1, 1];
    let sums = Sums::new("channel_sums", &x, size, |launch, partial, parts| {
        launch.tensors([&x, partial])?.ints([channels, parts])
    })?;
    sums.scaled(scale, &[channels])
}
