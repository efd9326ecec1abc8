//! Vectors of either floating-point type, of whatever width the machine has.

use super::Float;
use pulp::{MemMask, Simd, WithSimd};

/// Runs `op` with the widest vectors of this machine.
///
/// `GTN_SIMD=avx2` or `GTN_SIMD=scalar` in the environment asks for narrower ones.
#[inline(always)]
pub(crate) fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    let limit = limit();
    if limit == Limit::None {
        return pulp::Arch::new().dispatch(op);
    }
    #[cfg(target_arch = "x86_64")]
    if limit == Limit::Avx2
        && let Some(simd) = pulp::x86::V3::try_new()
    {
        return Simd::vectorize(simd, op);
    }
    Simd::vectorize(pulp::Scalar::new(), op)
}

/// Bits of the vectors that [`dispatch`] chooses.
pub(crate) fn vector_bits() -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;

        fn with_simd<S: Simd>(self, _simd: S) -> usize {
            S::F32_LANES
        }
    }
    dispatch(Lanes) * 8 * size_of::<f32>()
}

/// How wide vectors may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit {
    None,
    Avx2,
    Scalar,
}

#[inline]
fn limit() -> Limit {
    #[cfg(test)]
    if let Some(limit) = tests::LIMIT.get() {
        return limit;
    }
    static LIMIT: std::sync::OnceLock<Limit> = std::sync::OnceLock::new();
    *LIMIT.get_or_init(|| match std::env::var("GTN_SIMD").as_deref() {
        Ok("avx2") => Limit::Avx2,
        Ok("scalar") => Limit::Scalar,
        Ok("") | Err(_) => Limit::None,
        Ok(other) => {
            tracing::warn!("GTN_SIMD={other} is ignored: expected avx2 or scalar");
            Limit::None
        }
    })
}

/// The mask of the first few lanes, for the vectors of `Self`.
pub(crate) type Mask<T, S> = <T as Lanes>::Mask<S>;

/// Vector operations on a floating-point type.
pub(crate) trait Lanes: Float {
    /// Whether the widest tiles are worth their code: f64 only serves to check.
    const TUNED: bool;
    type Vector<S: Simd>: Copy;
    type Mask<S: Simd>: Copy;

    fn lanes<S: Simd>() -> usize;
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
    fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    fn minus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    fn times<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// `a·b + c`
    fn fused<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
    fn reduce<S: Simd>(simd: S, a: Self::Vector<S>) -> Self;
    /// The mask of the first `count` lanes.
    fn first<S: Simd>(simd: S, count: usize) -> Self::Mask<S>;
    /// # Safety
    /// A whole vector can be read at `from`.
    unsafe fn load<S: Simd>(simd: S, from: *const Self) -> Self::Vector<S>;
    /// # Safety
    /// A whole vector can be written at `to`.
    unsafe fn store<S: Simd>(simd: S, to: *mut Self, value: Self::Vector<S>);
    /// The masked lanes; zero in the others.
    /// # Safety
    /// The masked lanes can be read at `from`.
    unsafe fn load_first<S: Simd>(
        simd: S,
        mask: Self::Mask<S>,
        from: *const Self,
    ) -> Self::Vector<S>;
    /// # Safety
    /// The masked lanes can be written at `to`.
    unsafe fn store_first<S: Simd>(
        simd: S,
        mask: Self::Mask<S>,
        to: *mut Self,
        value: Self::Vector<S>,
    );
}

macro_rules! impl_lanes {
    ($T:ident, $tuned:literal, $vector:ident, $mask:ident, $bits:ident, $splat:ident, $add:ident, $sub:ident,
     $mul:ident, $mul_add:ident, $reduce:ident, $between:ident, $load:ident, $store:ident) => {
        impl Lanes for $T {
            const TUNED: bool = $tuned;
            type Vector<S: Simd> = S::$vector;
            type Mask<S: Simd> = MemMask<S::$mask>;

            #[inline(always)]
            fn lanes<S: Simd>() -> usize {
                size_of::<S::$vector>() / size_of::<$T>()
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S> {
                simd.$splat(value)
            }
            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S> {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn minus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S> {
                simd.$sub(a, b)
            }
            #[inline(always)]
            fn times<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S> {
                simd.$mul(a, b)
            }
            #[inline(always)]
            fn fused<S: Simd>(
                simd: S,
                a: Self::Vector<S>,
                b: Self::Vector<S>,
                c: Self::Vector<S>,
            ) -> Self::Vector<S> {
                simd.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn reduce<S: Simd>(simd: S, a: Self::Vector<S>) -> Self {
                simd.$reduce(a)
            }
            #[inline(always)]
            fn first<S: Simd>(simd: S, count: usize) -> Self::Mask<S> {
                simd.$between(0, count as $bits)
            }
            #[inline(always)]
            unsafe fn load<S: Simd>(_simd: S, from: *const Self) -> Self::Vector<S> {
                // SAFETY: the caller says that a whole vector can be read.
                unsafe { from.cast::<S::$vector>().read_unaligned() }
            }
            #[inline(always)]
            unsafe fn store<S: Simd>(_simd: S, to: *mut Self, value: Self::Vector<S>) {
                // SAFETY: the caller says that a whole vector can be written.
                unsafe { to.cast::<S::$vector>().write_unaligned(value) }
            }
            #[inline(always)]
            unsafe fn load_first<S: Simd>(
                simd: S,
                mask: Self::Mask<S>,
                from: *const Self,
            ) -> Self::Vector<S> {
                // SAFETY: the caller says that the masked lanes can be read.
                unsafe { simd.$load(mask, from) }
            }
            #[inline(always)]
            unsafe fn store_first<S: Simd>(
                simd: S,
                mask: Self::Mask<S>,
                to: *mut Self,
                value: Self::Vector<S>,
            ) {
                // SAFETY: the caller says that the masked lanes can be written.
                unsafe { simd.$store(mask, to, value) }
            }
        }
    };
}

impl_lanes!(
    f32,
    true,
    f32s,
    m32s,
    u32,
    splat_f32s,
    add_f32s,
    sub_f32s,
    mul_f32s,
    mul_add_f32s,
    reduce_sum_f32s,
    mask_between_m32s,
    mask_load_ptr_f32s,
    mask_store_ptr_f32s
);
impl_lanes!(
    f64,
    false,
    f64s,
    m64s,
    u64,
    splat_f64s,
    add_f64s,
    sub_f64s,
    mul_f64s,
    mul_add_f64s,
    reduce_sum_f64s,
    mask_between_m64s,
    mask_load_ptr_f64s,
    mask_store_ptr_f64s
);

#[cfg(test)]
pub(crate) mod tests {
    use super::Limit;
    use std::cell::Cell;

    thread_local! {
        pub(super) static LIMIT: Cell<Option<Limit>> = const { Cell::new(None) };
    }

    /// Runs `f` once for every width of vectors, each time on threads of its own, so that tests
    /// beside this one keep the width that they began with.
    pub(crate) fn with_every_width(mut f: impl FnMut(Limit) + Send) {
        for limit in [Limit::None, Limit::Avx2, Limit::Scalar] {
            rayon::ThreadPoolBuilder::new()
                .start_handler(move |_| LIMIT.set(Some(limit)))
                .build()
                .expect("a pool of threads")
                .install(|| f(limit));
        }
    }
}
