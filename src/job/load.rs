//! Reading a job file, with overrides.

use std::path::Path;
use std::sync::Arc;

use toml::Table;

use crate::job::{Check, Job, read};
use crate::sections::SECTIONS;
use crate::syntax::{Lines, Problems, Source, apply, check_size, parse as parse_file};
use ternflock_base::error::{Error, Result};
use ternflock_base::io::read_input;

/// A job and the place of each of its values.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The effective job.
    pub job: Job,
    /// The place of each value, for messages.
    pub source: Source,
    /// The source of the job.
    request: Request,
}

/// The file and the overrides of a job, to read it again with other overrides.
#[derive(Clone, Debug)]
struct Request {
    file: String,
    text: Arc<str>,
    sets: Vec<String>,
    stem: Option<String>,
}

impl Loaded {
    /// The overrides with which the job was read.
    pub fn sets(&self) -> &[String] {
        &self.request.sets
    }

    /// The file of the job, as messages name it.
    pub fn file(&self) -> &str {
        &self.request.file
    }

    /// Reads the same file again, with the overrides of the `earlier` starts of a run, one start after the other, and then
    /// those with which it was read.
    ///
    /// # Errors
    /// Those of [`load`].
    pub fn after(&self, earlier: &[Vec<String>]) -> Result<Loaded> {
        // Layers were checked when the job was first read; overrides of layers are checked again when the network is
        // built.
        read_request(self.request.clone(), earlier, |_| Vec::new())
    }

    /// Reads the same file again, with `sets` instead of the overrides with which it was read.
    ///
    /// # Errors
    /// Those of [`load_checked`].
    pub fn with_sets(&self, sets: Vec<String>, check: Check) -> Result<Loaded> {
        read_request(Request { sets, ..self.request.clone() }, &[], check)
    }
}

/// The maximum size of a job file; a file given by mistake may have any size.
pub const MOST_BYTES: u64 = 16 << 20;

/// Reads the job file at `path` and applies each of the overrides `sets` (`section.key=value`); the last one
/// for a key wins.
///
/// # Errors
/// [`Error::Job`] with all problems, one per line, each with its place.
pub fn load(path: impl AsRef<Path>, sets: &[String]) -> Result<Loaded> {
    load_checked(path, sets, |_| Vec::new())
}

/// Like [`load`], but reports what `check` finds together with all other problems.
///
/// # Errors
/// Those of [`load`], and the problems that `check` finds.
pub fn load_checked(path: impl AsRef<Path>, sets: &[String], check: Check) -> Result<Loaded> {
    load_after(path, &[], sets, check)
}

/// Like [`load_checked`], with the overrides of the `earlier` starts of a run applied before `sets`. Unlike [`Loaded::after`], the
/// file may be incomplete without them.
///
/// # Errors
/// Those of [`load_checked`].
pub fn load_after(
    path: impl AsRef<Path>,
    earlier: &[Vec<String>],
    sets: &[String],
    check: Check,
) -> Result<Loaded> {
    let path = path.as_ref();
    let file = path.display().to_string();
    let (text, sets) = (read_text(path, &file)?.into(), sets.to_vec());
    read_request(Request { file, text, sets, stem: stem(path) }, earlier, check)
}

/// The table in `text`, unless it has so many values that they would fill the memory.
///
/// # Errors
/// The reason for refusing it.
pub fn parse_table(text: &str) -> std::result::Result<Table, String> {
    check_size(text)?;
    text.parse().map_err(|error: toml::de::Error| error.message().to_owned())
}

/// The name of the job in the file at `path`, if it can be found without validating the whole file.
pub fn name_in(path: impl AsRef<Path>) -> Option<String> {
    let path = path.as_ref();
    let table = parse_table(&read_text(path, &path.display().to_string()).ok()?).ok()?;
    match table.get("name") {
        Some(name) => Some(name.as_str()?.to_owned()),
        None => stem(path),
    }
}

fn stem(path: &Path) -> Option<String> {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned())
}

/// Like [`load`], for a job that is not in a file: `text`, which messages call `file`. A job without a name
/// is called `stem`.
///
/// # Errors
/// Those of [`load`].
pub fn parse(file: String, text: &str, sets: &[String], stem: Option<&str>) -> Result<Loaded> {
    let request = Request { file, text: text.into(), sets: sets.to_vec(), stem: stem.map(ToOwned::to_owned) };
    read_request(request, &[], |_| Vec::new())
}

/// Reads the job of `request`, with the overrides of `earlier` starts applied before its own. Each start treats those
/// before it like the file: if it replaces a kind, what they set for the old kind is dropped.
fn read_request(request: Request, earlier: &[Vec<String>], check: Check) -> Result<Loaded> {
    let (mut table, mut source) = parse_file(request.file.clone(), &request.text)?;
    let mut problems = Problems::default();
    for sets in earlier {
        apply(sets, &SECTIONS, &mut table, &mut source, &mut problems);
        source.settle_sets();
    }
    apply(&request.sets, &SECTIONS, &mut table, &mut source, &mut problems);
    let job = read(&table, &source, problems, request.stem.as_deref(), check)?;
    Ok(Loaded { job, source, request })
}

fn read_text(path: &Path, file: &str) -> Result<String> {
    let refuse = |at: String, message: String| Error::Job { at, message };
    let bytes = read_input(path, MOST_BYTES)
        .map_err(|error| refuse(file.to_owned(), format!("cannot read the job file: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let line = Lines::of(error.as_bytes()).line(error.utf8_error().valid_up_to());
        refuse(format!("{file}:{line}"), "not UTF-8; save the job file as UTF-8 text".to_owned())
    })
}
