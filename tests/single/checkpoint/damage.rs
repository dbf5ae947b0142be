//! Damaged, foreign and contradictory files are refused by name and reason; HDF5 never sees them.

use std::fs;
use std::path::Path;

use ternflock::checkpoint::{load, save, verify};

use crate::sample;

/// The message of the refusal to load `path`, which must name it.
pub fn refusal(path: &Path) -> String {
    let message = load(path).map(drop).unwrap_err().to_string();
    assert!(message.starts_with(&format!("{}: ", path.display())), "{message}");
    assert!(verify(path).is_err(), "load refuses what verify accepts: {message}");
    message
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cut.h5");
    save(&path, &sample(1)).unwrap();
    let whole = fs::read(&path).unwrap();
    let near_edges = [0, 1, 5, 20, 21, 22, 100, 511, 512, 513, 520, whole.len() - 1];
    for length in near_edges.into_iter().chain((0..whole.len()).step_by(97)) {
        fs::write(&path, &whole[..length]).unwrap();
        let message = refusal(&path);
        match length {
            0 => assert!(message.ends_with("is empty"), "{message}"),
            1..512 => assert!(message.contains(&format!("truncated: found {length} bytes")), "{message}"),
            _ => {
                let figures = format!("truncated: expected {} bytes, found {length}", whole.len());
                assert!(message.contains(&figures), "{message}");
            }
        }
    }
    fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
    assert!(refusal(&path).contains("has grown"));
    fs::write(&path, &whole).unwrap();
    verify(&path).unwrap();
}

#[test]
fn a_file_changed_anywhere_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("changed.h5");
    save(&path, &sample(1)).unwrap();
    let whole = fs::read(&path).unwrap();
    for offset in (0..512).chain((512..whole.len()).step_by(61)) {
        for flip in [1, 0x20, 0x80] {
            let mut changed = whole.clone();
            changed[offset] ^= flip;
            fs::write(&path, &changed).unwrap();
            let message = refusal(&path);
            let expected = if offset >= 512 { "checksum does not match" } else { "" };
            assert!(message.contains(expected), "byte {offset}: {message}");
        }
    }
    // Whole pages of zeros, as a crashed file system leaves them.
    for start in [0, 512, 2048] {
        let mut changed = whole.clone();
        changed[start..start + 512].fill(0);
        fs::write(&path, &changed).unwrap();
        refusal(&path);
    }
}

#[test]
fn other_files_are_refused_for_what_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("notes.txt"), "just text\n").unwrap();
    assert!(refusal(&at("notes.txt")).ends_with("is not a ternflock checkpoint"));
    fs::write(at("long.txt"), "just text\n".repeat(100)).unwrap();
    assert!(refusal(&at("long.txt")).ends_with("is not a ternflock checkpoint"));
    hdf5::File::create(at("plain.h5")).unwrap().close().unwrap();
    assert!(refusal(&at("plain.h5")).contains("is an HDF5 file, but not a ternflock checkpoint"));
    let unsealed =
        hdf5::File::with_options().with_fcpl(|create| create.userblock(512)).create(at("unsealed.h5"));
    unsealed.unwrap().close().unwrap();
    assert!(refusal(&at("unsealed.h5")).contains("was never finished"));
    assert!(refusal(&at("missing.h5")).contains("No such file"));
    assert!(refusal(directory.path()).contains("Is a directory"));

    save(at("newer.h5"), &sample(1)).unwrap();
    let mut newer = fs::read(at("newer.h5")).unwrap();
    assert!(newer.starts_with(b"ternflock-checkpoint 1 "));
    newer[21] = b'7';
    fs::write(at("newer.h5"), newer).unwrap();
    assert!(
        refusal(&at("newer.h5"))
            .contains("format version 7, but this program reads versions up to 1: use a newer ternflock")
    );
}

/// A header that matches the content of `path`, as its writer would have made it.
pub fn reseal(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let digest = xxhash_rust::xxh3::xxh3_128(&bytes[512..]);
    let line = format!("ternflock-checkpoint 1 {} {digest:032x}\n", bytes.len() - 512);
    bytes[..512].fill(0);
    bytes[..line.len()].copy_from_slice(line.as_bytes());
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_whole_file_with_the_wrong_contents_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wrong.h5");
    let refused = |change: &dyn Fn(&hdf5::File), reason: &str| {
        save(&path, &sample(1)).unwrap();
        let file = hdf5::File::open_rw(&path).unwrap();
        change(&file);
        file.close().unwrap();
        reseal(&path);
        verify(&path).unwrap();
        let message = load(&path).map(drop).unwrap_err().to_string();
        assert!(message.contains(reason) && message.contains("wrong.h5: "), "{message}");
    };
    refused(&|file| file.unlink("network").unwrap(), "no usable `network`");
    refused(&|file| file.unlink("parameters").unwrap(), "no usable `parameters`");
    refused(&|file| file.group("progress").unwrap().delete_attr("step").unwrap(), "no usable `step`");
    refused(&|file| file.attr("format_version").unwrap().write_scalar(&9u32).unwrap(), "of version 9");
    let parameters = |file: &hdf5::File| file.group("parameters/conv1").unwrap();
    refused(
        &|file| drop(parameters(file).new_dataset::<f64>().shape(2).create("bias").unwrap()),
        "not of 32-bit floats",
    );
    // Nothing is stored for it yet: HDF5 itself would return 4 PB of zeros.
    refused(
        &|file| {
            drop(
                parameters(file)
                    .new_dataset::<f32>()
                    .shape((1usize << 25, 1usize << 25))
                    .create("bias")
                    .unwrap(),
            )
        },
        "larger than the file",
    );
}
