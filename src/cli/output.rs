//! Output files of commands. A file name whose extension means another format is refused before anything is computed.

use std::path::Path;

use ternflock_base::error::{Error, Result};

/// A format that a command writes.
pub struct Format {
    /// Its name in messages.
    pub name: &'static str,
    /// The file extensions of the format, the usual one first.
    pub own: &'static [&'static str],
}

/// A checkpoint.
pub const CHECKPOINT: Format = Format { name: "an HDF5 checkpoint", own: &["h5", "hdf5", "hdf", "he5"] };
/// A picture.
pub const PICTURE: Format = Format { name: "an SVG picture", own: &["svg"] };

/// File extensions by which readers recognise another format: of models, arrays, text, pictures and archives.
const KNOWN: [&str; 46] = [
    "h5",
    "hdf5",
    "hdf",
    "he5",
    "svg",
    "onnx",
    "ort",
    "safetensors",
    "pt",
    "pth",
    "pkl",
    "pickle",
    "bin",
    "gguf",
    "ggml",
    "pb",
    "pbtxt",
    "tflite",
    "keras",
    "ckpt",
    "mlmodel",
    "caffemodel",
    "prototxt",
    "msgpack",
    "npy",
    "npz",
    "mat",
    "nc",
    "csv",
    "tsv",
    "json",
    "jsonl",
    "toml",
    "yaml",
    "yml",
    "txt",
    "md",
    "html",
    "png",
    "jpg",
    "jpeg",
    "gif",
    "pdf",
    "gz",
    "zip",
    "tar",
];

impl Format {
    /// Refuses the `path` given with `option` if its extension means another format.
    ///
    /// # Errors
    /// If the extension means another format.
    pub fn check(&self, option: &str, path: &Path) -> Result<()> {
        let ending =
            path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
        if self.own.contains(&ending.as_str()) || !KNOWN.contains(&ending.as_str()) {
            return Ok(());
        }
        Err(Error::Usage(format!(
            "{option} {}: the file is {}, but .{ending} means another format; name it {}",
            path.display(),
            self.name,
            path.with_extension(self.own[0]).display()
        )))
    }
}

/// Refuses an output that would replace something, unless `overwrite` is given and it is a regular file, and an output in a
/// directory that does not exist.
///
/// # Errors
/// If the output exists, or if its directory is missing; the message names it.
pub fn check_new(to: &Path, overwrite: bool) -> Result<()> {
    if to.exists() && !overwrite {
        let message = format!("{} already exists; use another --output, or --overwrite", to.display());
        return Err(Error::Usage(message));
    }
    if to.symlink_metadata().is_ok_and(|there| !there.is_file()) {
        let message =
            format!("{} is not a regular file and is not replaced; use another --output", to.display());
        return Err(Error::Usage(message));
    }
    let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    match directory.filter(|directory| !directory.is_dir()) {
        Some(directory) => {
            let message =
                format!("there is no directory {}; create it, or use another --output", directory.display());
            Err(Error::checkpoint(to, message))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_of_other_formats_are_refused() {
        for name in ["a.h5", "a.HDF5", "a", "a.v2", "a.onnx.h5", "a.best", ".onnx", "a.5"] {
            assert!(CHECKPOINT.check("--output", Path::new(name)).is_ok(), "{name}");
        }
        for name in [
            "a.onnx",
            "a.ONNX",
            "a.safetensors",
            "a.pt",
            "a.pth",
            "a.npz",
            "a.npy",
            "a.pb",
            "a.ckpt",
            "a.json",
            "a.toml",
        ] {
            assert!(CHECKPOINT.check("--output", Path::new(name)).is_err(), "{name}");
        }
        let message = CHECKPOINT.check("--output", Path::new("dir/a.onnx")).unwrap_err().to_string();
        assert_eq!(
            message,
            "--output dir/a.onnx: the file is an HDF5 checkpoint, but .onnx means another format; name it dir/a.h5"
        );
        assert!(PICTURE.check("--svg", Path::new("a.svg")).is_ok());
        let message = PICTURE.check("--svg", Path::new("a.png")).unwrap_err().to_string();
        assert!(
            message.ends_with("an SVG picture, but .png means another format; name it a.svg"),
            "{message}"
        );
    }
}
