//! Runs on arrays in NumPy and HDF5 files: they learn, resume to the bit, and evaluate with the preparation that their
//! checkpoint holds.

use std::fs;
use std::path::Path;

use support::digits::{assert_same_state, load};
use ternflock::data::Preparation;
use ternflock::job;
use ternflock::job::Loaded;
use ternflock::train::{Remembered, open_test_set};

use crate::runs::{Ended, resume, train, train_until};

const SAMPLES: usize = 300;
const FEATURES: usize = 4;

/// Feature `column` of sample `row`: far from mean 0 and standard deviation 1, and the last one is constant.
fn input(row: usize, column: usize) -> f64 {
    match column {
        3 => 5.0,
        _ => 1000.0 * column as f64 + (row * (7 + 4 * column) % 31) as f64,
    }
}

/// A value to predict that is linear in the inputs, and a class that depends on one of them.
fn value(row: usize) -> f64 {
    100.0 + 3.0 * input(row, 0) - 2.0 * (input(row, 1) - 1000.0)
}

fn class(row: usize) -> i64 {
    i64::from(input(row, 2) > 2015.0)
}

/// Writes a NumPy file of 8-byte big-endian numbers.
fn write_npy(path: &Path, descr: &str, shape: &str, numbers: impl Iterator<Item = [u8; 8]>) {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    header += &" ".repeat(117 - header.len());
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    file.extend(header.bytes());
    file.extend(numbers.flatten());
    fs::write(path, file).unwrap();
}

/// Writes inputs and targets to `directory`, in both formats.
fn write(directory: &Path) {
    let rows = 0..SAMPLES;
    let inputs = || rows.clone().flat_map(|row| (0..FEATURES).map(move |column| input(row, column)));
    write_npy(&directory.join("x.npy"), ">f8", "(300, 4)", inputs().map(f64::to_be_bytes));
    write_npy(
        &directory.join("values.npy"),
        ">f8",
        "(300,)",
        rows.clone().map(|row| value(row).to_be_bytes()),
    );
    write_npy(
        &directory.join("classes.npy"),
        ">i8",
        "(300,)",
        rows.clone().map(|row| class(row).to_be_bytes()),
    );
    let file = hdf5::File::create(directory.join("all.h5")).unwrap();
    let x = file.new_dataset::<f64>().shape([SAMPLES, FEATURES]).chunk([16, FEATURES]).deflate(1);
    x.create("x").unwrap().write_raw(&inputs().collect::<Vec<_>>()).unwrap();
    let classes: Vec<i64> = rows.clone().map(class).collect();
    file.new_dataset::<i64>().shape(SAMPLES).create("classes").unwrap().write_raw(&classes).unwrap();
    let values: Vec<f64> = rows.map(value).collect();
    file.new_dataset::<f64>().shape(SAMPLES).create("values").unwrap().write_raw(&values).unwrap();
}

/// A job on the files in `directory`: `dataset` and, as the format names them, `inputs` and `targets`.
fn job_on(directory: &Path, dataset: &str, inputs: &str, targets: &str, units: &str) -> Loaded {
    let text = format!(
        "[data]\ndataset = \"{dataset}\"\ndir = \"{}\"\ninputs = \"{inputs}\"\ntargets = \"{targets}\"\n\
         [[model.layers]]\ntype = \"linear\"\nunits = 16\n[[model.layers]]\ntype = \"relu\"\n\
         [[model.layers]]\ntype = \"linear\"\nunits = \"{units}\"\n\
         [train]\nsteps = 60\nglobal_batch = 24\nlog_every = 1\neval_every = 20\n\
         [optimizer]\nkind = \"adam\"\nlearning_rate = 0.02\n[checkpoint]\nevery = 20\n\
         [exchange]\ngradients = \"float32\"\n",
        directory.display()
    );
    let path = directory.join(format!("{dataset}-{units}.toml"));
    fs::write(&path, text).unwrap();
    job::load(&path, &[]).unwrap()
}

fn complete(ended: &[Ended]) {
    ended.iter().for_each(|rank| assert!(rank.summary().complete));
}

#[test]
fn arrays_are_learnt_and_runs_on_them_resume_to_the_bit() {
    let files = tempfile::tempdir().unwrap();
    write(files.path());
    for (inputs, suffix, dataset) in [("x.npy", ".npy", "npy"), ("all.h5:/x", "", "hdf5")] {
        for (targets, units, less) in [("values", "targets", 0.1), ("classes", "classes", 0.5)] {
            let targets =
                if dataset == "npy" { format!("{targets}{suffix}") } else { format!("all.h5:/{targets}") };
            let loaded = job_on(files.path(), dataset, inputs, &targets, units);
            let straight = tempfile::tempdir().unwrap();
            let ended = train(2, &loaded, straight.path());
            complete(&ended);
            let losses = ended[0].losses();
            let (first, last) = (losses[0], losses[losses.len() - 1]);
            assert!(last < less * first, "{dataset}, {units}: {first} -> {last}");
            let halved = tempfile::tempdir().unwrap();
            train_until(30, 2, &loaded, halved.path());
            complete(&resume(2, &loaded, halved.path()));
            assert_same_state(&load(straight.path(), 60), &load(halved.path(), 60));
        }
    }
}

/// The formats hold the same numbers, so the runs are the same.
#[test]
fn the_format_of_the_files_makes_no_difference() {
    let files = tempfile::tempdir().unwrap();
    write(files.path());
    let run = |dataset, inputs, targets| {
        let directory = tempfile::tempdir().unwrap();
        complete(&train(1, &job_on(files.path(), dataset, inputs, targets, "targets"), directory.path()));
        load(directory.path(), 60)
    };
    let (npy, hdf5) = (run("npy", "x.npy", "values.npy"), run("hdf5", "all.h5:/x", "all.h5:/values"));
    assert_same_state(&npy, &hdf5);
    assert_eq!((npy.preparation, npy.data), (hdf5.preparation, hdf5.data));
}

/// Another set is normalised by the numbers of the checkpoint, not by its own; and a run whose data have changed is not
/// resumed.
#[test]
fn a_checkpoint_remembers_how_samples_are_prepared() {
    let files = tempfile::tempdir().unwrap();
    write(files.path());
    let loaded = job_on(files.path(), "npy", "x.npy", "values.npy", "targets");
    let directory = tempfile::tempdir().unwrap();
    train_until(20, 1, &loaded, directory.path());
    let snapshot = load(directory.path(), 20);
    let preparation = Preparation::from_json(&snapshot.preparation).unwrap();
    let inputs = preparation.inputs.clone().unwrap();
    assert!(inputs.mean[1] > 1000.0 && (inputs.mean[3], inputs.std[3]) == (5.0, 1.0), "{inputs:?}");
    let shifted = 0..SAMPLES * FEATURES;
    let number = |at: usize| input(at / FEATURES, at % FEATURES) + 50.0;
    write_npy(&files.path().join("x.npy"), ">f8", "(300, 4)", shifted.map(|at| number(at).to_be_bytes()));
    let first = |remembered: Remembered| {
        let mut set = open_test_set(&loaded.job.data, loaded.job.data.dir.as_deref(), remembered).unwrap();
        let chunk = set.chunks(0..1, 1).remove(0);
        let (mut input, mut targets) = ([0.0; FEATURES], Default::default());
        set.fill(&chunk, &mut input, &mut targets).unwrap();
        input
    };
    let remembered = first(Remembered { preparation: Some(&preparation), ..Remembered::default() });
    assert_eq!(remembered[3], 50.0, "a constant of the training split is shifted");
    assert_eq!(first(Remembered::default())[3], 0.0, "measured again");
    let message = resume(1, &loaded, directory.path())[0].result.as_ref().unwrap_err().to_string();
    assert!(message.contains("the data are not those") && message.contains("other contents"), "{message}");
}
