//! Extracts files from archives. Only wanted files are written, under names built into the program, so an archive cannot
//! place a file anywhere else. Links and devices do not count as files.

use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use ternflock_base::io::{create_directories, create_file, open_regular};

/// The files to extract from an archive.
pub struct Wanted<'a> {
    /// The directory inside the archive that contains the files.
    pub directory: &'a str,
    /// The names of the files. Each may end in `.gz`.
    pub names: &'a [&'a str],
    /// The maximum number of bytes to unpack.
    pub most: u64,
}

impl Wanted<'_> {
    /// Extracts the wanted files of the tar archive at `path`, which may be compressed with gzip, into `into`.
    pub fn unpack_tar(&self, path: &Path, into: &Path) -> Result<(), String> {
        let blame = |error: io::Error| format!("{}: {error}", name_of(path));
        let open = || open_regular(path).map(BufReader::new).map_err(blame);
        let mut start = [0; 2];
        let is_compressed = open()?.read_exact(&mut start).is_ok() && start == [0x1f, 0x8b];
        // Other entries may take some space, but not an unlimited amount.
        let most = self.most.saturating_mul(2).saturating_add(1 << 20);
        match is_compressed {
            true => self.unpack(MultiGzDecoder::new(open()?).take(most), into),
            false => self.unpack(open()?.take(most), into),
        }
        .map_err(|reason| format!("{}: {reason}", name_of(path)))
    }

    fn unpack(&self, archive: impl Read, into: &Path) -> Result<(), String> {
        let failed = |error: io::Error| format!("is not an archive, or is damaged: {error}");
        let mut archive = tar::Archive::new(archive);
        let mut left = self.most;
        for entry in archive.entries().map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path_bytes().into_owned();
            let Some(name) = self.wanted(&path) else { continue };
            if !entry.header().entry_type().is_file() {
                return Err(format!("{name} is not a regular file in it"));
            }
            let is_program = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
            left = write(entry, is_program, left, &into.join(name))?;
        }
        Ok(())
    }

    /// Extracts the wanted files of the zip archive at `path` into `into`.
    pub fn unpack_zip(&self, path: &Path, into: &Path) -> Result<(), String> {
        let failed = |error: String| format!("{}: is not an archive, or is damaged: {error}", name_of(path));
        let file = open_regular(path).map_err(|error| failed(error.to_string()))?;
        let mut archive =
            zip::ZipArchive::new(BufReader::new(file)).map_err(|error| failed(error.to_string()))?;
        let mut left = self.most;
        for index in 0..archive.len() {
            let entry = archive.by_index(index).map_err(|error| failed(error.to_string()))?;
            let path_inside = entry.name().map_err(|error| failed(error.to_string()))?;
            let Some(name) = self.wanted(path_inside.as_bytes()) else { continue };
            drop(path_inside);
            if !entry.is_file() || entry.is_symlink() {
                return Err(format!("{}: {name} is not a regular file in it", name_of(path)));
            }
            left = write(entry, false, left, &into.join(name))
                .map_err(|reason| format!("{}: {reason}", name_of(path)))?;
        }
        Ok(())
    }

    /// The name of the wanted file for an archive entry at `path`.
    fn wanted(&self, path: &[u8]) -> Option<String> {
        let path = std::str::from_utf8(path).ok()?;
        let path = path.strip_prefix("./").unwrap_or(path);
        let name = path.strip_prefix(self.directory)?.strip_prefix('/')?;
        let is_wanted =
            self.names.contains(&name.strip_suffix(".gz").unwrap_or(name)) || self.names.contains(&name);
        is_wanted.then(|| name.to_owned())
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Writes `content`, at most `left` bytes, to a new file at `path`. Returns how many bytes are left.
fn write(content: impl Read, is_program: bool, left: u64, path: &Path) -> Result<u64, String> {
    let name = name_of(path);
    let blame = |error: io::Error| format!("{name}: {error}");
    create_directories(path.parent().unwrap_or(Path::new(""))).map_err(blame)?;
    let mut file = create_file(path, if is_program { 0o777 } else { 0o666 }).map_err(blame)?;
    let count = io::copy(&mut content.take(left.saturating_add(1)), &mut file).map_err(blame)?;
    left.checked_sub(count).ok_or_else(|| format!("{name} expands to more bytes than the data set has"))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write as _;
    use std::path::PathBuf;

    use flate2::{Compression, write::GzEncoder};
    use tar::{Builder, EntryType, Header};

    use super::*;

    const WANTED: Wanted = Wanted { directory: "inner", names: &["one", "sub/two"], most: 1000 };

    fn header(kind: EntryType, path: &str, size: u64) -> Header {
        let mut header = Header::new_gnu();
        // Unlike `set_path`, this accepts any name.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(size);
        header.set_cksum();
        header
    }

    /// An archive of files and other entries, each with its content or its link target.
    fn archive(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
        let mut archive = Builder::new(Vec::new());
        for &(kind, path, content) in entries {
            match kind {
                EntryType::Regular => {
                    archive.append(&header(kind, path, content.len() as u64), content.as_bytes()).unwrap();
                }
                _ => {
                    let mut header = header(kind, path, 0);
                    header.set_link_name(content).unwrap();
                    header.set_cksum();
                    archive.append(&header, &[][..]).unwrap();
                }
            }
        }
        archive.into_inner().unwrap()
    }

    fn unpack(archive: &[u8]) -> (Result<(), String>, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let (path, into) = (directory.path().join("x.tar"), directory.path().join("scratch/into"));
        fs::write(&path, archive).unwrap();
        (WANTED.unpack_tar(&path, &into), directory)
    }

    /// All files below `directory`.
    fn files(directory: &Path) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            let is_directory = fs::symlink_metadata(&path).unwrap().is_dir();
            if is_directory { files.extend(self::files(&path)) } else { files.push(path) }
        }
        files.sort();
        files
    }

    const FILE: EntryType = EntryType::Regular;

    #[test]
    fn the_wanted_files_are_taken_out_raw_and_compressed() {
        let bytes = archive(&[
            (FILE, "./inner/one", "1"),
            (FILE, "inner/sub/two.gz", "2"),
            (FILE, "inner/three", "3"),
            (FILE, "other/one", "4"),
            (FILE, "inner/one/more", "5"),
        ]);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&bytes).unwrap();
        for archive in [&bytes, &gzip.finish().unwrap()] {
            let (outcome, directory) = unpack(archive);
            outcome.unwrap();
            let into = directory.path().join("scratch/into");
            assert_eq!(files(&into), [into.join("one"), into.join("sub/two.gz")]);
            assert_eq!(fs::read_to_string(into.join("one")).unwrap(), "1");
        }
    }

    #[test]
    fn nothing_is_written_anywhere_else() {
        let (outcome, directory) = unpack(&archive(&[
            (FILE, "inner/../../one", "1"),
            (FILE, "../one", "1"),
            (FILE, "/tmp/ternflock-archive-test", "1"),
            (FILE, "inner/../one", "1"),
            (EntryType::Symlink, "inner", "/tmp"),
            (EntryType::Symlink, "inner/sub", "/tmp"),
            (FILE, "inner/sub/two", "2"),
        ]));
        outcome.unwrap();
        let expected = ["scratch/into/sub/two", "x.tar"].map(|name| directory.path().join(name));
        assert_eq!(files(directory.path()), expected);
        assert!(!Path::new("/tmp/ternflock-archive-test").exists());
        for kind in [EntryType::Symlink, EntryType::Link, EntryType::Char, EntryType::Fifo] {
            let (outcome, directory) = unpack(&archive(&[(kind, "inner/one", "/etc/passwd")]));
            assert_eq!(outcome.unwrap_err(), "x.tar: one is not a regular file in it");
            assert_eq!(files(directory.path()).len(), 1);
        }
        let (outcome, _directory) = unpack(&archive(&[(FILE, "inner/one", "1"), (FILE, "inner/one", "2")]));
        assert!(outcome.unwrap_err().contains("one: File exists"), "a second file by that name");
    }

    #[test]
    fn no_more_is_unpacked_than_the_data_set_has() {
        let (outcome, _directory) = unpack(&archive(&[(FILE, "inner/one", &"1".repeat(1001))]));
        assert_eq!(outcome.unwrap_err(), "x.tar: one expands to more bytes than the data set has");
        // Skipped entries count too.
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&header(FILE, "other", 1 << 33).as_bytes()[..]).unwrap();
        io::copy(&mut io::repeat(0).take(1 << 22), &mut gzip).unwrap();
        let (outcome, _directory) = unpack(&gzip.finish().unwrap());
        assert!(outcome.unwrap_err().contains("is not an archive, or is damaged"));
        let (outcome, _directory) = unpack(b"<html>Log in</html>");
        assert!(outcome.unwrap_err().contains("x.tar: is not an archive, or is damaged"));
    }

    #[test]
    fn so_with_zip() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.whl");
        let make = |entries: &[(&str, &str)]| {
            let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
            for (name, content) in entries {
                archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
                archive.write_all(content.as_bytes()).unwrap();
            }
            archive.finish().unwrap();
        };
        let into = directory.path().join("scratch/into");
        make(&[("inner/one", "1"), ("inner/../../one", "2"), ("/inner/one", "3"), ("three", "4")]);
        WANTED.unpack_zip(&path, &into).unwrap();
        assert_eq!(files(directory.path()), [into.join("one"), path.clone()]);
        fs::remove_dir_all(directory.path().join("scratch")).unwrap();
        make(&[("inner/one", &"1".repeat(1001))]);
        let reason = WANTED.unpack_zip(&path, &into).unwrap_err();
        assert_eq!(reason, "x.whl: one expands to more bytes than the data set has");
        let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
        archive.add_symlink("inner/one", "/etc/passwd", zip::write::SimpleFileOptions::default()).unwrap();
        archive.finish().unwrap();
        fs::remove_dir_all(directory.path().join("scratch")).unwrap();
        let reason = WANTED.unpack_zip(&path, &into).unwrap_err();
        assert_eq!(reason, "x.whl: one is not a regular file in it");
        fs::write(&path, "no archive").unwrap();
        assert!(WANTED.unpack_zip(&path, &into).unwrap_err().contains("x.whl: is not an archive"));
    }
}
