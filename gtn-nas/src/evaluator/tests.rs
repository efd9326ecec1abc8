//! Evaluators on a toy data set.

use super::proxy::{Proxy, ZeroCost};
use super::*;
use crate::space::{MacroSpace, Space};
use candle_core::{DType, Device, Tensor};
use gtn_core::data::{Batch, Batches, ImageShape, one_hot};
use gtn_core::inner::{InnerOptimizer, Rates};
use gtn_core::network::{Network, Normalization};
use gtn_core::recipe::{InnerSpec, Recipe};
use gtn_core::seed::normal;
use gtn_core::teacher::TeacherSpec;
use gtn_core::trainer::Trainer;

pub(super) const IMAGE: ImageShape = ImageShape { channels: 1, height: 8, width: 8 };

/// Dark images of class 0, bright ones of class 1, under noise.
pub(super) struct DarkOrBright;

impl Batches for DarkOrBright {
    fn batch(&self, index: u64, size: usize) -> gtn_core::Result<Batch> {
        let labels: Vec<u32> = (0..size as u32).map(|i| i % 2).collect();
        let noise = normal(&[size, 1, 8, 8], DType::F32, &Device::Cpu, &mut Seed(index).rng())?;
        let shift: Vec<f32> = labels.iter().map(|&l| l as f32 - 0.5).collect();
        let shift = Tensor::from_vec(shift, (size, 1, 1, 1), &Device::Cpu)?;
        let images = noise.broadcast_add(&shift)?;
        Ok(Batch { images, targets: one_hot(&labels, 2, DType::F32, &Device::Cpu)? })
    }
}

fn exam() -> Exam {
    Exam::new((0..4).map(|index| DarkOrBright.batch(index, 50))).unwrap()
}

/// A network of the macro space.
pub(super) fn network(text: &str) -> Network {
    use crate::space::NetworkSpace;
    Network::new(&MacroSpace.layers(&text.parse().unwrap()), IMAGE, 2, Normalization::default())
        .unwrap()
}

fn real(exam: &Exam, lr: f64) -> Real<'_> {
    Real {
        batches: &DarkOrBright,
        batch: 16,
        steps: 8,
        optimizer: InnerOptimizer::Sgd,
        rates: Rates { lr, momentum: 0.5 },
        exam,
    }
}

fn outcomes(found: &[Measurement]) -> Vec<Outcome> {
    found.iter().map(|measured| measured.outcome.clone()).collect()
}

#[test]
fn one_pass_judges_as_many_do() {
    let exam = exam();
    let real = real(&exam, 0.1);
    let network = network("8k3-max2-norm,gap");
    let at_once = real.evaluate(&network, &[2, 4, 8], Seed(3)).unwrap();
    for (index, steps) in [2, 4, 8].into_iter().enumerate() {
        let alone = real.evaluate(&network, &[steps], Seed(3)).unwrap();
        assert_eq!(outcomes(&at_once)[index], outcomes(&alone)[0]);
        assert_eq!((at_once[index].steps, at_once[index].seed), (steps, 3));
    }
    assert!(at_once[2].score().unwrap() > 0.9, "{at_once:?}");
    assert_ne!(
        outcomes(&at_once),
        outcomes(&real.evaluate(&network, &[2, 4, 8], Seed(4)).unwrap())
    );
}

#[test]
fn who_diverges_fails_from_there_on() {
    let exam = exam();
    // More than an f32 can hold.
    let wild = real(&exam, 1e300);
    let network = network("8k3-max2,flat");
    let found = wild.evaluate(&network, &[1, 3, 5], Seed(3)).unwrap();
    assert_eq!(found.len(), 3);
    for (measured, steps) in found.iter().zip([1, 3, 5]) {
        let Outcome::Failed(reason) = &measured.outcome else { panic!("{found:?}") };
        assert!(reason.contains("diverged") && reason.contains("not finite"), "{reason}");
        assert_eq!(measured.steps, steps);
    }
    assert!(found.is_sorted_by(|a, b| a.seconds <= b.seconds), "{found:?}");
}

#[test]
fn steps_rise_from_one() {
    let exam = exam();
    let network = network("8k3-max2-norm,gap");
    for steps in [&[0, 4][..], &[8, 4]] {
        let message = real(&exam, 0.1).evaluate(&network, steps, Seed(3)).unwrap_err().to_string();
        assert!(message.contains("that rise from 1 or more"), "{message}");
    }
}

#[test]
fn a_teacher_judges_in_its_own_few_steps() {
    let recipe: Recipe = Recipe {
        iterations: 12,
        learner: "conv2_fc:4,4,8".parse().unwrap(),
        teacher: TeacherSpec::Pixels { learned_labels: false },
        inner: InnerSpec { steps: 4, batch: 8, lr: 0.1, ..InnerSpec::default() },
        ..Recipe::default()
    };
    let mut trainer = Trainer::new(&recipe, IMAGE, 2, &Device::Cpu).unwrap();
    for _ in 0..recipe.iterations {
        trainer.step(&DarkOrBright).unwrap();
    }
    let exam = exam();
    let gtn = Gtn::new(&trainer, &DarkOrBright, &exam);
    let lowered = Lowered {
        space: &MacroSpace,
        image: IMAGE,
        classes: 2,
        normalization: Normalization::default(),
        evaluator: &gtn as &dyn Evaluator<Network>,
    };
    let arch = "8k3-max2-norm,gap".parse().unwrap();
    let found = lowered.evaluate(&arch, &[2, 4], Seed(1)).unwrap();
    assert_eq!(outcomes(&found), outcomes(&lowered.evaluate(&arch, &[2, 4], Seed(1)).unwrap()));
    assert!(found[1].score().unwrap() > 0.7, "{found:?}");
    let message = lowered.evaluate(&arch, &[5], Seed(1)).unwrap_err().to_string();
    assert!(message.contains("has 4 steps, so that nobody can be judged after 5"), "{message}");
    assert_eq!(Evaluator::<<MacroSpace as Space>::Arch>::steps(&lowered), 4);
}

#[test]
fn what_a_teacher_shows_is_made_once_where_it_is_the_same_for_everyone() {
    use gtn_core::teacher::Curriculum;
    let exam = exam();
    let shown = |curriculum| {
        let recipe: Recipe = Recipe {
            learner: "conv2_fc:4,4,8".parse().unwrap(),
            teacher: TeacherSpec::Generator {
                curriculum,
                noise: 8,
                widths: [16, 8, 4],
                learned_labels: false,
                learned_pixels: false,
            },
            inner: InnerSpec { steps: 2, batch: 4, ..InnerSpec::default() },
            ..Recipe::default()
        };
        let trainer = Trainer::new(&recipe, IMAGE, 2, &Device::Cpu).unwrap();
        let gtn = Gtn::new(&trainer, &DarkOrBright, &exam);
        [1, 2].map(|seed| {
            let set = gtn.set(Seed(seed)).unwrap();
            let images = &set.steps[0].batch.images;
            images.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        })
    };
    let [first, second] = shown(Curriculum::Full);
    assert_eq!(first, second);
    for curriculum in [Curriculum::BatchShuffled, Curriculum::AllShuffled, Curriculum::None] {
        let [first, second] = shown(curriculum);
        assert_ne!(first, second, "{curriculum:?}");
    }
}

#[test]
fn a_full_training_has_a_schedule_of_its_own() {
    let exam = exam();
    let Real { batches, batch, optimizer, rates, .. } = real(&exam, 0.1);
    let full = Full { batches, batch, steps: 8, optimizer, rates, exam: &exam };
    let network = network("8k3-max2-norm,gap");
    let found = full.evaluate(&network, &[4, 12], Seed(3)).unwrap();
    for (together, steps) in outcomes(&found).iter().zip([4, 12]) {
        let alone = full.evaluate(&network, &[steps], Seed(3)).unwrap();
        assert_eq!(*together, outcomes(&alone)[0], "{steps} steps");
    }
    assert!(found[1].score().unwrap() > 0.9, "{found:?}");
}

#[test]
fn an_exam_needs_images() {
    assert!(Exam::new([]).unwrap_err().to_string().contains("no images"));
}

fn score(proxy: Proxy, text: &str) -> Option<f64> {
    let batch = DarkOrBright.batch(9, 12).unwrap();
    let judge = ZeroCost { proxy, batch: &batch };
    let found = judge.evaluate(&network(text), &[0], Seed(1)).unwrap();
    assert_eq!(
        found,
        judge
            .evaluate(&network(text), &[0], Seed(1))
            .unwrap()
            .into_iter()
            .map(|again| Measurement { seconds: found[0].seconds, ..again })
            .collect::<Vec<_>>()
    );
    assert_eq!((found.len(), found[0].steps), (1, 0));
    found[0].score()
}

#[test]
fn sizes_are_counted() {
    // 3·3·8 weights, 8 biases of the norm, 8·2 weights and 2 biases.
    assert_eq!(score(Proxy::Params, "8k3-max2-norm,gap"), Some(72.0 + 8.0 + 16.0 + 2.0));
    assert_eq!(score(Proxy::Flops, "8k3-max2-norm,gap"), Some(64.0 * 72.0 + 16.0));
    assert_eq!(score(Proxy::Flops, "8k3-stride-norm,gap"), Some(16.0 * 72.0 + 16.0));
}

#[test]
fn looks_before_training_tell_something() {
    for text in ["8k3-max2-norm,16k3,gap-16", "4k1-avg2,flat"] {
        assert!(score(Proxy::GradNorm, text).unwrap() > 0.0);
        assert!(score(Proxy::SynFlow, text).unwrap() > 0.0);
    }
    let more = score(Proxy::Naswot, "48k3-max2,flat").unwrap();
    assert!(more > score(Proxy::Naswot, "8k3-max2,flat").unwrap());
}

/// By conservation, each layer's weights add up to the sum of the outputs, with and without weight normalization.
#[test]
fn weight_normalization_does_not_change_synaptic_flow() {
    use crate::space::NetworkSpace;
    let layers = MacroSpace.layers(&"8k3-max2-norm,16k3,gap-16".parse().unwrap());
    let batch = DarkOrBright.batch(9, 12).unwrap();
    let flow = |weight_norm| {
        let normalization = Normalization { weight_norm, ..Normalization::default() };
        let network = Network::new(&layers, IMAGE, 2, normalization).unwrap();
        Proxy::SynFlow.score(&network, &batch, Seed(1)).unwrap()
    };
    let (with, without) = (flow(true), flow(false));
    assert!((with - without).abs() < 1e-5 * without, "{with} {without}");
}
