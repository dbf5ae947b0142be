//! System limits (`ulimit`) and small disks: the program ends with a message, never hangs, and loses nothing that was
//! saved.

use std::path::PathBuf;
use std::process::Command;

use support::program::{Finished, Place, finish};

use crate::PROGRAM;

/// Runs the program with `words` under the limit set by `ulimit OPTION VALUE`.
fn limited(place: &Place, option: &str, value: u64, words: &[&str]) -> Finished {
    let program = place.command(words);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit $0 $1 && shift && exec \"$@\"", option, &value.to_string()]);
    command.arg(program.get_program()).args(program.get_args()).current_dir(place.path("."));
    command.stdin(std::process::Stdio::null());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    finish(&mut command)
}

/// Without address space for its buffers, OpenBLAS retries forever.
#[test]
fn too_little_address_space_for_blas_is_refused() {
    let place = Place::new(PROGRAM);
    let mut refused = 0;
    // From too little to load the program to enough.
    for kilobytes in (100_000..=500_000).step_by(50_000) {
        let run_dir = kilobytes.to_string();
        let end = limited(&place, "-v", kilobytes, &["train", "tiny.toml", "--run-dir", &run_dir]);
        if end.err.contains("BLAS needs 128 MB of address space") {
            assert_eq!(end.code, Some(2), "{}", end.err);
            assert!(end.err.contains(&format!("raise `ulimit -v` (now {kilobytes} kB)")), "{}", end.err);
            assert!(!place.path(&run_dir).exists());
            refused += 1;
        }
    }
    assert!(refused > 0, "no limit was between too little and enough");
}

/// SIGXFSZ would end the process without a message.
#[test]
fn a_limit_on_the_size_of_files_is_an_error_of_the_file() {
    let place = Place::new(PROGRAM);
    let words = ["train", "tiny.toml", "--run-dir", "run", "--set", "checkpoint.every=5"];
    // In blocks of 512 bytes. A checkpoint is larger than this; the other files are smaller.
    let end = limited(&place, "-f", 16, &words);
    end.refused(
        4,
        &["step-0000000005.h5: cannot be saved: ", "(`ulimit -f` allows files of 8.2 kB; raise it"],
    );
    finish(&mut place.command(&[&words[..], &["--resume"]].concat())).ended(0);
}

/// Disks from two pages to a megabyte. The run ends with the exit code and message for the file that has no space. All
/// saved files are intact. With more space the run continues, and its results are bit-identical to those of a run on a
/// large disk.
#[test]
fn a_disk_of_any_size_costs_nothing_that_was_saved() {
    let quiet = Place::new(PROGRAM);
    let words = ["train", "tiny.toml", "--run-dir", "disk/run"];
    let sets = ["--set", "checkpoint.every=1", "--set", "checkpoint.keep=30", "--set", "train.log_every=1"];
    let words = [&words[..], &sets].concat();
    finish(&mut quiet.command(&words)).ended(0);
    let hash = |place: &Place| place.inspect("disk/run/checkpoints/step-0000000020.h5")["hash"].clone();
    let mut full = 0;
    for kilobytes in [8, 16, 24, 32, 48, 64, 128, 256, 512, 1024] {
        let place = Place::new(PROGRAM);
        place.write("disk/.keep", "");
        let Some(disk) = Small::mount(&place, kilobytes) else { return };
        let end = finish(&mut place.command(&words));
        assert!(matches!(end.code, Some(0 | 4 | 5)), "{kilobytes} kB: {:?}\n{}", end.code, end.err);
        if end.code != Some(0) {
            full += 1;
            assert!(end.err.contains("No space left on device"), "{kilobytes} kB: {}", end.err);
        }
        for step in 1..=20 {
            let file = format!("disk/run/checkpoints/step-{step:010}.h5");
            if place.path(&file).exists() {
                assert_eq!(place.inspect(&file)["step"], step, "{kilobytes} kB");
            }
        }
        disk.resize(8192);
        let began = place.path("disk/run/job.toml").exists();
        let more: &[&str] = if began { &["--resume"] } else { &[] };
        finish(&mut place.command(&[&words[..], more].concat())).ended(0);
        assert_eq!(hash(&place), hash(&quiet), "{kilobytes} kB");
    }
    assert!(full > 5, "{full} disks were full");
}

/// Mounts a tmpfs on `disk`.
struct Small(PathBuf);

impl Small {
    fn mount(place: &Place, kilobytes: u32) -> Option<Small> {
        let (path, size) = (place.path("disk"), format!("size={kilobytes}k"));
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(&path).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Small(path));
        }
        // Bypasses the test harness, which captures the output of a passing test.
        let word = "skipped: mounting a tmpfs is not permitted here; run as root to test small disks\n";
        std::io::Write::write_all(&mut std::io::stderr(), word.as_bytes()).unwrap();
        None
    }

    fn resize(&self, kilobytes: u32) {
        let options = format!("remount,size={kilobytes}k");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        // A second panic would hide the first.
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.0.display());
        }
    }
}
