//! NumPy archives: a zip file of arrays in the format of
//! [NEP 1](https://numpy.org/neps/nep-0001-npy-format.html), version 1.0.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::Exporter;
use super::names::{bytes, named};
use ternflock_checkpoint::Snapshot;

/// The parameters as float32 arrays.
pub struct Npz;

impl Exporter for Npz {
    fn name(&self) -> &'static str {
        "npz"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["npz"]
    }

    fn summary(&self) -> &'static str {
        "NumPy: numpy.load(FILE)"
    }

    fn encode(&self, snapshot: &Snapshot) -> Result<Vec<u8>, String> {
        // No compression, as in `numpy.savez`, and no time stamp, so that equal networks give equal files.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::default())
            .large_file(snapshot.parameters.iter().any(|tensor| tensor.values.len() >= 1 << 29));
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, tensor) in named(snapshot)? {
            archive.start_file(format!("{name}.npy"), options).map_err(|error| error.to_string())?;
            let content = [header(&tensor.shape)?, bytes(tensor)].concat();
            archive.write_all(&content).map_err(|error| error.to_string())?;
        }
        Ok(archive.finish().map_err(|error| error.to_string())?.into_inner())
    }
}

/// The header of a row-major float32 array. It is padded so that the elements start at a multiple of 64 bytes.
fn header(shape: &[usize]) -> Result<Vec<u8>, String> {
    /// The magic string, the version, and the length of the text.
    const PREFIX: usize = 10;
    let sizes: String = shape.iter().map(|size| format!("{size},")).collect();
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sizes}), }}");
    let padded = (PREFIX + text.len() + 1).next_multiple_of(64) - PREFIX;
    let length = u16::try_from(padded).map_err(|_| format!("{} dimensions are too many", shape.len()))?;
    text += &" ".repeat(padded - 1 - text.len());
    text.push('\n');
    Ok([b"\x93NUMPY\x01\x00", &length.to_le_bytes()[..], text.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::names::tests::snapshot;

    #[test]
    fn headers_are_those_of_numpy() {
        // numpy.lib.format.write_array_header_1_0 writes these, apart from blanks in the shape.
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,3,), }";
        let expected = [&b"\x93NUMPY\x01\x00\x76\x00"[..], format!("{text:117}\n").as_bytes()].concat();
        assert_eq!(header(&[2, 3]).unwrap(), expected);
        for shape in [&[][..], &[5], &[1; 20]] {
            assert_eq!(header(shape).unwrap().len() % 64, 0, "{shape:?}");
        }
        assert!(header(&[1; 40_000]).is_err());
    }

    #[test]
    fn each_tensor_is_an_array() {
        let snapshot = snapshot(&[("a/weight", &[2, 3]), ("a/bias", &[2]), ("b/scale", &[])]);
        let file = Npz.encode(&snapshot).unwrap();
        assert_eq!(file, Npz.encode(&snapshot).unwrap());
        let mut archive = zip::ZipArchive::new(Cursor::new(file)).unwrap();
        assert_eq!(archive.len(), 3);
        for tensor in &snapshot.parameters {
            let mut entry = archive.by_name(&format!("{}.npy", tensor.name.replace('/', "."))).unwrap();
            let mut content = vec![0; entry.size() as usize];
            entry.read_exact(&mut content).unwrap();
            assert_eq!(content, [header(&tensor.shape).unwrap(), bytes(tensor)].concat());
        }
    }
}
