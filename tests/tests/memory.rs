//! Peak memory of the meta-gradient grows with the number of steps by the kept
//! parameters, optimizer state and batch, and by nothing else.

use candle_core::{DType, Device};
use gtn_core::activations::{Activations, Room};
use gtn_core::data::{Batch, Batches};
use gtn_core::inner::{InnerOptimizer, Rates};
use gtn_core::learner::{LearnerFamily, LearnerSpec};
use gtn_core::meta::{Exam, LessonAdjoint, Syllabus, meta_gradient};
use gtn_core::network::{Network, Params};
use gtn_core::seed::Seed;
use gtn_core::teacher::{Curriculum, TeacherSpec};
use gtn_core::trainer::Trainer;
use gtn_tests::{CLASSES, IMAGE, Noise, tiny_recipe};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator, counting.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: the caller's layout.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's pointer and layout.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const BATCH: usize = 24;

/// Makes each batch when it is asked for.
struct Fresh(usize);

impl Syllabus for Fresh {
    fn steps(&self) -> usize {
        self.0
    }

    fn lesson(&mut self, step: usize, _room: &mut Room) -> gtn_core::Result<(Batch, Rates)> {
        Ok((Noise.batch(step as u64, BATCH)?, Rates { lr: 0.01, momentum: 0.5 }))
    }

    fn learn(&mut self, _: usize, _: LessonAdjoint) -> gtn_core::Result<()> {
        Ok(())
    }

    fn learns_targets(&self) -> bool {
        false
    }
}

impl Exam for Fresh {
    fn batch(&mut self, step: usize) -> gtn_core::Result<Option<Batch>> {
        Noise.batch(1000 + step as u64, BATCH).map(Some)
    }
}

fn peak(network: &Network, optimizer: InnerOptimizer, steps: usize, kept: Activations) -> usize {
    let mut rng = Seed(1).rng();
    let params = Params::init(network.params(), DType::F32, &Device::Cpu, &mut rng).unwrap();
    PEAK.store(NOW.load(Relaxed), Relaxed);
    let before = NOW.load(Relaxed);
    meta_gradient(network, optimizer, &params, &mut Fresh(steps), &mut Fresh(steps), kept).unwrap();
    PEAK.load(Relaxed) - before
}

#[test]
fn memory_grows_by_what_is_kept_of_a_step() {
    // One thread, so that scratch memory does not depend on which thread took which task.
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().unwrap();
    let spec: LearnerSpec = "conv2_fc:16,24,32".parse().unwrap();
    let network = spec.network(Seed(0), IMAGE, CLASSES).unwrap();
    let float = 4;
    let pixels = BATCH * IMAGE.channels * IMAGE.height * IMAGE.width;
    let batch = float * (pixels + BATCH * CLASSES);
    let theta = float * network.params().len();
    let running = float * network.running().len();
    // θ, and the optimizer's state; Adam's derivative also looks at the gradient.
    for (optimizer, vectors) in [(InnerOptimizer::Sgd, 2), (InnerOptimizer::Adam, 4)] {
        let at = |steps| peak(&network, optimizer, steps, Activations::Recompute);
        at(2);
        let (few, many) = (at(4), at(20));
        let growth = (many - few) / 16;
        let kept = vectors * theta + running + batch;
        println!("{optimizer:?}: {growth} bytes a step, kept {kept}; peak at 4 steps {few}");
        // A few hundred bytes a step are the headers of the tensors.
        assert!(growth <= kept + 4096, "{optimizer:?}: {growth} bytes a step, kept {kept}");
    }
    let all = Activations::KeepWithin { bytes: usize::MAX };
    let kept = peak(&network, InnerOptimizer::Sgd, 20, all);
    let recomputed = peak(&network, InnerOptimizer::Sgd, 20, Activations::Recompute);
    assert!(kept > 2 * recomputed, "keeping takes more memory: {kept} against {recomputed}");

    // A generator of which the weights are larger than the activations of a step.
    let mut recipe = tiny_recipe(Curriculum::Full, InnerOptimizer::Sgd);
    recipe.teacher = TeacherSpec::Generator {
        curriculum: Curriculum::Full,
        noise: 16,
        widths: [512, 128, 8],
        learned_labels: false,
        learned_pixels: false,
    };
    recipe.inner.steps = 12;
    let at = |activations| {
        let trainer = Trainer::new(&recipe, IMAGE, CLASSES, &Device::Cpu).unwrap();
        let mut trainer = trainer.with_activations(activations);
        trainer.step(&Noise).unwrap();
        PEAK.store(NOW.load(Relaxed), Relaxed);
        let before = NOW.load(Relaxed);
        trainer.step(&Noise).unwrap();
        PEAK.load(Relaxed) - before
    };
    let recomputed = at(Activations::Recompute);
    for bytes in [1 << 20, 4 << 20] {
        let kept = at(Activations::KeepWithin { bytes });
        println!("budget {bytes}: {kept}, recomputed: {recomputed}");
        assert!(kept <= recomputed + bytes, "{kept}, recomputed: {recomputed}");
    }
}
