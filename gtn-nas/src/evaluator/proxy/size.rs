//! How large a network is.

use gtn_core::network::Network;

/// Weights and biases. The lengths of weight normalization are no more than another way to write weights.
pub(super) fn parameters(network: &Network) -> f64 {
    let slots = network.params().slots().iter();
    slots.filter(|slot| !slot.name.ends_with(".g")).map(|slot| slot.len() as f64).sum()
}

/// Multiply-adds of one image.
pub(super) fn multiply_adds(network: &Network) -> f64 {
    network.multiply_adds() as f64
}
