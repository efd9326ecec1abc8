//! Batches from a generator.

use super::{Course, Curriculum, LABELS, Pool, Teacher};
use crate::Result;
use crate::activations::Room;
use crate::data::{Batch, Batches, ImageShape, one_hot};
use crate::generator::{Generator, GeneratorAt, GeneratorTrace};
use crate::layout::contiguous;
use crate::network::{Init, Layout, Params};
use crate::seed::{Seed, normal};
use crate::tensors::add;
use candle_core::{Device, Tensor};

/// Prefix of the generator's parameters.
const GENERATOR: &str = "generator/";

/// Name of the learned noise, `(samples, noise)`.
const NOISE: &str = "noise";

/// Name of the pixels that are learned on top of generated images, `(samples, channels, height, width)`.
const PIXELS: &str = "pixels";

#[derive(Debug)]
pub(super) struct Generated {
    pub(super) generator: Generator,
    pub(super) curriculum: Curriculum,
    pub(super) learned_labels: bool,
    /// Of which shape, where they are.
    pub(super) learned_pixels: Option<ImageShape>,
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
        if let Some(ImageShape { channels, height, width }) = self.learned_pixels {
            let shape = [self.pool.samples(), channels, height, width];
            layout.push(PIXELS, &shape, Init::Constant(0.0))?;
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
        let (dtype, device) = (learned.flat().dtype(), learned.flat().device());
        let fixed = || {
            let labels: Vec<u32> = order.iter().map(|&sample| self.pool.class(sample)).collect();
            one_hot(&labels, self.pool.classes, dtype, device)
        };
        let fresh = || {
            let shape = [self.pool.batch, self.generator.noise()];
            let steps = (0..self.pool.steps).map(|step| {
                let mut rng = draw.derive(NOISE, step as u64).rng();
                normal(&shape, dtype, &Device::Cpu, &mut rng)
            });
            let steps = steps.collect::<Result<Vec<_>>>()?;
            Ok::<_, crate::Error>(Tensor::cat(&steps, 0)?.to_device(device)?)
        };
        Ok(Box::new(Generation {
            samples: Tensor::new(&order[..], device)?,
            targets: (!self.learned_labels).then(fixed).transpose()?,
            order,
            kept: (0..self.pool.steps).map(|_| None).collect(),
            generator: self.generator.at(params)?,
            teacher: self,
            learned,
            fresh: (self.curriculum == Curriculum::None).then(fresh).transpose()?,
            noise: Vec::new(),
            pixels: Vec::new(),
            labels: Vec::new(),
        }))
    }

    fn learns_targets(&self) -> bool {
        self.learned_labels
    }

    fn weights(&self) -> Vec<String> {
        let slots = self.generator.params().slots().iter();
        let weights = slots.filter(|slot| slot.shape.len() > 1);
        weights.map(|slot| format!("{GENERATOR}{}", slot.name)).collect()
    }
}

struct Generation<'a> {
    teacher: &'a Generated,
    generator: GeneratorAt<'a>,
    learned: &'a Params,
    /// Noise that is drawn instead of learned, of all steps at once, so that the host waits for the device once at most.
    fresh: Option<Tensor>,
    order: Vec<u32>,
    /// The same on the device, and the targets in this order where they are not learned: all steps at once.
    samples: Tensor,
    targets: Option<Tensor>,
    /// What is kept of steps for the way back.
    kept: Vec<Option<GeneratorTrace>>,
    /// Gradients of the steps seen so far, the last step first.
    noise: Vec<Tensor>,
    pixels: Vec<Tensor>,
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
        match &self.fresh {
            Some(fresh) => self.of_step(fresh, step),
            None => self.rows(NOISE, step),
        }
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
        let images = match self.teacher.learned_pixels {
            Some(_) => add(&images, &self.rows(PIXELS, step)?)?,
            None => images,
        };
        Ok(Batch { images, targets })
    }

    fn learn(&mut self, step: usize, images: Tensor, targets: Option<Tensor>) -> Result<()> {
        let trace = match self.kept[step].take() {
            Some(trace) => trace,
            None => self.generator.trace(&self.noise(step)?, &self.targets(step)?)?,
        };
        let share = self.generator.backward(&trace, &images)?;
        if self.fresh.is_none() {
            self.noise.push(share.noise);
        }
        if self.teacher.learned_pixels.is_some() {
            self.pixels.push(contiguous(&images)?);
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
        let [noise, pixels, labels] =
            [&mut self.noise, &mut self.pixels, &mut self.labels].map(std::mem::take);
        for (name, steps) in [(NOISE, noise), (PIXELS, pixels), (LABELS, labels)] {
            if !steps.is_empty() {
                all.push((name.into(), self.restore(steps)?));
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::uniform;
    use crate::recipe::InnerSpec;
    use crate::teacher::TeacherSpec;
    use candle_core::DType;
    use std::sync::Arc;

    const IMAGE: ImageShape = ImageShape { channels: 2, height: 8, width: 4 };

    struct Nothing;

    impl Batches for Nothing {
        fn batch(&self, _index: u64, _size: usize) -> Result<Batch> {
            unreachable!("a generator asks for no real images")
        }
    }

    fn teacher(curriculum: Curriculum, learned_pixels: bool) -> Result<Box<dyn Teacher>> {
        let inner = InnerSpec { steps: 3, batch: 4, ..InnerSpec::default() };
        let (noise, widths) = (5, [6, 4, 3]);
        TeacherSpec::Generator { curriculum, noise, widths, learned_labels: false, learned_pixels }
            .build(&inner, IMAGE, 3)
    }

    fn values(x: &Tensor) -> Vec<f64> {
        x.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn learned_pixels_are_added_to_their_samples_image_and_learn_from_it_alone() {
        for curriculum in [Curriculum::Full, Curriculum::BatchShuffled, Curriculum::AllShuffled] {
            let [with, without] = [true, false].map(|pixels| teacher(curriculum, pixels).unwrap());
            let mut layout = Layout::default();
            with.declare(&mut layout).unwrap();
            let learned =
                Params::init(&Arc::new(layout), DType::F64, &Device::Cpu, &mut Seed(1).rng())
                    .unwrap();
            let mut all = learned.named().unwrap();
            let pixels = uniform(&[12, 2, 8, 4], 2);
            for (_, tensor) in all.iter_mut().filter(|(name, _)| name == PIXELS) {
                *tensor = pixels.clone();
            }
            let learned = Params::from_named(learned.layout(), &all.into_iter().collect()).unwrap();

            let draw = Seed(7);
            let order = curriculum.order(3, 4, draw);
            let mut course = with.open(&learned, draw, &Nothing).unwrap();
            let mut plain = without.open(&learned, draw, &Nothing).unwrap();
            let adjoint = |step: usize| uniform(&[4, 2, 8, 4], 10 + step as u64);
            for step in 0..3 {
                let [image, plain] = [&mut course, &mut plain]
                    .map(|course| course.batch(step, &mut Room::none()).unwrap().images);
                for sample in 0..4 {
                    let of = |x: &Tensor, i: usize| values(&x.narrow(0, i, 1).unwrap());
                    let own = of(&pixels, order[4 * step + sample] as usize);
                    let sums = of(&plain, sample).into_iter().zip(own).map(|(a, b)| a + b);
                    assert_eq!(of(&image, sample), sums.collect::<Vec<_>>(), "{curriculum:?}");
                }
            }
            for step in [2, 1, 0] {
                course.learn(step, adjoint(step), None).unwrap();
            }
            let (_, found) =
                course.gradients().unwrap().into_iter().find(|(name, _)| name == PIXELS).unwrap();
            for (place, &sample) in order.iter().enumerate() {
                let found = values(&found.narrow(0, sample as usize, 1).unwrap());
                assert_eq!(
                    found,
                    values(&adjoint(place / 4).narrow(0, place % 4, 1).unwrap()),
                    "{curriculum:?}"
                );
            }
        }
    }
}
