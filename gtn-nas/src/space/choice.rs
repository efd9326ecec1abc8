//! Choices among a few options.

use gtn_core::seed::Rng;
use rand::RngExt;

/// One of `options`, each as likely.
pub(super) fn any<T: Copy>(options: &[T], rng: &mut Rng) -> T {
    options[rng.random_range(0..options.len())]
}

/// One of `options` that is not `than`, each as likely; `than` where there is no other.
pub(super) fn other<T: Copy + PartialEq>(options: &[T], than: T, rng: &mut Rng) -> T {
    let others: Vec<T> = options.iter().copied().filter(|&option| option != than).collect();
    if others.is_empty() { than } else { any(&others, rng) }
}

/// One of two, either as likely.
pub(super) fn either<T: Clone>(a: &T, b: &T, rng: &mut Rng) -> T {
    if rng.random_bool(0.5) { a.clone() } else { b.clone() }
}

/// A one in the place of `value` among `options`, zeros elsewhere.
pub(super) fn one_hot<T: Copy + PartialEq>(
    options: &[T],
    value: T,
) -> impl Iterator<Item = f64> + use<'_, T> {
    options.iter().map(move |&option| f64::from(u8::from(option == value)))
}

/// The place of `value` among `options`, from 0 for the first to 1 for the last.
pub(super) fn place<T: PartialEq>(options: &[T], value: T) -> f64 {
    let place = options.iter().position(|option| *option == value).unwrap_or(0);
    place as f64 / options.len().saturating_sub(1).max(1) as f64
}
