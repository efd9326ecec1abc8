//! Contact sheets: the synthetic batches of a curriculum as one picture.
//!
//! A row is one step, its number at the left; the columns are classes, their
//! numbers at the top, with as many samples of each as fit. The same class
//! thus stands in the same column of every row.

mod font;

use std::io::Cursor;

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};
use image::{ImageFormat, Rgb, RgbImage};

/// The most a sheet shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows, at least 1. A longer curriculum is shown at evenly spaced steps,
    /// with the first and (from two rows on) the last among them.
    pub rows: usize,
    /// Columns, at least 1. Of more classes, evenly spaced ones are shown.
    pub columns: usize,
}

impl Default for Limits {
    /// 16 rows of 20 columns.
    fn default() -> Self {
        Self { rows: 16, columns: 20 }
    }
}

/// Pixel values from −`RANGE` to `RANGE` become the bytes 0 to 255, in every
/// sheet: the generator ends in 2·tanh, and a fixed range makes sheets
/// comparable. Values beyond it (normalized real images may have some) are
/// clamped.
const RANGE: f32 = 2.0;

const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
const INK: Rgb<u8> = Rgb([107, 114, 128]);
const GAP: u32 = 2;
/// Between two classes that have several columns each.
const CLASS_GAP: u32 = 6;
/// Images are enlarged by a whole factor to about this side.
const COMFORTABLE_SIDE: usize = 64;

/// Draws the batches of a curriculum.
///
/// `steps` holds a batch `(B, C, H, W)` for each step, normalized; `labels`
/// the class of each of its B samples. Three channels are drawn as red, green
/// and blue, any other number as the gray of their mean. A class that a step
/// has too few samples of leaves its place empty.
///
/// # Errors
///
/// If there is nothing to draw, or if batches and labels do not fit together.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use gtn_cli::sheet::{Limits, png_bytes, sheet};
///
/// let batch = Tensor::zeros((3, 1, 28, 28), DType::F32, &Device::Cpu)?;
/// let picture = sheet(&[batch], &[vec![1, 0, 2]], Limits::default())?;
/// assert!(png_bytes(&picture)?.starts_with(b"\x89PNG"));
/// # anyhow::Ok(())
/// ```
pub fn sheet(steps: &[Tensor], labels: &[Vec<u32>], limits: Limits) -> Result<RgbImage> {
    ensure!(
        limits.rows > 0 && limits.columns > 0,
        "a sheet needs room for at least one row and one column"
    );
    ensure!(
        steps.len() == labels.len(),
        "a sheet needs the labels of every step: there are {} batches and {} lists of labels",
        steps.len(),
        labels.len()
    );
    let first = steps.first().context("a sheet needs at least one batch")?;
    let (_, channels, height, width) = first.dims4().context("a batch is (B, C, H, W)")?;
    ensure!(
        channels * height * width > 0,
        "a sheet needs images with at least one pixel, these are {channels}×{height}×{width}"
    );

    let columns = Columns::fit(labels, limits.columns)?;
    let grid = Grid::new(width, height, &columns, steps.len());
    let rows = evenly_spaced(steps.len(), limits.rows);
    let mut picture = RgbImage::from_pixel(grid.width(), grid.height(rows.len()), PAPER);
    for (group, &class) in columns.classes.iter().enumerate() {
        let left = grid.column(group * columns.samples);
        let right = grid.column((group + 1) * columns.samples - 1) + grid.cell_width;
        let text = class.to_string();
        let x = (left + right).saturating_sub(font::width(&text)) / 2;
        font::draw(&mut picture, x, 0, &text, INK);
    }
    for (row, &step) in rows.iter().enumerate() {
        let (batch, labels) = (&steps[step], &labels[step]);
        let dims = [labels.len(), channels, height, width];
        ensure!(
            batch.dims() == dims,
            "step {} has {} labels and a batch of shape {:?}, expected {dims:?}",
            step + 1,
            labels.len(),
            batch.dims(),
        );
        let top = grid.row(row);
        let text = (step + 1).to_string();
        let x = grid.margin - 2 * GAP - font::width(&text);
        font::draw(&mut picture, x, top + (grid.cell_height - font::HEIGHT) / 2, &text, INK);
        for (column, sample) in columns.of_step(labels).enumerate() {
            if let Some(sample) = sample {
                let image = to_rgb(&batch.get(sample)?)?;
                paste(&mut picture, grid.column(column), top, &image, grid.scale);
            }
        }
    }
    Ok(picture)
}

/// A picture as a PNG file.
///
/// # Errors
///
/// If the encoder refuses the picture, as it does an empty one.
pub fn png_bytes(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).context("encoding a sheet as PNG")?;
    Ok(bytes.into_inner())
}

/// Which class stands in which column.
struct Columns {
    classes: Vec<u32>,
    /// Columns of each class.
    samples: usize,
}

impl Columns {
    fn fit(labels: &[Vec<u32>], limit: usize) -> Result<Self> {
        let mut classes: Vec<u32> = labels.iter().flatten().copied().collect();
        classes.sort_unstable();
        classes.dedup();
        ensure!(!classes.is_empty(), "a sheet needs at least one labeled image");
        let most = labels
            .iter()
            .flat_map(|labels| classes.iter().map(|class| samples_of(*class, labels).count()))
            .max()
            .unwrap_or(1);
        let samples = (limit / classes.len()).clamp(1, most);
        let classes = evenly_spaced(classes.len(), limit).into_iter().map(|i| classes[i]).collect();
        Ok(Self { classes, samples })
    }

    fn len(&self) -> usize {
        self.classes.len() * self.samples
    }

    /// The sample of a step's batch that stands in each column.
    fn of_step(&self, labels: &[u32]) -> impl Iterator<Item = Option<usize>> {
        self.classes.iter().flat_map(|&class| {
            samples_of(class, labels).map(Some).chain(std::iter::repeat(None)).take(self.samples)
        })
    }
}

fn samples_of(class: u32, labels: &[u32]) -> impl Iterator<Item = usize> {
    labels.iter().enumerate().filter(move |(_, label)| **label == class).map(|(sample, _)| sample)
}

/// At most `limit` (≥ 1) of the numbers below `count`, first and last included.
fn evenly_spaced(count: usize, limit: usize) -> Vec<usize> {
    let shown = count.min(limit);
    match shown {
        0 | 1 => (0..shown).collect(),
        _ => (0..shown).map(|i| i * (count - 1) / (shown - 1)).collect(),
    }
}

/// Where things are, in pixels of the sheet.
struct Grid {
    scale: u32,
    cell_width: u32,
    cell_height: u32,
    /// Room for the step numbers at the left.
    margin: u32,
    columns: u32,
    samples: u32,
}

impl Grid {
    const HEADER: u32 = font::HEIGHT + 2 * GAP;

    fn new(width: usize, height: usize, columns: &Columns, steps: usize) -> Self {
        let scale = (COMFORTABLE_SIDE / width.max(height)).max(1) as u32;
        Self {
            scale,
            cell_width: width as u32 * scale,
            cell_height: (height as u32 * scale).max(font::HEIGHT),
            margin: font::width(&steps.to_string()) + 2 * GAP,
            columns: columns.len() as u32,
            samples: columns.samples as u32,
        }
    }

    fn column(&self, column: usize) -> u32 {
        let column = column as u32;
        let extra = if self.samples > 1 { CLASS_GAP - GAP } else { 0 };
        self.margin + column * (self.cell_width + GAP) + column / self.samples * extra
    }

    fn row(&self, row: usize) -> u32 {
        Self::HEADER + row as u32 * (self.cell_height + GAP)
    }

    fn width(&self) -> u32 {
        self.column(self.columns as usize - 1) + self.cell_width
    }

    fn height(&self, rows: usize) -> u32 {
        self.row(rows - 1) + self.cell_height
    }
}

/// An image `(C, H, W)` of normalized values as bytes.
fn to_rgb(image: &Tensor) -> Result<RgbImage> {
    let (channels, height, width) = image.dims3()?;
    let bytes = ((image.to_device(&Device::Cpu)?.to_dtype(DType::F32)? + f64::from(RANGE))?
        * (255.0 / (2.0 * f64::from(RANGE))))?;
    let planes = if channels == 3 {
        bytes
    } else {
        bytes.mean_keepdim(0)?.broadcast_as((3, height, width))?
    };
    let planes: Vec<Vec<f32>> = planes.flatten_from(1)?.to_vec2()?;
    let picture = RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let i = y as usize * width + x as usize;
        // `as u8` clamps, and draws what is not a number as black.
        Rgb([0, 1, 2].map(|channel: usize| planes[channel][i].round() as u8))
    });
    Ok(picture)
}

fn paste(picture: &mut RgbImage, x: u32, y: u32, image: &RgbImage, scale: u32) {
    for row in 0..image.height() * scale {
        for column in 0..image.width() * scale {
            let pixel = *image.get_pixel(column / scale, row / scale);
            picture.put_pixel(x + column, y + row, pixel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn batch(values: &[f32], channels: usize) -> Tensor {
        let samples = values.len() / channels;
        Tensor::from_slice(values, (samples, channels, 1, 1), &Device::Cpu).unwrap()
    }

    fn color(value: f32) -> Rgb<u8> {
        let image = batch(&[value], 1).get(0).unwrap();
        *to_rgb(&image).unwrap().get_pixel(0, 0)
    }

    #[test]
    fn the_range_is_fixed_and_clamped() {
        assert_eq!(color(-2.0), Rgb([0; 3]));
        assert_eq!(color(0.0), Rgb([128; 3]));
        assert_eq!(color(2.0), Rgb([255; 3]));
        assert_eq!(color(-9.0), Rgb([0; 3]));
        assert_eq!(color(f32::INFINITY), Rgb([255; 3]));
        assert_eq!(color(f32::NAN), Rgb([0; 3]));
    }

    #[test]
    fn three_channels_are_colors() {
        let image = batch(&[-2.0, 0.0, 2.0], 3).get(0).unwrap();
        let picture = to_rgb(&image).unwrap();
        assert_eq!(*picture.get_pixel(0, 0), Rgb([0, 128, 255]));
    }

    #[test]
    fn long_curricula_keep_their_first_and_last_step() {
        assert_eq!(evenly_spaced(3, 16), [0, 1, 2]);
        assert_eq!(evenly_spaced(10, 4), [0, 3, 6, 9]);
        assert_eq!(evenly_spaced(10, 1), [0]);
        let spaced = evenly_spaced(129, 16);
        assert_eq!((spaced.len(), spaced[0], spaced[15]), (16, 0, 128));
    }

    #[test]
    fn columns_follow_the_classes_and_leave_missing_ones_empty() {
        let labels = [vec![2, 0, 2, 2], vec![0, 5, 0, 2]];
        let columns = Columns::fit(&labels, 7).unwrap();
        assert_eq!(columns.classes, [0, 2, 5]);
        assert_eq!(columns.samples, 2);
        let of_step: Vec<_> = columns.of_step(&labels[0]).collect();
        assert_eq!(of_step, [Some(1), None, Some(0), Some(2), None, None]);
    }

    #[test]
    fn samples_land_in_their_column_whatever_their_order() {
        // One pixel a sample, value by class: black, gray, white.
        let steps = [batch(&[2.0, -2.0, 0.0], 1), batch(&[-2.0, 0.0, 2.0], 1)];
        let labels = [vec![2, 0, 1], vec![0, 1, 2]];
        let picture = sheet(&steps, &labels, Limits::default()).unwrap();
        let columns = Columns::fit(&labels, 20).unwrap();
        let grid = Grid::new(1, 1, &columns, 2);
        for row in 0..2 {
            for (column, expected) in [0, 128, 255].into_iter().enumerate() {
                let (x, y) = (grid.column(column), grid.row(row));
                for (dx, dy) in [(0, 0), (grid.scale - 1, grid.scale - 1)] {
                    assert_eq!(*picture.get_pixel(x + dx, y + dy), Rgb([expected; 3]));
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |steps: &[Tensor], labels: &[Vec<u32>]| {
            sheet(steps, labels, Limits::default()).unwrap_err().to_string()
        };
        assert!(refused(&[], &[]).contains("at least one batch"));
        assert!(refused(&[batch(&[0.0], 1)], &[]).contains("1 batches and 0"));
        assert!(refused(&[batch(&[0.0], 1)], &[vec![]]).contains("labeled image"));
        let text = refused(&[batch(&[0.0, 1.0], 1)], &[vec![3]]);
        assert!(text.contains("step 1 has 1 labels"), "{text}");
    }

    #[test]
    fn a_sheet_survives_its_png() {
        let picture = sheet(&[batch(&[0.5], 1)], &[vec![3]], Limits::default()).unwrap();
        let bytes = png_bytes(&picture).unwrap();
        assert_eq!(image::load_from_memory(&bytes).unwrap().to_rgb8(), picture);
    }

    proptest! {
        #[test]
        fn any_curriculum_fits_its_limits(
            labels in prop::collection::vec(prop::collection::vec(0u32..120, 3), 1..40),
            (channels, height, width) in (1usize..5, 1usize..9, 1usize..9),
            (rows, columns) in (1usize..18, 1usize..25),
        ) {
            let steps = labels
                .iter()
                .map(|_| Tensor::zeros((3, channels, height, width), DType::F32, &Device::Cpu))
                .collect::<Result<Vec<_>, _>>()?;
            let picture = sheet(&steps, &labels, Limits { rows, columns }).unwrap();
            let side = (COMFORTABLE_SIDE + GAP as usize + CLASS_GAP as usize) as u32;
            prop_assert!(picture.width() <= 40 + columns as u32 * side);
            prop_assert!(picture.height() <= 40 + rows as u32 * side);
        }
    }
}
