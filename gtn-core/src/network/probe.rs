//! What can be asked of a network before it has learned anything, to guess what it is worth.
//!
//! These are what training-free estimates are made of; the gradient of the loss is
//! [`Network::learn`]'s, the number of parameters that of [`Network::params`].

use super::{Leaf, Network, Params};
use crate::Result;
use crate::tensors::zeros;
use candle_core::{DType, Tensor};

impl Network {
    /// Multiply-adds of the forward pass of one image: those of convolutions and linear layers,
    /// whether or not their output reaches the logits.
    pub fn multiply_adds(&self) -> u64 {
        self.logits.multiply_adds()
    }

    /// Which rectifiers an image makes active: `(batch, rectifiers)` of 0 and 1 (u8), where each
    /// pixel of each channel is a rectifier of its own. Norms use the batch's means.
    ///
    /// How unlike these codes are between images tells how finely a network parts its inputs
    /// (NASWOT: Mellor et al., arXiv 2006.04647).
    ///
    /// # Errors
    /// When the device fails.
    pub fn rectifier_codes(&self, params: &Params, images: &Tensor) -> Result<Tensor> {
        let leaves = self.learn_leaves.values(&[images], params, None)?;
        let Some(&last) = self.rectified.last() else {
            return zeros(&[images.dim(0)?, 0], DType::U8, images.device());
        };
        let rectified = self.learn.with_output(last).values(&leaves, &self.rectified)?;
        let codes = rectified.iter().map(|value| Ok(value.flatten_from(1)?.gt(0.0)?));
        Ok(Tensor::cat(&codes.collect::<Result<Vec<_>>>()?, 1)?)
    }

    /// The logits `(batch, classes)` of images, judged with the running means, and the gradient of
    /// `⟨logits, adjoint⟩` by the parameters.
    ///
    /// With the magnitudes of the parameters, images and adjoint of ones, and fresh running means,
    /// which change nothing, that is what SynFlow asks for (Tanaka et al., arXiv 2006.05467): its
    /// saliencies are parameter times gradient. Those of a weight-normalized weight add up to
    /// nothing, so build the network without.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] when `adjoint` is not of the logits' shape.
    pub fn output_gradient(
        &self,
        params: &Params,
        running: &Params,
        images: &Tensor,
        adjoint: &Tensor,
    ) -> Result<(Tensor, Params)> {
        let leaves = self.judge_leaves.values(&[images], params, Some(running))?;
        let trace = self.logits.forward(&leaves, &[])?;
        let wants = self.judge_leaves.mask(Leaf::learned);
        let seed = [(self.logits.output(), adjoint.clone())];
        let adjoints = self.logits.backward(&trace, &seed, &wants)?;
        let gradient = self.judge_leaves.gradient(params, &adjoints, None)?;
        Ok((trace.output().clone(), gradient))
    }
}

#[cfg(test)]
mod tests {
    use crate::data::ImageShape;
    use crate::learner::{LearnerFamily, LearnerSpec};
    use crate::network::{Network, Params};
    use crate::ops::check::uniform;
    use crate::seed::Seed;
    use candle_core::{DType, Device, Tensor};

    const IMAGE: ImageShape = ImageShape { channels: 2, height: 8, width: 6 };

    fn network(learner: &str) -> Network {
        let spec: LearnerSpec = toml::from_str(learner).unwrap();
        spec.network(Seed(0), IMAGE, 3).unwrap()
    }

    fn params(network: &Network) -> Params {
        Params::init(network.params(), DType::F64, &Device::Cpu, &mut Seed(1).rng()).unwrap()
    }

    fn sum(x: &Tensor) -> f64 {
        x.sum_all().unwrap().to_scalar().unwrap()
    }

    #[test]
    fn multiply_adds_are_those_of_products() {
        let network = network("preset = 'conv2_fc'\nwidths = [4, 5, 7]");
        let (first, second) = (8 * 6 * 4 * 2 * 9, 4 * 3 * 5 * 4 * 9);
        let (hidden, last) = (5 * 2 * 2 * 7, 7 * 3);
        assert_eq!(network.multiply_adds(), first + second + hidden + last);

        let network = self::network(
            "preset = 'custom'
             layers = [
                 { op = 'depthwise_conv', name = 'a', kernel = [1, 5], padding = [0, 2] },
                 { op = 'avg_pool', kernel = 2, stride = 2 },
                 { op = 'classifier', name = 'fc' },
             ]",
        );
        assert_eq!(network.multiply_adds(), 8 * 6 * 2 * 5 + 2 * 4 * 3 * 3);
    }

    #[test]
    fn codes_tell_which_rectifiers_are_active() {
        let network = network(
            "preset = 'custom'
             layers = [
                 { op = 'leaky_relu', slope = 0.5 },
                 { op = 'linear', name = 'a', features = 4 },
                 { op = 'mean_norm', name = 'a' },
                 { op = 'leaky_relu', slope = 0.1 },
                 { op = 'linear', name = 'b', features = 4 },
                 { op = 'mean_norm', name = 'b' },
                 { op = 'classifier', name = 'fc' },
             ]",
        );
        let (images, params) = (uniform(&[5, 2, 8, 6], 3), params(&network));
        let codes = network.rectifier_codes(&params, &images).unwrap();
        assert_eq!((codes.dims(), codes.dtype()), (&[5, 2 * 8 * 6 + 4][..], DType::U8));

        // By hand: weights start as their directions are.
        let flat = images.flatten_from(1).unwrap();
        let half = (flat.abs().unwrap() * 0.25).unwrap() + (&flat * 0.75).unwrap();
        let a = half.unwrap().matmul(&params.get("a.weight").unwrap().t().unwrap()).unwrap();
        let a = a.broadcast_sub(&a.mean_keepdim(0).unwrap()).unwrap();
        let expected = Tensor::cat(&[flat.gt(0.0).unwrap(), a.gt(0.0).unwrap()], 1).unwrap();
        assert_eq!(codes.to_vec2::<u8>().unwrap(), expected.to_vec2::<u8>().unwrap());
    }

    #[test]
    fn without_rectifiers_codes_are_empty() {
        let network = network("preset = 'custom'\nlayers = [{ op = 'classifier', name = 'fc' }]");
        let codes = network.rectifier_codes(&params(&network), &uniform(&[5, 2, 8, 6], 3)).unwrap();
        assert_eq!(codes.dims(), [5, 0]);
    }

    #[test]
    fn output_gradient_matches_central_differences() {
        let network = network("preset = 'conv2_fc'\nwidths = [4, 5, 7]\nweight_norm = false");
        let (images, params, adjoint) =
            (uniform(&[5, 2, 8, 6], 3), params(&network), uniform(&[5, 3], 4));
        let running = network.fresh_running(DType::F64, &Device::Cpu).unwrap();
        let running = running.with_flat(uniform(running.flat().dims(), 5));
        let (logits, gradient) =
            network.output_gradient(&params, &running, &images, &adjoint).unwrap();
        let expected = network.logits(&params, &running, &images).unwrap();
        assert_eq!(logits.to_vec2::<f64>().unwrap(), expected.to_vec2::<f64>().unwrap());

        let direction = uniform(params.flat().dims(), 6);
        let value = |h: f64| {
            let moved = (params.flat() + (&direction * h).unwrap()).unwrap();
            let logits = network.logits(&params.with_flat(moved), &running, &images).unwrap();
            sum(&(logits * &adjoint).unwrap())
        };
        let expected = (value(1e-6) - value(-1e-6)) / 2e-6;
        let ours = sum(&(gradient.flat() * &direction).unwrap());
        assert!((ours - expected).abs() < 1e-7 * (1.0 + expected.abs()), "{ours} {expected}");
    }

    #[test]
    fn an_adjoint_of_another_shape_is_refused() {
        let network = network("preset = 'conv2_fc'\nwidths = [4, 5, 7]");
        let (images, params) = (uniform(&[5, 2, 8, 6], 3), params(&network));
        let running = network.fresh_running(DType::F64, &Device::Cpu).unwrap();
        let adjoint = uniform(&[1, 3], 4);
        let refused = network.output_gradient(&params, &running, &images, &adjoint);
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("expected the shape [5, 3]"), "{message}");
    }

    #[test]
    fn saliencies_of_synflow_are_conserved() {
        // Every layer's add up to the sum of the outputs (Tanaka et al., theorem 1).
        let network = network("preset = 'conv5_gap'\nwidths = [3, 4, 5]\nweight_norm = false");
        let params = params(&network);
        let params = params.with_flat(params.flat().abs().unwrap());
        let running = network.fresh_running(DType::F64, &Device::Cpu).unwrap();
        let ones = |shape: &[usize]| Tensor::ones(shape, DType::F64, &Device::Cpu).unwrap();
        let (logits, gradient) = network
            .output_gradient(&params, &running, &ones(&[1, 2, 8, 6]), &ones(&[1, 3]))
            .unwrap();
        let flow = sum(&logits);
        let parts = params.named().unwrap().into_iter().zip(gradient.tensors().unwrap());
        for ((name, value), gradient) in parts.filter(|((name, _), _)| name.ends_with(".weight")) {
            let saliency = sum(&(value * gradient).unwrap());
            assert!((saliency - flow).abs() < 1e-12 * flow, "{name}: {saliency}, expected {flow}");
        }
    }
}
