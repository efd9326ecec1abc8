//! Batches from a generator.

use super::{Course, Curriculum, LABELS, Pool, Teacher};
use crate::Result;
use crate::activations::Room;
use crate::data::{Batch, Batches, one_hot};
use crate::generator::{Generator, GeneratorAt, GeneratorTrace};
use crate::network::{Init, Layout, Params};
use crate::seed::{Seed, normal};
use crate::tensors::add;
use candle_core::Tensor;

/// Prefix of the generator's parameters.
const GENERATOR: &str = "generator/";

/// Name of the learned noise, `(samples, noise)`.
const NOISE: &str = "noise";

#[derive(Debug)]
pub(super) struct Generated {
    pub(super) generator: Generator,
    pub(super) curriculum: Curriculum,
    pub(super) learned_labels: bool,
    pub(super) pool: Pool,
}

impl Teacher for Generated {
    fn declare(&self, layout: &mut Layout) -> Result<()> {
        for slot in self.generator.params().slots() {
            layout.push(format!("{GENERATOR}{}", slot.name), &slot.shape, slot.init)?;
        }
        if self.curriculum != Curriculum::None {
            let shape = [self.pool.samples(), self.generator.noise()];
            layout.push(NOISE, &shape, Init::Normal { std: 1.0 })?;
        }
        if self.learned_labels {
            layout.push(LABELS, &[self.pool.samples(), self.pool.classes], Init::EvenLabels)?;
        }
        Ok(())
    }

    fn open<'a>(
        &'a self,
        learned: &'a Params,
        draw: Seed,
        _real: &'a dyn Batches,
    ) -> Result<Box<dyn Course + 'a>> {
        let named = learned.named()?.into_iter();
        let own = named.filter_map(|(name, t)| Some((name.strip_prefix(GENERATOR)?.into(), t)));
        let params = Params::from_named(self.generator.params(), &own.collect())?;
        let order = self.curriculum.order(self.pool.steps, self.pool.batch, draw);
        let (dtype, device) = (params.flat().dtype(), params.flat().device());
        let fixed = || {
            let labels: Vec<u32> = order.iter().map(|&sample| self.pool.class(sample)).collect();
            one_hot(&labels, self.pool.classes, dtype, device)
        };
        Ok(Box::new(Generation {
            samples: Tensor::new(&order[..], device)?,
            targets: (!self.learned_labels).then(fixed).transpose()?,
            order,
            kept: (0..self.pool.steps).map(|_| None).collect(),
            generator: self.generator.at(params)?,
            teacher: self,
            learned,
            draw,
            noise: Vec::new(),
            labels: Vec::new(),
        }))
    }

    fn learns_targets(&self) -> bool {
        self.learned_labels
    }
}

struct Generation<'a> {
    teacher: &'a Generated,
    generator: GeneratorAt<'a>,
    learned: &'a Params,
    draw: Seed,
    order: Vec<u32>,
    /// The same on the device, and the targets in this order where they are not learned: all steps at once.
    samples: Tensor,
    targets: Option<Tensor>,
    /// What is kept of steps for the way back.
    kept: Vec<Option<GeneratorTrace>>,
    /// Gradients of the steps seen so far, the last step first.
    noise: Vec<Tensor>,
    labels: Vec<Tensor>,
}

impl Generation<'_> {
    /// A step's rows.
    fn of_step(&self, all: &Tensor, step: usize) -> Result<Tensor> {
        let batch = self.teacher.pool.batch;
        Ok(all.narrow(0, step * batch, batch)?)
    }

    fn rows(&self, name: &str, step: usize) -> Result<Tensor> {
        let pool = self.learned.get(name)?;
        Ok(pool.contiguous()?.index_select(&self.of_step(&self.samples, step)?, 0)?)
    }

    fn noise(&self, step: usize) -> Result<Tensor> {
        if self.teacher.curriculum != Curriculum::None {
            return self.rows(NOISE, step);
        }
        let shape = [self.teacher.pool.batch, self.teacher.generator.noise()];
        let flat = self.generator.params().flat();
        let mut rng = self.draw.derive(NOISE, step as u64).rng();
        normal(&shape, flat.dtype(), flat.device(), &mut rng)
    }

    fn targets(&self, step: usize) -> Result<Tensor> {
        match &self.targets {
            Some(targets) => self.of_step(targets, step),
            None => self.rows(LABELS, step),
        }
    }

    /// Puts rows that were gathered step by step back where they came from.
    fn restore(&self, mut steps: Vec<Tensor>) -> Result<Tensor> {
        steps.reverse();
        let rows = Tensor::cat(&steps, 0)?;
        let mut place = vec![0u32; self.order.len()];
        for (used, &sample) in self.order.iter().enumerate() {
            place[sample as usize] = used as u32;
        }
        let place = Tensor::new(place, rows.device())?;
        Ok(rows.index_select(&place, 0)?)
    }
}

impl Course for Generation<'_> {
    fn batch(&mut self, step: usize, room: &mut Room) -> Result<Batch> {
        let (noise, targets) = (self.noise(step)?, self.targets(step)?);
        let images = if room.is_left() {
            let trace = self.generator.trace(&noise, &targets)?;
            let images = trace.images().clone();
            self.kept[step] = room.take(trace.bytes()).then_some(trace);
            images
        } else {
            self.generator.generate(&noise, &targets)?
        };
        Ok(Batch { images, targets })
    }

    fn learn(&mut self, step: usize, images: Tensor, targets: Option<Tensor>) -> Result<()> {
        let trace = match self.kept[step].take() {
            Some(trace) => trace,
            None => self.generator.trace(&self.noise(step)?, &self.targets(step)?)?,
        };
        let share = self.generator.backward(&trace, &images)?;
        if self.teacher.curriculum != Curriculum::None {
            self.noise.push(share.noise);
        }
        if let Some(targets) = targets {
            self.labels.push(add(&targets, &share.targets)?);
        }
        Ok(())
    }

    fn gradients(mut self: Box<Self>) -> Result<Vec<(String, Tensor)>> {
        let mut all: Vec<_> = self.generator.gradient()?.named()?;
        for (name, _) in &mut all {
            name.insert_str(0, GENERATOR);
        }
        let (noise, labels) = (std::mem::take(&mut self.noise), std::mem::take(&mut self.labels));
        for (name, steps) in [(NOISE, noise), (LABELS, labels)] {
            if !steps.is_empty() {
                all.push((name.into(), self.restore(steps)?));
            }
        }
        Ok(all)
    }
}
