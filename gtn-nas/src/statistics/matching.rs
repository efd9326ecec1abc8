//! How much of one thing is worth so much of another.

/// The steps at which a curve of correlation by steps (above 0, rising) first reaches `target`: on the line between
/// two of its points, steps counted by their logarithm.
///
/// The first point's steps where that reaches it already: at most so many are needed. Infinite where no point
/// does: the curve ends too early to tell.
///
/// ```
/// use gtn_nas::statistics::steps_to_match;
///
/// let curve = [(8.0, 0.2), (32.0, 0.4), (128.0, 0.8)];
/// assert!((steps_to_match(&curve, 0.6) - 64.0).abs() < 1e-9);
/// assert_eq!(steps_to_match(&curve, 0.1), 8.0);
/// assert_eq!(steps_to_match(&curve, 0.9), f64::INFINITY);
/// ```
pub fn steps_to_match(curve: &[(f64, f64)], target: f64) -> f64 {
    let mut before: Option<(f64, f64)> = None;
    for &(steps, value) in curve {
        if value >= target {
            return match before {
                // Below the target, so below this value.
                Some((last_steps, last)) => {
                    let way = (target - last) / (value - last);
                    (last_steps.ln() + way * (steps.ln() - last_steps.ln())).exp()
                }
                None => steps,
            };
        }
        before = Some((steps, value));
    }
    f64::INFINITY
}
