//! A small canvas: thick anti-aliased lines, blur, noise.

use rand::Rng;

use super::hand::spread;

/// Pixels on each side of a digit's image.
pub(super) const SIDE: usize = 28;

/// A dot of the pen: place in pixels (pixel centers lie at whole numbers) and radius.
#[derive(Clone, Copy)]
pub(super) struct Dot {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) radius: f32,
}

/// Ink from 0 to 1 at each pixel, row by row.
pub(super) struct Canvas([[f32; SIDE]; SIDE]);

impl Canvas {
    pub(super) fn blank() -> Self {
        Self([[0.; SIDE]; SIDE])
    }

    /// Draws the line through `dots`; where lines cross, the darker one shows.
    pub(super) fn draw(&mut self, dots: &[Dot], ink: f32) {
        for pair in dots.windows(2) {
            self.draw_segment(pair[0], pair[1], ink);
        }
    }

    fn draw_segment(&mut self, a: Dot, b: Dot, ink: f32) {
        let radius = (a.radius + b.radius) / 2.;
        let reach = radius + 0.5;
        let (dx, dy) = (b.x - a.x, b.y - a.y);
        let length2 = (dx * dx + dy * dy).max(1e-6);
        for row in pixels(a.y.min(b.y) - reach, a.y.max(b.y) + reach) {
            for column in pixels(a.x.min(b.x) - reach, a.x.max(b.x) + reach) {
                let (x, y) = (column as f32 - a.x, row as f32 - a.y);
                let along = ((x * dx + y * dy) / length2).clamp(0., 1.);
                let distance = (x - along * dx).hypot(y - along * dy);
                let pixel = &mut self.0[row][column];
                *pixel = pixel.max(ink * (reach - distance).clamp(0., 1.));
            }
        }
    }

    /// Mixes each pixel with its neighbors: the kernel (w, 1 − 2w, w) along rows, then columns.
    pub(super) fn blur(&mut self, weight: f32) {
        for _ in 0..2 {
            let mut turned = Self::blank();
            for (y, row) in self.0.iter().enumerate() {
                for x in 0..SIDE {
                    let before = if x > 0 { row[x - 1] } else { 0. };
                    let after = row.get(x + 1).copied().unwrap_or(0.);
                    turned.0[x][y] = (1. - 2. * weight) * row[x] + weight * (before + after);
                }
            }
            *self = turned;
        }
    }

    /// The image as bytes, with noise of standard deviation `noise` added, row by row.
    pub(super) fn develop(&self, noise: f32, random: &mut impl Rng) -> impl Iterator<Item = u8> {
        self.0.as_flattened().iter().map(move |ink| {
            // A float to integer cast saturates, so it also clips.
            ((ink + noise * spread(random)) * 255.).round() as u8
        })
    }
}

/// The rows or columns of the canvas between `low` and `high`.
fn pixels(low: f32, high: f32) -> std::ops::Range<usize> {
    low.ceil().max(0.) as usize..((high.floor() + 1.).max(0.) as usize).min(SIDE)
}
