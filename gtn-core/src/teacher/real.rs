//! Real batches, as a baseline under the same interface.

use super::{Course, Pool, Teacher};
use crate::Result;
use crate::activations::Room;
use crate::data::{Batch, Batches};
use crate::network::{Layout, Params};
use crate::seed::Seed;
use candle_core::Tensor;
use rand::RngExt;

#[derive(Debug)]
pub(super) struct Real {
    pub(super) pool: Pool,
}

/// Batches from this number on are for teaching; those before, for the meta-loss.
const FIRST: u64 = 1 << 40;

impl Teacher for Real {
    fn declare(&self, _layout: &mut Layout) -> Result<()> {
        Ok(())
    }

    fn open<'a>(
        &'a self,
        _learned: &'a Params,
        draw: Seed,
        real: &'a dyn Batches,
    ) -> Result<Box<dyn Course + 'a>> {
        // Each learner reads on from a place of its own.
        let first = FIRST + draw.derive("real", 0).rng().random_range(0..FIRST);
        Ok(Box::new(Reading { real, first, batch: self.pool.batch }))
    }

    fn learns_targets(&self) -> bool {
        false
    }
}

struct Reading<'a> {
    real: &'a dyn Batches,
    first: u64,
    batch: usize,
}

impl Course for Reading<'_> {
    fn batch(&mut self, step: usize, _room: &mut Room) -> Result<Batch> {
        self.real.batch(self.first + step as u64, self.batch)
    }

    fn learn(&mut self, _step: usize, _images: Tensor, _targets: Option<Tensor>) -> Result<()> {
        Ok(())
    }

    fn gradients(self: Box<Self>) -> Result<Vec<(String, Tensor)>> {
        Ok(Vec::new())
    }
}
