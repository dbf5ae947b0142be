//! A killed run, and its result after a resume.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use support::program::{Finished, Place};

use crate::PROGRAM;

/// The newest checkpoint of a killed run, relative to the run directory.
pub const NEWEST: &str = "checkpoints/step-0000000010.h5";
/// The checkpoint of the last step.
pub const LAST: &str = "checkpoints/step-0000000020.h5";

struct Reference {
    place: Place,
    /// The hash of the last network.
    hash: String,
}

/// A run that was never interrupted.
fn reference() -> &'static Reference {
    static REFERENCE: OnceLock<Reference> = OnceLock::new();
    REFERENCE.get_or_init(|| {
        let place = Place::new(PROGRAM);
        let sets = "--set train.eval_every=5 --set checkpoint.every=5 --set checkpoint.keep=9";
        place.run(&format!("train tiny.toml --run-dir run {sets}")).ended(0);
        let hash = hash(&place);
        Reference { place, hash }
    })
}

/// A directory with the run directory `run` of a run that was killed after its checkpoint of step 10.
pub fn killed() -> Place {
    let (place, from) = (Place::new(PROGRAM), &reference().place);
    fs::create_dir_all(place.path("run/checkpoints")).unwrap();
    for name in ["job.toml", "run.toml", ".lock", "checkpoints/step-0000000005.h5", NEWEST] {
        fs::copy(from.path(&format!("run/{name}")), place.path(&format!("run/{name}"))).unwrap();
    }
    fs::copy(from.path(&format!("run/{NEWEST}")), place.path("run/checkpoints/best.h5")).unwrap();
    let metrics = from.read("run/metrics.jsonl");
    let last = metrics.find("\"step\":15").unwrap();
    let end = metrics[..last].rfind('\n').unwrap() + 1;
    place.write("run/metrics.jsonl", &metrics[..end]);
    place
}

/// The hash of the network of a finished run in `run`.
pub fn hash(place: &Place) -> String {
    place.inspect(&format!("run/{LAST}"))["hash"].to_string()
}

/// Asserts that `resumed` succeeded with the network of a run that was never interrupted.
#[track_caller]
pub fn is_the_same(place: &Place, resumed: Finished) -> Finished {
    let resumed = resumed.ended(0);
    assert_eq!(hash(place), reference().hash, "{}", resumed.err);
    let metrics = place.read("run/metrics.jsonl");
    let end: serde_json::Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    assert_eq!((&end["event"], &end["status"]), (&"end".into(), &"complete".into()));
    resumed
}

/// Asserts that this program left no temporary files in `directory`.
#[track_caller]
pub fn has_no_partials(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(!name.contains(".partial-") || entry.path().is_dir(), "{name} is left");
    }
}
