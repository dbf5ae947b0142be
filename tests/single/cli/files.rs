//! A job file or data file that is not a regular file is refused without blocking.

use std::ffi::CString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;
use std::time::Duration;

use libc::SIGTERM;

use crate::program::{Place, TINY, finish};
use crate::running::{Watched, wait_for};

/// A language model on the text from standard input.
const LANGUAGE: &str = "[data]\ndataset = \"text\"\ntrain = \"/dev/stdin\"\nvalid = \"a.txt\"\ntest = \"a.txt\"\n\
    sequence_length = 5\n[train]\nsteps = 2\nglobal_batch = 4\n[optimizer]\nlearning_rate = 0.1\n\
    [[model.layers]]\nname = \"embedding\"\ntype = \"embedding\"\nfeatures = 4\n\
    [[model.layers]]\nname = \"logits\"\ntype = \"linear\"\nunits = \"vocabulary\"\n";

fn with_fifo() -> Place {
    let place = Place::new();
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
    place.run(line).refused(3, &["there is no file train-images-idx3-ubyte"]);
}

#[test]
fn a_job_and_a_text_can_be_what_a_command_prints() {
    let place = Place::new();
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

/// Nothing is ever written to the pipe; the run is told to stop while it waits.
#[test]
fn a_signal_ends_the_wait_for_a_pipe() {
    let place = Place::new();
    place.write("text.toml", LANGUAGE);
    let (reader, _writer) = std::io::pipe().unwrap();
    let mut command = place.command(&["train", "text.toml", "--run-dir", "run"]);
    command.stdin(reader).stdout(Stdio::null());
    let run = Watched::start(command);
    // It may not be waiting yet when the first signal arrives.
    wait_for("the end", || {
        if has_ended(run.running.0.id()) {
            return Some(());
        }
        run.running.signal(SIGTERM);
        std::thread::sleep(Duration::from_millis(200));
        None
    });
    let ended = run.finish();
    // Before the handler is installed, a signal ends the process directly.
    assert!(
        ended.code.is_none() || ended.err.contains("a signal interrupted the wait for it"),
        "{}",
        ended.err
    );
    assert!(!place.path("run").exists());
}

/// Whether the process `id`, a child that is not waited for yet, has ended.
fn has_ended(id: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    status.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}
