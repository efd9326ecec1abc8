//! A synthetic set as a few large arrays, and the two formats that hold them
//! as they are.

use std::collections::HashMap;
use std::io::{Cursor, Write};

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use gtn_core::trainer::TeachingSet;
use gtn_data::Normalization;
use safetensors::View;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::teaching::Teaching;

/// T steps of B samples.
pub(crate) struct Arrays {
    /// `(T, B, C, H, W)` f32, normalized.
    pub(crate) images: Tensor,
    /// `(T, B)` i64: the likeliest class.
    pub(crate) labels: Tensor,
    /// `(T, B, K)` f32: the probability of each class.
    pub(crate) targets: Tensor,
    /// `(T,)` f64.
    lr: Tensor,
    /// `(T,)` f64.
    momentum: Tensor,
    /// `(C,)` f64, of the real data.
    mean: Tensor,
    /// `(C,)` f64, of the real data.
    std: Tensor,
}

impl Arrays {
    pub(crate) fn stack(set: &TeachingSet, normalization: &Normalization) -> Result<Self> {
        ensure!(!set.steps.is_empty(), "there is nothing to export: the teacher has no steps");
        let stacked = |of: fn(&gtn_core::data::Batch) -> &Tensor| -> Result<Tensor> {
            let on_cpu = |batch| of(batch).to_device(&Device::Cpu)?.to_dtype(DType::F32);
            let steps: Vec<Tensor> = (set.steps.iter())
                .map(|step| on_cpu(&step.batch))
                .collect::<candle_core::Result<_>>()?;
            Tensor::stack(&steps, 0).context("the batches of all steps must be of one shape")
        };
        let images = stacked(|batch| &batch.images)?;
        let targets = stacked(|batch| &batch.targets)?;
        ensure!(
            images.rank() == 5 && targets.rank() == 3 && images.dims()[..2] == targets.dims()[..2],
            "a batch is images (B, C, H, W) and targets (B, K); here the steps are {:?} and {:?}",
            images.dims(),
            targets.dims(),
        );
        let vector = |values: &[f64]| Tensor::new(values, &Device::Cpu);
        let rates: Vec<_> = set.steps.iter().map(|step| step.rates).collect();
        Ok(Self {
            images,
            labels: targets.argmax(2)?.to_dtype(DType::I64)?,
            targets,
            lr: vector(&rates.iter().map(|rates| rates.lr).collect::<Vec<_>>())?,
            momentum: vector(&rates.iter().map(|rates| rates.momentum).collect::<Vec<_>>())?,
            mean: vector(normalization.mean())?,
            std: vector(normalization.std())?,
        })
    }

    /// Channels, height, width.
    pub(crate) fn image(&self) -> [usize; 3] {
        let dims = self.images.dims();
        [dims[2], dims[3], dims[4]]
    }

    /// The images as 8-bit pixels, `(T·B, C, H, W)`.
    pub(crate) fn pixels(&self, normalization: &Normalization) -> Result<Tensor> {
        Ok(normalization.denormalize(&self.images.flatten(0, 1)?)?)
    }

    /// The labels as one list, `(T·B,)`.
    pub(crate) fn flat_labels(&self) -> Result<Vec<usize>> {
        let labels = self.labels.flatten_all()?.to_vec1::<i64>()?;
        Ok(labels.into_iter().map(|label| label as usize).collect())
    }

    /// By the names they have in files.
    pub(crate) fn named(&self) -> [(&'static str, &Tensor); 7] {
        [
            ("images", &self.images),
            ("labels", &self.labels),
            ("targets", &self.targets),
            ("lr", &self.lr),
            ("momentum", &self.momentum),
            ("mean", &self.mean),
            ("std", &self.std),
        ]
    }

    /// The file `teaching.safetensors`, with `teaching.json` as metadata.
    pub(crate) fn safetensors(&self, teaching: &Teaching) -> Result<Vec<u8>> {
        // One entry only: the order of several would differ from run to run.
        let metadata = HashMap::from([("teaching".to_string(), teaching.json()?)]);
        Ok(safetensors::serialize(self.named(), Some(metadata))?)
    }

    /// The file `teaching.npz`.
    pub(crate) fn npz(&self) -> Result<Vec<u8>> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let stored = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(true)
            .last_modified_time(zip::DateTime::default());
        for (name, array) in self.named() {
            zip.start_file(format!("{name}.npy"), stored)?;
            zip.write_all(&npy_header(array)?)?;
            zip.write_all(&array.data())?;
        }
        Ok(zip.finish()?.into_inner())
    }
}

/// What comes before the numbers in a file of NumPy's NPY format, version 1.0.
fn npy_header(array: &Tensor) -> Result<Vec<u8>> {
    let kind = match array.dtype() {
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::I64 => "<i8",
        other => bail!("no NumPy type is known for {other:?}"),
    };
    let shape = match array.dims() {
        [length] => format!("{length},"),
        dims => dims.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
    };
    let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
    // Magic, version, length, text and a newline fill whole blocks of 64 bytes.
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend_from_slice(&u16::try_from(length)?.to_le_bytes());
    header.extend_from_slice(format!("{text:<width$}\n", width = length - 1).as_bytes());
    Ok(header)
}
