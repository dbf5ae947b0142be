//! A job file or data file that is not a regular file is refused without blocking.

use std::ffi::CString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use libc::{SIGTERM, SIGUSR2};
use serde_json::Value;
use support::program::{Place, TINY, Watched, finish, wait_for};

use crate::PROGRAM;

/// A language model on the text from standard input.
const LANGUAGE: &str = "[data]\ndataset = \"text\"\ntrain = \"/dev/stdin\"\nvalid = \"a.txt\"\ntest = \"a.txt\"\n\
    sequence_length = 5\n[train]\nsteps = 2\nglobal_batch = 4\n[optimizer]\nlearning_rate = 0.1\n\
    [[model.layers]]\nname = \"embedding\"\ntype = \"embedding\"\nfeatures = 4\n\
    [[model.layers]]\nname = \"logits\"\ntype = \"linear\"\nunits = \"vocabulary\"\n";

fn with_fifo() -> Place {
    let place = Place::new(PROGRAM);
    let path = CString::new(place.path("fifo").as_os_str().as_bytes()).unwrap();
    // SAFETY: the path ends in NUL.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    place
}

#[test]
fn a_job_that_is_a_pipe_or_a_device_is_refused_at_once() {
    let place = with_fifo();
    let needed = "but a regular file is needed";
    place
        .run("train fifo")
        .refused(2, &["fifo: cannot read the job file: it is a named pipe (FIFO)", needed]);
    place.run("train /dev/zero").refused(2, &["/dev/zero: cannot read the job file: it is a device", needed]);
    std::fs::File::create(place.path("large.toml")).unwrap().set_len(1 << 30).unwrap();
    place
        .run("train large.toml")
        .refused(2, &["large.toml: cannot read the job file: it has more than 16777216 bytes"]);
}

#[test]
fn data_that_are_a_pipe_or_a_device_are_refused_at_once() {
    let place = with_fifo();
    place.write("a.txt", "one of these\n".repeat(100));
    place.write("text.toml", LANGUAGE);
    for path in ["fifo", "/dev/zero"] {
        let line = format!("train text.toml --run-dir run --set data.train={path}");
        place
            .run(&line)
            .refused(3, &[&format!("{path}: cannot be read: it is a "), "but a regular file is needed"]);
    }
    std::fs::create_dir(place.path("idx")).unwrap();
    std::os::unix::fs::symlink(place.path("fifo"), place.path("idx/train-images-idx3-ubyte")).unwrap();
    let line = "train tiny.toml --run-dir run --set data.dataset=idx --set data.dir=idx";
    let needed = "but a regular file is needed";
    place.run(line).refused(3, &["there is no file train-labels-idx1-ubyte"]);
    for name in ["train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"] {
        std::os::unix::fs::symlink("/dev/zero", place.path(&format!("idx/{name}"))).unwrap();
    }
    let fifo = "idx/train-images-idx3-ubyte: cannot be read: it is a named pipe (FIFO)";
    place.run(line).refused(3, &[fifo, needed]);
    std::fs::remove_file(place.path("idx/train-images-idx3-ubyte")).unwrap();
    place.write("idx/train-images-idx3-ubyte", [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 7]);
    place.run(line).refused(3, &["idx/train-labels-idx1-ubyte: cannot be read: it is a device", needed]);
    // The files of a published data set, a directory in place of a file, and a file in place of the directory.
    std::os::unix::fs::symlink(place.path("fifo"), place.path("idx/kjv.txt")).unwrap();
    let text = "train text.toml --run-dir run --set data.dataset=kjv --set data.dir=";
    let job = place.read("text.toml");
    let own: Vec<&str> =
        job.lines().filter(|line| !line.contains(".txt") && !line.contains("stdin")).collect();
    place.write("text.toml", own.join("\n"));
    place.run(&format!("{text}idx")).refused(3, &["idx/kjv.txt: cannot be read: it is a named pipe", needed]);
    place.run(&format!("{text}text.toml")).refused(3, &["text.toml: is not a directory: use the directory"]);
    std::fs::create_dir_all(place.path("colour/data_batch_1.bin")).unwrap();
    let colour = "train tiny.toml --run-dir run --set data.dataset=cifar-10 --set data.dir=colour";
    place.run(colour).refused(3, &["colour/data_batch_1.bin: cannot be read: Is a directory"]);
}

/// Like standard input on ranks other than 0 under mpirun: the advice must not be to use standard input.
#[test]
fn standard_input_that_is_a_device_is_refused_with_another_way() {
    let place = Place::new(PROGRAM);
    place.write("text.toml", LANGUAGE);
    let mut command = place.command(&["train", "text.toml", "--run-dir", "run"]);
    let finished = finish(command.stdin(Stdio::null()));
    finished
        .refused(3, &["/dev/stdin: cannot be read: it is a device, not a pipe: mpirun gives", "to a file"]);
}

#[test]
fn a_job_and_a_text_can_be_what_a_command_prints() {
    let place = Place::new(PROGRAM);
    place.write("a.txt", "one of these\n".repeat(100));
    place.write("text.toml", LANGUAGE);
    for (arguments, input) in [
        (&["train", "/dev/stdin", "--set", "name=piped", "--run-dir", "job"][..], TINY.to_owned()),
        (&["train", "text.toml", "--run-dir", "text"], place.read("a.txt")),
    ] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let written = std::thread::spawn(move || writer.write_all(input.as_bytes()));
        finish(place.command(arguments).stdin(reader)).ended(0);
        written.join().unwrap().unwrap();
    }
}

/// By default one text holds all parts, and a pipe cannot be read again for the next.
#[test]
fn one_text_from_a_pipe_is_cut_into_its_parts() {
    let place = Place::new(PROGRAM);
    let text: String = (0..2000).map(|line| format!("line {line} of {}\n", line % 7)).collect();
    place.write("a.txt", &text);
    place.write("text.toml", LANGUAGE.replace("valid = \"a.txt\"\ntest = \"a.txt\"\n", ""));
    place.run("train text.toml --run-dir file --set data.train=a.txt").ended(0);
    let (reader, mut writer) = std::io::pipe().unwrap();
    let written = std::thread::spawn(move || writer.write_all(text.as_bytes()));
    finish(place.command(&["train", "text.toml", "--run-dir", "pipe"]).stdin(reader)).ended(0);
    written.join().unwrap().unwrap();
    let losses = |run: &str| -> Vec<f64> {
        let metrics = place.read(&format!("{run}/metrics.jsonl"));
        let events = metrics.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let is_loss =
            |event: &Value| ["train", "evaluate", "test"].iter().any(|kind| event["event"] == *kind);
        events.filter(is_loss).map(|event| event["loss"].as_f64().unwrap()).collect()
    };
    assert_eq!(losses("file").len(), 3, "of each part of the text");
    assert_eq!(losses("pipe"), losses("file"));
}

/// Nothing is ever written to the pipe. The run is told to stop, once, as soon as it handles signals: usually
/// just before it waits.
#[test]
fn a_signal_ends_the_wait_for_a_pipe() {
    let place = Place::new(PROGRAM);
    place.write("text.toml", LANGUAGE);
    let (reader, _writer) = std::io::pipe().unwrap();
    let mut command = place.command(&["train", "text.toml", "--run-dir", "run"]);
    command.stdin(reader).stdout(Stdio::null());
    let run = Watched::start(command);
    // The handler of SIGUSR2 is the last that the program sets.
    let id = run.running.0.id();
    wait_for("the handlers", || [SIGTERM, SIGUSR2].iter().all(|&signal| catches(id, signal)).then_some(()));
    run.running.signal(SIGTERM);
    run.finish().refused(3, &["/dev/stdin: cannot be read: a signal interrupted the wait for it"]);
    assert!(!place.path("run").exists());
}

/// Whether the process `id` has a handler for `signal`.
fn catches(id: u32, signal: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.map_or(0, |caught| u64::from_str_radix(caught.trim(), 16).unwrap());
    caught >> (signal - 1) & 1 == 1
}
