//! Small data of each kind.

use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A table with a number, a category and a price that follows from them.
pub fn table(rows: usize) -> String {
    let mut text = "area,kind,price\n".to_owned();
    for row in 0..rows {
        let (area, kind) = (10.5 + (row * 7 % 23) as f64, ["flat", "house"][row % 2]);
        text += &format!("{area},{kind},{}\n", 3.25 * area + 100.0 * (row % 2) as f64);
    }
    text
}

/// A NumPy file with the shape `shape` and the type `descr`, whose numbers are `bytes`.
pub fn npy(shape: &[usize], descr: &str, bytes: &[u8]) -> Vec<u8> {
    let lengths: Vec<String> = shape.iter().map(|length| format!("{length},")).collect();
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}", lengths.concat());
    let mut file = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    file.extend(format!("{header:<117}\n").bytes());
    file.extend(bytes);
    file
}

/// Floats of the shape `shape`: number i is `value(i)`.
pub fn floats(shape: &[usize], value: impl Fn(usize) -> f32) -> Vec<u8> {
    let bytes: Vec<u8> = (0..shape.iter().product()).flat_map(|at| value(at).to_le_bytes()).collect();
    npy(shape, "<f4", &bytes)
}

/// Integers of the shape `shape`.
pub fn integers(shape: &[usize], value: impl Fn(usize) -> i64) -> Vec<u8> {
    let bytes: Vec<u8> = (0..shape.iter().product()).flat_map(|at| value(at).to_le_bytes()).collect();
    npy(shape, "<i8", &bytes)
}

/// Numbers without an obvious pattern, from -1 to 1.
pub fn noise(at: usize) -> f32 {
    ((at as f32 + 1.0) * 12.9898).sin()
}

/// An archive of the arrays `files`, as `np.savez` writes it.
pub fn npz(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, file) in files {
        archive.start_file(format!("{name}.npy"), options).unwrap();
        archive.write_all(file).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A grey or colour PNG image of `side` x `side` pixels.
pub fn png(side: u32, color: png::ColorType, pixel: impl Fn(usize) -> u8) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(color);
    let pixels: Vec<u8> = (0..side as usize * side as usize * color.samples()).map(pixel).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    file
}
