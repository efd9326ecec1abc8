//! Just enough of Python's pickle format, protocol 2, for the Python version of CIFAR-10: a
//! dictionary of strings, integers, lists and NumPy arrays. Nothing is executed: what Python would
//! call is kept by name. The opcodes are those documented in Python's `pickletools`.

mod machine;
mod value;

pub(super) use machine::parse;
pub(super) use value::Value;

#[cfg(test)]
pub(super) mod tests {
    /// A batch as Python 2 wrote it: a dictionary of labels and an array of `rows` rows.
    pub(in crate::formats) fn batch(labels: &[u8], rows: usize, data: &[u8]) -> Vec<u8> {
        let columns = data.len() / rows;
        let mut bytes =
            b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x04testq\x03U\x06labelsq\x04]q\x05(".to_vec();
        bytes.extend(labels.iter().flat_map(|&label| [b'K', label]));
        bytes.extend(
            b"eU\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08",
        );
        bytes.extend(b"K\x00\x85U\x01b\x87Rq\x09(K\x01");
        for size in [rows, columns] {
            bytes.push(b'M');
            bytes.extend((size as u16).to_le_bytes());
        }
        bytes.extend(b"\x86cnumpy\ndtype\nq\x0aU\x02u1K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNN");
        bytes.extend(b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T");
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(data);
        bytes.extend(b"tbU\x09filenamesq\x0c]q\x0d(U\x05a.pngU\x05b.pngeu.");
        bytes
    }
}
