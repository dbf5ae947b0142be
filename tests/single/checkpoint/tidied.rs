//! Files that another program has opened for writing. What HDF5 tidies up by itself does not count as a change; any
//! other change does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ternflock::checkpoint::{Snapshot, load, save};

use crate::damage::{refusal, reseal};
use crate::readers::{output, python_with_h5py};
use crate::{assert_same, sample};

/// The stale bytes that earlier versions left in the superblock (src/checkpoint/header.rs), and their place.
const STALE: [u8; 24] = *b"\x01\0\0\0\0\0\0\0\x88\0\0\0\0\0\0\0\xa8\x02\0\0\0\0\0\0";
const AT: usize = 512 + 72;

fn saved(directory: &tempfile::TempDir) -> (PathBuf, Snapshot) {
    let (path, snapshot) = (directory.path().join("run.h5"), sample(7));
    save(&path, &snapshot).unwrap();
    (path, snapshot)
}

/// Runs Python with h5py, and the file at `path` as `path`.
fn python(script: &str, path: &Path) {
    let script = format!("import h5py, sys\npath = sys.argv[1]\n{script}");
    let mut python = Command::new(python_with_h5py());
    python.args(["-c", &script]).arg(path);
    output("python3 with h5py", "python3-h5py", &mut python);
}

/// Opens it for writing and closes it, either untouched or after reading everything in it.
fn openings() -> Vec<String> {
    let read = "    dict(file.attrs)
    file.visititems(lambda name, item: (dict(item.attrs), item[()] if isinstance(item, h5py.Dataset) else None) and None)
    file.flush()";
    let mut openings = Vec::new();
    for mode in ["a", "r+"] {
        for libver in ["None", "'earliest'", "'latest'"] {
            for inside in ["    pass", read] {
                openings.push(format!("with h5py.File(path, '{mode}', libver={libver}) as file:\n{inside}"));
            }
        }
    }
    openings
}

/// HDF5 has nothing left to tidy up, so not a byte changes.
#[test]
fn a_file_that_was_opened_for_writing_is_the_same_file() {
    let directory = tempfile::tempdir().unwrap();
    let (path, snapshot) = saved(&directory);
    let before = fs::read(&path).unwrap();
    python(&openings().join("\n"), &path);
    assert!(fs::read(&path).unwrap() == before);
    hdf5::File::open_rw(&path).unwrap().close().unwrap();
    assert!(fs::read(&path).unwrap() == before);
    assert_same(&load(&path).unwrap(), &snapshot);
}

/// Files of earlier versions lose four bytes of the superblock when they are opened for writing, and nothing else.
#[test]
fn a_file_of_an_earlier_version_may_be_tidied_up() {
    let directory = tempfile::tempdir().unwrap();
    let (path, snapshot) = saved(&directory);
    let mut earlier = fs::read(&path).unwrap();
    assert_eq!(earlier[AT..][..24], [0; 24]);
    earlier[AT..][..24].copy_from_slice(&STALE);
    fs::write(&path, &earlier).unwrap();
    reseal(&path);
    let earlier = fs::read(&path).unwrap();
    assert_same(&load(&path).unwrap(), &snapshot);
    for opening in openings().iter().step_by(3) {
        fs::write(&path, &earlier).unwrap();
        python(opening, &path);
        let tidied = fs::read(&path).unwrap();
        let changed: Vec<usize> = (0..earlier.len()).filter(|&at| earlier[at] != tidied[at]).collect();
        assert_eq!(
            (tidied.len(), &changed[..]),
            (earlier.len(), &[AT, AT + 8, AT + 16, AT + 17][..]),
            "{opening}"
        );
        assert_same(&load(&path).unwrap(), &snapshot);
    }
    // Any other content there is damage, and so is any other change elsewhere.
    for (at, flip) in
        (AT..AT + 24).flat_map(|at| [(at, 1), (at, 0x80)]).chain([(AT - 1, 1), (AT + 24, 1), (3000, 1)])
    {
        for whole in [&earlier, &fs::read(&path).unwrap()] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            let file = directory.path().join("damaged.h5");
            fs::write(&file, damaged).unwrap();
            assert!(refusal(&file).contains("checksum does not match"), "byte {at}");
        }
    }
}

/// The other way round: this file never had such bytes.
#[test]
fn a_new_file_has_no_stale_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = saved(&directory);
    let mut bytes = fs::read(&path).unwrap();
    bytes[AT..][..24].copy_from_slice(&STALE);
    fs::write(&path, bytes).unwrap();
    assert!(refusal(&path).contains("checksum does not match"));
}

#[test]
fn what_h5py_changes_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    for change in [
        "file['parameters/conv1/weight'][1, 2] = 5.5",
        "file['progress'].attrs.modify('step', file['progress'].attrs['step'] + 1)",
        "file['progress'].attrs['step'] = 8",
        "file.attrs['note'] = 'mine'",
        "file['mine'] = 1",
        "del file['job']; file['job'] = 'another'",
        "del file['optimizer/first']",
        "file.move('parameters/conv1', 'parameters/conv2')",
        "file['carried/lstm1/c'][0] = file['carried/lstm1/c'][0] + 1",
        "del file['progress/metrics'].attrs['loss']",
        "file['vocabulary'][1] = 'other'",
    ] {
        let (path, _) = saved(&directory);
        python(&format!("with h5py.File(path, 'a') as file:\n    {change}"), &path);
        let message = refusal(&path);
        let told = [
            "checksum does not match: it changed since it was written",
            "has grown since it was written",
            "is truncated",
        ];
        assert!(told.iter().any(|told| message.contains(told)), "{change}: {message}");
    }
}
