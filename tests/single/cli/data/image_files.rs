//! Images in IDX files: raw, compressed, damaged, or of different data sets.

use support::program::{Place, TINY};

use super::{FILES, TRAIN, gzip, idx, pictures, place, sound};
use crate::PROGRAM;

/// The required message of a run whose files are correct except for file `which`. It must name the file and
/// leave no run directory.
#[track_caller]
fn refused(which: usize, bytes: &[u8], parts: &[&str]) {
    for (ending, bytes) in [("", bytes.to_vec()), (".gz", gzip(bytes))] {
        let mut files = sound();
        files[which] = bytes;
        let place = place(&files, "");
        if ending == ".gz" {
            let path = |ending| place.path(&format!("pictures/{}{ending}", FILES[which]));
            std::fs::rename(path(""), path(".gz")).unwrap();
        }
        place.run(TRAIN).refused(3, &[&[FILES[which]], parts].concat());
        assert_eq!(place.names("."), ["pictures", "tiny.toml"]);
    }
}

#[test]
fn pictures_of_ones_own_train_raw_and_compressed() {
    let compressed = sound().map(|bytes| gzip(&bytes));
    let hashes = [place(&sound(), ""), place(&compressed, ".gz"), place(&compressed, "")].map(|place| {
        let out = place.run(TRAIN).ended(0).out;
        assert!(out.contains("test accuracy"), "{out}");
        let checkpoint = "run/checkpoints/step-0000000005.h5";
        let measured = place.run(&format!("eval {checkpoint} --json")).json();
        assert_eq!((measured["dataset"].as_str(), measured["samples"].as_u64()), (Some("idx"), Some(20)));
        place.inspect(checkpoint)["hash"].clone()
    });
    assert!(hashes[0] == hashes[1] && hashes[0] == hashes[2], "{hashes:?}");
}

#[test]
fn truncated_files_are_refused() {
    let [images, labels, ..] = sound();
    let cut = "truncated: its header states 40x8x8 = 2560 bytes, but only 2559 follow";
    refused(0, &images[..images.len() - 1], &[cut]);
    refused(0, &images[..9], &["truncated: it ends inside its header"]);
    refused(1, &[], &["truncated: it ends inside its header"]);
    refused(1, &[&labels[..], &[0]].concat(), &["more bytes follow than the 40 = 40 that its header states"]);

    let mut files = sound();
    let whole = gzip(&files[0]);
    files[0] = whole[..whole.len() - 12].to_vec();
    place(&files, "").run(TRAIN).refused(3, &[FILES[0], "the compressed data are truncated: copy or fetch"]);
}

#[test]
fn files_of_another_kind_are_refused() {
    let [images, labels, ..] = sound();
    refused(0, b"<!DOCTYPE html><html></html>", &["not an IDX file"]);
    refused(0, &labels, &["mislabelled: it holds labels (magic 0x00000801) where images"]);
    refused(3, &images, &["mislabelled: it holds images (magic 0x00000803) where labels"]);
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let [images, labels] = pictures(39);
    refused(0, &images, &["holds 39 images, but ", "train-labels-idx1-ubyte", "holds 40 labels"]);
    refused(1, &labels, &["holds 40 images, but ", "train-labels-idx1-ubyte", "holds 39 labels"]);
    refused(2, &idx(&[20, 4, 16], &[0; 1280]), &["images are 4x16, but those of", "are 8x8"]);
    let mut files = sound();
    files[3] = idx(&[20], &[10; 20]);
    let place = place(&files, "");
    let classes = format!("{TRAIN} --set data.classes=10");
    let outside = "t10k-labels-idx1-ubyte: label 0 is 10, but the classes are 0 to 9; raise data.classes";
    place.run(&classes).refused(3, &[outside]);
    // Nothing rules out an eleventh class, but the network of the job has ten outputs.
    place.run(TRAIN).refused(2, &["tiny.toml:", "the data has 11 classes"]);
}

/// However large a header says the data are, the file's own size bounds the memory: it is refused at once.
#[test]
fn absurd_headers_are_refused() {
    refused(0, &idx(&[u32::MAX; 3], &[0; 100]), &["impossible array"]);
    refused(0, &idx(&[1 << 31, 1 << 13, 1 << 13], &[0; 100]), &["but only 100 follow"]);
}

/// As torchvision stores EMNIST's letters: three classes from label 1 on, the second without a training sample.
#[test]
fn pictures_by_the_names_and_labels_that_archives_give_them() {
    let place = Place::new(PROGRAM);
    let [images, _] = pictures(40);
    let labels = |labels: [u8; 2]| idx(&[40], &labels.repeat(20));
    for (part, given) in [("train", [1, 3]), ("test", [1, 2])] {
        let start = format!("pictures/EMNIST/raw/emnist-letters-{part}");
        place.write(&format!("{start}-images-idx3-ubyte.gz"), gzip(&images));
        place.write(&format!("{start}-labels-idx1-ubyte.gz"), gzip(&labels(given)));
    }
    place.write("tiny.toml", TINY.replace("units = 10", "units = \"classes\""));
    let run = |sets: &str, dir: &str| place.run(&format!("{TRAIN}-{dir} {sets}"));
    let err = run("", "a").ended(0).err;
    let remark = "2 of 4 classes have no training sample, so the network cannot learn them: 0, 2";
    assert!(err.contains(remark), "{err}");
    let err = run("--set data.first_label=1", "b").ended(0).err;
    assert!(err.contains("1 of 3 classes have no training sample") && err.contains(": 1\n"), "{err}");
    run("--set data.classes=3", "c")
        .refused(3, &["labels-idx1-ubyte.gz: label 1 is 3", "set data.first_label = 1"]);
    let by_start =
        "--set data.first_label=1 --set data.classes=3 --set data.dir=pictures/EMNIST/raw/emnist-letters";
    run(by_start, "d").ended(0);
    place.run("eval run-d/checkpoints/best.h5").ended(0);
}
