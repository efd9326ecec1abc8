//! Round numbers along an axis.

/// How values are spread along an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences, equal distances.
    #[default]
    Linear,
    /// Equal ratios, equal distances; ticks at powers of two.
    Log2,
    /// Equal ratios, equal distances; ticks at powers of ten, or at 1, 2, 5.
    Log10,
}

impl Scale {
    /// Whether an axis of this scale has a place for `value`.
    pub(crate) fn shows(self, value: f64) -> bool {
        // Further out, what is computed from two values may overflow.
        match self {
            Self::Linear => value.abs() < 1e100,
            Self::Log2 | Self::Log10 => value > 1e-100 && value < 1e100,
        }
    }

    /// Where that place is, in units of the scale.
    pub(crate) fn position(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log2 => value.log2(),
            Self::Log10 => value.log10(),
        }
    }

    /// The places of two values as the ends of an axis that has some length.
    pub(crate) fn ends(self, low: f64, high: f64) -> (f64, f64) {
        let (low, high) = (self.position(low), self.position(high));
        let size = low.abs().max(high.abs());
        if high - low > RESOLUTION * size {
            (low, high)
        } else {
            let margin = size.max(1.0) / 2.0;
            (low - margin, high + margin)
        }
    }

    /// About `count` round values; the first is at most `low`, the last at
    /// least `high`. The scale must show both, and `low` ≤ `high`.
    pub(crate) fn ticks(self, low: f64, high: f64, count: usize) -> Vec<f64> {
        match self {
            Self::Linear => linear(low, high, count),
            Self::Log2 => powers(2.0, low.log2(), high.log2(), count),
            Self::Log10 if high <= 2.0 * low => linear(low, high, count),
            Self::Log10 if high <= 50.0 * low => one_two_five(low, high),
            Self::Log10 => powers(10.0, low.log10(), high.log10(), count),
        }
    }

    /// The text beside each tick.
    pub(crate) fn labels(self, ticks: &[f64]) -> Vec<String> {
        let decimals: Vec<usize> = ticks.iter().map(|tick| decimals(*tick)).collect();
        let most = decimals.iter().copied().max().unwrap_or(0);
        let largest = ticks.iter().fold(0f64, |most, tick| most.max(tick.abs()));
        ticks
            .iter()
            .zip(decimals)
            .map(|(tick, own)| match self {
                _ if most > MOST_DECIMALS || largest >= 1e6 => shortest_exponential(*tick),
                Self::Linear => format!("{tick:.most$}"),
                Self::Log2 | Self::Log10 => format!("{tick:.own$}"),
            })
            .collect()
    }
}

const MOST_DECIMALS: usize = 5;

/// The values a range counts as one number within, relative to its size.
const RESOLUTION: f64 = 1e-9;

fn linear(low: f64, high: f64, count: usize) -> Vec<f64> {
    let size = low.abs().max(high.abs());
    let (low, high) = if size == 0.0 {
        (0.0, 1.0)
    } else if high - low > RESOLUTION * size {
        (low, high)
    } else {
        // One value: it becomes the end farther from zero.
        (low - 0.1 * low.max(0.0), high - 0.1 * high.min(0.0))
    };
    let rough = (high - low) / count.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let multiple = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|multiple| multiple * power >= rough * (1.0 - RESOLUTION))
        .unwrap_or(10.0);
    let step = multiple * power;
    let first = (low / step + 1e-6).floor() as i64;
    let last = (high / step - 1e-6).ceil() as i64;
    // A power of ten below 1 has no exact value: dividing by its inverse
    // gives 0.3, where multiplying gives 0.30000000000000004.
    let inverse = (1.0 / step).round();
    (first..=last.max(first + 1))
        .map(|k| match step < 1.0 && inverse < 1e15 {
            true => k as f64 / inverse,
            false => k as f64 * step,
        })
        .collect()
}

/// Powers of `base` around the exponents `low` to `high`.
fn powers(base: f64, low: f64, high: f64, count: usize) -> Vec<f64> {
    let first = (low + RESOLUTION).floor() as i32;
    let last = ((high - RESOLUTION).ceil() as i32).max(first + 1);
    let span = (last - first) as usize;
    let stride = span.div_ceil(count.max(1));
    (0..=span.div_ceil(stride)).map(|k| base.powi(first + (k * stride) as i32)).collect()
}

fn one_two_five(low: f64, high: f64) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let all: Vec<f64> = (first..=last)
        .flat_map(|exponent| [1, 2, 5].map(|digit| format!("{digit}e{exponent}")))
        .filter_map(|text| text.parse().ok())
        .collect();
    let from = all.iter().rposition(|tick| *tick <= low * (1.0 + RESOLUTION));
    let to = all.iter().position(|tick| *tick >= high * (1.0 - RESOLUTION));
    match (from, to) {
        (Some(from), Some(to)) => all[from..=to].to_vec(),
        _ => vec![low, high],
    }
}

/// The fewest decimals that show `value` to six digits.
fn decimals(value: f64) -> usize {
    (0..=MOST_DECIMALS)
        .find(|decimals| {
            let shown: f64 = format!("{value:.decimals$}").parse().unwrap_or(f64::NAN);
            (shown - value).abs() <= 1e-6 * value.abs()
        })
        .unwrap_or(MOST_DECIMALS + 1)
}

fn shortest_exponential(value: f64) -> String {
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    format!("{rounded:e}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(scale: Scale, low: f64, high: f64) -> Vec<String> {
        scale.labels(&scale.ticks(low, high, 5))
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(texts(Scale::Linear, 0.1, 0.98), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(Scale::Linear, 1.0, 300.0), ["0", "100", "200", "300"]);
        assert_eq!(texts(Scale::Linear, -1.0, 1.0), ["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(texts(Scale::Log2, 1.0, 24.0), ["1", "2", "4", "8", "16", "32"]);
        assert_eq!(texts(Scale::Log2, 1.0, 500.0), ["1", "4", "16", "64", "256", "1024"]);
        assert_eq!(texts(Scale::Log10, 0.07, 2.3), ["0.05", "0.1", "0.2", "0.5", "1", "2", "5"]);
        assert_eq!(texts(Scale::Log10, 1e-4, 10.0), ["0.0001", "0.001", "0.01", "0.1", "1", "10"]);
        assert_eq!(texts(Scale::Log10, 1.1, 1.3), ["1.1", "1.15", "1.2", "1.25", "1.3"]);
        assert_eq!(texts(Scale::Linear, 0.0, 4e-7), ["0e0", "1e-7", "2e-7", "3e-7", "4e-7"]);
    }

    #[test]
    fn a_single_value_still_makes_an_axis() {
        assert_eq!(texts(Scale::Linear, 0.0, 0.0).last().unwrap(), "1.0");
        assert_eq!(texts(Scale::Linear, 1.0, 1.0).last().unwrap(), "1.00");
        assert_eq!(texts(Scale::Log2, 8.0, 8.0), ["8", "16"]);
    }

    #[test]
    fn scales_know_what_they_can_show() {
        assert!(!Scale::Linear.shows(f64::NAN));
        assert!(!Scale::Linear.shows(f64::NEG_INFINITY));
        assert!(Scale::Linear.shows(-1.0));
        assert!(!Scale::Log10.shows(0.0));
        assert!(!Scale::Log2.shows(-1.0));
        assert!(Scale::Log2.shows(8.0));
        assert_eq!(Scale::Log2.position(8.0), 3.0);
    }

    /// Any size that is shown, and often a usual one.
    fn value() -> impl Strategy<Value = f64> {
        let exponent = prop_oneof![-99.0..99.0, -4.0..4.0];
        exponent.prop_map(|exponent: f64| 10f64.powf(exponent))
    }

    proptest! {
        #[test]
        fn ticks_rise_and_enclose(
            scale in prop::sample::select(&[Scale::Linear, Scale::Log2, Scale::Log10][..]),
            a in value(),
            b in prop_oneof![value().boxed(), Just(f64::NAN).boxed()],
            closeness in prop_oneof![Just(0.0), value()],
            signs in any::<[bool; 2]>(),
            count in 0usize..10,
        ) {
            let b = if b.is_nan() { a * (1.0 + closeness.min(1.0)) } else { b };
            let [a, b] = match scale {
                Scale::Linear => [if signs[0] { -a } else { a }, if signs[1] { -b } else { b }],
                Scale::Log2 | Scale::Log10 => [a, b],
            };
            let (low, high) = (a.min(b), a.max(b));
            let ticks = scale.ticks(low, high, count);
            prop_assert!((2..40).contains(&ticks.len()), "{ticks:?}");
            prop_assert!(ticks.windows(2).all(|pair| pair[0] < pair[1]), "{ticks:?}");
            let slack = 1e-5 * (ticks[1] - ticks[0]).abs();
            prop_assert!(ticks[0] <= low + slack + 1e-8 * low.abs(), "{ticks:?}");
            prop_assert!(ticks[ticks.len() - 1] >= high - slack - 1e-8 * high.abs(), "{ticks:?}");
            prop_assert_eq!(scale.labels(&ticks).len(), ticks.len());
        }
    }
}
