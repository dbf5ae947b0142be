//! Data that fit the network or the run, and other data.

use support::program::TINY;

use super::{FILES, LANGUAGE, TRAIN, idx, pictures, place, sound};

/// Steps, epochs and the best score of a run refer to its data, so other data are refused with the differences,
/// whatever the flags.
#[test]
fn a_run_is_not_resumed_on_other_data() {
    let place = place(&sound(), "");
    let facts = |run: &str| {
        ternflock::checkpoint::load(place.path(&format!("{run}/checkpoints/best.h5"))).unwrap().data
    };
    place.run(&TRAIN.replace("--run-dir run", "--run-dir split")).ended(0);
    assert_eq!(facts("split").keys().collect::<Vec<_>>(), ["test", "training", "validation"]);
    // Without a split, so that each byte of the files belongs to a known set.
    place.run(&format!("{TRAIN} --set data.validation=0")).ended(0);
    let facts = facts("run");
    assert_eq!(facts.keys().collect::<Vec<_>>(), ["test", "training"]);
    let said = ["samples", "shape", "classes"].map(|fact| facts["training"][fact].clone());
    assert_eq!(said, ["40", "1x8x8", "10"]);
    let [fewer, fewer_labels] = pictures(30);
    let pixel = |mut bytes: Vec<u8>| {
        bytes[100] ^= 1;
        bytes
    };
    let [images, labels, test_images, _] = sound();
    let swapped = {
        let mut bytes = labels.clone();
        bytes.swap(9, 12);
        bytes
    };
    for (changes, said) in [
        (
            &[(0, fewer), (1, fewer_labels)][..],
            "the training set has other contents, other labels, samples 40 -> 30",
        ),
        (&[(0, pixel(images))], "the training set has other contents"),
        (&[(1, swapped)], "the training set has other labels"),
        (&[(2, pixel(test_images))], "the test set has other contents"),
    ] {
        let files = sound();
        FILES.iter().zip(&files).for_each(|(name, bytes)| place.write(&format!("pictures/{name}"), bytes));
        changes.iter().for_each(|(which, bytes)| place.write(&format!("pictures/{}", FILES[*which]), bytes));
        let before = place.read("run/metrics.jsonl");
        for more in ["", " --allow-changes --set train.steps=7"] {
            let resumed = place.run(&format!("{TRAIN} --resume{more}"));
            let parts =
                ["idx: the data are not those that run/checkpoints/step-0000000005.h5 was trained on: "];
            resumed.refused(3, &[&parts[..], &[&format!("{said}; restore them")]].concat());
        }
        assert_eq!(place.read("run/metrics.jsonl"), before);
    }
    FILES.iter().zip(sound()).for_each(|(name, bytes)| place.write(&format!("pictures/{name}"), bytes));
    place.run(&format!("{TRAIN} --resume")).ended(0);
}

/// The last layer takes its size from the data, and the checkpoint holds the number.
#[test]
fn the_data_size_the_last_layer() {
    let place = place(&sound(), "");
    place.write("text.toml", LANGUAGE.replace("units = 3", "units = \"vocabulary\""));
    place.write("a.txt", "one of these\n".repeat(100));
    place.run("train text.toml --run-dir run --set data.vocabulary=4").ended(0);
    let shape = |checkpoint: &str| {
        let shown = place.inspect(checkpoint);
        let layers = shown["layers"].as_array().unwrap();
        let logits = layers.iter().find(|layer| layer["name"] == "logits");
        logits.unwrap_or_else(|| panic!("no logits in {shown}"))["shapes"]["weight"].clone()
    };
    assert_eq!(shape("run/checkpoints/best.h5"), serde_json::json!([4, 4]));
    place.run("eval run/checkpoints/best.h5").ended(0);
    let images = TINY.replace("units = 10", "units = \"classes\"");
    place.write("images.toml", &images);
    let train = TRAIN.replace("tiny.toml", "images.toml").replace("--run-dir run", "--run-dir images");
    place.run(&train).ended(0);
    assert_eq!(shape("images/checkpoints/best.h5")[0], 10);
    place.write("images.toml", images.replace("classes", "vocabulary"));
    let layer =
        images.lines().collect::<Vec<_>>().iter().rposition(|line| *line == "[[model.layers]]").unwrap();
    let line = format!("images.toml:{}: ", layer + 1);
    place.run(&train).refused(2, &[&line, "`units = \"vocabulary\"`: the data are images"]);
}

/// A checkpoint is only measured on data of its own shape and classes.
#[test]
fn other_data_than_the_network_was_made_for_are_refused() {
    let place = place(&sound(), "");
    place.run(TRAIN).ended(0);
    let eval = |dir: &str| place.run(&format!("eval run/checkpoints/best.h5 --data-dir {dir}"));
    eval("pictures").ended(0);
    let made_for = "its network computes 10 outputs for samples of 1x8x8, but `idx` has ";
    for (dir, shape, labels, found) in [
        ("wide", [4, 4, 16], [0, 1, 2, 9], "10 classes for 1x4x16"),
        ("few", [4, 8, 8], [0, 1, 2, 2], "3 classes for 1x8x8"),
    ] {
        for (pictures, names) in [(FILES[0], FILES[1]), (FILES[2], FILES[3])] {
            place.write(&format!("{dir}/{pictures}"), idx(&shape, &[7; 256]));
            place.write(&format!("{dir}/{names}"), idx(&[4], &labels));
        }
        eval(dir).refused(4, &["run/checkpoints/best.h5: ", made_for, found]);
    }
}
