//! `ternflock export`: the same numbers in the files of other programs, and refused requests.

use std::fs;
use std::process::Command;

use serde_json::Value;
use support::program::Place;

use crate::PROGRAM;

const BEST: &str = "run/checkpoints/best.h5";

fn trained() -> Place {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run").ended(0);
    place
}

/// The tensors of the checkpoint, by HDF5: `layer.tensor`, shape, and elements.
fn tensors(place: &Place) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let file = hdf5::File::open(place.path(BEST)).unwrap();
    let mut all = Vec::new();
    for layer in file.group("parameters").unwrap().groups().unwrap() {
        for tensor in layer.datasets().unwrap() {
            let name = tensor.name().trim_start_matches("/parameters/").replace('/', ".");
            all.push((name, tensor.shape(), tensor.read_raw::<f32>().unwrap()));
        }
    }
    assert!(!all.is_empty());
    all
}

#[test]
fn safetensors_hold_the_same_numbers() {
    let place = trained();
    let done = place.run(&format!("export {BEST} -o net.safetensors --json")).json();
    let file = fs::read(place.path("net.safetensors")).unwrap();
    assert_eq!(
        (done["format"].as_str(), done["bytes"].as_u64()),
        (Some("safetensors"), Some(file.len() as u64))
    );
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let (header, data) = file[8..].split_at(length);
    let header: Value = serde_json::from_slice(header).unwrap();
    let expected = tensors(&place);
    assert_eq!(done["tensors"], expected.len());
    for (name, shape, values) in expected {
        assert_eq!(header[&name]["shape"], Value::from(shape), "{name}");
        let [start, end] = [0, 1].map(|i| header[&name]["data_offsets"][i].as_u64().unwrap() as usize);
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert!(data[start..end] == bytes, "{name}");
    }
    let graph: Value = serde_json::from_str(header["__metadata__"]["network"].as_str().unwrap()).unwrap();
    assert!(graph["layers"].is_array(), "{graph}");
}

/// NumPy reads the archive.
#[test]
fn numpy_reads_the_archive() {
    let place = trained();
    let text = place.run(&format!("export {BEST} -o net.npz")).ended(0).out;
    assert!(text.contains("net.npz: ") && text.contains("numpy.load"), "{text}");
    let script = "import sys, numpy\nfor k, v in numpy.load(sys.argv[1]).items():\n    \
                  assert v.dtype == numpy.float32\n    print(k, list(v.shape), v.astype('<f4').tobytes().hex())";
    let output = |python: &str| Command::new(python).args(["-c", script]).arg(place.path("net.npz")).output();
    let has_numpy = |python: &&str| {
        Command::new(python).args(["-c", "import numpy"]).output().is_ok_and(|done| done.status.success())
    };
    let python = ["python3", "/usr/bin/python3"].into_iter().find(has_numpy);
    let python = output(python.expect("no python3 here has NumPy; install python3-h5py")).unwrap();
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
    let mut lines: Vec<String> =
        String::from_utf8(python.stdout).unwrap().lines().map(str::to_owned).collect();
    let hex = |values: &[f32]| -> String {
        values.iter().flat_map(|value| value.to_le_bytes()).map(|byte| format!("{byte:02x}")).collect()
    };
    let mut expected: Vec<String> = tensors(&place)
        .iter()
        .map(|(name, shape, values)| format!("{name} {shape:?} {}", hex(values)))
        .collect();
    lines.sort();
    expected.sort();
    assert_eq!(lines, expected);
}

#[test]
fn what_cannot_be_exported_is_refused() {
    let place = trained();
    fs::write(place.path("there.npz"), "mine").unwrap();
    fs::write(place.path("damaged.h5"), "no checkpoint").unwrap();
    for (command, code, part) in [
        (
            format!("export {BEST} -o net.onnx"),
            2,
            "no format has this extension; use one of .safetensors, .npz",
        ),
        (format!("export {BEST} -o net"), 2, "add --format"),
        (format!("export {BEST} -o net.h5 --format h5"), 2, "possible values: safetensors, npz"),
        (format!("export {BEST} -o net.h5 --format npz"), 2, "the file is npz, but .h5 means another format"),
        (format!("export {BEST} -o there.npz"), 2, "there.npz already exists"),
        (format!("export {BEST} -o none/net.npz"), 4, "there is no directory none"),
        ("export damaged.h5 -o net.npz".to_owned(), 4, "damaged.h5"),
        ("export absent.h5 -o net.npz".to_owned(), 4, "absent.h5"),
    ] {
        place.run(&command).refused(code, &[part]);
    }
    assert_eq!(fs::read(place.path("there.npz")).unwrap(), b"mine");
    assert!(!place.path("net.npz").exists());
    place.run(&format!("export {BEST} -o there.npz --overwrite")).ended(0);
    place.run(&format!("export {BEST} -o network --format npz")).ended(0);
    let [one, other] = ["there.npz", "network"].map(|name| fs::read(place.path(name)).unwrap());
    assert_eq!(one, other);
}
