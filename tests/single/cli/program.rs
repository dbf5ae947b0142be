//! Running the program in a directory of its own, and how it ended.

use std::fs;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::running::Running;

/// What launchers and users may have set where these tests run.
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
pub struct Place(tempfile::TempDir);

/// How the program ended.
pub struct Finished {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    /// All of standard output.
    pub out: String,
    /// All of standard error.
    pub err: String,
}

impl Place {
    /// A directory that holds `tiny.toml` alone.
    pub fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        place.write("tiny.toml", TINY);
        place
    }

    /// The path of `name` in this directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
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
        names(&self.path(name))
    }

    /// The program with `arguments`, not started yet; one compute thread, for tests run side by side.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ternflock"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
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

impl Finished {
    /// This, having ended with `code`; a panic is never right.
    #[track_caller]
    pub fn ended(self, code: i32) -> Finished {
        let all = format!("exit code {:?}\n-- stdout\n{}\n-- stderr\n{}", self.code, self.out, self.err);
        assert_eq!(self.code, Some(code), "{all}");
        assert!(!self.err.contains("panicked"), "{all}");
        self
    }

    /// A refusal: exit code `code`, each of `parts` on standard error, and nothing on standard output.
    #[track_caller]
    pub fn refused(self, code: i32, parts: &[&str]) -> Finished {
        let this = self.ended(code);
        assert_eq!(this.out, "");
        for part in parts {
            assert!(this.err.contains(part), "no `{part}` in\n{}", this.err);
        }
        this
    }

    /// Success, with exactly one JSON object on standard output.
    #[track_caller]
    pub fn json(self) -> Value {
        let this = self.ended(0);
        let value: Value = serde_json::from_str(&this.out).unwrap_or_else(|e| panic!("{e}: {}", this.out));
        assert!(
            value.is_object() && this.out.ends_with('\n') && this.out.lines().count() == 1,
            "{}",
            this.out
        );
        value
    }
}

/// The names in `directory`, sorted.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Runs `command` to its end.
pub fn finish(command: &mut Command) -> Finished {
    let [mut out, mut err] = [(); 2].map(|()| tempfile::tempfile().unwrap());
    command.stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
    let code = Running(command.spawn().unwrap()).end();
    let [out, err] = [&mut out, &mut err].map(|file| {
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    });
    Finished { code, out, err }
}
