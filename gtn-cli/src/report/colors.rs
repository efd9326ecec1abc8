//! The colors of plots and page, for light paper and for dark screens.
//!
//! Plots are drawn in the light colors, so that they stand alone; the page's
//! style sheet swaps in the dark ones ([`dark_plots`]).

use std::fmt::Write;

use plotters::style::RGBColor;

/// A color in its two versions, `#RRGGBB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Color {
    pub(crate) light: u32,
    pub(crate) dark: u32,
}

pub(crate) const PAPER: Color = color(0xFFFFFF, 0x14181D);
pub(crate) const INK: Color = color(0x1F2933, 0xE4E7EB);
pub(crate) const MUTED: Color = color(0x5F6B7A, 0x9AA5B1);
pub(crate) const GRID: Color = color(0xE4E7EB, 0x2E3742);

/// What series are drawn in, in this order: blue, vermilion, green, purple, a darker
/// orange and black of Okabe and Ito's palette, which people with any common color vision can
/// tell apart; for what is more, its sky blue and its yellow, darker, which are near the first and the fifth, a
/// wine red and an indigo.
pub(crate) const SERIES: [Color; 10] = [
    color(0x0072B2, 0x56B4E9),
    color(0xD55E00, 0xFF9650),
    color(0x009E73, 0x3CCBA0),
    color(0xB3598C, 0xE7A6CB),
    color(0x8A6100, 0xE69F00),
    color(0x000000, 0xFFFFFF),
    color(0x45A3DA, 0xA8DCF8),
    color(0xA89A00, 0xF0E442),
    color(0x8B1E3F, 0xF08CA6),
    color(0x4B3FB5, 0xA79BFF),
];

const fn color(light: u32, dark: u32) -> Color {
    Color { light, dark }
}

impl Color {
    /// The version for light paper, as the plots draw it.
    pub(crate) fn rgb(self) -> RGBColor {
        let [_, r, g, b] = self.light.to_be_bytes();
        RGBColor(r, g, b)
    }
}

/// Style rules that give the plots of a page their dark colors.
pub(crate) fn dark_plots() -> String {
    let mut css = String::new();
    for Color { light, dark } in [INK, MUTED, GRID].into_iter().chain(SERIES) {
        for paint in ["fill", "stroke"] {
            let _ = writeln!(css, r##"svg [{paint}="#{light:06X}"] {{ {paint}: #{dark:06X} }}"##);
        }
    }
    css
}
