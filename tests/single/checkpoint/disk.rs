//! A full disk, a directory that cannot be written, or a kill costs the new checkpoint, never the previous one.
//! The disks are small tmpfs mounts; where mounting is not permitted these tests say so and pass.

use std::fs::{self, File};
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ternflock::checkpoint::{Store, load, save};

use crate::{assert_same, names, sample, tensor};

const PAGE: usize = 4096;
/// The variable with the disk of [`fill`].
const DISK: &str = "TERNFLOCK_TEST_DISK";
/// The variable with the run directory of [`save_on_and_on`].
const RUN: &str = "TERNFLOCK_TEST_RUN";

struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// A tmpfs of `pages`, or `None` and a printed note if mounting is not permitted.
    fn mount(pages: usize) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let size = format!("size={}", pages * PAGE);
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(directory.path()).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(SmallDisk(directory));
        }
        // Bypasses the test harness, which captures the output of a passing test.
        let word = b"skipped: mounting a tmpfs is not permitted here; run as root to test full disks\n";
        std::io::stderr().write_all(word).unwrap();
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A process that another test is just starting holds our descriptors until it executes another
        // program.
        let unmounted = (0..100).any(|attempt| {
            std::thread::sleep(std::time::Duration::from_millis(attempt));
            Command::new("umount").arg(self.path()).status().is_ok_and(|status| status.success())
        });
        assert!(unmounted, "{} stays mounted", self.path().display());
    }
}

#[test]
fn a_directory_that_is_missing_or_read_only_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let message = save(directory.path().join("missing/a.h5"), &sample(1)).unwrap_err().to_string();
    assert!(
        message.contains("missing/a.h5: cannot be saved") && message.contains("No such file"),
        "{message}"
    );

    let Some(disk) = SmallDisk::mount(256) else { return };
    let store = Store::open(disk.path(), NonZeroUsize::MIN).unwrap();
    let first = sample(1);
    let path = store.save(&first, true).unwrap();
    let remount = Command::new("mount").args(["-o", "remount,ro"]).arg(disk.path()).status();
    assert!(remount.unwrap().success());
    let message = store.save(&sample(2), true).unwrap_err().to_string();
    assert!(message.contains("step-0000000002.h5: cannot be saved: cannot create"), "{message}");
    assert!(message.contains("Read-only file system"), "{message}");
    assert_same(&load(path).unwrap(), &first);
}

/// Another process, [`fill`], saves, so that its exit code and its standard error can be checked too.
#[test]
fn a_full_disk_keeps_the_previous_checkpoint() {
    let Some(disk) = SmallDisk::mount(256) else { return };
    let this = std::env::current_exe().unwrap();
    let fill = Command::new(this)
        .args(["--exact", "disk::fill", "--ignored"])
        .env(DISK, disk.path())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&fill.stdout), String::from_utf8_lossy(&fill.stderr));
    assert!(fill.status.success() && out.contains("1 passed"), "{}\n{out}\n{err}", fill.status);
    assert!(err.is_empty(), "HDF5 is not silent: {err}");
}

#[test]
#[ignore = "run by a_full_disk_keeps_the_previous_checkpoint"]
fn fill() {
    let Ok(disk) = std::env::var(DISK) else { return };
    let (path, filler) = (Path::new(&disk).join("run.h5"), Path::new(&disk).join("filler"));
    let previous = sample(1);
    let mut next = sample(2);
    next.parameters.push(tensor("large/weight", &[20_000], vec![0.5; 20_000]));
    next.parameters
        .extend((0..20).map(|i| tensor(&format!("layer {i}/weight"), &[2500], vec![i as f32; 2500])));
    let mut refused = 0;
    for free_pages in (0..100).chain([0, 1, 2]) {
        save(&path, &previous).unwrap();
        fill_to(free_pages, &filler);
        match save(&path, &next) {
            Ok(()) => assert_same(&load(&path).unwrap(), &next),
            Err(error) => {
                refused += 1;
                let message = error.to_string();
                let figures =
                    format!("it needs 0.31 MB, {:.2} MB are free", (free_pages * PAGE) as f64 / 1e6);
                assert!(message.contains("run.h5: cannot be saved: No space left on device"), "{message}");
                assert!(message.contains(&figures), "{free_pages} pages: {message}");
                assert_same(&load(&path).unwrap(), &previous);
            }
        }
        assert_eq!(names(Path::new(&disk)), ["filler", "run.h5"]);
        fs::remove_file(&filler).unwrap();
        save(&path, &next).unwrap();
        assert_same(&load(&path).unwrap(), &next);
    }
    assert!(
        (53..83).contains(&refused),
        "{refused} of 83 were refused: the disk was not full, or never had room"
    );
}

/// Fills the disk of `filler` until it has room for `pages`.
fn fill_to(pages: usize, filler: &Path) {
    let mut file = File::create(filler).unwrap();
    let mut written = 0;
    while file.write_all(&[1; PAGE]).is_ok() {
        written += PAGE;
    }
    file.set_len((written - pages * PAGE) as u64).unwrap();
}

/// Every second kill comes at a random time. The others come while a checkpoint is written, however slow or
/// busy the machine is: the writing process is stopped at that point first.
#[test]
fn a_kill_leaves_complete_checkpoints_alone() {
    let run = tempfile::tempdir().unwrap();
    let directory = run.path().join("checkpoints");
    let is_writing = || names(&directory).iter().any(|name| name.starts_with('.'));
    // From here on there is always a best checkpoint.
    let first = Store::open(run.path(), NonZeroUsize::MIN).unwrap().save(&sample(0), true).unwrap();
    let mut last = Some(first);
    for kill in 0..10 {
        let store = Store::open(run.path(), NonZeroUsize::MIN).unwrap();
        let mut saving = Command::new(std::env::current_exe().unwrap());
        saving
            .args(["--exact", "disk::save_on_and_on", "--ignored"])
            .env(RUN, run.path())
            .stdout(Stdio::null());
        let mut saving = saving.spawn().unwrap();
        // For a process that hangs; even a slow one does not take this long.
        let deadline = Instant::now() + Duration::from_secs(300);
        while store.latest().unwrap() == last {
            assert!(Instant::now() < deadline, "no checkpoint in 300 s");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(kill * 1700 % 10_000));
        if kill % 2 == 1 {
            stop(&saving);
            for attempt in 0.. {
                if is_writing() {
                    break;
                }
                assert!(Instant::now() < deadline, "no checkpoint was being written in 300 s");
                signal(&saving, libc::SIGCONT);
                std::thread::sleep(Duration::from_micros(attempt * 170 % 1000));
                stop(&saving);
            }
        }
        saving.kill().unwrap();
        saving.wait().unwrap();
        assert!(kill % 2 == 0 || is_writing(), "the kill came while a checkpoint was written");
        let store = Store::open(run.path(), NonZeroUsize::MIN).unwrap();
        for name in names(&directory) {
            load(directory.join(name)).unwrap();
        }
        last = store.latest().unwrap();
        assert!(last.is_some() && store.best().is_some());
    }
}

fn signal(child: &Child, signal: i32) {
    // SAFETY: a plain system call; the child has not been waited for, so the number is its own.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
}

/// Stops `child`, and waits until it has stopped.
fn stop(child: &Child) {
    signal(child, libc::SIGSTOP);
    let (id, mut status) = (child.id() as i32, 0);
    // SAFETY: the call fills the number it is given.
    assert_eq!(unsafe { libc::waitpid(id, &mut status, libc::WUNTRACED) }, id);
    assert!(libc::WIFSTOPPED(status), "it has ended by itself: {status}");
}

#[test]
#[ignore = "run by a_kill_leaves_complete_checkpoints_alone, which ends it"]
fn save_on_and_on() {
    let Ok(run) = std::env::var(RUN) else { return };
    let store = Store::open(run, NonZeroUsize::MIN).unwrap();
    let next = store.list().unwrap().last().map_or(0, |saved| saved.step + 1);
    for step in next.. {
        let mut snapshot = sample(step);
        snapshot.parameters.push(tensor("large/weight", &[100_000], vec![step as f32; 100_000]));
        store.save(&snapshot, step % 3 == 0).unwrap();
    }
}
