//! The stack machine that a pickle is a program for.

use std::collections::HashMap;

use super::value::{Object, Value};

/// Why a file cannot be read, and where.
#[derive(Debug, PartialEq)]
pub(in crate::formats) struct Fault {
    pub(in crate::formats) offset: usize,
    pub(in crate::formats) expected: &'static str,
    pub(in crate::formats) found: String,
}

/// Reads a whole file.
pub(in crate::formats) fn parse(bytes: &[u8]) -> Result<Value<'_>, Fault> {
    let mut machine = Machine {
        bytes,
        offset: 0,
        stack: vec![],
        marks: vec![],
        memo: HashMap::new(),
        compounds: 0,
    };
    loop {
        let offset = machine.offset;
        match machine.step() {
            Ok(None) => {}
            Ok(Some(value)) => return Ok(value),
            Err((expected, found)) => {
                return Err(Fault { offset, expected, found });
            }
        }
    }
}

/// Tuples, lists, dictionaries and objects in one file; CIFAR-10 needs about ten. Few of them
/// cannot be nested deeply.
const MAX_COMPOUNDS: usize = 100;

/// What was expected, and what was found.
type Step<T> = Result<T, (&'static str, String)>;

struct Machine<'a> {
    bytes: &'a [u8],
    offset: usize,
    stack: Vec<Value<'a>>,
    /// Lengths of the stack at open parentheses.
    marks: Vec<usize>,
    /// Simple values by number; a compound one is never asked for again in these files.
    memo: HashMap<usize, Value<'a>>,
    compounds: usize,
}

impl<'a> Machine<'a> {
    /// Executes one opcode; gives the result at the last one.
    fn step(&mut self) -> Step<Option<Value<'a>>> {
        match self.u8()? {
            0x80 => match self.u8()? {
                2 => {}
                version => return Err(("pickle protocol 2", format!("protocol {version}"))),
            },
            b'.' => {
                let value = self.pop()?;
                let rest = self.bytes.len() - self.offset;
                if rest > 0 {
                    return Err(("the end of the file", format!("{rest} more bytes")));
                }
                return Ok(Some(value));
            }
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'K' => self.push_int(1)?,
            b'M' => self.push_int(2)?,
            b'J' => {
                let unsigned = self.number(4)? as u32;
                self.stack.push(Value::Int(unsigned.cast_signed().into()));
            }
            0x8a => self.push_long()?,
            b'U' => self.push_bytes(1)?,
            b'T' | b'X' => self.push_bytes(4)?,
            b'c' => {
                let rest = &self.bytes[self.offset..];
                let mut newlines = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
                let Some((len, _)) = newlines.nth(1) else {
                    return Err(("two lines of text", "the end of the file".into()));
                };
                self.stack.push(Value::Global(&rest[..len]));
                self.offset += len + 1;
            }
            b'(' => self.marks.push(self.stack.len()),
            b')' => self.push_compound(Value::Tuple(vec![]))?,
            0x85 => self.push_tuple(1)?,
            0x86 => self.push_tuple(2)?,
            0x87 => self.push_tuple(3)?,
            b't' => {
                let values = self.pop_mark()?;
                self.push_compound(Value::Tuple(values))?;
            }
            b']' => self.push_compound(Value::List(vec![]))?,
            b'}' => self.push_compound(Value::Dict(vec![]))?,
            b'a' => {
                let value = self.pop()?;
                self.append(vec![value])?;
            }
            b'e' => {
                let values = self.pop_mark()?;
                self.append(values)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(vec![key, value])?;
            }
            b'u' => {
                let values = self.pop_mark()?;
                self.set(values)?;
            }
            b'R' => {
                let args = self.pop()?;
                let callable = self.pop()?;
                self.push_compound(Value::Object(Box::new(Object {
                    callable,
                    args,
                    state: Value::None,
                })))?;
            }
            b'b' => {
                let state = self.pop()?;
                match self.stack.last_mut() {
                    Some(Value::Object(object)) => object.state = state,
                    other => return Err(("an object to give a state", kind(other))),
                }
            }
            b'q' => self.remember(1)?,
            b'r' => self.remember(4)?,
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            other => return Err(("an opcode that CIFAR-10 uses", format!("{other:#04x}"))),
        }
        Ok(None)
    }

    fn take(&mut self, len: usize) -> Step<&'a [u8]> {
        let rest = &self.bytes[self.offset..];
        let Some(taken) = rest.get(..len) else {
            return Err(("more bytes", format!("the end of the file, {} bytes later", rest.len())));
        };
        self.offset += len;
        Ok(taken)
    }

    fn u8(&mut self) -> Step<u8> {
        Ok(self.take(1)?[0])
    }

    /// An unsigned little-endian number of up to 4 bytes.
    fn number(&mut self, len: usize) -> Step<usize> {
        Ok(self.take(len)?.iter().rev().fold(0, |number, &byte| number << 8 | byte as usize))
    }

    fn push_int(&mut self, len: usize) -> Step<()> {
        let number = self.number(len)?;
        self.stack.push(Value::Int(number as i64));
        Ok(())
    }

    /// A signed little-endian number of any length, of which 8 bytes are plenty.
    fn push_long(&mut self) -> Step<()> {
        let len = self.number(1)?;
        if len > 8 {
            return Err(("an integer of at most 8 bytes", format!("{len} bytes")));
        }
        let bytes = self.take(len)?;
        let sign = if bytes.last().is_some_and(|&byte| byte >= 0x80) { 0xff } else { 0 };
        let mut padded = [sign; 8];
        padded[..len].copy_from_slice(bytes);
        self.stack.push(Value::Int(i64::from_le_bytes(padded)));
        Ok(())
    }

    fn push_bytes(&mut self, len_len: usize) -> Step<()> {
        let len = self.number(len_len)?;
        let bytes = self.take(len)?;
        self.stack.push(Value::Bytes(bytes));
        Ok(())
    }

    fn push_compound(&mut self, value: Value<'a>) -> Step<()> {
        self.compounds += 1;
        if self.compounds > MAX_COMPOUNDS {
            return Err((
                "a file as simple as CIFAR-10's",
                format!("more than {MAX_COMPOUNDS} compounds"),
            ));
        }
        self.stack.push(value);
        Ok(())
    }

    fn push_tuple(&mut self, len: usize) -> Step<()> {
        let start = self.stack.len().saturating_sub(len);
        if self.stack.len() < len || start < self.floor() {
            return Err(("values for a tuple", "too few".into()));
        }
        let values = self.stack.split_off(start);
        self.push_compound(Value::Tuple(values))
    }

    /// The stack below is out of reach until the parenthesis closes.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Step<Value<'a>> {
        if self.stack.len() <= self.floor() {
            return Err(("a value on the stack", "none".into()));
        }
        Ok(self.stack.pop().expect("longer than its floor"))
    }

    fn pop_mark(&mut self) -> Step<Vec<Value<'a>>> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => Err(("a mark on the stack", "none".into())),
        }
    }

    fn append(&mut self, values: Vec<Value<'a>>) -> Step<()> {
        match self.stack.last_mut() {
            Some(Value::List(list)) => list.extend(values),
            other => return Err(("a list to append to", kind(other))),
        }
        Ok(())
    }

    fn set(&mut self, values: Vec<Value<'a>>) -> Step<()> {
        if !values.len().is_multiple_of(2) {
            return Err(("a value for each key", format!("{} keys and values", values.len())));
        }
        match self.stack.last_mut() {
            Some(Value::Dict(entries)) => {
                let mut values = values.into_iter();
                while let (Some(key), Some(value)) = (values.next(), values.next()) {
                    entries.push((key, value));
                }
            }
            other => return Err(("a dictionary to add to", kind(other))),
        }
        Ok(())
    }

    fn remember(&mut self, len: usize) -> Step<()> {
        let number = self.number(len)?;
        if let Some(value @ (Value::Bytes(_) | Value::Global(_))) = self.stack.last() {
            self.memo.insert(number, value.clone());
        }
        Ok(())
    }

    fn recall(&mut self, len: usize) -> Step<()> {
        let number = self.number(len)?;
        let Some(value) = self.memo.get(&number) else {
            return Err(("a string remembered before", format!("number {number}")));
        };
        self.stack.push(value.clone());
        Ok(())
    }
}

fn kind(value: Option<&mut Value>) -> String {
    value.map_or("nothing", |value| value.kind()).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::tests::batch, *};

    #[test]
    fn integers_of_all_lengths_are_read() {
        let bytes =
            b"\x80\x02](K\xffM\xff\xffJ\xfe\xff\xff\xff\x8a\x02\xff\x00\x8a\x01\xff\x8a\x00e.";
        assert_eq!(parse(bytes).unwrap().integers(), Some(vec![255, 65_535, -2, 255, -1, 0]));
    }

    #[test]
    fn what_python_would_execute_is_only_named() {
        let value = parse(b"\x80\x02cos\nsystem\nU\x02ls\x85R.").unwrap();
        let Value::Object(object) = value else { panic!("{value:?}") };
        assert_eq!(object.callable, Value::Global(b"os\nsystem"));
    }

    #[test]
    fn faults_have_offsets() {
        for (bytes, offset, expected, found) in [
            (&b""[..], 0, "more bytes", "end of the file"),
            (b"\x80\x04", 0, "protocol 2", "protocol 4"),
            (b"\x80\x02U\x09abc", 2, "more bytes", "3 bytes later"),
            (b"\x80\x02N?", 3, "an opcode", "0x3f"),
            (b"\x80\x02N.N", 3, "the end of the file", "1 more bytes"),
            (b"\x80\x02.", 2, "a value", "none"),
            (b"\x80\x02N(.", 4, "a value", "none"),
            (b"\x80\x02N(N\x86.", 5, "values for a tuple", "too few"),
            (b"\x80\x02NNa.", 4, "a list", "None"),
            (b"\x80\x02}(Nu.", 5, "a value for each key", "1 keys"),
            (b"\x80\x02h\x01.", 2, "remembered", "number 1"),
            (b"\x80\x02e.", 2, "a mark", "none"),
            (b"\x80\x02cnumpy\n", 2, "two lines", "end of the file"),
        ] {
            let fault = parse(bytes).unwrap_err();
            assert_eq!(fault.offset, offset, "{fault:?}");
            assert!(fault.expected.contains(expected) && fault.found.contains(found), "{fault:?}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let mut bytes = b"\x80\x02N".to_vec();
        bytes.extend([0x85; 1_000_000]);
        bytes.push(b'.');
        assert_eq!(parse(&bytes).unwrap_err().offset, 3 + MAX_COMPOUNDS);
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_value_or_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
            let _ = parse(&[b"\x80\x02", &bytes[..]].concat());
        }

        #[test]
        fn truncated_batches_are_faults(cut in 0.0..1.0) {
            let bytes = batch(&[7, 9], 2, &[1, 2, 3, 4, 5, 6]);
            prop_assert!(parse(&bytes[..(cut * bytes.len() as f64) as usize]).is_err());
        }
    }
}
