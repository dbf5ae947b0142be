//! What is found out about images before training begins, on all threads of the rank.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::decode::{Picture, decode, dimensions};
use ternflock_base::error::Error;
use ternflock_base::io::{open_regular, read_bytes};
use ternflock_base::text::plural;
use ternflock_tensor::for_each;

/// The maximum size of a file, in bytes.
const MOST_BYTES: u64 = 1 << 30;

/// The maximum number of files to name.
const MOST_NAMED: usize = 5;

/// A result about one image. An `Err` has the reason.
pub type Checked<T> = Result<T, String>;

/// The first facts about an image.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Height and width.
    pub size: [usize; 2],
    /// The length of the file, in bytes.
    pub bytes: u64,
}

/// The header of each of `files`, or the reason why it cannot be read.
pub fn headers(files: &[PathBuf]) -> Vec<Checked<Header>> {
    on_all_threads(files.len(), |number| header(&files[number]))
}

fn header(path: &Path) -> Checked<Header> {
    let file = open_regular(path).map_err(|error| error.to_string())?;
    let bytes = file.metadata().map_err(|error| error.to_string())?.len();
    Ok(Header { size: dimensions(BufReader::new(file))?, bytes })
}

/// The image in the file at `path`. An `Err` has the reason why it cannot be decoded.
pub fn read_picture(path: &Path) -> Checked<Picture> {
    decode(&read_bytes(path, MOST_BYTES).map_err(|error| error.to_string())?)
}

/// Calls `task` with each number below `tasks`, and returns the results in the order of these numbers.
pub fn on_all_threads<T: Send + Sync>(tasks: usize, task: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let results: Vec<OnceLock<T>> = (0..tasks).map(|_| OnceLock::new()).collect();
    for_each(tasks, |number| {
        let _ = results[number].set(task(number));
    });
    results.into_iter().filter_map(OnceLock::into_inner).collect()
}

/// The error that the images `bad` cannot be decoded, each with its reason.
pub fn refused(bad: &[(PathBuf, String)]) -> Error {
    let (path, reason) = bad.first().cloned().unwrap_or_default();
    let others = match bad.len() {
        0 | 1 => String::new(),
        count => format!("; {} cannot be decoded in total: {}", plural(count, "image"), named(bad)),
    };
    let hint = "data.on_error = \"skip\" leaves such images out";
    Error::data(path, format!("cannot be decoded: {reason}{others}. {hint}"))
}

/// The paths of the first of `bad`.
pub fn named(bad: &[(PathBuf, String)]) -> String {
    let names: Vec<String> =
        bad.iter().take(MOST_NAMED).map(|(path, _)| path.display().to_string()).collect();
    let more = if bad.len() > MOST_NAMED { ", ..." } else { "" };
    names.join(", ") + more
}
