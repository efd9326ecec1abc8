//! Digits of 3×5 dots, drawn double.

use image::{Rgb, RgbImage};

const DOT: u32 = 2;
pub(crate) const HEIGHT: u32 = 5 * DOT;
const ADVANCE: u32 = 4 * DOT;

/// Five rows of three dots for each digit.
const DIGITS: [[&str; 5]; 10] = [
    ["###", "# #", "# #", "# #", "###"],
    [" # ", "## ", " # ", " # ", "###"],
    ["###", "  #", "###", "#  ", "###"],
    ["###", "  #", "###", "  #", "###"],
    ["# #", "# #", "###", "  #", "  #"],
    ["###", "#  ", "###", "  #", "###"],
    ["###", "#  ", "###", "# #", "###"],
    ["###", "  #", "  #", " # ", " # "],
    ["###", "# #", "###", "# #", "###"],
    ["###", "# #", "###", "  #", "###"],
];

pub(crate) fn width(number: &str) -> u32 {
    (number.len() as u32 * ADVANCE).saturating_sub(DOT)
}

/// Draws the digits of `number` with their top left corner at (x, y),
/// leaving out what lies beyond the picture.
pub(crate) fn draw(picture: &mut RgbImage, x: u32, y: u32, number: &str, ink: Rgb<u8>) {
    for (i, digit) in number.chars().filter_map(|c| c.to_digit(10)).enumerate() {
        for (row, dots) in DIGITS[digit as usize].iter().enumerate() {
            for (column, _) in dots.bytes().enumerate().filter(|(_, dot)| *dot == b'#') {
                let left = x + i as u32 * ADVANCE + column as u32 * DOT;
                let top = y + row as u32 * DOT;
                for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                    if let Some(pixel) = picture.get_pixel_mut_checked(left + dx, top + dy) {
                        *pixel = ink;
                    }
                }
            }
        }
    }
}
