//! Stride 1: the points 0, ±a, ±b and ∞.
//!
//! A correlation of 6 inputs with 3 weights, which makes 4 outputs, is a product of polynomials
//! read backward, and those may be multiplied point by point. With a = 5/8 and b = 3/2 the result
//! in f32 is about as exact as the direct sum (1·10⁻⁶ against 3·10⁻⁷ of its norm for 128
//! channels; with the usual points 1 and 2: 2.3·10⁻⁶). The order of the points is the order above.

use super::transform::{Axis, Scheme, Vector, With};
use crate::cpu::Lanes;
use pulp::Simd;

const A: f64 = 5.0 / 8.0;
const B: f64 = 3.0 / 2.0;
const A2: f64 = A * A;
const B2: f64 = B * B;
/// The polynomial's leading coefficients at the points, by which the weights are divided.
const AT_ZERO: f64 = A2 * B2;
const AT_A: f64 = 2.0 * A2 * (A2 - B2);
const AT_B: f64 = 2.0 * B2 * (B2 - A2);

/// F(4, 3): 6 products where the direct way needs 12.
#[derive(Clone, Copy)]
pub(super) struct Stride1;

impl Scheme<6, 6> for Stride1 {
    type Input = Input;
    type InputBack = InputBack;
    type Output = Output;
    type OutputBack = OutputBack;
    type Kernel = Kernel;
    type KernelBack = KernelBack;
}

pub(super) struct Input;
pub(super) struct InputBack;
pub(super) struct Output;
pub(super) struct OutputBack;
pub(super) struct Kernel;
pub(super) struct KernelBack;

impl<S: Simd> With<S> {
    /// An input tile at 0, from its first, third and fifth value; at ∞, from the others.
    #[inline(always)]
    fn input_end<T: Lanes>(
        self,
        low: Vector<T, S>,
        middle: Vector<T, S>,
        high: Vector<T, S>,
    ) -> Vector<T, S> {
        self.plus::<T>(self.plus::<T>(high, -(A2 + B2), middle), A2 * B2, low)
    }

    /// An input tile at `±point`; `other` is the other point's square.
    #[inline(always)]
    fn input_at<T: Lanes>(self, point: f64, other: f64, d: [Vector<T, S>; 6]) -> [Vector<T, S>; 2] {
        let even = self.plus::<T>(d[4], -other, d[2]);
        let odd = self.plus::<T>(self.scaled::<T>(point, d[3]), -point * other, d[1]);
        self.pair::<T>(even, odd)
    }

    /// An output adjoint at `±point`.
    #[inline(always)]
    fn output_at<T: Lanes>(self, point: f64, y: [Vector<T, S>; 4]) -> [Vector<T, S>; 2] {
        let even = self.plus::<T>(y[0], point * point, y[2]);
        let odd = self.plus::<T>(self.scaled::<T>(point, y[1]), point * point * point, y[3]);
        self.pair::<T>(even, odd)
    }

    /// A kernel at `±point`, divided by `leading`.
    #[inline(always)]
    fn kernel_at<T: Lanes>(
        self,
        point: f64,
        leading: f64,
        w: [Vector<T, S>; 3],
    ) -> [Vector<T, S>; 2] {
        let low = self.scaled::<T>(1.0 / leading, w[0]);
        let even = self.plus::<T>(low, point * point / leading, w[2]);
        self.pair::<T>(even, self.scaled::<T>(point / leading, w[1]))
    }
}

impl Axis<6, 6> for Input {
    #[inline(always)]
    fn apply<T: Lanes, S: Simd>(simd: S, d: [Vector<T, S>; 6]) -> [Vector<T, S>; 6] {
        let k = With(simd);
        let [a, minus_a] = k.input_at::<T>(A, B2, d);
        let [b, minus_b] = k.input_at::<T>(B, A2, d);
        let zero = k.input_end::<T>(d[0], d[2], d[4]);
        [zero, a, minus_a, b, minus_b, k.input_end::<T>(d[1], d[3], d[5])]
    }
}

impl Axis<6, 6> for InputBack {
    #[inline(always)]
    fn apply<T: Lanes, S: Simd>(simd: S, v: [Vector<T, S>; 6]) -> [Vector<T, S>; 6] {
        let k = With(simd);
        let [sum_a, odd_a] = k.pair::<T>(v[1], v[2]);
        let [sum_b, odd_b] = k.pair::<T>(v[3], v[4]);
        let one = k.plus::<T>(k.scaled::<T>(A2 * B2, v[5]), -A * B2, odd_a);
        let two = k.plus::<T>(k.scaled::<T>(-(A2 + B2), v[0]), -B2, sum_a);
        let three = k.plus::<T>(k.scaled::<T>(-(A2 + B2), v[5]), A, odd_a);
        [
            k.scaled::<T>(A2 * B2, v[0]),
            k.plus::<T>(one, -B * A2, odd_b),
            k.plus::<T>(two, -A2, sum_b),
            k.plus::<T>(three, B, odd_b),
            T::plus(simd, v[0], T::plus(simd, sum_a, sum_b)),
            v[5],
        ]
    }
}

impl Axis<6, 4> for Output {
    #[inline(always)]
    fn apply<T: Lanes, S: Simd>(simd: S, m: [Vector<T, S>; 6]) -> [Vector<T, S>; 4] {
        let k = With(simd);
        let [sum_a, odd_a] = k.pair::<T>(m[1], m[2]);
        let [sum_b, odd_b] = k.pair::<T>(m[3], m[4]);
        [
            T::plus(simd, m[0], T::plus(simd, sum_a, sum_b)),
            k.plus::<T>(k.scaled::<T>(A, odd_a), B, odd_b),
            k.plus::<T>(k.scaled::<T>(A2, sum_a), B2, sum_b),
            k.plus::<T>(k.plus::<T>(m[5], A * A2, odd_a), B * B2, odd_b),
        ]
    }
}

impl Axis<4, 6> for OutputBack {
    #[inline(always)]
    fn apply<T: Lanes, S: Simd>(simd: S, y: [Vector<T, S>; 4]) -> [Vector<T, S>; 6] {
        let k = With(simd);
        let [a, minus_a] = k.output_at::<T>(A, y);
        let [b, minus_b] = k.output_at::<T>(B, y);
        [y[0], a, minus_a, b, minus_b, y[3]]
    }
}

impl Axis<3, 6> for Kernel {
    #[inline(always)]
    fn apply<T: Lanes, S: Simd>(simd: S, w: [Vector<T, S>; 3]) -> [Vector<T, S>; 6] {
        let k = With(simd);
        let [a, minus_a] = k.kernel_at::<T>(A, AT_A, w);
        let [b, minus_b] = k.kernel_at::<T>(B, AT_B, w);
        [k.scaled::<T>(1.0 / AT_ZERO, w[0]), a, minus_a, b, minus_b, w[2]]
    }
}

impl Axis<6, 3> for KernelBack {
    #[inline(always)]
    fn apply<T: Lanes, S: Simd>(simd: S, u: [Vector<T, S>; 6]) -> [Vector<T, S>; 3] {
        let k = With(simd);
        let [sum_a, odd_a] = k.pair::<T>(u[1], u[2]);
        let [sum_b, odd_b] = k.pair::<T>(u[3], u[4]);
        let zero = k.plus::<T>(k.scaled::<T>(1.0 / AT_ZERO, u[0]), 1.0 / AT_A, sum_a);
        [
            k.plus::<T>(zero, 1.0 / AT_B, sum_b),
            k.plus::<T>(k.scaled::<T>(A / AT_A, odd_a), B / AT_B, odd_b),
            k.plus::<T>(k.plus::<T>(u[5], A2 / AT_A, sum_a), B2 / AT_B, sum_b),
        ]
    }
}
