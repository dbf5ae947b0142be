//! The dataset in jobs, in training and in checkpoints.
#![allow(clippy::disallowed_methods, reason = "tests open files as they like")]

use std::fs;
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::AtomicBool;

use super::register;
use ternflock::checkpoint::load;
use ternflock::data::{Preparation, register_dataset};
use ternflock::train::{Options, run};
use ternflock::world::World;

fn job(options: &str) -> String {
    format!(
        "[data]\ndataset = 'waves'\n{options}\n[train]\nepochs = 15\nglobal_batch = 32\n[optimizer]\nlearning_rate = 0.1\n\
         [[model.layers]]\ntype = 'conv1d'\nfilters = 16\nkernel = 9\nstride = 2\n[[model.layers]]\ntype = 'relu'\n\
         [[model.layers]]\ntype = 'global_avg_pool1d'\n[[model.layers]]\ntype = 'linear'\nunits = 'targets'\n"
    )
}

fn write(directory: &Path, options: &str) -> std::path::PathBuf {
    let path = directory.join("own.toml");
    fs::write(&path, job(options)).unwrap();
    path
}

/// The tests share a process.
fn registered() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| register().unwrap());
}

/// Trained on normalised targets; the checkpoint knows the options and the normalisation.
#[test]
fn data_of_ones_own_are_used_like_the_others() {
    registered();
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "options = { samples = 1500, steps = 48, noise = 0.1 }");
    let loaded = ternflock::train::load(&path, &[]).unwrap();
    let options = Options { run_dir: Some(directory.path().join("run")), ..Options::default() };
    let summary = run(&loaded, &options, &mut World::alone(), &AtomicBool::new(false), &mut |_| ()).unwrap();
    // Frequencies are between 1 and 8, with a standard deviation of 2.
    assert!(summary.score.value < 1.0, "{:?}", summary.score);
    let snapshot = load(&summary.checkpoint).unwrap();
    let preparation = Preparation::from_json(&snapshot.preparation).unwrap();
    assert!((preparation.targets.unwrap().mean[0] - 4.5).abs() < 0.2);
    let again = fs::read_to_string(directory.path().join("run/job.toml")).unwrap();
    fs::write(&path, again).unwrap();
    let job = ternflock::train::load(&path, &[]).unwrap().job;
    assert_eq!(job.data, loaded.job.data);
    assert!(register_dataset::<super::Waves>("mnist").unwrap_err().to_string().contains("`mnist` already"));
}

#[test]
fn wrong_options_of_ones_own_data_are_explained() {
    registered();
    let directory = tempfile::tempdir().unwrap();
    let message = |options: &str| {
        let path = write(directory.path(), options);
        let loaded = ternflock::train::load(&path, &[]);
        let run_dir = Some(directory.path().join("refused"));
        let options = Options { run_dir, ..Options::default() };
        let run = |loaded| run(&loaded, &options, &mut World::alone(), &AtomicBool::new(false), &mut |_| ());
        loaded.and_then(run).unwrap_err().to_string()
    };
    for (options, part) in [
        ("options = { samples = 100 }", "data.options of dataset \"waves\": missing field `steps`"),
        ("options = { samples = 100, steps = 9, nois = 1 }", "unknown field `nois`"),
        ("options = { samples = 1, steps = 9 }", "needs at least 10 samples"),
        ("options = 3", "data.options must be a table"),
        ("options = { samples = 100, steps = 9 }\nresize = 'crop'", "resize"),
    ] {
        let message = message(options);
        assert!(message.contains(part), "no {part} in {message}");
    }
    let path = write(directory.path(), "");
    let text = fs::read_to_string(&path).unwrap().replace("'waves'", "'digits'\noptions = { a = 1 }");
    fs::write(&path, text).unwrap();
    let message = ternflock::train::load(&path, &[]).unwrap_err().to_string();
    assert!(message.contains("data.options is for datasets that a program registers"), "{message}");
}
