//! From architectures to networks.

use super::Evaluator;
use crate::space::NetworkSpace;
use crate::trial::Measurement;
use crate::{Error, Result};
use gtn_core::data::ImageShape;
use gtn_core::network::{Network, Normalization};
use gtn_core::seed::Seed;

/// Judges the architectures of a space by the networks that they are for one image shape and number of classes.
#[derive(Debug, Clone, Copy)]
pub struct Lowered<'a, S, E: ?Sized> {
    /// The space.
    pub space: &'a S,
    /// The shape of the images.
    pub image: ImageShape,
    /// The number of classes.
    pub classes: usize,
    /// How layers are normalized. Running means of short memory are for trainings of a few steps.
    pub normalization: Normalization,
    /// Judges networks.
    pub evaluator: &'a E,
}

impl<S: NetworkSpace, E: Evaluator<Network> + ?Sized> Evaluator<S::Arch> for Lowered<'_, S, E> {
    fn steps(&self) -> usize {
        self.evaluator.steps()
    }

    fn evaluate(&self, arch: &S::Arch, steps: &[usize], seed: Seed) -> Result<Vec<Measurement>> {
        let layers = self.space.layers(arch);
        let network = Network::new(&layers, self.image, self.classes, self.normalization);
        self.evaluator.evaluate(&network.map_err(Error::from)?, steps, seed)
    }
}
