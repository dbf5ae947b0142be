//! `ternflock compress`: smaller files that are complete by themselves, and refused requests.

use std::fs;

use serde_json::Value;
use support::program::Place;

use crate::PROGRAM;

const FROM: &str = "run/checkpoints/step-0000000020.h5";

/// A place where `tiny.toml` has been trained until two of its four filters were gone.
fn trained() -> Place {
    let place = Place::new(PROGRAM);
    place
        .run("train tiny.toml --run-dir run --set sparsity.method=proximal --set sparsity.filters=1.5")
        .ended(0);
    place
}

fn json(place: &Place, command: &str) -> Value {
    place.run(command).json()
}

#[test]
fn a_smaller_file_is_all_one_needs() {
    let place = trained();
    let done = json(&place, &format!("compress {FROM} -o small.h5 --shrink --json"));
    let params = |side: &str| done[side]["params"].as_u64().unwrap();
    assert!(params("after") < params("before"), "{done}");
    assert_eq!(done["after"]["bytes"].as_u64().unwrap(), fs::metadata(place.path("small.h5")).unwrap().len());
    let score = |file: &str| json(&place, &format!("eval {file} --json"))["correct"].clone();
    assert_eq!(score(FROM), score("small.h5"));
    let shown = place.inspect("small.h5");
    assert_eq!((&shown["params"], &shown["flops"]), (&done["after"]["params"], &done["after"]["flops"]));
    // Factorised, evaluated, trained further, and evaluated again.
    let text = place.run("compress small.h5 -o thin.h5 --low-rank conv1=1 --whatever-it-costs").ended(0).out;
    assert!(text.contains("conv1.basis") && text.contains("rank 1 of"), "{text}");
    score("thin.h5");
    place.run("train tiny.toml --run-dir on --set model.checkpoint=thin.h5").ended(0);
    assert_eq!(place.inspect("on/checkpoints/best.h5")["params"], place.inspect("thin.h5")["params"]);
}

#[test]
fn what_cannot_be_done_is_said() {
    let place = trained();
    place.write("damaged.h5", "no checkpoint");
    // An existing entry that is not a regular file is not replaced.
    let elsewhere = place.path("elsewhere.h5");
    fs::write(&elsewhere, "something").unwrap();
    std::os::unix::fs::symlink(&elsewhere, place.path("link.h5")).unwrap();
    place
        .run(&format!("compress {FROM} -o link.h5 --shrink --overwrite"))
        .refused(2, &["link.h5 is not a regular file"]);
    assert_eq!(fs::read(&elsewhere).unwrap(), b"something");
    for (command, code, part) in [
        (format!("compress {FROM} -o out.h5"), 2, "nothing to do: add --shrink"),
        (format!("compress {FROM} --shrink"), 2, "--output"),
        (
            format!("compress {FROM} -o {FROM} --shrink"),
            2,
            "already exists; use another --output, or --overwrite",
        ),
        (format!("compress {FROM} -o out.h5 --round-to 4"), 2, "--shrink"),
        (format!("compress {FROM} -o out.h5 --shrink --svd"), 2, "need --low-rank"),
        (format!("compress {FROM} -o out.h5 --low-rank energy=2"), 2, "energy=SHARE (above 0, at most 1)"),
        (format!("compress {FROM} -o out.h5 --low-rank conv1"), 2, "LAYER=RANK"),
        (format!("compress {FROM} -o out.h5 --low-rank conv1=0"), 2, "must be at least 1"),
        (format!("compress {FROM} -o out.h5 --low-rank conv1=5"), 2, "its largest rank is 4"),
        (format!("compress {FROM} -o out.h5 --low-rank cnv1=2"), 2, "did you mean `conv1`?"),
        (
            format!("compress {FROM} -o nowhere/out.h5 --shrink"),
            4,
            "there is no directory nowhere; create it",
        ),
        ("compress none.h5 -o out.h5 --shrink".into(), 4, "none.h5"),
        ("compress damaged.h5 -o out.h5 --shrink".into(), 4, "damaged.h5"),
    ] {
        place.run(&command).refused(code, &[part]);
        assert!(!place.path("out.h5").exists(), "{command}");
    }
}

/// Runs the commands of the guide to small networks, verbatim and in order, in a directory that has the jobs. Each file is
/// smaller than the one before.
#[test]
fn the_demonstration_of_the_guide_compresses() {
    let place = Place::new(PROGRAM);
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for job in ["lenet-digits-small.toml", "lenet-digits.toml"] {
        place.write(&format!("jobs/{job}"), fs::read(root.join("jobs").join(job)).unwrap());
    }
    let guide = fs::read_to_string(root.join("docs/how-to/small-networks.md")).unwrap();
    let commands: Vec<&str> = guide.lines().filter_map(|line| line.strip_prefix("ternflock ")).collect();
    assert!(commands.len() >= 5 && commands[0].starts_with("train "), "{commands:?}");
    let mut compressed = 0;
    for command in commands {
        let done = place.run(command).ended(0);
        let row = done.out.lines().find_map(|line| line.trim_start().strip_prefix("parameters "));
        let Some(row) = row.filter(|_| command.starts_with("compress ")) else { continue };
        let ratio: f64 = row.split_whitespace().last().unwrap().parse().unwrap();
        assert!(ratio > 1.1, "{command}: {}", done.out);
        compressed += 1;
    }
    assert!(compressed >= 2);
}

/// A file called `x.onnx` would be mistaken for ONNX.
#[test]
fn a_name_that_means_another_format_is_refused() {
    let place = trained();
    for name in ["x.onnx", "x.safetensors", "x.npz", "x.toml"] {
        let means = format!("--output {name}: the file is an HDF5 checkpoint, but .");
        place.run(&format!("compress {FROM} -o {name} --shrink")).refused(2, &[&means, "name it x.h5"]);
    }
    let picture = format!("eval {FROM} --sharpness --svg x.png");
    place.run(&picture).refused(2, &["--svg x.png: the file is an SVG picture"]);
    place.run(&format!("compress {FROM} -o x.small --shrink")).ended(0);
    assert_eq!(place.names("."), ["run", "tiny.toml", "x.small"]);
}
