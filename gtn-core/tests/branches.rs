//! The meta-gradient of a learner with branches, against central differences in f64: values
//! that several layers use, sums and concatenations of them, branches that are not there.

use candle_core::{DType, Device, Tensor};
use gtn_core::activations::{Activations, Room};
use gtn_core::data::{Batch, ImageShape};
use gtn_core::inner::{InnerOptimizer, Rates};
use gtn_core::meta::{Exam, LessonAdjoint, Syllabus, meta_gradient};
use gtn_core::network::{Layer, Network, Normalization, Params};
use gtn_core::seed::{Seed, normal};

const IMAGE: ImageShape = ImageShape { channels: 2, height: 6, width: 5 };
const CLASSES: usize = 3;
const STEPS: usize = 3;
const BATCH: usize = 4;
const RULES: [InnerOptimizer; 3] =
    [InnerOptimizer::Sgd, InnerOptimizer::RmsProp, InnerOptimizer::Adam];

const LAYERS: &str = "layers = [
    { op = 'conv', name = 'stem', channels = 4, kernel = 3, padding = 1 },
    { op = 'mean_norm', name = 'stem_norm' },
    { op = 'mark', value = 'stem' },
    { op = 'leaky_relu', slope = 0.1 },
    { op = 'conv', name = 'wide', channels = 4, kernel = [1, 7], padding = [0, 3] },
    { op = 'conv', name = 'high', channels = 4, kernel = [7, 1], padding = [3, 0] },
    { op = 'mean_norm', name = 'wide_norm' },
    { op = 'leaky_relu', slope = 0.1 },
    { op = 'mark', value = 'conv' },
    { op = 'take', value = 'stem' },
    { op = 'depthwise_conv', name = 'each', kernel = 3, padding = 1 },
    { op = 'mark', value = 'each' },
    { op = 'take', value = 'stem' },
    { op = 'max_pool', kernel = 2, stride = 1, padding = 'same' },
    { op = 'mark', value = 'max' },
    { op = 'take', value = 'conv' },
    { op = 'avg_pool', kernel = 3, stride = 1, padding = 'same' },
    { op = 'mark', value = 'avg' },
    { op = 'take', value = 'each' },
    { op = 'conv', name = 'unseen', channels = 4, kernel = 1 },
    { op = 'mean_norm', name = 'unseen_norm' },
    { op = 'zeroize' },
    { op = 'mark', value = 'none' },
    { op = 'sum', of = ['stem', 'conv', 'max', 'none', 'stem'] },
    { op = 'mark', value = 'sum' },
    { op = 'concat', of = ['sum', 'each', 'avg', 'sum'] },
    { op = 'conv', name = 'last', channels = 5, kernel = 1, stride = 2 },
    { op = 'mean_norm', name = 'last_norm' },
    { op = 'leaky_relu', slope = 0.1 },
    { op = 'global_avg_pool' },
    { op = 'mark', value = 'pooled' },
    { op = 'mean_norm', name = 'unseen_matrix' },
    { op = 'take', value = 'pooled' },
    { op = 'linear', name = 'unseen_linear', features = 3 },
    { op = 'mean_norm', name = 'unseen_rows' },
    { op = 'take', value = 'pooled' },
    { op = 'classifier', name = 'fc' },
]";

fn network(weight_norm: bool) -> Network {
    #[derive(serde::Deserialize)]
    struct Table {
        layers: Vec<Layer>,
    }
    let table: Table = toml::from_str(LAYERS).unwrap();
    let normalization = Normalization { norm_momentum: 0.4, weight_norm };
    Network::new(&table.layers, IMAGE, CLASSES, normalization).unwrap()
}

fn draw(name: &str, shape: &[usize]) -> Tensor {
    normal(shape, DType::F64, &Device::Cpu, &mut Seed(5).derive(name, 0).rng()).unwrap()
}

fn moved(x: &Tensor, along: &Tensor, by: f64) -> Tensor {
    (x + (along * by).unwrap()).unwrap()
}

fn dot(x: &Tensor, y: &Tensor) -> f64 {
    (x * y).unwrap().sum_all().unwrap().to_scalar().unwrap()
}

/// Everything that goes into a training, with a step axis first where steps differ.
#[derive(Clone)]
struct Inputs {
    params: Params,
    images: Tensor,
    targets: Tensor,
    lr: Tensor,
    momentum: Tensor,
}

impl Inputs {
    fn new(network: &Network) -> Self {
        let mut rng = Seed(1).rng();
        let params = Params::init(network.params(), DType::F64, &Device::Cpu, &mut rng).unwrap();
        let constant = |value: f64| Tensor::full(value, STEPS, &Device::Cpu).unwrap();
        let [channels, height, width] = IMAGE.dims();
        Self {
            // Away from where everything starts alike: biases at zero.
            params: params.with_flat(moved(
                params.flat(),
                &draw("jitter", params.flat().dims()),
                0.1,
            )),
            images: draw("images", &[STEPS, BATCH, channels, height, width]),
            targets: draw("targets", &[STEPS, BATCH, CLASSES]),
            lr: constant(0.1),
            momentum: constant(0.6),
        }
    }

    fn parts(&mut self) -> [(&'static str, &mut Tensor); 4] {
        [
            ("images", &mut self.images),
            ("targets", &mut self.targets),
            ("lr", &mut self.lr),
            ("momentum", &mut self.momentum),
        ]
    }
}

/// A training under way, and the adjoints of what went in, the last step first.
struct Teaching<'a> {
    inputs: &'a Inputs,
    adjoints: [Vec<Tensor>; 2],
}

impl Syllabus for Teaching<'_> {
    fn steps(&self) -> usize {
        STEPS
    }

    fn lesson(&mut self, step: usize, _room: &mut Room) -> gtn_core::Result<(Batch, Rates)> {
        let of = |all: &Tensor| all.get(step).unwrap();
        let Inputs { images, targets, lr, momentum, .. } = self.inputs;
        let rates =
            Rates { lr: of(lr).to_scalar().unwrap(), momentum: of(momentum).to_scalar().unwrap() };
        Ok((Batch { images: of(images), targets: of(targets) }, rates))
    }

    fn learn(&mut self, _step: usize, adjoint: LessonAdjoint) -> gtn_core::Result<()> {
        let parts = [adjoint.images, adjoint.targets.unwrap()];
        for (all, part) in self.adjoints.iter_mut().zip(parts) {
            all.insert(0, part);
        }
        Ok(())
    }

    fn learns_targets(&self) -> bool {
        true
    }
}

/// Judges after the first step and after the last.
struct Judging;

impl Exam for Judging {
    fn batch(&mut self, step: usize) -> gtn_core::Result<Option<Batch>> {
        let [channels, height, width] = IMAGE.dims();
        Ok((step != 1).then(|| Batch {
            images: draw("real images", &[BATCH, channels, height, width]),
            targets: draw("real targets", &[BATCH, CLASSES]),
        }))
    }
}

/// The meta-loss, its gradient by the first parameters, and by images, targets, rates.
fn train(
    network: &Network,
    rule: InnerOptimizer,
    inputs: &Inputs,
    kept: Activations,
) -> (f64, Tensor, [Tensor; 4]) {
    let mut teaching = Teaching { inputs, adjoints: Default::default() };
    let done =
        meta_gradient(network, rule, &inputs.params, &mut teaching, &mut Judging, kept).unwrap();
    let [images, targets] = teaching.adjoints.map(|steps| Tensor::stack(&steps, 0).unwrap());
    let each = |of: fn(&Rates) -> f64| {
        Tensor::new(done.rates.iter().map(of).collect::<Vec<_>>(), &Device::Cpu).unwrap()
    };
    let adjoints = [images, targets, each(|rates| rates.lr), each(|rates| rates.momentum)];
    (done.meta_loss, done.initial.flat().clone(), adjoints)
}

#[test]
fn meta_gradient_through_branches_matches_central_differences() {
    for rule in RULES {
        matches_central_differences(&network(true), rule);
    }
}

#[test]
fn so_does_it_without_weight_norm() {
    matches_central_differences(&network(false), InnerOptimizer::Sgd);
}

fn matches_central_differences(network: &Network, rule: InnerOptimizer) {
    let inputs = Inputs::new(network);
    let (_, params, adjoints) = train(network, rule, &inputs, Activations::Recompute);
    let loss = |inputs: &Inputs| train(network, rule, inputs, Activations::Recompute).0;
    let h = 1e-6;
    let check = |what: &str, ours: f64, plus: &Inputs, minus: &Inputs| {
        let expected = (loss(plus) - loss(minus)) / (2.0 * h);
        let error = (ours - expected).abs();
        assert!(
            error < 1e-7 * (1.0 + expected.abs()),
            "{rule:?}, {what}: {ours}, expected {expected}"
        );
    };

    // Parameter by parameter, so that none hides behind the others.
    for (slot, adjoint) in
        network.params().slots().iter().zip(inputs.params.with_flat(params).tensors().unwrap())
    {
        let mut along =
            inputs.params.with_flat(inputs.params.flat().zeros_like().unwrap()).named().unwrap();
        let at = along.iter().position(|(name, _)| *name == slot.name).unwrap();
        along[at].1 = draw(&slot.name, &slot.shape);
        let ours = dot(&adjoint, &along[at].1);
        let along = Params::from_named(network.params(), &along.into_iter().collect()).unwrap();
        let by = |h: f64| Inputs {
            params: inputs.params.with_flat(moved(inputs.params.flat(), along.flat(), h)),
            ..inputs.clone()
        };
        check(&slot.name, ours, &by(h), &by(-h));
        assert!(slot.name.starts_with("unseen") == (ours == 0.0), "{}: {ours}", slot.name);
    }
    for (i, adjoint) in adjoints.iter().enumerate() {
        let along = draw("along", adjoint.dims());
        let by = |h: f64| {
            let mut inputs = inputs.clone();
            let part = &mut *inputs.parts()[i].1;
            *part = moved(part, &along, h);
            inputs
        };
        let what = inputs.clone().parts()[i].0;
        check(what, dot(adjoint, &along), &by(h), &by(-h));
    }
}

#[test]
fn neither_threads_nor_kept_activations_change_a_bit() {
    let network = network(true);
    let inputs = Inputs::new(&network);
    let bits = |threads: usize, kept: Activations| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (loss, params, adjoints) =
            pool.install(|| train(&network, InnerOptimizer::Sgd, &inputs, kept));
        let mut all = vec![loss.to_bits()];
        for tensor in adjoints.iter().chain([&params]) {
            let values = tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            all.extend(values.into_iter().map(f64::to_bits));
        }
        all
    };
    let one = bits(1, Activations::Recompute);
    assert!(one == bits(3, Activations::Recompute));
    assert!(one == bits(2, Activations::KeepWithin { bytes: usize::MAX }));
}
