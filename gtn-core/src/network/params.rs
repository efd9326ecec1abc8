//! Named parameters in one flat tensor, so that an optimizer's step is one
//! pass over memory whatever the network.

use crate::seed::{Rng, normal, uniform};
use crate::tensors::{combined_with_joined, joined, zeros};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;
use std::sync::Arc;

/// More elements than anyone has the memory to learn are a slip of the pen.
const MOST: usize = 1 << 30;

/// How a parameter starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// All elements the same.
    Constant(f64),
    /// Drawn evenly from `±bound`.
    Uniform {
        /// The largest magnitude.
        bound: f64,
    },
    /// Drawn from a normal distribution.
    Normal {
        /// Its standard deviation.
        std: f64,
    },
    /// Rows of the same length in directions drawn evenly from a cube.
    Rows {
        /// The norm of each.
        length: f64,
    },
    /// Rows with a single one, which moves on by a column from row to row.
    EvenLabels,
}

impl Init {
    /// What keeps a parameter of this shape from starting so, if something does.
    fn misfit(self, shape: &[usize]) -> Option<&'static str> {
        let fits = |fits: bool, otherwise| (!fits).then_some(otherwise);
        match self {
            Self::Constant(_) => None,
            Self::Uniform { bound: size } | Self::Normal { std: size } => {
                fits(size >= 0.0 && size.is_finite(), "0 or more and finite")
            }
            Self::Rows { .. } => fits(!shape.is_empty(), "of a shape with rows"),
            Self::EvenLabels => fits(shape.len() > 1, "of a shape with rows and columns"),
        }
    }
}

/// One parameter's place in a [`Layout`].
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// Unique name, for example `conv1.weight`.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// How it starts.
    pub init: Init,
    offset: usize,
}

impl Slot {
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The first of its elements among those of all parameters.
    #[cfg(feature = "cuda")]
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// Whether the parameter has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Names, shapes and places of a set of parameters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layout {
    slots: Vec<Slot>,
    len: usize,
}

impl Layout {
    /// Adds a parameter at the end and returns its number.
    ///
    /// # Errors
    /// [`Error::Spec`] when the name is taken, when there would be more than 2³⁰ elements, or when no parameter of this
    /// shape can start so.
    pub fn push(&mut self, name: impl Into<String>, shape: &[usize], init: Init) -> Result<usize> {
        let name = name.into();
        if self.slots.iter().any(|s| s.name == name) {
            return Err(Error::spec(format!(
                "two layers share the parameter name `{name}`; give each layer a name of its own"
            )));
        }
        if let Some(expected) = init.misfit(shape) {
            return Err(Error::spec(format!(
                "the parameter `{name}` of shape {shape:?} cannot start as {init:?}, which must be {expected}"
            )));
        }
        let len = shape.iter().try_fold(1usize, |all, &side| all.checked_mul(side));
        let Some(end) = len.and_then(|len| self.len.checked_add(len)).filter(|&end| end <= MOST)
        else {
            return Err(Error::spec(format!(
                "the parameter `{name}` of shape {shape:?} would make more than {MOST} numbers to learn; make it smaller"
            )));
        };
        let slot = Slot { name, shape: shape.to_vec(), init, offset: self.len };
        self.len = end;
        self.slots.push(slot);
        Ok(self.slots.len() - 1)
    }

    /// The parameters, in order.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// A vector for each parameter, with its length.
    fn flattened(&self, parts: &[Option<Tensor>]) -> Result<Vec<(Option<Tensor>, usize)>> {
        let parts = self.slots.iter().zip(parts).map(|(slot, part)| {
            Ok((part.as_ref().map(Tensor::flatten_all).transpose()?, slot.len()))
        });
        parts.collect()
    }

    /// The number of elements of all parameters together.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// A value for each parameter of a [`Layout`]: weights, or gradients, or moments of an optimizer.
#[derive(Debug, Clone)]
pub struct Params {
    layout: Arc<Layout>,
    flat: Tensor,
}

impl Params {
    /// Wraps a tensor of [`Layout::len`] elements.
    ///
    /// # Panics
    /// When the sizes differ.
    pub fn from_flat(layout: Arc<Layout>, flat: Tensor) -> Self {
        assert_eq!(flat.dims(), [layout.len()], "a flat tensor of all parameters");
        Self { layout, flat }
    }

    /// Zeros.
    pub fn zeros(layout: &Arc<Layout>, dtype: DType, device: &Device) -> Result<Self> {
        Ok(Self { layout: layout.clone(), flat: zeros(&[layout.len()], dtype, device)? })
    }

    /// Draws every parameter as its [`Init`] says.
    pub fn init(
        layout: &Arc<Layout>,
        dtype: DType,
        device: &Device,
        rng: &mut Rng,
    ) -> Result<Self> {
        let mut all: Vec<f32> = Vec::with_capacity(layout.len());
        for slot in &layout.slots {
            match slot.init {
                Init::Constant(value) => all.resize(all.len() + slot.len(), value as f32),
                Init::Uniform { bound } => all.extend(uniform(slot.len(), bound as f32, rng)),
                Init::Normal { std } => {
                    let draws = normal(&[slot.len()], DType::F32, &Device::Cpu, rng)?;
                    all.extend(draws.to_vec1::<f32>()?.iter().map(|v| v * std as f32));
                }
                Init::Rows { length } => {
                    let row: usize = slot.shape[1..].iter().product();
                    // The directions of a normalized weight of the same shape, drawn alike.
                    let bound = 1.0 / (row.max(1) as f32).sqrt();
                    let mut rows = uniform(slot.len(), bound, rng);
                    for row in rows.chunks_mut(row.max(1)) {
                        let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
                        row.iter_mut().for_each(|v| *v *= length as f32 / norm);
                    }
                    all.extend(rows);
                }
                Init::EvenLabels => {
                    let classes = slot.shape[1];
                    let ones = (0..slot.len()).map(|i| i / classes % classes == i % classes);
                    all.extend(ones.map(|one| if one { 1.0 } else { 0.0 }));
                }
            }
        }
        let flat = Tensor::from_vec(all, layout.len(), &Device::Cpu)?.to_dtype(dtype)?;
        let flat =
            if layout.is_empty() { zeros(&[0], dtype, device)? } else { flat.to_device(device)? };
        Ok(Self { layout: layout.clone(), flat })
    }

    /// Gathers named tensors.
    ///
    /// # Errors
    /// [`Error::Spec`] that names a tensor that is missing or of another shape.
    pub fn from_named(layout: &Arc<Layout>, named: &HashMap<String, Tensor>) -> Result<Self> {
        let mut parts = Vec::with_capacity(layout.slots.len());
        for slot in &layout.slots {
            let tensor = named
                .get(&slot.name)
                .ok_or_else(|| Error::spec(format!("parameter `{}` is missing", slot.name)))?;
            if tensor.dims() != slot.shape {
                return Err(Error::spec(format!(
                    "parameter `{}`: expected shape {:?}, found {:?}",
                    slot.name,
                    slot.shape,
                    tensor.dims()
                )));
            }
            parts.push((Some(tensor.flatten_all()?), slot.len()));
        }
        let (dtype, device) = match parts.first() {
            Some((Some(first), _)) => (first.dtype(), first.device().clone()),
            _ => (DType::F32, Device::Cpu),
        };
        Ok(Self { layout: layout.clone(), flat: joined(&parts, dtype, &device)? })
    }

    /// Gathers one tensor for each parameter, in order; `None` stands for zeros.
    pub(crate) fn gather(
        layout: &Arc<Layout>,
        parts: &[Option<Tensor>],
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let flat = joined(&layout.flattened(parts)?, dtype, device)?;
        Ok(Self { layout: layout.clone(), flat })
    }

    /// `a` times these, plus `b` times one tensor for each parameter, in order; `None` stands for zeros.
    pub(crate) fn combined_with(&self, a: f64, b: f64, parts: &[Option<Tensor>]) -> Result<Self> {
        let parts = self.layout.flattened(parts)?;
        Ok(self.with_flat(combined_with_joined(a, &self.flat, b, &parts)?))
    }

    /// Names, shapes and places.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// All elements, `(len)`.
    pub fn flat(&self) -> &Tensor {
        &self.flat
    }

    /// The same layout around other values, `(len)`.
    ///
    /// # Panics
    /// When there are more or fewer.
    pub fn with_flat(&self, flat: Tensor) -> Self {
        Self::from_flat(self.layout.clone(), flat)
    }

    /// The parameters one by one, in order: views, nothing is copied.
    pub fn tensors(&self) -> Result<Vec<Tensor>> {
        self.layout.slots.iter().map(|slot| self.view(slot)).collect()
    }

    /// Name and tensor of each parameter.
    pub fn named(&self) -> Result<Vec<(String, Tensor)>> {
        self.layout.slots.iter().map(|slot| Ok((slot.name.clone(), self.view(slot)?))).collect()
    }

    /// The parameter of this name.
    ///
    /// # Errors
    /// [`Error::Spec`] when there is none.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        let slot = self.layout.slots.iter().find(|s| s.name == name);
        self.view(slot.ok_or_else(|| Error::spec(format!("there is no parameter `{name}`")))?)
    }

    fn view(&self, slot: &Slot) -> Result<Tensor> {
        Ok(self.flat.narrow(0, slot.offset, slot.len())?.reshape(slot.shape.as_slice())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_start_so_is_refused() {
        let mut layout = Layout::default();
        for (shape, init, expected) in [
            (&[3][..], Init::Uniform { bound: -1.0 }, "0 or more"),
            (&[3], Init::Normal { std: f64::NAN }, "0 or more"),
            (&[], Init::Rows { length: 1.0 }, "with rows"),
            (&[3], Init::EvenLabels, "rows and columns"),
        ] {
            let message = layout.push("w", shape, init).unwrap_err().to_string();
            assert!(message.contains(&format!("`w` of shape {shape:?}")), "{message}");
            assert!(message.contains(expected), "{message}");
        }
        layout.push("labels", &[4, 3], Init::EvenLabels).unwrap();
        let rng = &mut crate::seed::Seed(1).rng();
        let labels = Params::init(&Arc::new(layout), DType::F64, &Device::Cpu, rng).unwrap();
        let rows = labels.get("labels").unwrap().to_vec2::<f64>().unwrap();
        assert_eq!(rows, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
    }
}
