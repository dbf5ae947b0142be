//! Folders of images: training, what is in them, and packing them.

use support::program::Place;

use crate::PROGRAM;

const TRAIN: &str =
    "train tiny.toml --set data.dataset=folder --set data.dir=my,photos --set train.steps=40 --run-dir run";

/// A grey PNG image of 8x8 pixels.
fn png(pixel: impl Fn(usize) -> u8) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 8, 8);
    encoder.set_color(png::ColorType::Grayscale);
    let pixels: Vec<u8> = (0..64).map(pixel).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    file
}

/// A folder of 12 classes with 12 images each: class k has a bright column or row k.
fn place() -> Place {
    let place = Place::new(PROGRAM);
    for (class, image) in (0..12).flat_map(|class| (0..12).map(move |image| (class, image))) {
        let is_bright = |at: usize| if class < 6 { at % 8 == class } else { at / 8 == class - 6 };
        let file = png(|at| if is_bright(at) { 255 - image } else { 5 * image });
        place.write(&format!("my,photos/class {class:02}/{image}.png"), file);
    }
    let job = support::program::TINY.replace("units = 10", "units = \"classes\"");
    place.write("tiny.toml", job);
    place
}

#[test]
fn a_folder_is_trained_on_with_its_class_names() {
    let place = place();
    let out = place.run(&format!("{TRAIN} --set data.mirror=true --set data.padding=1")).ended(0).out;
    assert!(out.contains("test accuracy"), "{out}");
    let measured = place.run("eval run/checkpoints/best.h5 --json").json();
    assert_eq!((measured["dataset"].as_str(), measured["samples"].as_u64()), (Some("folder"), Some(14)));
    // The images are resumed only if they are the same.
    place.write("my,photos/class 03/99.png", png(|_| 7));
    place.run(&format!("{TRAIN} --resume")).refused(3, &["folder: the data are not those"]);
}

#[test]
fn a_job_shows_what_its_data_are() {
    let place = place();
    place.write("my,photos/class 03/damaged.jpg", b"no image");
    let info = "data info tiny.toml --set data.dataset=folder --set data.dir=my,photos --set data.size=[8,8]";
    place.run(info).refused(3, &["class 03/damaged.jpg: cannot be decoded: is neither", "on_error"]);
    place.write("my,photos/.hidden", b"");
    let found = place.run(&format!("{info} --set data.on_error=skip --json")).json();
    assert_eq!(found["class_names"][11], "class 11");
    let counts = |set: &str| found["sets"][set]["classes"].as_array().unwrap().len();
    assert_eq!(["training", "validation", "test"].map(counts), [12; 3]);
    let samples = |set: &str| found["sets"][set]["samples"].as_u64().unwrap();
    assert_eq!(["training", "validation", "test"].map(samples), [116, 14, 14]);
    assert_eq!(found["sets"]["training"]["inputs"].as_array().unwrap().len(), 3, "channels");
    let remarks = found["remarks"].to_string();
    assert!(
        remarks.contains("1 hidden file") && remarks.contains("1 image that cannot be decoded left out"),
        "{remarks}"
    );
    let text = place.run(&format!("{info} --set data.on_error=skip")).ended(0).out;
    for part in ["folder: images of 3x8x8; 12 classes", "channel 2", "  class 07  "] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_folder_is_packed_once() {
    let place = place();
    let packed = place.run("data import my,photos --size 4x6 --grey -o photos.h5 --json").json();
    assert_eq!((packed["shape"].as_str(), packed["classes"][3].as_str()), (Some("1x4x6"), Some("class 03")));
    assert_eq!(packed["sets"]["train"]["samples"], 144);
    place.run("data import my,photos -o photos.h5").refused(2, &["photos.h5 already exists"]);
    place.run("data import my,photos -o photos.png").refused(2, &[".png means another format"]);
    place.run("data import my,photos --size 4 -o a.h5").refused(2, &["height and width in pixels"]);
    place.run("data import nowhere -o a.h5").refused(3, &["nowhere: cannot be read"]);
    let out = place.run("data import my,photos --overwrite -o photos.h5").ended(0).out;
    assert!(out.contains("photos.h5: 144 images of 3x8x8 in 12 classes"), "{out}");
    assert!(out.contains("inputs = \"photos.h5:/images\""), "{out}");
}
