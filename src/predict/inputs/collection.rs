//! All samples of the files and folders that a user names, in order.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::array::ArrayFile;
use super::idx::IdxImages;
use super::picture::{self, PictureFile};
use super::table::TableFile;
use super::{Inputs, Reading, Stored};
use crate::{Item, Items};
use ternflock_base::error::{Error, Result};
use ternflock_base::io::{open_regular, read_start};
use ternflock_data::is_archive;

/// Samples in files, numbered across them.
pub struct Collection {
    files: Vec<Box<dyn Inputs>>,
    /// The number of samples before each file, and of all.
    starts: Vec<usize>,
}

impl Collection {
    /// The samples in `paths`, read as `how` says. The content of a file decides its format.
    /// Of a folder, these are the PNG and JPEG images in it and in its sub-folders, sorted by their paths.
    ///
    /// # Errors
    /// [`Error::Data`] if a file cannot be read or has no known format.
    pub fn open(paths: &[PathBuf], how: &Reading) -> Result<Collection> {
        let (mut files, mut starts): (Vec<Box<dyn Inputs>>, _) = (Vec::new(), vec![0]);
        for path in paths {
            match path.is_dir() {
                true => {
                    for path in picture::in_folder(path)? {
                        files.push(Box::new(PictureFile::new(path, how)));
                    }
                }
                false => files.push(open(path, how)?),
            }
        }
        for file in &files {
            starts.push(starts[starts.len() - 1] + file.samples());
        }
        Ok(Collection { files, starts })
    }

    /// Reads sample `number`.
    ///
    /// # Errors
    /// With the reason, which does not name the file.
    pub fn read(&self, number: usize, sample: &mut Stored) -> std::result::Result<(), String> {
        let (file, number) = self.place(number);
        file.read(number, sample)
    }

    /// The file that holds sample `number`, and the number of the sample in it.
    fn place(&self, number: usize) -> (&dyn Inputs, usize) {
        let file = self.starts.partition_point(|&start| start <= number) - 1;
        (&*self.files[file], number - self.starts[file])
    }
}

impl Items for Collection {
    fn count(&self) -> usize {
        self.starts[self.starts.len() - 1]
    }

    fn item(&self, number: usize) -> Item<'_> {
        let (file, number) = self.place(number);
        Item { path: file.path(), number: (!file.is_single()).then_some(number) }
    }

    fn unit(&self) -> &'static str {
        "sample"
    }
}

/// The number of first bytes that tell formats apart.
const MAGIC: u64 = 8;

/// The file in a name such as `file.h5:/dataset` or `file.npz:array`.
pub fn file_of(path: &Path) -> Option<PathBuf> {
    let name = path.as_os_str().as_bytes();
    let slash = name.windows(2).position(|pair| pair == b":/");
    let end = slash.or_else(|| name.iter().rposition(|&byte| byte == b':'))?;
    Some(PathBuf::from(OsStr::from_bytes(&name[..end])))
}

/// Opens one file.
fn open(path: &Path, how: &Reading) -> Result<Box<dyn Inputs>> {
    // An array in an HDF5 file or in an archive.
    if !path.exists() && file_of(path).is_some_and(|file| file.exists()) {
        return Ok(Box::new(ArrayFile::open(path, how)?));
    }
    let unreadable = |error: std::io::Error| Error::data(path, format!("cannot be read: {error}"));
    let start = open_regular(path).and_then(|file| read_start(file, MAGIC)).map_err(unreadable)?;
    match start[..] {
        [0, 0, 8, 3, ..] => Ok(Box::new(IdxImages::open(path)?)),
        [0x1f, 0x8b, ..] if how.table.is_none() => Ok(Box::new(IdxImages::open(path)?)),
        [0x89, b'P', b'N', b'G', ..] | [0xff, 0xd8, 0xff, ..] => {
            Ok(Box::new(PictureFile::new(path.into(), how)))
        }
        [0x93, b'N', b'U', b'M', ..] => Ok(Box::new(ArrayFile::open(path, how)?)),
        _ if is_archive(&start) => Ok(Box::new(ArrayFile::open(path, how)?)),
        [0x89, b'H', b'D', b'F', ..] => {
            Err(Error::data(path, "is an HDF5 file: name a dataset in it, such as `file.h5:/inputs`"))
        }
        [] => Err(Error::data(path, "is empty")),
        _ => match &how.table {
            Some(table) => Ok(Box::new(TableFile::open(path, table, how.shape)?)),
            None => Err(Error::data(
                path,
                "has an unknown format: use PNG or JPEG images, a folder of them, IDX files of images, NumPy files (.npy, .npz), `file.npz:array` or `file.h5:/dataset`; only a network that was trained on a table reads CSV files",
            )),
        },
    }
}
