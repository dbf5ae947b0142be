//! `ternflock data`, and training on files that are missing, damaged, or right: exit code 3 for what is not.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use crate::program::Place;

pub const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// The job `tiny.toml` on the files in `pictures/`.
const TRAIN: &str =
    "train tiny.toml --set data.dataset=idx --set data.dir=pictures --set train.steps=5 --run-dir run";

/// An IDX file: bytes in as many dimensions as are given.
pub fn idx(dimensions: &[u32], data: &[u8]) -> Vec<u8> {
    let magic = 0x0800 + dimensions.len() as u32;
    let header = std::iter::once(&magic).chain(dimensions).flat_map(|word| word.to_be_bytes());
    header.chain(data.iter().copied()).collect()
}

/// `count` pictures of 8x8 and their labels: class k is a bright column k, or row k - 8.
fn pictures(count: u32) -> [Vec<u8>; 2] {
    let labels: Vec<u8> = (0..count).map(|i| (i % 10) as u8).collect();
    let bright = |label: u8, at: u8| if label < 8 { at % 8 == label } else { at / 8 == label - 8 };
    let pixels =
        labels.iter().flat_map(|&label| (0..64).map(move |at| if bright(label, at) { 255 } else { 0 }));
    [idx(&[count, 8, 8], &pixels.collect::<Vec<u8>>()), idx(&[count], &labels)]
}

/// Forty pictures to train on, twenty to test.
fn sound() -> [Vec<u8>; 4] {
    let [[images, labels], [test_images, test_labels]] = [pictures(40), pictures(20)];
    [images, labels, test_images, test_labels]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn place(files: &[Vec<u8>; 4], ending: &str) -> Place {
    let place = Place::new();
    FILES.iter().zip(files).for_each(|(name, bytes)| place.write(&format!("pictures/{name}{ending}"), bytes));
    place
}

/// What a run on sound files, but for file `which`, must say; it must name the file and leave no run directory.
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
            resumed.refused(3, &[&parts[..], &[&format!("{said}; put them back")]].concat());
        }
        assert_eq!(place.read("run/metrics.jsonl"), before);
    }
    FILES.iter().zip(sound()).for_each(|(name, bytes)| place.write(&format!("pictures/{name}"), bytes));
    place.run(&format!("{TRAIN} --resume")).ended(0);
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

#[test]
fn missing_data_are_refused_with_where_they_were_looked_for_and_how_to_get_them() {
    let place = Place::new();
    let cache = format!("\n  {}\n", place.path("cache/ternflock/mnist").display());
    let looked = ["mnist: not found. Looked in\n", "\n  data/mnist\n", &cache, "TERNFLOCK_DATA is not set\n"];
    let advice = ["\n  ternflock data fetch mnist\n", "jobs/lenet-digits.toml needs no data"];
    place.run("train tiny.toml --set data.dataset=mnist").refused(3, &[&looked[..], &advice].concat());
    // A directory that was asked for is the only one looked in.
    for name in ["mnist", "fashion-mnist"] {
        let line = format!("train tiny.toml --set data.dataset={name} --set data.dir=nowhere");
        place.run(&line).refused(3, &["nowhere: there is no file train-images-idx3-ubyte"]);
    }
    assert_eq!(place.names("."), ["tiny.toml"]);
}

/// Whoever names a directory expects what is in it.
#[test]
fn data_that_are_read_from_no_directory_refuse_one() {
    let place = Place::new();
    let part = "is part of the program, so no directory is read: remove this key";
    let made_up = "is generated, so no directory is read: remove this key";
    let sets = [("digits", part), ("genesis", part), ("synthetic", made_up), ("synthetic-text", made_up)];
    for (name, reason) in sets {
        let line = format!("train tiny.toml --set data.dataset={name} --set data.dir=elsewhere");
        place.run(&line).refused(2, &[&format!("--set data.dir=elsewhere: data.dir: `{name}` {reason}")]);
        // It is reported together with the other errors, and before any file is opened.
        place.run(&format!("{line} --set train.steps=0")).refused(2, &["data.dir: ", reason, "train.steps"]);
    }
    place.run("train tiny.toml --set train.steps=1 --run-dir run").ended(0);
    place
        .run("eval run/checkpoints/best.h5 --data-dir elsewhere")
        .refused(2, &["elsewhere: `digits` is part of the program"]);
}

#[test]
fn colour_pictures_that_are_not_whole_are_refused() {
    let place = Place::new();
    let train = "train tiny.toml --set data.dataset=cifar-10 --set data.dir=colour";
    place.run(train).refused(3, &["colour: there is no file data_batch_1.bin or data_batch_1.bin.gz"]);
    place.write("colour/data_batch_1.bin", vec![0; 3073 * 3 + 5]);
    let cut = "data_batch_1.bin: truncated in record 3: 10000 records of 3073 bytes are 30730000 bytes, but the file has 9224";
    place.run(train).refused(3, &[cut]);
    let mut bytes = vec![0; 30_730_000];
    bytes[3073 * 9_999] = 11;
    place.write("colour/data_batch_1.bin", bytes);
    let next = "colour: there is no file data_batch_2.bin or data_batch_2.bin.gz";
    place.run(train).refused(3, &[next]);
    for name in ["data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
        std::os::unix::fs::symlink("data_batch_1.bin", place.path(&format!("colour/{name}.bin"))).unwrap();
    }
    place.run(train).refused(3, &["data_batch_1.bin: record 9999 has the label 11, but the classes are"]);
    assert_eq!(place.names("."), ["colour", "tiny.toml"]);
}

/// Made-up pictures train, and are there again when a checkpoint is measured; a crop is no larger than its image.
#[test]
fn made_up_pictures_need_no_files() {
    let place = Place::new();
    let train = "train tiny.toml --set data.dataset=synthetic --set data.shape=[1,10,9] --set data.samples=200 \
                 --set data.crop=8 --set data.padding=1 --set data.mirror=true --run-dir run";
    let out = place.run(&format!("{train} --set train.steps=60")).ended(0).out;
    assert!(out.contains("test accuracy"), "{out}");
    let measured = place.run("eval run/checkpoints/step-0000000060.h5 --json").json();
    assert_eq!((measured["dataset"].as_str(), measured["samples"].as_u64()), (Some("synthetic"), Some(20)));
    let beyond = "--set data.crop=13: 13x13 pixels cannot be cropped from 10x9 with 1 pixels of padding";
    place.run(&train.replace("--set data.crop=8", "--set data.crop=13")).refused(2, &[beyond]);
}

/// A small language model on `a.txt`, which the vocabulary of 3 kinds leaves little of.
const LANGUAGE: &str = "[data]\ndataset = \"text\"\ntrain = \"a.txt\"\nsequence_length = 5\nvocabulary = 3\n\
    [train]\nsteps = 2\nglobal_batch = 4\n[optimizer]\nlearning_rate = 0.1\n\
    [[model.layers]]\nname = \"embedding\"\ntype = \"embedding\"\nfeatures = 4\n\
    [[model.layers]]\nname = \"lstm\"\ntype = \"lstm\"\nhidden = 4\n\
    [[model.layers]]\nname = \"logits\"\ntype = \"linear\"\nunits = 3\n";

#[test]
fn texts_that_are_none_are_refused() {
    let place = Place::new();
    place.write("text.toml", LANGUAGE);
    std::fs::create_dir(place.path("directory")).unwrap();
    let lines = "one of these\n".repeat(100);
    for (bytes, parts) in [
        (b"".to_vec(), &["is empty"][..]),
        (b" \n\t\r\n".to_vec(), &["is empty"]),
        ([lines.as_bytes(), b"caf\xe9\n"].concat(), &["not UTF-8: byte 1303 (on line 101) is 0xe9", "iconv"]),
        ([lines.as_bytes(), b"a\0b\n"].concat(), &["byte 1301 is NUL"]),
        (b"a b\nc\nd\ne\n".to_vec(), &["has 5 tokens, and a batch of 4 sequences of 5 needs 24"]),
        (b"a ".repeat(500), &["has 1 lines, too few to hold out", "data.valid and data.test"]),
    ] {
        place.write("a.txt", bytes);
        place.run("train text.toml --run-dir run").refused(3, &[&["a.txt: "], parts].concat());
    }
    place
        .run("train text.toml --run-dir run --set data.train=directory")
        .refused(3, &["directory: cannot be read"]);
    for (set, parts) in [
        ("data.sequence_length=0", &["data.sequence_length must be at least 1"][..]),
        ("data.vocabulary=2", &["text.toml:19: ", "5x3", "2 words", "5x2"]),
    ] {
        place.write("a.txt", &lines);
        place.run(&format!("train text.toml --run-dir run --set {set}")).refused(2, parts);
    }
    let long = "train text.toml --run-dir run --set data.sequence_length=1000000000";
    place.run(long).refused(3, &["4 sequences of 1000000000 needs 4000000004"]);
    assert_eq!(place.names("."), ["a.txt", "directory", "text.toml", "tiny.toml"]);
}

/// Neither how lines end nor the mark that some editors put first makes a text another one; a single kind of word is enough.
#[test]
fn texts_of_other_systems_are_the_same_texts() {
    let lines = "word word\n".repeat(100);
    let forms = [
        lines.clone(),
        lines.replace('\n', "\r\n"),
        lines.replace('\n', "\r"),
        format!("\u{feff}{lines}"),
        lines.replace("word\n", "\u{feff}wo\u{ad}rd\n"),
    ];
    let hashes = forms.map(|text| {
        let place = Place::new();
        place.write("text.toml", LANGUAGE);
        place.write("a.txt", text);
        place.run("train text.toml --run-dir run").ended(0);
        place.inspect("run/checkpoints/step-0000000002.h5")["hash"].clone()
    });
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
}

/// With a vocabulary of three words, half of this text's tokens are `<unk>`. The run, its record and an evaluation
/// report that.
#[test]
fn unknown_tokens_are_reported() {
    let place = Place::new();
    place.write("text.toml", LANGUAGE);
    place.write("a.txt", "one of these\n".repeat(100));
    let err = place.run("train text.toml --run-dir run").ended(0).err;
    for part in [
        "(unknown tokens: training 50.0 %, evaluation 50.0 %)",
        "warning: 50.0 % of the training text's tokens are `<unk>`, because the vocabulary has 3 words",
        "warning: 50.0 % of the validation text's tokens",
        "raise data.vocabulary",
    ] {
        assert!(err.contains(part), "no `{part}` in\n{err}");
    }
    let start: serde_json::Value =
        serde_json::from_str(place.read("run/metrics.jsonl").lines().next().unwrap()).unwrap();
    assert_eq!((&start["unknown"], &start["evaluation_unknown"]), (&0.5.into(), &0.5.into()));
    let evaluated = place.run("eval run/checkpoints/best.h5").ended(0);
    assert!(evaluated.out.contains("unknown tokens  50.0 % of them are `<unk>`"), "{}", evaluated.out);
    assert!(evaluated.err.contains("warning: 50.0 % of the test text's tokens"), "{}", evaluated.err);
    assert_eq!(place.run("eval run/checkpoints/best.h5 --json").json()["unknown"], 0.5);
    // A vocabulary with all words.
    let all = "--set data.vocabulary=5 --set model.layers=[{name='a',type='embedding',features=4},{name='b',type='linear',units=5}]";
    let err = place.run(&format!("train text.toml --run-dir all {all}")).ended(0).err;
    let warns = |line: &str| line.starts_with("warning: ") && !line.contains("kernels of BLAS");
    assert!(!err.contains("unknown") && !err.lines().any(warns), "{err}");
}

/// The last layer takes its size from the data, and the checkpoint holds the number.
#[test]
fn the_data_size_the_last_layer() {
    let place = self::place(&sound(), "");
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
    let images = crate::program::TINY.replace("units = 10", "units = \"classes\"");
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

/// As torchvision stores EMNIST's letters: three classes from label 1 on, the second without a training sample.
#[test]
fn pictures_by_the_names_and_labels_that_archives_give_them() {
    let place = Place::new();
    let [images, _] = pictures(40);
    let labels = |labels: [u8; 2]| idx(&[40], &labels.repeat(20));
    for (part, given) in [("train", [1, 3]), ("test", [1, 2])] {
        let start = format!("pictures/EMNIST/raw/emnist-letters-{part}");
        place.write(&format!("{start}-images-idx3-ubyte.gz"), gzip(&images));
        place.write(&format!("{start}-labels-idx1-ubyte.gz"), gzip(&labels(given)));
    }
    place.write("tiny.toml", crate::program::TINY.replace("units = 10", "units = \"classes\""));
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

/// A preset for language, without any file; what does not fit is refused at its line.
#[test]
fn a_made_up_text_needs_no_files() {
    let place = Place::new();
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

#[test]
fn the_list_says_what_there_is_and_where() {
    let place = Place::new();
    let text = place.run("data list").ended(0).out;
    for name in ["digits", "fashion-mnist", "mnist", "cifar-10", "synthetic", "idx", "synthetic-text"] {
        assert!(
            text.lines().any(|line| line.trim_start().starts_with(&format!("{name} "))),
            "{name}:\n{text}"
        );
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100 || line.contains('/')), "{text}");
    place.write("data/mnist/t10k-labels-idx1-ubyte", "");
    place.write("cache/ternflock/kjv/kjv.txt", "");
    let list = place.run("data list --json").json();
    let entry = |name: &str| {
        let entries = list["datasets"].as_array().unwrap();
        entries.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("no {name} in {list}"))
    };
    assert_eq!(entry("digits")["here"], "built in");
    assert_eq!(entry("mnist")["here"], "data/mnist");
    assert_eq!(entry("kjv")["here"], place.path("cache/ternflock/kjv").display().to_string());
    for key in ["about", "size", "licence"] {
        assert!(entry("fashion-mnist")[key].as_str().is_some_and(|text| !text.is_empty()), "{list}");
    }
}

#[test]
fn only_data_sets_that_are_known_and_published_are_fetched() {
    let place = Place::new();
    let names = "no data set is called `nosuch`; there are `digits`, `fashion-mnist`, `mnist`, `cifar-10`, `synthetic`, `idx`";
    place.run("data fetch nosuch").refused(2, &[names]);
    place.run("data fetch minst").refused(2, &["no data set is called `minst`; did you mean `mnist`?"]);
    place.run("data fetch digits").refused(2, &["nothing to fetch for `digits`"]);
    // A damaged file that jobs would read is an error, even if a fetch would put an intact one elsewhere.
    place.write("data/kjv/kjv.txt", "mine");
    place.run("data fetch kjv").refused(3, &["data/kjv/kjv.txt: the sha256", "move it away"]);
    std::fs::remove_dir_all(place.path("data")).unwrap();
    // What the user put there is not replaced, and no origin is asked.
    place.write("mine/train-images-idx3-ubyte", "mine");
    place
        .run("data fetch mnist --into mine")
        .refused(3, &["mine/train-images-idx3-ubyte: the sha256", "move it away"]);
    assert_eq!(
        (place.names("."), place.read("mine/train-images-idx3-ubyte")),
        (vec!["mine".into(), "tiny.toml".into()], "mine".into())
    );
}

/// A checkpoint is only measured on data of its own shape and classes.
#[test]
fn other_data_than_the_network_was_made_for_are_refused() {
    let place = place(&sound(), "");
    place.run(TRAIN).ended(0);
    let eval = |dir: &str| place.run(&format!("eval run/checkpoints/best.h5 --data-dir {dir}"));
    eval("pictures").ended(0);
    let made_for = "its network computes 10 logits for samples of 1x8x8, but `idx` has ";
    for (dir, shape, labels, found) in [
        ("wide", [4, 4, 16], [0, 1, 2, 9], "10 classes of 1x4x16"),
        ("few", [4, 8, 8], [0, 1, 2, 2], "3 classes of 1x8x8"),
    ] {
        for (pictures, names) in [(FILES[0], FILES[1]), (FILES[2], FILES[3])] {
            place.write(&format!("{dir}/{pictures}"), idx(&shape, &[7; 256]));
            place.write(&format!("{dir}/{names}"), idx(&[4], &labels));
        }
        eval(dir).refused(4, &["run/checkpoints/best.h5: ", made_for, found]);
    }
}
