//! `ternflock predict`: its output for images and texts, and refused requests.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde_json::{Value, json};
use support::program::{Place, finish};

use crate::PROGRAM;

const CHECKPOINT: &str = "run/checkpoints/step-0000000020.h5";

/// The bytes of an IDX file of images, `[N, H, W]`.
fn idx(sizes: [u32; 3], pixels: &[u8]) -> Vec<u8> {
    let header = std::iter::once(0x0803).chain(sizes).flat_map(u32::to_be_bytes);
    header.chain(pixels.iter().copied()).collect()
}

/// A place where `tiny.toml` has been trained; `digits.idx` holds the images of the digits' test set.
fn trained() -> Place {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run").ended(0);
    let test = ternflock::data::open("digits", None).unwrap().test;
    place.write("digits.idx", idx([test.len() as u32, 8, 8], &test.pixels));
    place
}

fn labels() -> Vec<u8> {
    ternflock::data::open("digits", None).unwrap().test.labels
}

/// External scripts rely on these keys. The classes are those with which `eval` computes the accuracy.
#[test]
fn predictions_are_those_that_eval_counts() {
    let place = trained();
    let read = place.run(&format!("predict {CHECKPOINT} digits.idx --top 3 --json")).json();
    assert_eq!((&read["checkpoint"], &read["step"]), (&CHECKPOINT.into(), &20.into()));
    assert_eq!((&read["samples"], &read["skipped"]), (&359.into(), &0.into()));
    assert!(read["seconds"].as_f64().unwrap() > 0.0 && read["samples_per_s"].as_f64().unwrap() > 0.0);
    let predictions = read["predictions"].as_array().unwrap();
    let mut correct = 0;
    for ((number, row), label) in predictions.iter().enumerate().zip(labels()) {
        assert_eq!((&row["input"], &row["sample"]), (&"digits.idx".into(), &number.into()));
        let classes = row["class"].as_array().unwrap();
        let probabilities: Vec<f64> =
            row["probability"].as_array().unwrap().iter().map(|share| share.as_f64().unwrap()).collect();
        assert_eq!((classes.len(), probabilities.len()), (3, 3));
        assert!(probabilities.is_sorted_by(|a, b| a >= b) && probabilities.iter().sum::<f64>() <= 1.0 + 1e-6);
        correct += u64::from(classes[0] == label);
    }
    assert_eq!(predictions.len(), 359);
    let measured = place.run(&format!("eval {CHECKPOINT} --json")).json();
    assert_eq!(measured["correct"], correct);

    // The same rows as a table, in batches of another size and on two threads.
    let table = place.run(&format!("predict {CHECKPOINT} digits.idx --batch 7 --threads 2")).ended(0);
    let lines: Vec<&str> = table.out.lines().collect();
    assert_eq!((lines.len(), lines[0], &table.err[..]), (360, "input,sample,class,probability", ""));
    for (number, (line, row)) in lines[1..].iter().zip(predictions).enumerate() {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells[..3], ["digits.idx", &number.to_string(), &row["class"][0].to_string()]);
        let difference = cells[3].parse::<f64>().unwrap() - row["probability"][0].as_f64().unwrap();
        assert!(difference.abs() < 1e-5, "{line} {row}");
    }
}

/// The outputs themselves: their softmax is the probability.
#[test]
fn raw_outputs_are_the_logits() {
    let place = trained();
    let raw = place.run(&format!("predict {CHECKPOINT} digits.idx --raw --json")).json();
    let all = place.run(&format!("predict {CHECKPOINT} digits.idx --top 99 --json")).json();
    for (raw, all) in
        raw["predictions"].as_array().unwrap().iter().zip(all["predictions"].as_array().unwrap())
    {
        let weights: Vec<f64> =
            raw["output"].as_array().unwrap().iter().map(|output| output.as_f64().unwrap().exp()).collect();
        assert_eq!((weights.len(), all["class"].as_array().unwrap().len()), (10, 10));
        for (class, share) in
            all["class"].as_array().unwrap().iter().zip(all["probability"].as_array().unwrap())
        {
            let expected = weights[class.as_u64().unwrap() as usize] / weights.iter().sum::<f64>();
            assert!((share.as_f64().unwrap() - expected).abs() < 1e-6);
        }
    }
    let header = place.run(&format!("predict {CHECKPOINT} digits.idx --raw")).ended(0).out;
    assert!(header.starts_with("input,sample,output_1,output_2,"), "{header}");
}

/// Paths with spaces, commas and bytes that are not UTF-8.
#[test]
fn files_are_written_whole_and_never_over_others() {
    let place = trained();
    let name = OsStr::from_bytes(b"a b,\xff.idx");
    std::fs::copy(place.path("digits.idx"), place.path(".").join(name)).unwrap();
    let run = |words: &[&str]| {
        let mut command = place.command(&["predict", CHECKPOINT]);
        finish(command.arg(name).args(words))
    };
    let said = run(&["-o", "out.csv"]).ended(0);
    assert!(said.out.starts_with("out.csv: predictions for 359 samples in "), "{}", said.out);
    let table = std::fs::read(place.path("out.csv")).unwrap();
    let first = table.split(|&byte| byte == b'\n').nth(1).unwrap();
    assert!(first.starts_with(b"\"a b,\xff.idx\",0,"), "{first:?}");
    assert_eq!(table.iter().filter(|&&byte| byte == b'\n').count(), 360);
    run(&["-o", "out.csv"]).refused(2, &["out.csv already exists", "--overwrite"]);
    let again = run(&["-o", "out.csv", "--overwrite", "--json"]).json();
    assert_eq!(
        (&again["output"], &again["samples"], again.get("predictions")),
        (&"out.csv".into(), &359.into(), None)
    );
    assert_eq!(std::fs::read(place.path("out.csv")).unwrap(), table);
    run(&["-o", "out.npz", "--top", "2"]).ended(0);
    assert!(std::fs::read(place.path("out.npz")).unwrap().starts_with(b"PK"));
    run(&["-o", "out.txt"]).refused(2, &["--output out.txt", ".csv, .npz, .h5"]);
    run(&["-o", "nowhere/out.csv"]).refused(4, &["there is no directory nowhere"]);
    run(&["-o", "out.h5", "--top", "2"]).ended(0);
    let file = hdf5::File::open(place.path("out.h5")).unwrap();
    assert_eq!(file.dataset("class").unwrap().shape(), [359, 2]);
    std::fs::remove_file(place.path(".").join(name)).unwrap();
    assert_eq!(place.names("."), ["digits.idx", "out.csv", "out.h5", "out.npz", "run", "tiny.toml"]);
}

#[test]
fn samples_that_do_not_fit_are_named_and_counted() {
    let place = trained();
    place.write("wide.idx", idx([2, 8, 9], &[0; 144]));
    let refused = place.run(&format!("predict {CHECKPOINT} wide.idx -o out.csv"));
    refused.refused(
        3,
        &[
            "wide.idx: sample 1 has images of 1x8x9; the network was trained on images of 1x8x8",
            "2 of 2 samples cannot be used",
            "--skip-bad",
        ],
    );
    let skipped =
        place.run(&format!("predict {CHECKPOINT} wide.idx digits.idx wide.idx --skip-bad")).ended(0);
    assert_eq!(skipped.out.lines().count(), 360);
    assert!(skipped.err.contains("note: 4 of 363 samples have no prediction"), "{}", skipped.err);
    let object = place.run(&format!("predict {CHECKPOINT} wide.idx digits.idx --skip-bad --json")).json();
    assert_eq!((&object["skipped"], &object["samples"]), (&2.into(), &361.into()));
    assert_eq!(object["predictions"].as_array().unwrap().len(), 359);
    assert_eq!(object["predictions"][0]["sample"], 0);

    place.write("cut.idx", &idx([2, 8, 8], &[0; 128])[..100]);
    place.run(&format!("predict {CHECKPOINT} cut.idx")).refused(3, &["cut.idx: truncated"]);
    place.write("empty", "");
    place.run(&format!("predict {CHECKPOINT} empty")).refused(3, &["empty: is empty"]);
    place.run(&format!("predict {CHECKPOINT} tiny.toml")).refused(3, &["tiny.toml: has an unknown format"]);
    place.run(&format!("predict {CHECKPOINT} nowhere.idx")).refused(3, &["nowhere.idx: cannot be read"]);
    assert_eq!(place.names(".").iter().filter(|name| name.starts_with("out")).count(), 0);
}

/// PNG files, alone and in a folder. A file that is no image is named, and so is one of another size.
#[test]
fn pictures_are_read_by_their_content() {
    let place = trained();
    let test = ternflock::data::open("digits", None).unwrap().test;
    let png = |width: u32, height: u32, pixels: &[u8]| {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.write_header().unwrap().write_image_data(pixels).unwrap();
        bytes
    };
    // The digits have pixels from 0 to 16, a picture from 0 to 255.
    let picture = |number: usize| {
        let pixels: Vec<u8> = test
            .sample(number)
            .iter()
            .map(|&pixel| (f32::from(pixel) * 255.0 / 16.0).round() as u8)
            .collect();
        png(8, 8, &pixels)
    };
    for number in 0..20 {
        place.write(&format!("some images/{}/{number:02}.png", number % 2), picture(number));
    }
    place.write("some images/notes.txt", "not an image");
    let run = |words: &[&str]| {
        let mut command = place.command(&["predict", CHECKPOINT]);
        finish(command.args(words))
    };
    let read = run(&["some images", "--raw", "--json"]).json();
    let rows = read["predictions"].as_array().unwrap();
    let order = (0..20).step_by(2).chain((1..20).step_by(2));
    let raw = run(&["digits.idx", "--raw", "--json"]).json();
    for (row, number) in rows.iter().zip(order) {
        assert_eq!(row["input"], format!("some images/{}/{number:02}.png", number % 2));
        assert_eq!(row.get("sample"), None);
        let outputs = |row: &Value| {
            row["output"]
                .as_array()
                .unwrap()
                .iter()
                .map(|output| output.as_f64().unwrap())
                .collect::<Vec<_>>()
        };
        let (found, expected) = (outputs(row), outputs(&raw["predictions"][number]));
        // The pixels differ by at most half of 1/255.
        let close = found.iter().zip(&expected).all(|(found, expected)| (found - expected).abs() < 0.05);
        assert!(close, "{found:?} {expected:?}");
    }
    assert_eq!(rows.len(), 20);

    place.write("some images/0/wide.png", png(9, 8, &[0; 72]));
    place.write("some images/1/broken.png", &picture(0)[..60]);
    let named = [
        "some images/0/wide.png: has images of 1x8x9; the network was trained on images of 1x8x8",
        "some images/1/broken.png: ",
        "2 of 22 samples cannot be used",
    ];
    run(&["some images"]).ended(3);
    let refused = run(&["some images", "-o", "out.csv"]).refused(3, &named);
    assert!(!refused.err.contains("00.png"), "{}", refused.err);
    assert!(!place.path("out.csv").exists());
    let skipped = run(&["some images", "--skip-bad"]).ended(0);
    assert_eq!(skipped.out.lines().count(), 21);
    assert!(skipped.out.contains("\nsome images/1/19.png,,"), "{}", skipped.out);
    std::fs::create_dir(place.path("empty")).unwrap();
    run(&["empty"]).refused(3, &["empty: holds no .png, .jpg or .jpeg files"]);
}

/// Mean, standard deviation and crop are those of training, so the predictions are those of `eval`.
#[test]
fn images_are_prepared_as_in_training() {
    let place = trained();
    let job = std::fs::read_to_string(place.path("tiny.toml")).unwrap();
    let job = job.replace("[data]\n", "[data]\nmean = [0.3]\nstd = [0.4]\ncrop = 6\n");
    place.write("crop.toml", job);
    place.run("train crop.toml --run-dir crop").ended(0);
    let checkpoint = CHECKPOINT.replace("run", "crop");
    let measured = place.run(&format!("eval {checkpoint} --json")).json();
    let read = place.run(&format!("predict {checkpoint} digits.idx --json")).json();
    let predictions = read["predictions"].as_array().unwrap();
    let correct = predictions.iter().zip(labels()).filter(|(row, label)| row["class"] == *label).count();
    assert_eq!(measured["correct"], correct);
}

/// The bytes of a NumPy file.
fn npy(descr: &str, shape: &str, bytes: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    let text = format!("{text:<117}\n");
    [b"\x93NUMPY\x01\x00\x76\x00".to_vec(), text.into_bytes(), bytes.into_iter().collect()].concat()
}

/// Values are predicted in their own unit, whatever the normalisation of training was, from arrays of any type.
#[test]
fn a_regression_predicts_values_from_arrays() {
    let place = Place::new(PROGRAM);
    let x: Vec<f64> = (0..240).map(|at| f64::from(at * 7919 % 240) / 10.0 - 5.0).collect();
    let y: Vec<f64> = x.chunks(3).map(|x| 20.0 * x[0] - 10.0 * x[1] + 500.0).collect();
    place.write("x.npy", npy(">f8", "80, 3", x.iter().flat_map(|x| x.to_be_bytes())));
    place.write("y.npy", npy("<f4", "80, 1", y.iter().flat_map(|y| (*y as f32).to_le_bytes())));
    place.write(
        "line.toml",
        "[data]\ndataset = \"npy\"\ninputs = \"x.npy\"\ntargets = \"y.npy\"\n[train]\nsteps = 400\nglobal_batch = 16\n\
         eval_every = 0\n[optimizer]\nlearning_rate = 0.1\n[[model.layers]]\nname = \"values\"\ntype = \"linear\"\nunits = 1\n",
    );
    place.run("train line.toml --run-dir run").ended(0);
    let run = |line: &str| place.run(&format!("predict run/checkpoints/step-0000000400.h5 {line}"));
    let read = run("x.npy --json").json();
    let rows = read["predictions"].as_array().unwrap();
    assert_eq!(rows.len(), 80);
    for (row, expected) in rows.iter().zip(&y) {
        let output = row["output"].as_f64().unwrap();
        assert!((output - expected).abs() < 1.0, "{output} {expected}");
    }
    assert!(run("x.npy").ended(0).out.starts_with("input,sample,output\nx.npy,0,"));
    // The same numbers in an HDF5 file.
    let file = hdf5::File::create(place.path("x.h5")).unwrap();
    let dataset = file.new_dataset::<f32>().shape([80, 3]).create("x").unwrap();
    dataset.write_raw(&x.iter().map(|&x| x as f32).collect::<Vec<_>>()).unwrap();
    drop((dataset, file));
    let other = run("x.h5:/x --json").json();
    for (row, other) in rows.iter().zip(other["predictions"].as_array().unwrap()) {
        assert_eq!((&other["input"], &other["output"]), (&"x.h5:/x".into(), &row["output"]));
    }
    run("x.npy --top 2").refused(2, &["--top is for classes"]);
    run("x.h5").refused(3, &["x.h5: is an HDF5 file", "file.h5:/inputs"]);
    run("x.h5:/y").refused(3, &["x.h5:/y"]);
    run("y.npy").refused(3, &["[80, 1] holds vectors of 1; the network was trained on vectors of 3"]);
    let mut holes = x.clone();
    holes[4] = f64::NAN;
    place.write("holes.npy", npy("<f8", "80, 3", holes.iter().flat_map(|x| x.to_le_bytes())));
    run("holes.npy").refused(3, &["holes.npy: sample 1 is NaN at feature 1", "1 of 80 samples"]);
    assert_eq!(run("holes.npy --skip-bad").ended(0).out.lines().count(), 80);
}

/// A table is read as in training: columns by name, categories, no targets. A forecast begins after the last row.
#[test]
fn tables_and_archives_are_read() {
    let place = Place::new(PROGRAM);
    let town = |row: usize| ["Ulm", "Hof"][row % 2];
    let price = |row: usize| 100.0 * (row % 7) as f64 + if row.is_multiple_of(2) { 50.0 } else { 0.0 };
    let rows: String =
        (0..120).map(|row| format!("{},{},{},k{row}\n", price(row), row % 7, town(row))).collect();
    place.write("houses.csv", format!("price,rooms,town,key\n{rows}"));
    let job = |data: &str, layers: &str| {
        format!(
            "[data]\ndataset = \"csv\"\n{data}\n[train]\nsteps = 600\nglobal_batch = 16\neval_every = 0\n[optimizer]\n\
             learning_rate = 0.1\n{layers}"
        )
    };
    let linear = "[[model.layers]]\nname = \"values\"\ntype = \"linear\"\nunits = \"targets\"\n";
    let data = "file = \"houses.csv\"\ntargets = \"price\"\nignore = [\"key\"]";
    place.write("houses.toml", job(data, linear));
    place.run("train houses.toml --run-dir run").ended(0);
    let run = |line: &str| place.run(&format!("predict run/checkpoints/step-0000000600.h5 {line}"));
    place.write("new.csv", "town,rooms\nUlm,3\nHof,\nRom,2\nHof,5\n");
    let rows = run("new.csv --skip-bad --json").json()["predictions"].clone();
    let [first, last] = rows.as_array().unwrap().as_slice() else { panic!("{rows}") };
    for (row, number, expected) in [(first, 0, 350.0), (last, 3, 500.0)] {
        assert_eq!(row["sample"], json!(number));
        let output = row["output"].as_f64().unwrap();
        assert!((output - expected).abs() < 5.0, "{output} {expected}");
    }
    run("new.csv").refused(
        3,
        &[
            "new.csv: sample 1 at line 3, column `rooms`: has no value",
            "sample 2 at line 4, column `town`",
            "2 of 4 samples",
        ],
    );
    place.write("lacks.csv", "town,room\nUlm,3\n");
    run("lacks.csv").refused(3, &["lacks.csv: has no column `rooms`; did you mean `room`?"]);
    run("houses.csv -o houses.csv --overwrite").refused(2, &["it would replace houses.csv"]);

    // The network reads two categories and a number, so it also takes arrays of three features.
    let features: Vec<u8> = [3_i64, 0, 1].iter().flat_map(|x| x.to_le_bytes()).collect();
    let array = npy("<i8", "1, 3", features);
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file("x.npy", stored).unwrap();
    std::io::Write::write_all(&mut archive, &array).unwrap();
    place.write("one.npz", archive.finish().unwrap().into_inner());
    let of_archive = |name: &str| run(&format!("{name} --json")).json()["predictions"][0]["output"].clone();
    assert_eq!(of_archive("one.npz"), first["output"]);
    assert_eq!(of_archive("one.npz:x"), first["output"]);
    // A column may be called as archives begin.
    place.write("keys.csv", "PK,town,rooms\n7,Ulm,3\n");
    assert_eq!(of_archive("keys.csv"), first["output"]);
    run("one.npz:y").refused(3, &["has no array `y`", "`x`"]);

    let series: String = (0..80).map(|t| format!("{t}\n")).collect();
    place.write("series.csv", format!("y\n{series}"));
    let data = "file = \"series.csv\"\ntargets = \"y\"\nwindow = 4\nhorizon = 2";
    place.write("series.toml", job(data, &format!("[[model.layers]]\ntype = \"flatten\"\n{linear}")));
    place.run("train series.toml --run-dir forecast").ended(0);
    let out = place.run("predict forecast/checkpoints/step-0000000600.h5 series.csv").ended(0).out;
    let last: Vec<&str> = out.lines().last().unwrap().split(',').collect();
    assert_eq!(last[..2], ["series.csv", "76"]);
    for (output, expected) in last[2..].iter().zip([80.0, 81.0]) {
        assert!((output.parse::<f64>().unwrap() - expected).abs() < 1.0, "{out}");
    }
}

/// The classes of a folder have names, and its pictures are resized as in training.
#[test]
fn classes_of_a_folder_are_called_by_their_names() {
    let place = Place::new(PROGRAM);
    let png = |side: u32, grey: u8| {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, side, side);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.write_header().unwrap().write_image_data(&vec![grey; (side * side) as usize]).unwrap();
        bytes
    };
    for number in 0..20_u8 {
        place.write(&format!("photos/black, dark/{number}.png"), png(8, number));
        place.write(&format!("photos/white/{number}.png"), png(8, 230 + number));
    }
    let job = place
        .read("tiny.toml")
        .replace("\"digits\"", "\"folder\"\ndir = \"photos\"\nsize = [8, 8]\nresize = \"crop\"");
    place.write(
        "folder.toml",
        job.replace("units = 10", "units = \"classes\"").replace("global_batch = 32", "global_batch = 8"),
    );
    place.run("train folder.toml --run-dir run").ended(0);
    place.write("new/dark.png", png(40, 9));
    place.write("new/light.png", png(9, 250));
    let out = place.run(&format!("predict {CHECKPOINT} new")).ended(0).out;
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[1].starts_with("new/dark.png,,\"black, dark\","), "{out}");
    assert!(lines[2].starts_with("new/light.png,,white,"), "{out}");
    let read = place.run(&format!("predict {CHECKPOINT} new --top 2 --json")).json();
    assert_eq!(read["predictions"][1]["class"], json!(["white", "black, dark"]));
}

/// A language model judges lines; the whole text judged by `eval` has the same tokens, but other beginnings.
#[test]
fn lines_of_a_text_are_judged() {
    let place = Place::new(PROGRAM);
    place.write(
        "text.toml",
        "[data]\ndataset = \"genesis\"\nvocabulary = 50\nsequence_length = 5\n[train]\nsteps = 20\nglobal_batch = 4\neval_every = 0\n\
         [optimizer]\nlearning_rate = 1.0\n[[model.layers]]\nname = \"embedding\"\ntype = \"embedding\"\nfeatures = 8\n\
         [[model.layers]]\nname = \"lstm1\"\ntype = \"lstm\"\nhidden = 8\n[[model.layers]]\nname = \"logits\"\ntype = \"linear\"\n\
         units = \"vocabulary\"\n",
    );
    place.run("train text.toml --run-dir run").ended(0);
    let long = "And the LORD said unto him, And the man said unto the LORD of the land of the earth";
    place.write("verses, 1.txt", format!("And the\nxyzzy\n\n{long}\nAnd the\n"));
    let run = |options: &[&str]| {
        let mut command = place.command(&["predict", "run/checkpoints/best.h5", "verses, 1.txt"]);
        finish(command.args(options))
    };
    let read = run(&["--json"]).json();
    assert_eq!((&read["lines"], &read["skipped"]), (&5.into(), &0.into()));
    let rows = read["predictions"].as_array().unwrap();
    let of = |key: &str| rows.iter().map(|row| row[key].clone()).collect::<Vec<Value>>();
    assert_eq!(of("line"), [0, 1, 2, 3, 4].map(Value::from));
    // The end of the line counts.
    assert_eq!(of("tokens"), [3, 2, 1, 20, 3].map(Value::from));
    assert_eq!(rows[1]["unknown"], 1);
    assert_eq!(rows[0]["unknown"], 0);
    for row in rows {
        let [tokens, likelihood, perplexity] =
            ["tokens", "log_likelihood", "perplexity"].map(|key| row[key].as_f64().unwrap());
        assert!(likelihood < 0.0 && ((-likelihood / tokens).exp() / perplexity - 1.0).abs() < 1e-4, "{row}");
    }
    // A line's row does not depend on the other lines of its batch.
    let difference =
        rows[0]["log_likelihood"].as_f64().unwrap() - rows[4]["log_likelihood"].as_f64().unwrap();
    assert!(difference.abs() < 1e-5, "{difference}");
    let single = run(&["--batch", "1", "--json"]).json();
    for (one, other) in single["predictions"].as_array().unwrap().iter().zip(rows) {
        let [one, other] = [one, other].map(|row| row["log_likelihood"].as_f64().unwrap());
        assert!((one / other - 1.0).abs() < 1e-5, "{one} {other}");
    }
    let table = run(&[]).ended(0).out;
    assert!(
        table.starts_with("input,line,tokens,unknown,log_likelihood,perplexity\n\"verses, 1.txt\",0,3,0,-"),
        "{table}"
    );
    run(&["--top", "2"]).refused(2, &["--top is for networks that read samples"]);
    place.write("latin", b"caf\xe9");
    place.run("predict run/checkpoints/best.h5 latin").refused(3, &["latin: not UTF-8"]);
}

/// The command had another meaning before.
#[test]
fn the_former_arguments_lead_to_forecast() {
    let place = trained();
    for line in [
        "predict tiny.toml --nodes 1,2",
        "predict tiny.toml",
        "predict --model alexnet",
        "predict tiny.toml a.idx",
    ] {
        place.run(line).refused(2, &["ternflock forecast"]);
    }
    for line in ["predict run.h5 --epochs 3", "predict run.h5", "predict"] {
        let refused = place.run(line).refused(2, &["--help"]);
        assert!(!refused.err.contains("forecast"), "{}", refused.err);
    }
}

/// The data of another job, prepared as those of the checkpoint.
#[test]
fn eval_takes_the_data_of_another_job() {
    let place = trained();
    let test = ternflock::data::open("digits", None).unwrap().test;
    let (pixels, labels) = (idx([100, 8, 8], &test.pixels[..6400]), &test.labels[..100]);
    let labels: Vec<u8> =
        [0x0801_u32, 100].into_iter().flat_map(u32::to_be_bytes).chain(labels.iter().copied()).collect();
    for set in ["train", "t10k"] {
        place.write(&format!("own/{set}-images-idx3-ubyte"), &pixels);
        place.write(&format!("own/{set}-labels-idx1-ubyte"), &labels);
    }
    let job = place.read("tiny.toml");
    place.write("other.toml", job.replace("\"digits\"", "\"idx\"\ndir = \"own\"\nmean = [9.0]\nstd = [9.0]"));
    let measured = place.run(&format!("eval {CHECKPOINT} --data other.toml --json")).json();
    assert_eq!((&measured["dataset"], &measured["samples"]), (&json!("idx"), &json!(100)));
    // Its pixels are 0 to 16 of 255, and the mean of the other job is not used: both are dark, but not black.
    place.write("plain.toml", job.replace("\"digits\"", "\"idx\"\ndir = \"own\""));
    let plain = place.run(&format!("eval {CHECKPOINT} --data plain.toml --json")).json();
    assert_eq!(plain["loss"], measured["loss"]);
    place.write("three.toml", job.replace("\"digits\"", "\"idx\"\ndir = \"own\"\nclasses = 11"));
    place
        .run(&format!("eval {CHECKPOINT} --data three.toml"))
        .refused(4, &["its network computes 10 outputs for samples of 1x8x8, but `idx` has 11 classes"]);
    place.write(
        "text.toml",
        job.replace("\"digits\"", "\"genesis\"").replace("units = 10", "units = \"vocabulary\""),
    );
    place
        .run(&format!("eval {CHECKPOINT} --data text.toml"))
        .refused(2, &["--data text.toml: its data are a text (`genesis`)", "trained on images (`digits`)"]);
}
