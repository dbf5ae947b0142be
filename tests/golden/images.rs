//! Images in folders, against Pillow: `make_images.py` wrote images.json.

use std::fs;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};
use ternflock::data::{ImageFolder, Samples, open_folder};
use ternflock::job::{Colour, Folder, OnError, Resize};

use crate::sizes;

/// The bytes of `noise` in `make_images.py`.
fn noise(seed: u32, count: usize) -> Vec<u8> {
    let hash = |index: u32| {
        let mut x = index.wrapping_add(seed.wrapping_mul(0x9E37_79B9));
        for (shift, factor) in [(16, 0x7FEB_352D), (15, 0x846C_A68B), (16, 1)] {
            x = (x ^ (x >> shift)).wrapping_mul(factor);
        }
        (x >> 24) as u8
    };
    (0..count as u32).map(hash).collect()
}

fn golden() -> Value {
    serde_json::from_str(include_str!("images.json")).unwrap()
}

fn cases(golden: &Value, name: &str) -> Vec<Value> {
    let cases = golden[name].as_array().unwrap().clone();
    assert!(cases.len() > 10, "{} {name}", cases.len());
    cases
}

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Opens the image `file` in a folder of two classes.
fn open(directory: &Path, file: &[u8], how: &Folder) -> std::sync::Arc<ImageFolder> {
    for class in ["a", "b"] {
        fs::create_dir_all(directory.join(class)).unwrap();
        fs::write(directory.join(class).join("image.png"), file).unwrap();
    }
    open_folder(directory, how, None).unwrap().train
}

/// The pixels of its first image, `[H, W, C]`.
fn pixels(images: &ImageFolder) -> Vec<u8> {
    let channels = match images.input() {
        ternflock::nn::Shape::Image { channels, .. } => channels,
        other => panic!("{other}"),
    };
    let image = images.image(0).unwrap();
    let area = image.len() / channels;
    (0..image.len()).map(|at| image[at % channels * area + at / channels]).collect()
}

fn how(colour: Colour, size: Option<[usize; 2]>, resize: Resize) -> Folder {
    Folder { colour, size, resize, on_error: OnError::Refuse, cache_megabytes: 0 }
}

#[test]
fn images_are_resized_exactly_as_by_pillow() {
    let directory = tempfile::tempdir().unwrap();
    for case in cases(&golden(), "resized") {
        let (image, size) = (sizes(&case["image"]), sizes(&case["size"]));
        let channels = case["channels"].as_u64().unwrap() as usize;
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, image[1] as u32, image[0] as u32);
        encoder.set_color(if channels == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
        let values = noise(case["seed"].as_u64().unwrap() as u32, image[0] * image[1] * channels);
        encoder.write_header().unwrap().write_image_data(&values).unwrap();
        let colour = if channels == 1 { Colour::Grey } else { Colour::Rgb };
        let resize = if case["resize"] == "crop" { Resize::Crop } else { Resize::Stretch };
        let images = open(directory.path(), &file, &how(colour, Some([size[0], size[1]]), resize));
        let sum: String = Sha256::digest(pixels(&images)).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(case["sha256"], sum, "{case}");
    }
}

#[test]
fn png_images_of_every_kind_are_decoded_as_by_pillow() {
    let directory = tempfile::tempdir().unwrap();
    for case in cases(&golden(), "decoded") {
        for (colour, name) in [(Colour::Rgb, "rgb"), (Colour::Grey, "grey")] {
            let images = open(directory.path(), &bytes(&case["file"]), &how(colour, None, Resize::None));
            assert_eq!(pixels(&images), bytes(&case[name]), "{} as {name}", case["what"]);
        }
    }
}

/// Decoders of JPEG differ in the last bits of the cosine transform and of the conversion to RGB.
#[test]
fn jpeg_images_differ_from_pillows_in_the_last_bits() {
    let directory = tempfile::tempdir().unwrap();
    for case in cases(&golden(), "jpegs") {
        let images = open(directory.path(), &bytes(&case["file"]), &how(Colour::Rgb, None, Resize::None));
        let (found, expected) = (pixels(&images), bytes(&case["rgb"]));
        assert_eq!(found.len(), expected.len(), "{}", case["what"]);
        let differences: Vec<u8> =
            found.iter().zip(&expected).map(|(one, other)| one.abs_diff(*other)).collect();
        let most = differences.iter().max().unwrap();
        let sum: u64 = differences.iter().map(|&difference| u64::from(difference)).sum();
        let mean = sum as f64 / found.len() as f64;
        println!("{}: at most {most}, {mean:.4} on average", case["what"]);
        assert!(*most <= 3 && mean < 0.5, "{}: at most {most}, {mean:.4} on average", case["what"]);
    }
}
