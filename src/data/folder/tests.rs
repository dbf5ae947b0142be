//! Folders with good and bad images.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;
use crate::Samples;
use ternflock_job::{Colour, OnError, Resize};
use ternflock_nn::{Shape, TargetKind, Targets};

const HOW: Folder = Folder {
    colour: Colour::Rgb,
    size: None,
    resize: Resize::None,
    on_error: OnError::Refuse,
    cache_megabytes: 1,
};

/// A PNG image of one colour.
fn png(height: u32, width: u32, value: u8) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    let pixels = vec![value; (height * width) as usize];
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    file
}

fn write(directory: &Path, name: &str, content: &[u8]) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Two classes with two images each, whose pixels are 10, 20, 30, 40.
fn folder() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (number, name) in
        ["cat/1.png", "cat/2, with a comma.png", "dog/a b.PNG", "dog/deep/er/b.jpeg"].iter().enumerate()
    {
        write(directory.path(), name, &png(2, 3, 10 * (number as u8 + 1)));
    }
    directory
}

fn values(images: &ImageFolder) -> Vec<u8> {
    (0..images.len()).map(|number| images.image(number).unwrap()[0]).collect()
}

fn refusal(directory: &Path, how: &Folder) -> String {
    open(directory, how, None).err().expect("a refusal").to_string()
}

#[test]
fn a_sub_folder_is_a_class() {
    let directory = folder();
    let images = open(directory.path(), &HOW, None).unwrap().train;
    assert_eq!(images.input(), Shape::Image { channels: 3, height: 2, width: 3 });
    assert_eq!(images.target(), TargetKind::Class(2));
    assert_eq!(images.class_names().unwrap(), ["cat", "dog"]);
    assert_eq!(images.labels().unwrap(), [0, 0, 1, 1]);
    // The second name sorts before the fourth, and a space before a letter.
    assert_eq!(values(&images), [10, 20, 30, 40]);
    let (mut inputs, mut targets) = (vec![f32::NAN; 54], Targets::default());
    for _ in 0..2 {
        images.read(&[3, 0, 3], &mut inputs, &mut targets).unwrap();
        assert_eq!(targets.labels, [1, 0, 1]);
        for (image, value) in inputs.chunks_exact(18).zip([40.0f32, 10.0, 40.0]) {
            assert_eq!(image, [value / 255.0; 18]);
        }
    }
    assert_eq!(images.remarks(), [""; 0]);
}

#[test]
fn what_is_no_image_is_counted_and_not_read() {
    let directory = folder();
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "out.png", &png(2, 3, 99));
    write(directory.path(), ".hidden/x.png", b"");
    write(directory.path(), "cat/.DS_Store", b"");
    write(directory.path(), "cat/labels.txt", b"");
    write(directory.path(), "README.png", b"");
    symlink(outside.path().join("out.png"), directory.path().join("cat/link.png")).unwrap();
    symlink(outside.path(), directory.path().join("bird")).unwrap();
    symlink("../cat/1.png", directory.path().join("dog/inside.png")).unwrap();
    let name = OsStr::from_bytes(b"dog/z\xff.png");
    fs::write(directory.path().join(name), png(2, 3, 50)).unwrap();
    let images = open(directory.path(), &HOW, None).unwrap().train;
    assert_eq!(values(&images), [10, 20, 30, 40, 10, 50]);
    assert_eq!(
        images.remarks(),
        [
            "not read from the folder of images: 2 hidden files, 2 files that are not .png, .jpg or .jpeg in a class, \
          2 symbolic links to directories or out of the folder"
        ]
    );
}

#[test]
fn classes_that_cannot_be_told_apart_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    assert!(refusal(directory.path(), &HOW).contains("holds 0 sub-folders, but at least 2"));
    write(directory.path(), "a/1.png", &png(1, 1, 1));
    write(directory.path(), "2.png", &png(1, 1, 1));
    let message = refusal(directory.path(), &HOW);
    assert!(
        message.contains("holds 1 sub-folder, but at least 2 are needed") && message.contains("1 file that"),
        "{message}"
    );
    fs::create_dir(directory.path().join("b")).unwrap();
    assert!(refusal(directory.path(), &HOW).contains("/b: holds no image"));
    let file = directory.path().join("2.png");
    assert!(refusal(&file, &HOW).contains("is not a directory"));
    assert!(refusal(&directory.path().join("none"), &HOW).contains("cannot be read: No such file"));
    fs::create_dir(directory.path().join(OsStr::from_bytes(b"b\xff"))).unwrap();
    assert!(refusal(directory.path(), &HOW).contains("the name of a class must be UTF-8"));
}

#[test]
fn images_of_other_sizes_are_named_or_resized() {
    let directory = folder();
    write(directory.path(), "dog/z.png", &png(4, 4, 50));
    let message = refusal(directory.path(), &HOW);
    for part in ["dog/z.png: has 4x4 pixels, but ", "cat/1.png has 2x3: set data.size = [2, 3]"] {
        assert!(message.contains(part), "{message}");
    }
    for resize in [Resize::Crop, Resize::Stretch] {
        let how = Folder { size: Some([3, 5]), resize, colour: Colour::Grey, ..HOW };
        let images = open(directory.path(), &how, None).unwrap().train;
        assert_eq!(images.input(), Shape::Image { channels: 1, height: 3, width: 5 });
        assert_eq!(images.image(4).unwrap().as_ref(), [50; 15]);
    }
    let how = Folder { size: Some([4, 4]), ..HOW };
    assert!(refusal(directory.path(), &how).contains("1.png: has 2x3 pixels, but data.size has 4x4"));
}

/// Images that no decoder accepts, with a part of the reason.
fn damaged() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = png(2, 3, 7);
    let mut flipped = good.clone();
    let at = flipped.len() - 18;
    flipped[at] ^= 0x55;
    let mut bomb = good.clone();
    bomb[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    vec![
        ("empty.png", Vec::new(), "is empty"),
        ("text.jpg", b"no image".to_vec(), "is neither a PNG nor a JPEG image"),
        ("cut.png", good[..good.len() - 20].to_vec(), ""),
        ("flipped.png", flipped, ""),
        ("bomb.png", bomb, ""),
        ("start.jpg", b"\xff\xd8\xff\xe0".to_vec(), ""),
    ]
}

#[test]
fn damaged_images_are_refused_with_their_names() {
    for (name, content, reason) in damaged() {
        let directory = folder();
        write(directory.path(), &format!("dog/{name}"), &content);
        let read = |sets: FolderSets| sets.train.fill(&[4, 3], &mut [0u8; 36], |byte| byte);
        let message = open(directory.path(), &HOW, None).and_then(read).unwrap_err().to_string();
        let expected = format!("dog/{name}: cannot be decoded: {reason}");
        assert!(message.contains(&expected) && message.contains("data.on_error = \"skip\""), "{message}");
    }
}

#[test]
fn damaged_images_are_left_out_and_counted() {
    let directory = folder();
    for (name, content, _) in damaged() {
        write(directory.path(), &format!("cat/{name}"), &content);
    }
    let how = Folder { on_error: OnError::Skip, ..HOW };
    let images = open(directory.path(), &how, None).unwrap().train;
    assert_eq!((values(&images), images.labels().unwrap()), (vec![10, 20, 30, 40], vec![0, 0, 1, 1]));
    let remarks = images.remarks();
    assert!(remarks[0].starts_with("6 images that cannot be decoded left out: "), "{remarks:?}");
    assert!(remarks[0].ends_with(", ..."), "{remarks:?}");
}

#[test]
fn a_bomb_is_refused_by_its_header() {
    let mut header = png(2, 3, 7);
    // The width and the height of the header, and its check sum.
    header[16..24].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x40, 0]);
    let sum = flate2_crc(&header[12..29]);
    header[29..33].copy_from_slice(&sum.to_be_bytes());
    for reason in
        [decode::dimensions(std::io::Cursor::new(&header)).unwrap_err(), decode::decode(&header).unwrap_err()]
    {
        assert!(reason.starts_with("has 16384x16384 pixels; at most 100000000 are decoded"), "{reason}");
    }
}

fn flate2_crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[test]
fn parts_of_a_split_are_sets() {
    let directory = tempfile::tempdir().unwrap();
    for (number, name) in ["train/a/1.png", "train/b/1.png", "val/b/1.png", "test/a/1.png"].iter().enumerate()
    {
        write(directory.path(), name, &png(2, 2, number as u8));
    }
    let sets = open(directory.path(), &HOW, None).unwrap();
    let (validation, test) = (sets.validation.unwrap(), sets.test.unwrap());
    assert_eq!([values(&sets.train), values(&validation), values(&test)], [vec![0, 1], vec![2], vec![3]]);
    assert_eq!((validation.labels().unwrap(), test.labels().unwrap()), (vec![1], vec![0]));
    assert_eq!(validation.target(), TargetKind::Class(2));
    // Classes that training does not know.
    write(directory.path(), "test/bb/1.png", &png(2, 2, 5));
    let message = refusal(directory.path(), &HOW);
    assert!(message.contains("test/bb: is a class without training images"), "{message}");
    fs::remove_dir_all(directory.path().join("test/bb")).unwrap();
    // Sizes are compared over all sets.
    write(directory.path(), "val/a/big.png", &png(3, 3, 5));
    let message = refusal(directory.path(), &HOW);
    assert!(
        message.contains("val/a/big.png: has 3x3") && message.contains("train/a/1.png has 2x2"),
        "{message}"
    );
    fs::create_dir(directory.path().join("valid")).unwrap();
    assert!(refusal(directory.path(), &HOW).contains("holds a validation set, and so does"));
    // With another sub-folder, they are classes.
    fs::create_dir(directory.path().join("bus")).unwrap();
    assert!(refusal(directory.path(), &HOW).contains("bus: holds no image"));
}

#[test]
fn the_classes_of_a_checkpoint_are_kept() {
    let directory = folder();
    let names = ["bird", "cat", "dog"].map(String::from);
    let images = open(directory.path(), &HOW, Some(&names)).unwrap().train;
    assert_eq!((images.labels().unwrap(), images.target()), (vec![1, 1, 2, 2], TargetKind::Class(3)));
    let message = open(directory.path(), &HOW, Some(&names[..2])).err().unwrap().to_string();
    assert!(message.contains("/dog: is a class without training images"), "{message}");
}

#[test]
fn more_classes_than_a_byte_can_count() {
    let directory = tempfile::tempdir().unwrap();
    for class in 0..300 {
        write(directory.path(), &format!("{class:03}/1.png"), &png(1, 1, (class % 256) as u8));
    }
    let images = open(directory.path(), &HOW, None).unwrap().train;
    assert_eq!(images.target(), TargetKind::Class(300));
    assert_eq!((images.labels().unwrap()[299], values(&images)[299]), (299, 43));
}

#[test]
fn other_files_have_another_hash() {
    let directory = folder();
    let hash = || open(directory.path(), &HOW, None).unwrap().train.hash();
    let before = hash();
    assert_eq!(before, hash());
    fs::rename(directory.path().join("cat/1.png"), directory.path().join("dog/1.png")).unwrap();
    assert_ne!(before, hash());
}

#[test]
fn a_packed_folder_holds_the_same_images() {
    let directory = folder();
    let to = directory.path().join("packed, with a comma.h5");
    let sets = open(directory.path(), &HOW, None).unwrap();
    let mut progress = Vec::new();
    let packed = pack(&sets, &to, &mut |done, all| progress.push((done, all))).unwrap();
    let expected = Packed { set: "train", images: "/images".into(), labels: "/labels".into(), samples: 4 };
    assert_eq!((&packed[..], &progress[..]), (&[expected][..], &[(4, 4)][..]));
    let file = hdf5::File::open(&to).unwrap();
    let images = file.dataset("images").unwrap();
    assert_eq!(images.shape(), [4, 3, 2, 3]);
    let pixels: Vec<u8> = [10, 20, 30, 40].into_iter().flat_map(|value| [value; 18]).collect();
    assert_eq!(images.read_raw::<u8>().unwrap(), pixels);
    assert_eq!(file.dataset("labels").unwrap().read_raw::<i32>().unwrap(), [0, 0, 1, 1]);
    let names = file.dataset("class_names").unwrap().read_raw::<hdf5::types::VarLenUnicode>().unwrap();
    assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["cat", "dog"]);
    drop(file);
    let job = "[data]\ndataset = 'hdf5'\ninputs = 'packed, with a comma.h5:/images'\n\
               targets = 'packed, with a comma.h5:/labels'\n[model]\npreset = 'lenet'\n[train]\nepochs = 1\n\
               global_batch = 1\n[optimizer]\nlearning_rate = 0.1\n";
    let data = ternflock_job::parse("job.toml".into(), job, &[], Some("job")).unwrap().job.data;
    let opened = crate::open_samples(&data, None, Some(directory.path()), None).unwrap().unwrap();
    assert_eq!(opened.preparation.class_names, ["cat", "dog"]);
}

#[test]
fn packed_parts_are_apart_and_a_failure_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    for (number, name) in ["train/a/1.png", "train/b/1.png", "val/b/1.png", "test/a/1.png"].iter().enumerate()
    {
        write(&directory.path().join("in"), name, &png(40, 50, number as u8));
    }
    let to = directory.path().join("out.h5");
    let sets = open(&directory.path().join("in"), &HOW, None).unwrap();
    let packed = pack(&sets, &to, &mut |_, _| ()).unwrap();
    assert_eq!(packed.iter().map(|set| set.set).collect::<Vec<_>>(), ["train", "validation", "test"]);
    let file = hdf5::File::open(&to).unwrap();
    for (set, value) in packed.iter().zip([0u8, 2, 3]) {
        let images = file.dataset(&set.images).unwrap().read_raw::<u8>().unwrap();
        assert_eq!((images.len(), images[0]), (set.samples * 3 * 40 * 50, value));
        assert_eq!(file.dataset(&set.labels).unwrap().size(), set.samples);
    }
    drop(file);
    fs::remove_file(&to).unwrap();
    // An image whose file has become something else since the folder was opened.
    let how = Folder { cache_megabytes: 0, ..HOW };
    let sets = open(&directory.path().join("in"), &how, None).unwrap();
    write(&directory.path().join("in"), "val/b/1.png", b"damaged");
    let message = pack(&sets, &to, &mut |_, _| ()).unwrap_err().to_string();
    assert!(message.contains("val/b/1.png: cannot be decoded: is neither"), "{message}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "only the folder is left");
}
