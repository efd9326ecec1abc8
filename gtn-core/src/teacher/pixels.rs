//! Batches whose pixels are learned directly.

use super::{Course, LABELS, Pool, Teacher};
use crate::Result;
use crate::activations::Room;
use crate::data::{Batch, Batches, ImageShape, one_hot};
use crate::network::{Init, Layout, Params};
use crate::seed::Seed;
use candle_core::Tensor;

/// Name of the learned images, `(samples, channels, height, width)`.
const IMAGES: &str = "images";

#[derive(Debug)]
pub(super) struct Pixels {
    pub(super) image: ImageShape,
    pub(super) learned_labels: bool,
    pub(super) pool: Pool,
}

impl Teacher for Pixels {
    fn declare(&self, layout: &mut Layout) -> Result<()> {
        let samples = self.pool.samples();
        let shape = [&[samples], &self.image.dims()[..]].concat();
        layout.push(IMAGES, &shape, Init::Normal { std: 1.0 })?;
        if self.learned_labels {
            layout.push(LABELS, &[samples, self.pool.classes], Init::EvenLabels)?;
        }
        Ok(())
    }

    fn open<'a>(
        &'a self,
        learned: &'a Params,
        _draw: Seed,
        _real: &'a dyn Batches,
    ) -> Result<Box<dyn Course + 'a>> {
        Ok(Box::new(Distilled { teacher: self, learned, images: Vec::new(), labels: Vec::new() }))
    }

    fn learns_targets(&self) -> bool {
        self.learned_labels
    }
}

struct Distilled<'a> {
    teacher: &'a Pixels,
    learned: &'a Params,
    /// Gradients of the steps seen so far, the last step first.
    images: Vec<Tensor>,
    labels: Vec<Tensor>,
}

impl Distilled<'_> {
    fn rows(&self, name: &str, step: usize) -> Result<Tensor> {
        let batch = self.teacher.pool.batch;
        Ok(self.learned.get(name)?.narrow(0, step * batch, batch)?)
    }
}

impl Course for Distilled<'_> {
    fn batch(&mut self, step: usize, _room: &mut Room) -> Result<Batch> {
        let images = self.rows(IMAGES, step)?;
        let pool = self.teacher.pool;
        let targets = if self.teacher.learned_labels {
            self.rows(LABELS, step)?
        } else {
            let first = (step * pool.batch) as u32;
            let labels: Vec<u32> =
                (first..first + pool.batch as u32).map(|s| pool.class(s)).collect();
            one_hot(&labels, pool.classes, images.dtype(), images.device())?
        };
        Ok(Batch { images, targets })
    }

    fn learn(&mut self, _step: usize, images: Tensor, targets: Option<Tensor>) -> Result<()> {
        self.images.push(images);
        self.labels.extend(targets);
        Ok(())
    }

    fn gradients(self: Box<Self>) -> Result<Vec<(String, Tensor)>> {
        let mut all = Vec::new();
        for (name, mut steps) in [(IMAGES, self.images), (LABELS, self.labels)] {
            if !steps.is_empty() {
                steps.reverse();
                all.push((name.into(), Tensor::cat(&steps, 0)?));
            }
        }
        Ok(all)
    }
}
