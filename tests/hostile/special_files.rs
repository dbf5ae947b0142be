//! FIFOs, devices, directories, sockets and links as every argument that takes a path.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use support::program::{Finished, Place};

use crate::{DOCUMENTED, run, trained};

/// Entries that are not files to read: names in a directory that [`special`] made, or paths.
const SPECIAL: [&str; 8] =
    ["fifo", "directory", "socket", "loop", "dangling", "link-to-fifo", "/dev/zero", "/dev/null"];

fn special() -> (Place, UnixListener) {
    let place = trained();
    assert!(Command::new("mkfifo").arg(place.path("fifo")).status().unwrap().success());
    fs::create_dir(place.path("directory")).unwrap();
    let listener = UnixListener::bind(place.path("socket")).unwrap();
    for (target, link) in [("loop", "loop"), ("nowhere", "dangling"), ("fifo", "link-to-fifo")] {
        symlink(target, place.path(link)).unwrap();
    }
    (place, listener)
}

/// Command lines that read the file `{}`, each with the exit codes for an unreadable file.
const READING: [(&str, &[i32]); 16] = [
    ("train {}", &[2]),
    ("train {} --resume", &[2, 5]),
    ("train --resume {}", &[2, 5]),
    ("sweep {} --seeds 1,2", &[2]),
    ("forecast {} --nodes 2 --link 1gbit,100us", &[2]),
    ("bench scaling {} --ranks 1", &[2]),
    ("eval {}", &[4]),
    ("inspect {}", &[4]),
    ("compress {} --shrink -o out.h5", &[4]),
    ("export {} -o out.npz", &[4]),
    ("bench infer {}", &[4]),
    ("train tiny.toml --set model.checkpoint=\"{}\"", &[2, 4]),
    ("train text.toml --set data.train=\"{}\"", &[3]),
    ("train idx.toml --set data.dir=\"{}\"", &[3]),
    ("eval run/checkpoints/best.h5 --data-dir {}", &[2, 3]),
    ("data fetch fashion-mnist --into {}", &[2, 3]),
];

const TEXT: &str = "[data]\ndataset = \"text\"\n\n[train]\nsteps = 2\nglobal_batch = 2\n\n[optimizer]\nlearning_rate = 0.1\n\n[model]\npreset = \"lstm-small\"\n";

#[test]
fn what_is_no_file_is_refused_wherever_it_is_read() {
    let (place, _listener) = special();
    place.write("text.toml", TEXT);
    let job = place.read("tiny.toml").replace("dataset = \"digits\"", "dataset = \"idx\"");
    place.write("idx.toml", job);
    let mut wrong = Vec::new();
    for (line, codes) in READING {
        for special in SPECIAL {
            // Fetching may write into an empty directory.
            if line.starts_with("data fetch") && special == "directory" {
                continue;
            }
            let line = line.replace("{}", special);
            let Finished { code, out, err } = run(&place, &line.split(' ').collect::<Vec<_>>());
            let is_right = code.is_some_and(|code| codes.contains(&code)) && err.contains(special);
            if !is_right || err.contains("panicked") {
                wrong.push(format!("{line}: {code:?}\n{out}{err}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Command lines that write the file `{}`.
const WRITING: [&str; 6] = [
    "train tiny.toml --run-dir {}",
    "compress run/checkpoints/best.h5 --shrink -o {}",
    "compress run/checkpoints/best.h5 --shrink --overwrite -o {}",
    "eval run/checkpoints/best.h5 --sharpness --svg {} --samples 10 --points 3 --iterations 1 --repeats 1",
    "export run/checkpoints/best.h5 --format npz --overwrite -o {}",
    "sweep tiny.toml --set train.steps=1 --into {}",
];

#[test]
fn what_is_no_file_is_not_waited_for_where_it_is_written() {
    let mut wrong = Vec::new();
    for line in WRITING {
        for special in SPECIAL {
            let (place, _listener) = self::special();
            let line = line.replace("{}", special);
            let Finished { code, out, err } = run(&place, &line.split(' ').collect::<Vec<_>>());
            let is_right = code.is_some_and(|code| DOCUMENTED.contains(&code));
            let is_named = code == Some(0) || err.contains(special);
            // Nothing is written through a dangling link.
            if !is_right || !is_named || err.contains("panicked") || place.path("nowhere").exists() {
                wrong.push(format!("{line}: {code:?}\n{out}{err}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
