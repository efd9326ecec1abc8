//! Line plots as SVG text: few words, labels beside the lines instead of a
//! legend, horizontal grid lines only.

use super::canvas::{Canvas, Font, HPos, VPos, svg};
use super::colors::{self, Color};
use super::layout::{Frame, apart, longest};
pub use super::ticks::Scale;

/// A plot of one or more series over the same two axes.
///
/// ```
/// use gtn_cli::report::plot::{Axis, LinePlot, Point, Scale, Series};
///
/// let plot = LinePlot {
///     title: "Accuracy by step".into(),
///     x: Axis::new("step").scale(Scale::Log2),
///     y: Axis::new("test accuracy").percent(),
///     series: vec![Series {
///         label: "synthetic".into(),
///         points: vec![Point::new(1.0, 0.2), Point::new(16.0, 0.97).between(0.95, 0.98)],
///         ..Series::default()
///     }],
/// };
/// assert!(plot.svg(720, 360).starts_with("<svg"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct LinePlot {
    /// Above the plot; may be empty.
    pub title: String,
    /// The horizontal axis. It ends at the outermost points, and names them
    /// where they are whole numbers.
    pub x: Axis,
    /// The vertical axis. It ends at round numbers.
    pub y: Axis,
    /// Lines are drawn in ten colors, blue and vermilion first, and again from the start.
    pub series: Vec<Series>,
}

/// What an axis measures, and how.
#[derive(Clone, Debug, Default)]
pub struct Axis {
    label: String,
    scale: Scale,
    percent: bool,
}

impl Axis {
    /// A linear axis of plain numbers.
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), ..Self::default() }
    }

    /// The same axis with another scale.
    #[must_use]
    pub fn scale(self, scale: Scale) -> Self {
        Self { scale, ..self }
    }

    /// The same axis with fractions written as percentages.
    #[must_use]
    pub fn percent(self) -> Self {
        Self { percent: true, ..self }
    }

    /// The values that have a place on the axis, as far as they reach.
    fn extent(&self, values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
        values
            .filter(|value| self.scale.shows(*value))
            .map(|value| (value, value))
            .reduce(|(low, high), (value, _)| (low.min(value), high.max(value)))
    }

    fn texts(&self, ticks: &[f64]) -> Vec<String> {
        if self.percent {
            let hundredfold: Vec<f64> = ticks.iter().map(|tick| tick * 100.0).collect();
            let texts = self.scale.labels(&hundredfold);
            texts.into_iter().map(|text| text + "%").collect()
        } else {
            self.scale.labels(ticks)
        }
    }
}

/// One line of a plot.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Written beside the last point, in the color of the line; may be empty.
    pub label: String,
    /// From left to right. Points that are not finite, or that a logarithmic
    /// axis cannot show, are left out.
    pub points: Vec<Point>,
    /// How it is drawn.
    pub style: Style,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// A line in a color of its own.
    #[default]
    Line,
    /// A thin gray line, to compare with.
    Faint,
    /// Gray dots, unconnected.
    Dots,
}

/// A point of a line, and how far the values reach that it stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    x: f64,
    y: f64,
    low: f64,
    high: f64,
}

impl Point {
    /// A point that stands for itself.
    pub fn new(x: f64, y: f64) -> Self {
        Self { x, y, low: y, high: y }
    }

    /// The same point with a band from `low` to `high` behind it.
    #[must_use]
    pub fn between(self, low: f64, high: f64) -> Self {
        Self { low, high, ..self }
    }
}

const TITLE: Font = Font { size: 15.0, bold: true };
const TEXT: Font = Font { size: 12.5, bold: false };
/// The least distance of a tick from the ends of the horizontal axis.
const TICK: f64 = 36.0;
/// Lines of at most so many points show each of them as a dot.
const DOTTED: usize = 40;

/// A point of a line, its band included, in pixels.
struct Placed {
    x: f64,
    y: f64,
    low: f64,
    high: f64,
}

impl LinePlot {
    /// Draws the plot, `width` by `height` pixels (at least 240 by 160), on a
    /// transparent ground. Labels that would cover each other move apart.
    pub fn svg(&self, width: u32, height: u32) -> String {
        let (width, height) = (width.max(240), height.max(160));
        svg(&self.title, width, height, |canvas| {
            self.draw(canvas, f64::from(width), f64::from(height));
        })
    }

    fn draw(&self, canvas: &mut Canvas<'_>, width: f64, height: f64) {
        let top = self.draw_heading(canvas);
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x = self.x.extent(points().map(|point| point.x));
        let y = (self.y).extent(points().flat_map(|point| [point.low, point.y, point.high]));
        let (Some((left_end, right_end)), Some((low_end, high_end))) = (x, y) else {
            let middle = (HPos::Center, VPos::Center);
            let at = (width / 2.0, height / 2.0);
            return canvas.text("nothing measured yet", TEXT, colors::MUTED, middle, at);
        };

        let y_ticks = self.y.scale.ticks(low_end, high_end, (height as usize / 60).min(6));
        let y_texts = self.y.texts(&y_ticks);
        let names = self.series.iter().map(|series| &series.label);
        let frame = Frame {
            left: 10.0 + longest(&y_texts),
            right: width - (16.0 + longest(names)).min(width / 2.0),
            top,
            bottom: height - if self.x.label.is_empty() { 26.0 } else { 44.0 },
            x: self.x.scale.ends(left_end, right_end),
            y: self.y.scale.ends(y_ticks[0], y_ticks[y_ticks.len() - 1]),
        };
        self.draw_y_axis(canvas, &frame, &y_ticks, &y_texts);
        let x_ticks = self.x_ticks(&frame, left_end, right_end);
        self.draw_x_axis(canvas, &frame, &x_ticks, height);
        self.draw_lines(canvas, &frame);
    }

    /// Returns where the room below begins.
    fn draw_heading(&self, canvas: &mut Canvas<'_>) -> f64 {
        let mut top = 10.0;
        for (text, font, color) in
            [(&self.title, TITLE, colors::INK), (&self.y.label, TEXT, colors::MUTED)]
        {
            if !text.is_empty() {
                canvas.text(text, font, color, (HPos::Left, VPos::Top), (0.0, top - 10.0));
                top += font.size + 8.0;
            }
        }
        top
    }

    fn draw_y_axis(&self, canvas: &mut Canvas<'_>, frame: &Frame, ticks: &[f64], texts: &[String]) {
        for (text, tick) in texts.iter().zip(ticks) {
            let y = frame.vertical(self.y.scale.position(*tick));
            canvas.line([(frame.left, y), (frame.right, y)], colors::GRID, 1.0);
            let anchor = (HPos::Right, VPos::Center);
            canvas.text(text, TEXT, colors::MUTED, anchor, (frame.left - 8.0, y));
        }
    }

    /// Round numbers between `low` and `high`. If these two are whole, they are
    /// ticks too, and no others than whole ones.
    fn x_ticks(&self, frame: &Frame, low: f64, high: f64) -> Vec<f64> {
        let place = |tick: f64| frame.horizontal(self.x.scale.position(tick));
        let ends = [low, high].map(|end| (end.fract() == 0.0).then_some(end));
        let whole = ends.iter().all(Option::is_some);
        let free = |tick: &f64| {
            let near = |end: &f64| (place(*tick) - place(*end)).abs() < TICK;
            (low..=high).contains(tick)
                && !(whole && tick.fract() != 0.0)
                && !ends.iter().flatten().any(near)
        };
        let count = ((frame.right - frame.left) / 64.0) as usize;
        let round = self.x.scale.ticks(low, high, count.clamp(2, 8));
        let [first, last] = ends;
        let inner = round.into_iter().filter(free);
        let mut ticks: Vec<f64> = first.into_iter().chain(inner).chain(last).collect();
        ticks.dedup();
        ticks
    }

    fn draw_x_axis(&self, canvas: &mut Canvas<'_>, frame: &Frame, ticks: &[f64], height: f64) {
        let base = frame.bottom;
        canvas.line([(frame.left, base), (frame.right, base)], colors::MUTED, 1.0);
        for (text, tick) in self.x.texts(ticks).iter().zip(ticks) {
            let x = frame.horizontal(self.x.scale.position(*tick));
            canvas.line([(x, base), (x, base + 4.0)], colors::MUTED, 1.0);
            let anchor = (HPos::Center, VPos::Top);
            canvas.text(text, TEXT, colors::MUTED, anchor, (x, base + 8.0));
        }
        if !self.x.label.is_empty() {
            let at = ((frame.left + frame.right) / 2.0, height - 4.0);
            canvas.text(&self.x.label, TEXT, colors::MUTED, (HPos::Center, VPos::Bottom), at);
        }
    }

    fn draw_lines(&self, canvas: &mut Canvas<'_>, frame: &Frame) {
        let mut colors = colors::SERIES.into_iter().cycle();
        let mut color = |style| match style {
            Style::Line => colors.next().unwrap_or(colors::INK),
            Style::Faint | Style::Dots => colors::MUTED,
        };
        let lines = self.series.iter().map(|s| (color(s.style), self.placed(s, frame)));
        let lines: Vec<(Color, Vec<Placed>)> = lines.collect();
        for (color, line) in &lines {
            if line.iter().any(|point| point.low != point.high) {
                let low = line.iter().map(|point| (point.x, point.low));
                let high = line.iter().rev().map(|point| (point.x, point.high));
                canvas.tint(low.chain(high), *color);
            }
        }
        let mut labels = Vec::new();
        for ((color, line), series) in lines.iter().zip(&self.series) {
            let width = if series.style == Style::Line { 2.0 } else { 1.0 };
            if series.style != Style::Dots {
                canvas.line(line.iter().map(|point| (point.x, point.y)), *color, width);
            }
            let radius = match series.style {
                Style::Line if line.len() <= DOTTED => Some(3.0),
                Style::Dots => Some(2.0),
                _ => None,
            };
            for (point, radius) in line.iter().zip(radius.into_iter().cycle()) {
                canvas.dot((point.x, point.y), *color, radius);
            }
            if let Some(end) = line.last() {
                labels.push((end.y, &series.label, *color));
            }
        }
        labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let heights = apart(labels.iter().map(|label| label.0).collect(), frame.bottom);
        for ((_, text, color), y) in labels.into_iter().zip(heights) {
            let anchor = (HPos::Left, VPos::Center);
            canvas.text(text, TEXT, color, anchor, (frame.right + 8.0, y));
        }
    }

    /// The points that can be shown.
    fn placed(&self, series: &Series, frame: &Frame) -> Vec<Placed> {
        let y = |value| frame.vertical(self.y.scale.position(value));
        let place = |point: &Point| {
            let [low, high] = [point.low, point.high]
                .map(|end| if self.y.scale.shows(end) { end } else { point.y });
            Placed {
                x: frame.horizontal(self.x.scale.position(point.x)),
                y: y(point.y),
                low: y(low),
                high: y(high),
            }
        };
        (series.points.iter())
            .filter(|point| self.x.scale.shows(point.x) && self.y.scale.shows(point.y))
            .map(place)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plot(points: Vec<Point>) -> LinePlot {
        LinePlot {
            title: "<T>".into(),
            x: Axis::new("x & more"),
            y: Axis::new("y").percent(),
            series: vec![Series { label: "a \"line\"".into(), points, ..Series::default() }],
        }
    }

    #[test]
    fn words_are_escaped() {
        let svg = plot(vec![Point::new(0.0, 0.5), Point::new(1.0, 0.75)]).svg(400, 300);
        for text in ["aria-label=\"&lt;T&gt;\"", "&lt;T&gt;\n", "x &amp; more", "&quot;line&quot;"]
        {
            assert!(svg.contains(text), "{text} in {svg}");
        }
        assert!(svg.starts_with("<svg width=\"400\" height=\"300\" "), "{svg}");
        assert!(svg.contains("75%"), "{svg}");
    }

    #[test]
    fn only_a_spread_makes_a_band() {
        let line = plot(vec![Point::new(0.0, 0.5), Point::new(1.0, 0.75)]);
        assert!(!line.svg(400, 300).contains("polygon"));
        let band = plot(vec![Point::new(0.0, 0.5), Point::new(1.0, 0.75).between(0.5, 1.0)]);
        assert!(band.svg(400, 300).contains("polygon"));
    }

    #[test]
    fn whole_numbers_stay_whole() {
        let ticks = |ends: [f64; 2]| {
            let plot = plot(ends.map(|x| Point::new(x, 0.5)).into());
            let svg = plot.svg(500, 300);
            let middles = svg.split(r#"text-anchor="middle""#).skip(1);
            let text = |part: &str| part.split(['>', '<']).nth(1).map(|t| t.trim().to_string());
            let mut texts: Vec<_> = middles.filter_map(text).collect();
            texts.pop();
            texts
        };
        assert_eq!(ticks([1.0, 2.0]), ["1", "2"]);
        assert_eq!(ticks([1.0, 24.0]), ["1", "5", "10", "15", "20", "24"]);
        assert_eq!(ticks([0.5, 1.0]), ["0.5", "0.6", "0.7", "0.8", "0.9", "1.0"]);
    }

    #[test]
    fn a_plot_without_points_says_so() {
        for points in [vec![], vec![Point::new(0.0, f64::NAN)]] {
            assert!(plot(points).svg(400, 300).contains("nothing measured yet"));
        }
    }

    proptest! {
        #[test]
        fn any_numbers_can_be_drawn(
            values in prop::collection::vec(any::<[f64; 4]>(), 0..6),
            x in prop::sample::select(&[Scale::Linear, Scale::Log2, Scale::Log10][..]),
            y in prop::sample::select(&[Scale::Linear, Scale::Log2, Scale::Log10][..]),
            size in any::<[u8; 2]>(),
        ) {
            let points = values.iter().map(|[x, y, a, b]| Point::new(*x, *y).between(*a, *b));
            let mut plot = plot(points.collect());
            plot.x = plot.x.scale(x);
            plot.y = plot.y.scale(y);
            let svg = plot.svg(u32::from(size[0]), u32::from(size[1]));
            prop_assert!(svg.trim_end().ends_with("</svg>"));
            prop_assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
