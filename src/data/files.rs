//! Files of data sets, raw or compressed with gzip, which is told by their content and not by their name.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result};

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The file called `name`, or `name.gz`, in `directory`.
pub(super) fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    [directory.join(name), directory.join(format!("{name}.gz"))].into_iter().find(|path| path.is_file())
}

/// The content of the file at `path`, uncompressed if it is compressed.
pub(super) fn open(path: &Path) -> Result<Box<dyn Read>> {
    let file = File::open(path).map_err(|error| read_error(path, &error))?;
    let mut start = Vec::new();
    (&file).take(GZIP.len() as u64).read_to_end(&mut start).map_err(|error| read_error(path, &error))?;
    let compressed = start == GZIP;
    let whole = io::Cursor::new(start).chain(file);
    Ok(if compressed {
        Box::new(MultiGzDecoder::new(BufReader::new(whole)))
    } else {
        Box::new(BufReader::new(whole))
    })
}

/// Says that the content of `path` could not be read.
pub(super) fn read_error(path: &Path, error: &io::Error) -> Error {
    let message = match error.kind() {
        ErrorKind::UnexpectedEof => {
            "the compressed data are cut short: copy or fetch the file again".to_owned()
        }
        ErrorKind::InvalidInput | ErrorKind::InvalidData => {
            format!("the compressed data are damaged ({error}): copy or fetch the file again")
        }
        _ => format!("cannot be read: {error}"),
    };
    Error::data(path, message)
}
