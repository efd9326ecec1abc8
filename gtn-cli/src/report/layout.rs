//! Where things are in a plot.

/// Room for a character in a plot's text, on the safe side: nothing here can measure
/// the reader's font.
const CHARACTER: f64 = 8.0;
/// Between the middles of two labels above each other.
const LINE: f64 = 16.0;

/// The room between the axes: its sides in pixels, and the positions there.
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
    pub(crate) x: (f64, f64),
    pub(crate) y: (f64, f64),
}

impl Frame {
    pub(crate) fn horizontal(&self, position: f64) -> f64 {
        let (from, to) = self.x;
        self.left + (position - from) / (to - from) * (self.right - self.left)
    }

    pub(crate) fn vertical(&self, position: f64) -> f64 {
        let (from, to) = self.y;
        self.bottom - (position - from) / (to - from) * (self.bottom - self.top)
    }
}

/// The room that the longest of `texts` needs.
pub(crate) fn longest<'a>(texts: impl IntoIterator<Item = &'a String>) -> f64 {
    let characters = texts.into_iter().map(|text| text.chars().count()).max();
    characters.unwrap_or(0) as f64 * CHARACTER
}

/// Moves rising heights at least a `LINE` apart, none below `bottom` if that
/// leaves room.
pub(crate) fn apart(mut heights: Vec<f64>, bottom: f64) -> Vec<f64> {
    for i in 1..heights.len() {
        heights[i] = heights[i].max(heights[i - 1] + LINE);
    }
    let mut lowest = bottom;
    for height in heights.iter_mut().rev() {
        *height = height.min(lowest);
        lowest = *height - LINE;
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_move_apart_and_stay_inside() {
        assert_eq!(apart(vec![10.0, 12.0, 90.0], 200.0), [10.0, 26.0, 90.0]);
        assert_eq!(apart(vec![195.0, 198.0], 200.0), [184.0, 200.0]);
        assert_eq!(apart(vec![], 200.0), [0.0; 0]);
    }
}
