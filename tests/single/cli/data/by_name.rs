//! Data sets by name: where they are, those that are missing or damaged there, and `ternflock data`.

use support::program::Place;

use crate::PROGRAM;

#[test]
fn missing_data_are_refused_with_where_they_were_looked_for_and_how_to_get_them() {
    let place = Place::new(PROGRAM);
    let cache = format!("\n  {}\n", place.path("cache/ternflock/mnist").display());
    let looked = ["mnist: not found. Looked in\n", "\n  data/mnist\n", &cache, "TERNFLOCK_DATA is not set\n"];
    let advice = ["\n  ternflock data fetch mnist\n", "jobs/lenet-digits.toml needs no data"];
    place.run("train tiny.toml --set data.dataset=mnist").refused(3, &[&looked[..], &advice].concat());
    // If a directory is given, it is the only one searched.
    for name in ["mnist", "fashion-mnist"] {
        let line = format!("train tiny.toml --set data.dataset={name} --set data.dir=nowhere");
        place.run(&line).refused(3, &["nowhere: there is no file train-images-idx3-ubyte"]);
    }
    assert_eq!(place.names("."), ["tiny.toml"]);
}

/// Whoever names a directory expects what is in it.
#[test]
fn data_that_are_read_from_no_directory_refuse_one() {
    let place = Place::new(PROGRAM);
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
    let place = Place::new(PROGRAM);
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

#[test]
fn the_list_says_what_there_is_and_where() {
    let place = Place::new(PROGRAM);
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
    let place = Place::new(PROGRAM);
    let names = "no data set is called `nosuch`; there are `digits`, `fashion-mnist`, `mnist`, `cifar-10`, `synthetic`, `idx`";
    place.run("data fetch nosuch").refused(2, &[names]);
    place.run("data fetch minst").refused(2, &["no data set is called `minst`; did you mean `mnist`?"]);
    place.run("data fetch digits").refused(2, &["nothing to fetch for `digits`"]);
    // A damaged file that jobs would read is an error, even if a fetch would put an intact one elsewhere.
    place.write("data/kjv/kjv.txt", "mine");
    place.run("data fetch kjv").refused(3, &["data/kjv/kjv.txt: the sha256", "move it away"]);
    std::fs::remove_dir_all(place.path("data")).unwrap();
    // Files that the user put there are not replaced, and nothing is downloaded.
    place.write("mine/train-images-idx3-ubyte", "mine");
    place
        .run("data fetch mnist --into mine")
        .refused(3, &["mine/train-images-idx3-ubyte: the sha256", "move it away"]);
    assert_eq!(
        (place.names("."), place.read("mine/train-images-idx3-ubyte")),
        (vec!["mine".into(), "tiny.toml".into()], "mine".into())
    );
}
