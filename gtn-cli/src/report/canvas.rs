//! A transparent SVG drawing measured in pixels.

use plotters::prelude::*;
use plotters::style::Color as _;
use plotters::style::text_anchor::Pos;
pub(crate) use plotters::style::text_anchor::{HPos, VPos};

use super::colors::Color;

/// A place, in pixels from the top left corner.
pub(crate) type Place = (f64, f64);

/// The backend puts things on whole units; this many make one pixel.
const UNITS: f64 = 8.0;
/// The backend divides the sizes of fonts by this.
const FONT_UNITS: f64 = 1.24;

/// How a text is set.
#[derive(Clone, Copy)]
pub(crate) struct Font {
    /// In pixels.
    pub(crate) size: f64,
    pub(crate) bold: bool,
}

/// What [`svg`] lends for drawing.
pub(crate) struct Canvas<'a> {
    backend: SVGBackend<'a>,
}

/// The SVG of what `draw` draws on `width` by `height` pixels. `name` is for
/// readers who don't see it.
pub(crate) fn svg(
    name: &str,
    width: u32,
    height: u32,
    draw: impl FnOnce(&mut Canvas<'_>),
) -> String {
    let [full_width, full_height] = [width, height].map(|side| side * UNITS as u32);
    let mut svg = String::new();
    let mut canvas =
        Canvas { backend: SVGBackend::with_string(&mut svg, (full_width, full_height)) };
    draw(&mut canvas);
    done(canvas.backend.present());
    drop(canvas);
    let name = maud::html! { (name) }.into_string();
    svg.replacen(
        &format!(r#"width="{full_width}" height="{full_height}""#),
        &format!(r#"width="{width}" height="{height}" role="img" aria-label="{name}""#),
        1,
    )
}

impl Canvas<'_> {
    /// Writes `text`; `anchor` says which point of it is `at`.
    pub(crate) fn text(
        &mut self,
        text: &str,
        font: Font,
        color: Color,
        anchor: (HPos, VPos),
        at: Place,
    ) {
        let weight = if font.bold { FontStyle::Bold } else { FontStyle::Normal };
        let style = ("sans-serif", FONT_UNITS * UNITS * font.size, weight)
            .into_font()
            .color(&color.rgb())
            .pos(Pos::new(anchor.0, anchor.1));
        done(self.backend.draw_text(text, &style, units(at)));
    }

    /// Draws a line through `places`, `width` pixels wide.
    pub(crate) fn line(
        &mut self,
        places: impl IntoIterator<Item = Place>,
        color: Color,
        width: f64,
    ) {
        let style = color.rgb().stroke_width((width * UNITS) as u32);
        let places = places.into_iter().map(units);
        done(self.backend.draw_path(places, &style));
    }

    /// Fills an outline with a light tint.
    pub(crate) fn tint(&mut self, outline: impl IntoIterator<Item = Place>, color: Color) {
        let outline = outline.into_iter().map(units);
        done(self.backend.fill_polygon(outline, &color.rgb().mix(0.16)));
    }

    /// Draws a dot.
    pub(crate) fn dot(&mut self, at: Place, color: Color, radius: f64) {
        let radius = (radius * UNITS) as u32;
        done(self.backend.draw_circle(units(at), radius, &color.rgb(), true));
    }
}

fn units((x, y): Place) -> (i32, i32) {
    ((x * UNITS).round() as i32, (y * UNITS).round() as i32)
}

fn done(drawn: Result<(), impl std::fmt::Debug>) {
    drawn.expect("drawing into a string cannot fail");
}
