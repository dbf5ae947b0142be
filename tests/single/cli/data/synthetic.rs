//! Synthetic data sets, which need no files.

use support::program::Place;

use crate::PROGRAM;

/// A network can be trained on generated images, and they are the same when a checkpoint is measured; a crop
/// is no larger than its image.
#[test]
fn made_up_pictures_need_no_files() {
    let place = Place::new(PROGRAM);
    let train = "train tiny.toml --set data.dataset=synthetic --set data.shape=[1,10,9] --set data.samples=200 \
                 --set data.crop=8 --set data.padding=1 --set data.mirror=true --run-dir run";
    let out = place.run(&format!("{train} --set train.steps=60")).ended(0).out;
    assert!(out.contains("test accuracy"), "{out}");
    let measured = place.run("eval run/checkpoints/step-0000000060.h5 --json").json();
    assert_eq!((measured["dataset"].as_str(), measured["samples"].as_u64()), (Some("synthetic"), Some(20)));
    let beyond = "--set data.crop=13: 13x13 pixels cannot be cropped from 10x9 with 1 pixels of padding";
    place.run(&train.replace("--set data.crop=8", "--set data.crop=13")).refused(2, &[beyond]);
}

/// Classes are counted in tables, so their number is limited where the job is read.
#[test]
fn absurd_sizes_of_made_up_pictures_are_refused() {
    let place = Place::new(PROGRAM);
    let train = "train tiny.toml --set data.dataset=synthetic";
    for classes in ["65537", "1000000000000", "9223372036854775807"] {
        place
            .run(&format!("{train} --set data.classes={classes}"))
            .refused(2, &["data.classes", "at most 65536", classes]);
    }
    place
        .run(&format!("{train} --set data.shape=[3,1000000000000,8]"))
        .refused(2, &["data.samples, data.shape: ", "use fewer or smaller images"]);
}

/// A preset for language, without any file; a value that does not fit is refused with its line.
#[test]
fn a_made_up_text_needs_no_files() {
    let place = Place::new(PROGRAM);
    let job = "[data]\ndataset = \"synthetic-text\"\ntokens = 2000\nvocabulary = 40\nsequence_length = 9\n[model]\n\
               preset = \"lstm-small\"\n[train]\nsteps = 3\nglobal_batch = 5\n[optimizer]\nlearning_rate = 1\n";
    place.write("text.toml", job);
    let train = "train text.toml --run-dir run";
    let ended = place.run(train).ended(0);
    assert!(ended.err.contains("1,980 tokens, vocabulary 40") && ended.out.contains("validation perplexity"));
    let checkpoint = "run/checkpoints/step-0000000003.h5";
    let measured = place.run(&format!("eval {checkpoint} --json")).json();
    assert_eq!(
        (measured["dataset"].as_str(), measured["tokens"].as_u64()),
        (Some("synthetic-text"), Some(199))
    );
    for (set, part) in [
        ("data.vocabulary=0", "data.vocabulary must be at least 2 and at most 16777216, found the integer 0"),
        ("data.vocabulary=16777217", "data.vocabulary must be at least 2 and at most 16777216"),
        ("data.tokens=49", "has 49 tokens, but a batch of 5 sequences of 9 needs 50"),
        ("data.tokens=9000000000000000", "takes 36000000000000000 bytes, and"),
    ] {
        place.run(&format!("{train} --set {set}")).refused(2, &[&format!("--set {set}: "), part]);
    }
    let large =
        "text.toml:6: layer `network` (graph): for 5 samples at a time a rank needs 86.8 GB of memory";
    place.run(&format!("{train} --set data.vocabulary=16777216")).refused(2, &[large, " are free"]);
}
