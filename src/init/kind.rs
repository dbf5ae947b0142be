//! The kinds of data that a path can hold.

use std::path::Path;

use ternflock_base::error::{Error, Result};
use ternflock_base::suggest::nearest;

/// A kind of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder with a sub-folder of images per class.
    Folder,
    /// A CSV file.
    Table,
    /// A NumPy file with one array.
    Npy,
    /// An archive of NumPy arrays.
    Npz,
    /// An HDF5 file.
    Hdf5,
    /// A text.
    Text,
}

/// The endings of files. `.gz` may follow those of tables and texts.
const ENDINGS: [(&str, Kind); 9] = [
    ("csv", Kind::Table),
    ("tsv", Kind::Table),
    ("npy", Kind::Npy),
    ("npz", Kind::Npz),
    ("h5", Kind::Hdf5),
    ("hdf5", Kind::Hdf5),
    ("hdf", Kind::Hdf5),
    ("he5", Kind::Hdf5),
    ("txt", Kind::Text),
];

/// The kinds in words, with their endings.
const KNOWN: &str = "a folder with a sub-folder of PNG or JPEG images per class, .csv or .tsv (a table; also .gz), .npy or .npz \
                     (NumPy arrays), .h5, .hdf5, .hdf or .he5 (HDF5), or .txt (a text; also .gz)";

impl Kind {
    /// The kind of the data at `path`: a folder, or a file whose name says what it is.
    ///
    /// # Errors
    /// If there is nothing that can be read, or if the ending is unknown.
    pub fn find(path: &Path) -> Result<Kind> {
        let failed = |message: String| Err(Error::data(path, message));
        let there = match path.metadata() {
            Ok(there) => there,
            Err(_) if path.symlink_metadata().is_ok_and(|link| link.is_symlink()) => {
                return failed("is a symbolic link whose target cannot be read: name the data itself".into());
            }
            Err(error) => return failed(format!("cannot be read: {error}; check the path")),
        };
        if there.is_dir() {
            return Ok(Kind::Folder);
        }
        if !there.is_file() {
            return failed(format!("is neither a file nor a folder. Supported: {KNOWN}"));
        }
        match ending(path).as_str() {
            "" => failed(format!("has no file extension. Supported: {KNOWN}")),
            found => match ENDINGS.iter().find(|(ending, _)| *ending == found) {
                Some((_, kind)) => Ok(*kind),
                None => failed(refused(found)),
            },
        }
    }

    /// The kind in words, after "is".
    pub fn described(self) -> &'static str {
        match self {
            Kind::Folder => "a folder of images",
            Kind::Table => "a table",
            Kind::Npy => "a single NumPy array",
            Kind::Npz => "an archive of NumPy arrays",
            Kind::Hdf5 => "an HDF5 file",
            Kind::Text => "a text",
        }
    }
}

/// The ending of the name of `path` in lower case, without a `.gz` after that of a table or a text.
fn ending(path: &Path) -> String {
    let of = |path: &Path| path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match of(path).as_str() {
        "gz" => {
            let inner = of(Path::new(path.file_stem().unwrap_or_default()));
            let may_be =
                |(ending, kind): &(&str, Kind)| *ending == inner && matches!(kind, Kind::Table | Kind::Text);
            if ENDINGS.iter().any(may_be) { inner } else { "gz".into() }
        }
        ending => ending.into(),
    }
}

/// The refusal of a file with the ending `found`.
fn refused(found: &str) -> String {
    let advice = match found {
        "png" | "jpg" | "jpeg" => {
            "name the folder that holds a sub-folder of images per class, not one image".to_owned()
        }
        "idx" | "gz" | "zip" | "tar" => "unpack it, or see docs/how-to/own-data.md for IDX files".to_owned(),
        "parquet" | "feather" | "xlsx" | "xls" | "ods" | "json" | "jsonl" | "pkl" | "pt" | "mat" => {
            "convert it: tables to .csv, arrays to .npy, .npz or .h5".to_owned()
        }
        _ => match nearest(found, ENDINGS.iter().map(|(ending, _)| *ending)) {
            Some(near) => format!("did you mean .{near}?"),
            None => "rename or convert it".to_owned(),
        },
    };
    format!("unsupported file extension .{found}: {advice} Supported: {KNOWN}", advice = sentence(&advice))
}

/// `text` with a full stop, unless it ends in a question.
fn sentence(text: &str) -> String {
    if text.ends_with('?') { text.to_owned() } else { format!("{text}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_what_a_file_is() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(Kind::find(place.path()).unwrap(), Kind::Folder);
        for (name, kind) in [
            ("a.csv", Kind::Table),
            ("a.CSV.GZ", Kind::Table),
            ("a.b.npy", Kind::Npy),
            ("a.npz", Kind::Npz),
            ("a.hdf5", Kind::Hdf5),
            ("a.txt.gz", Kind::Text),
        ] {
            let path = place.path().join(name);
            std::fs::write(&path, "").unwrap();
            assert_eq!(Kind::find(&path).unwrap(), kind, "{name}");
        }
        for (name, part) in [
            ("a", "no file extension"),
            ("a.npy.gz", "unsupported file extension .gz: unpack it"),
            ("a.parquet", "convert it: tables to .csv"),
            ("a.jpeg", "name the folder"),
            ("a.scv", "did you mean .csv? Supported: a folder"),
            ("a.qqq", ".hdf5"),
        ] {
            let path = place.path().join(name);
            std::fs::write(&path, "").unwrap();
            let message = Kind::find(&path).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        let link = place.path().join("link.csv");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert!(Kind::find(&link).unwrap_err().to_string().contains("is a symbolic link whose target"));
        let message = Kind::find(&place.path().join("missing.csv")).unwrap_err().to_string();
        assert!(message.contains("missing.csv: cannot be read: No such file"), "{message}");
    }
}
