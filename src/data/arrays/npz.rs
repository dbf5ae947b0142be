//! Archives of NumPy arrays, as `np.savez` writes them: a zip file with one `.npy` file per array. Arrays that are stored
//! without compression are read at the positions of their rows.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::npy::Npy;
use ternflock_base::error::{Error, Result};
use ternflock_base::io::open_regular;
use ternflock_base::suggest::{list, suggest};
use zip::{CompressionMethod, ZipArchive};

/// The names of the arrays in the archive at `path`, in their order.
///
/// # Errors
/// If there is no such archive.
pub fn names(path: &Path) -> Result<Vec<String>> {
    open_archive(path).map(|(_, archive)| names_in(&archive))
}

type Archive = ZipArchive<BufReader<File>>;

/// The file at `path`, and the archive in it.
fn open_archive(path: &Path) -> Result<(File, Archive)> {
    let failed = |message: String| Error::data(path, message);
    let file = open_regular(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
    let again = file.try_clone().map_err(|error| failed(error.to_string()))?;
    let archive = ZipArchive::new(BufReader::new(again))
        .map_err(|error| failed(format!("is not an archive that `np.savez` writes: {error}")))?;
    Ok((file, archive))
}

fn names_in(archive: &Archive) -> Vec<String> {
    let names = archive.file_names().flatten();
    names.filter_map(|name| name.strip_suffix(".npy").map(str::to_owned)).collect()
}

/// Opens the array that `name` says, such as `arrays.npz:inputs`. A relative file name starts from `directory`.
///
/// # Errors
/// If there is no such file or array, if the array is compressed, or for the reasons of [`Npy::open`].
pub fn open(name: &str, directory: Option<&Path>) -> Result<Npy> {
    let (file, array) = name.rsplit_once(':').filter(|(file, _)| !file.is_empty()).ok_or_else(|| {
        Error::Usage(format!("`{name}` must name a file and an array in it, such as `arrays.npz:inputs`"))
    })?;
    let path = directory.map_or_else(|| file.into(), |directory| directory.join(file));
    open_array(&path, Some(array))
}

/// Opens the only array of the archive at `path`.
///
/// # Errors
/// Those of [`open`]; also if there are more arrays.
pub fn open_only(path: &Path) -> Result<Npy> {
    open_array(path, None)
}

/// Whether a file that begins with `start` is an archive: with a file in it, or with the end of an empty one.
pub fn is_archive(start: &[u8]) -> bool {
    start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06")
}

/// Opens the array called `array` in the archive at `path`; `None`: the only one.
fn open_array(path: &Path, array: Option<&str>) -> Result<Npy> {
    let failed = |message: String| Error::data(path, message);
    let (file, mut archive) = open_archive(path)?;
    let names = names_in(&archive);
    let array = match (array, &names[..]) {
        (Some(array), _) => array,
        (None, [array]) => array.as_str(),
        (None, []) => return Err(failed("is an archive without arrays".into())),
        (None, [first, ..]) => {
            let all = list(names.iter().map(String::as_str), "`", "`");
            let shown = path.display();
            return Err(failed(format!("holds the arrays {all}: name one of them, such as {shown}:{first}")));
        }
    };
    let (start, size) = {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let none = || failed(format!("has no array `{array}`; {}", suggest(array, &names)));
        let number = archive.index_for_name(&format!("{array}.npy")).ok_or_else(none)?;
        let entry = archive
            .by_index_raw(number)
            .map_err(|error| failed(format!("its array `{array}` cannot be read: {error}")))?;
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(failed(format!(
                "its array `{array}` is compressed, so its rows cannot be read one by one: use np.savez instead of \
                 np.savez_compressed"
            )));
        }
        let start = entry.data_start().ok_or_else(none)?;
        (start, entry.size())
    };
    let length = file.metadata().map_err(|error| failed(error.to_string()))?.len();
    if start.checked_add(size).is_none_or(|end| end > length) {
        return Err(failed(format!("truncated: its array `{array}` ends after the file")));
    }
    Npy::within(&path.join(array), file, start, size)
}
