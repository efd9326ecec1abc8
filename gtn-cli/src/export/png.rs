//! A folder of images for each class.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};

use super::arrays::Arrays;
use super::draft::Draft;
use super::teaching::Teaching;

pub(crate) fn write(arrays: &Arrays, teaching: &Teaching, draft: &mut Draft) -> Result<()> {
    for class in &teaching.classes {
        let mut parts = Path::new(class).components();
        let first = parts.next().map(|part| part.as_os_str() == class.as_str());
        ensure!(
            first == Some(true) && parts.next().is_none() && class != ".." && class != ".",
            "the class {class:?} cannot name a folder: use the npz format"
        );
    }
    let pixels = arrays.pixels(&teaching.normalization)?;
    let labels = arrays.flat_labels()?;
    // So wide that names sort as numbers do.
    let [step_digits, sample_digits] =
        [teaching.steps, teaching.batch].map(|count| (count - 1).to_string().len());
    for (number, label) in labels.into_iter().enumerate() {
        let (step, sample) = (number / teaching.batch, number % teaching.batch);
        let name = format!("{step:0step_digits$}-{sample:0sample_digits$}.png");
        let image = pixels.get(number)?;
        let bytes = encode(image.permute((1, 2, 0))?.flatten_all()?.to_vec1()?, teaching.image)
            .with_context(|| format!("cannot encode {name}"))?;
        draft.write(Path::new("train").join(&teaching.classes[label]).join(name), &bytes)?;
    }
    Ok(())
}

/// `pixels` by row, column, channel.
fn encode(pixels: Vec<u8>, [channels, height, width]: [usize; 3]) -> Result<Vec<u8>> {
    let (width, height) = (u32::try_from(width)?, u32::try_from(height)?);
    let image: Option<DynamicImage> = match channels {
        1 => GrayImage::from_raw(width, height, pixels).map(Into::into),
        3 => RgbImage::from_raw(width, height, pixels).map(Into::into),
        _ => bail!("PNG has room for 1 or 3 channels, here are {channels}: use the npz format"),
    };
    let mut file = Cursor::new(Vec::new());
    image.context("the pixels do not fill the image")?.write_to(&mut file, ImageFormat::Png)?;
    Ok(file.into_inner())
}
