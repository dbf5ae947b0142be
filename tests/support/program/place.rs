//! A directory of its own in which the program runs.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Finished, finish};
use crate::files;

/// Variables that launchers and users may have set where these tests run.
const FOREIGN: [&str; 8] = ["OMPI_", "PMI_", "PMIX_", "MV2_", "SLURM_", "PRTE_", "MPI_", "TERNFLOCK_"];

/// A small network on the built-in digits: a step takes a fraction of a millisecond. [`Place`] saves it as `tiny.toml`.
pub const TINY: &str = r#"[data]
dataset = "digits"

[train]
steps = 20
global_batch = 32
eval_every = 0

[optimizer]
learning_rate = 0.05

[[model.layers]]
name = "conv1"
type = "conv2d"
filters = 4
kernel = 3

[[model.layers]]
type = "relu"

[[model.layers]]
name = "pool1"
type = "max_pool2d"
kernel = 2

[[model.layers]]
type = "flatten"

[[model.layers]]
name = "logits"
type = "linear"
units = 10
"#;

/// A temporary directory in which the program runs.
pub struct Place {
    directory: tempfile::TempDir,
    program: &'static str,
}

impl Place {
    /// A directory that holds only `tiny.toml`, for the program at the path `program`. Cargo tells that path
    /// only to the test itself: `env!("CARGO_BIN_EXE_ternflock")`.
    pub fn new(program: &'static str) -> Place {
        let place = Place { directory: tempfile::tempdir().unwrap(), program };
        place.write("tiny.toml", TINY);
        place
    }

    /// The path of `name` in this directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    /// Reads a file as text.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The names in the directory `name`, sorted.
    pub fn names(&self, name: &str) -> Vec<String> {
        files::names(&self.path(name))
    }

    /// The program with `arguments`, not started yet; one compute thread, for tests run side by side.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.args(arguments).current_dir(self.directory.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if FOREIGN.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.env("OPENBLAS_NUM_THREADS", "1");
        // Ignore data sets that the user who runs the tests has fetched.
        command.env("XDG_CACHE_HOME", self.path("cache"));
        command
    }

    /// Runs the program with `arguments`, given as one line without quotes.
    pub fn run(&self, arguments: &str) -> Finished {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        finish(&mut self.command(&arguments))
    }

    /// The only object that `inspect --json` prints about a checkpoint.
    pub fn inspect(&self, checkpoint: &str) -> Value {
        self.run(&format!("inspect {checkpoint} --json")).json()
    }
}
