//! How a digit is written: a glyph, bent and placed by a random hand.

use std::f32::consts::TAU;

use rand::{Rng, RngExt};

use super::{
    glyphs::{GLYPHS, Point},
    render::{Canvas, Dot, SIDE},
};

/// A random number of mean 0 and standard deviation 1, bell-shaped and within ±3.5: the sum of four
/// uniform ones.
pub(super) fn spread(random: &mut impl Rng) -> f32 {
    let sum: f32 = (0..4).map(|_| random.random::<f32>()).sum();
    (sum - 2.) * 3f32.sqrt()
}

/// The 28×28 bytes of a digit.
pub(super) fn write(digit: usize, random: &mut impl Rng) -> Vec<u8> {
    let hand = Hand::new(random);
    let ways = GLYPHS[digit];
    let glyph = ways[random.random_range(0..ways.len())];
    let mut canvas = Canvas::blank();
    for run in glyph {
        let dots: Vec<Dot> = smooth(run).map(|point| hand.place(point)).collect();
        canvas.draw(&dots, hand.ink);
    }
    for _ in 0..random.random_range(0..=MAX_DISTRACTORS) {
        let ink = hand.ink * random.random_range(0.3..0.9);
        canvas.draw(&distractor(random), ink);
    }
    canvas.blur(random.random_range(0.0..MAX_BLUR));
    let noise = random.random_range(0.0..MAX_NOISE);
    canvas.develop(noise, random).collect()
}

// Tuned together with the spreads of a hand: a network of two small convolutions is near 88% after
// 32 steps of training and needs about 300 for 97%; a wider one reaches 98.5%.
const MAX_DISTRACTORS: usize = 2;
const MAX_BLUR: f32 = 0.25;
const MAX_NOISE: f32 = 0.1;

/// The habits that one image is written with.
struct Hand {
    /// Glyph box to pixels, centered: x' = a·x + b·y, y' = c·x + d·y.
    affine: [f32; 4],
    center: Point,
    waves: [Wave; 4],
    radius: f32,
    pressure: Wave,
    ink: f32,
}

/// A sine over the glyph box.
struct Wave {
    amplitude: Point,
    frequency: Point,
    phase: f32,
}

impl Wave {
    fn new(amplitude: f32, frequency: f32, random: &mut impl Rng) -> Self {
        let mut pair = |scale| (scale * spread(random), scale * spread(random));
        let (amplitude, frequency) = (pair(amplitude), pair(frequency));
        Self { amplitude, frequency, phase: TAU * random.random::<f32>() }
    }

    fn at(&self, (x, y): Point) -> Point {
        let sine = (TAU * (self.frequency.0 * x + self.frequency.1 * y) + self.phase).sin();
        (self.amplitude.0 * sine, self.amplitude.1 * sine)
    }
}

impl Hand {
    fn new(random: &mut impl Rng) -> Self {
        let angle = 0.11 * spread(random);
        let slant = 0.1 + 0.17 * spread(random);
        let height = 18.5 + 1.8 * spread(random);
        let width = height * (0.85 + 0.12 * spread(random));
        let (sin, cos) = angle.sin_cos();
        let affine =
            [width * cos, height * (-slant * cos - sin), width * sin, height * (cos - slant * sin)];
        let middle = (SIDE - 1) as f32 / 2.;
        Self {
            affine,
            center: (middle + 1.2 * spread(random), middle + 1.2 * spread(random)),
            waves: std::array::from_fn(|_| Wave::new(0.032, 0.7, random)),
            radius: 1.25 * (0.22 * spread(random)).exp(),
            pressure: Wave::new(0.2, 0.8, random),
            ink: random.random_range(0.55..1.0),
        }
    }

    fn place(&self, point: Point) -> Dot {
        // The same place always bends the same way, so strokes that met still meet.
        let (mut x, mut y) = (point.0 - 0.5, point.1 - 0.5);
        for wave in &self.waves {
            let (dx, dy) = wave.at(point);
            x += dx;
            y += dy;
        }
        let [a, b, c, d] = self.affine;
        Dot {
            x: self.center.0 + a * x + b * y,
            y: self.center.1 + c * x + d * y,
            radius: self.radius * (1. + self.pressure.at(point).0).max(0.3),
        }
    }
}

/// A short line that belongs to no digit, anywhere on the canvas.
fn distractor(random: &mut impl Rng) -> [Dot; 3] {
    let side = SIDE as f32;
    let mut dot =
        Dot { x: side * random.random::<f32>(), y: side * random.random::<f32>(), radius: 0. };
    let angle = TAU * random.random::<f32>();
    let bend = 0.6 * spread(random);
    let step = random.random_range(1.0..3.5);
    dot.radius = random.random_range(0.5..1.2);
    let walk = |dot: Dot, angle: f32| Dot {
        x: dot.x + step * angle.cos(),
        y: dot.y + step * angle.sin(),
        ..dot
    };
    let second = walk(dot, angle);
    [dot, second, walk(second, angle + bend)]
}

/// Points of steps between two points of a run.
const STEPS: usize = 5;

/// The Catmull-Rom curve through `run`, in [`STEPS`] steps between neighbors.
fn smooth(run: &[Point]) -> impl Iterator<Item = Point> {
    let at = |i: usize| run[i.clamp(1, run.len()) - 1];
    let last = run[run.len() - 1];
    (1..run.len())
        .flat_map(move |i| {
            let (p0, p1, p2, p3) = (at(i - 1), at(i), at(i + 1), at(i + 2));
            (0..STEPS).map(move |step| {
                let t = step as f32 / STEPS as f32;
                let blend = |a: f32, b: f32, c: f32, d: f32| {
                    b + 0.5
                        * t
                        * (c - a + t * (2. * a - 5. * b + 4. * c - d + t * (3. * (b - c) + d - a)))
                };
                (blend(p0.0, p1.0, p2.0, p3.0), blend(p0.1, p1.1, p2.1, p3.1))
            })
        })
        .chain([last])
}
