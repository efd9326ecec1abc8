//! What a pickle can hold, and how CIFAR-10's parts are recognized in it.

use std::borrow::Cow;

/// A value of the file, which strings and bytes point into.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::formats) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Bytes(&'a [u8]),
    /// A class or function: module and name, each on a line.
    Global(&'a [u8]),
    Tuple(Vec<Value<'a>>),
    List(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    Object(Box<Object<'a>>),
}

/// The result of calling `callable` with `args`, then given `state`.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::formats) struct Object<'a> {
    pub(in crate::formats) callable: Value<'a>,
    pub(in crate::formats) args: Value<'a>,
    pub(in crate::formats) state: Value<'a>,
}

/// A matrix of bytes.
#[derive(Debug, PartialEq)]
pub(in crate::formats) struct Matrix<'a> {
    pub(in crate::formats) rows: usize,
    pub(in crate::formats) columns: usize,
    /// Row by row.
    pub(in crate::formats) bytes: Cow<'a, [u8]>,
}

impl<'a> Value<'a> {
    /// The entry of a dictionary.
    pub(in crate::formats) fn get(&self, key: &'static str) -> Option<&Self> {
        let Self::Dict(entries) = self else {
            return None;
        };
        entries.iter().find(|(k, _)| *k == Self::Bytes(key.as_bytes())).map(|(_, value)| value)
    }

    /// A list of integers.
    pub(in crate::formats) fn integers(&self) -> Option<Vec<i64>> {
        let Self::List(values) = self else {
            return None;
        };
        values.iter().map(Self::integer).collect()
    }

    fn integer(&self) -> Option<i64> {
        let Self::Int(i) = self else { return None };
        Some(*i)
    }

    /// A two-dimensional NumPy array of `uint8`.
    pub(in crate::formats) fn byte_matrix(&self) -> Option<Matrix<'a>> {
        let array = self.built_by(b"numpy.core.multiarray\n_reconstruct")?;
        let Self::Tuple(state) = &array.state else {
            return None;
        };
        let [
            Self::Int(_version),
            Self::Tuple(shape),
            dtype,
            Self::Bool(column_major),
            Self::Bytes(bytes),
        ] = &state[..]
        else {
            return None;
        };
        let [Self::Int(rows), Self::Int(columns)] = shape[..] else {
            return None;
        };
        let (rows, columns) = (usize::try_from(rows).ok()?, usize::try_from(columns).ok()?);
        let Self::Tuple(dtype) = &dtype.built_by(b"numpy\ndtype")?.args else {
            return None;
        };
        if dtype.first() != Some(&Self::Bytes(b"u1")) || rows.checked_mul(columns)? != bytes.len() {
            return None;
        }
        let bytes = if *column_major {
            (0..bytes.len()).map(|i| bytes[i % columns * rows + i / columns]).collect()
        } else {
            (*bytes).into()
        };
        Some(Matrix { rows, columns, bytes })
    }

    fn built_by(&self, global: &'static [u8]) -> Option<&Object<'a>> {
        match self {
            Self::Object(object) if object.callable == Self::Global(global) => Some(object),
            _ => None,
        }
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a truth value",
            Self::Int(_) => "an integer",
            Self::Bytes(_) => "a string",
            Self::Global(_) => "a name",
            Self::Tuple(_) => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dictionary",
            Self::Object(_) => "an object",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{parse, tests::batch};

    #[test]
    fn a_batch_is_read() {
        let bytes = batch(&[7, 9], 2, &[1, 2, 3, 4, 5, 6]);
        let value = parse(&bytes).unwrap();
        assert_eq!(value.get("labels").unwrap().integers(), Some(vec![7, 9]));
        let matrix = value.get("data").unwrap().byte_matrix().unwrap();
        assert_eq!(
            (matrix.rows, matrix.columns, &matrix.bytes[..]),
            (2, 3, &[1, 2, 3, 4, 5, 6][..])
        );
        assert_eq!(value.get("else"), None);
    }

    #[test]
    fn column_major_arrays_are_turned() {
        let mut bytes = batch(&[7, 9], 2, &[1, 4, 2, 5, 3, 6]);
        let flag = bytes.windows(3).position(|w| w == b"tb\x89").unwrap() + 2;
        bytes[flag] = 0x88;
        let value = parse(&bytes).unwrap();
        assert_eq!(value.get("data").unwrap().byte_matrix().unwrap().bytes[..], [1, 2, 3, 4, 5, 6]);
    }
}
