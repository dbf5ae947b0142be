//! From the settings of a job to the sets of a table.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::encoding::Encoding;
use super::parts::{Shares, parts};
use super::plan::Plan;
use super::read::{Table, header, read};
use super::samples::TableSamples;
use super::targets::Predicted;
use super::windows::{Windows, count, split};
use crate::open::directory_of;
use crate::samples::{Preparation, Samples, Sources};
use crate::{files, registry};
use ternflock_base::error::{Error, Result};
use ternflock_job::{Csv, Data, Draw, TaskKind, Windows as Cut};

/// Opens the table of `data`, whose settings are `how`, for a `task` of that kind. Relative paths start from `directory`. If
/// `known` has an encoding, it applies instead of what could be measured.
///
/// # Errors
/// Those of [`open_files`]; also if the files of a known dataset are not found.
pub fn open(
    data: &Data,
    how: &Csv,
    task: Option<TaskKind>,
    directory: Option<&Path>,
    known: Option<&Preparation>,
) -> Result<Sources> {
    let (Some(split), Some(settings)) = (&data.split, &data.samples) else {
        return Err(Error::Usage(format!("`{}` has no settings for its splits", data.dataset)));
    };
    let entry = registry::find(&data.dataset)?;
    let in_directory = |files: &[PathBuf]| -> Vec<PathBuf> {
        files
            .iter()
            .map(|file| directory.map_or_else(|| file.clone(), |directory| directory.join(file)))
            .collect()
    };
    let mut files = [&how.files, &how.validation_files, &how.test_files].map(|files| in_directory(files));
    if !entry.format.files().is_empty() {
        let directory = directory_of(entry, directory)?;
        let names = entry.format.files().iter();
        files[0] = names.map(|name| files::require(&directory, name)).collect::<Result<_>>()?;
    }
    let known = known.and_then(|known| known.table.as_ref().zip(Some(&known.class_names[..])));
    let request = Request {
        how,
        windows: data.windows,
        shares: Shares {
            validation: split.validation,
            test: settings.test,
            is_ordered: settings.split == Draw::Ordered,
            seed: split.validation_seed,
        },
        has_classes: match known {
            Some((_, names)) => !names.is_empty(),
            None => task == Some(TaskKind::Classification),
        },
        encoding: known,
    };
    let sets = open_files(files.each_ref().map(Vec::as_slice), &request)?;
    let preparation =
        Preparation { table: Some(sets.encoding), class_names: sets.class_names, ..Preparation::default() };
    Ok(Sources { train: sets.train, validation: sets.validation, test: sets.test, preparation })
}

/// How a table becomes sets of samples.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The files and the meaning of their columns.
    pub how: &'a Csv,
    /// How rows are cut into windows; `None`: each row is a sample.
    pub windows: Option<Cut>,
    /// The splits.
    pub shares: Shares,
    /// Whether a column of numbers holds classes.
    pub has_classes: bool,
    /// What was measured for the network that is to use these samples, and the names of its classes; `None`: it is measured
    /// on the training split.
    pub encoding: Option<(&'a Encoding, &'a [String])>,
}

/// The sets of a table.
pub struct TableSets {
    /// The samples to train on.
    pub train: Arc<dyn Samples>,
    /// Those that choose the network, if there are any.
    pub validation: Option<Arc<dyn Samples>>,
    /// Those that judge it, if there are any.
    pub test: Option<Arc<dyn Samples>>,
    /// How the columns became inputs.
    pub encoding: Encoding,
    /// The names of the classes; empty for values.
    pub class_names: Vec<String>,
}

/// Opens the tables in `files`: those for training, validation and test. The last two may be empty.
///
/// # Errors
/// If a file cannot be read, if a column is not there, or if a cell is not what it must be. The message names the file, the
/// line and the column.
pub fn open_files(files: [&[PathBuf]; 3], request: &Request) -> Result<TableSets> {
    let Request { windows, shares, has_classes, encoding, .. } = *request;
    let how = &encoding.map_or_else(|| request.how.clone(), |(encoding, _)| encoding.settings(request.how));
    let first = files[0].first().map_or(Path::new(""), PathBuf::as_path);
    if let Some((encoding, _)) = encoding.filter(|(encoding, _)| *encoding.targets != *request.how.targets) {
        let [wanted, learnt] = [&*request.how.targets, &*encoding.targets].map(|names| names.join(", "));
        let message = format!("the job predicts {wanted}, but the network was trained to predict {learnt}");
        return Err(Error::data(first, message));
    }
    let plan = Plan::new(first, &header(first, how.delimiter)?, how, windows.is_some())?;
    let (table, ranges) = read_all(files, how, &plan)?;
    let predicted = Predicted::new(&table, &plan.targets, has_classes)?;
    if let (Some(cut), Predicted::Values(..)) = (windows, &predicted) {
        return open_windows(&table, &plan, &predicted, &ranges, cut, how, request);
    }
    if windows.is_some() {
        let message = "is text or classes, but data.window predicts numbers";
        return Err(table.places.error(0, &how.targets[0], message));
    }
    let rows = parts(&table, &plan, &ranges, &predicted.strata(table.places.len()), &shares)?;
    let (encoding, names) = match encoding {
        Some((encoding, names)) => (encoding.clone(), names.to_vec()),
        None => (Encoding::measure(&table, &plan, how, &rows[0])?, predicted.class_names(&rows[0])),
    };
    let set = |rows: &[usize]| -> Result<Arc<dyn Samples>> {
        let targets = predicted.take(rows, &names, &table.places)?;
        Ok(Arc::new(TableSamples::new(&table, &plan.inputs, &encoding, rows, targets)?))
    };
    let some = |rows: &[usize]| if rows.is_empty() { Ok(None) } else { set(rows).map(Some) };
    let (train, validation, test) = (set(&rows[0])?, some(&rows[1])?, some(&rows[2])?);
    Ok(TableSets { train, validation, test, encoding, class_names: names })
}

/// The table of all `files`, and the rows of each part.
fn read_all(files: [&[PathBuf]; 3], how: &Csv, plan: &Plan) -> Result<(Table, [Range<usize>; 3])> {
    let table = read(&files.concat(), how.delimiter, &plan.wanted)?;
    let ends = table.places.ends();
    let (first, second) = (files[0].len(), files[0].len() + files[1].len());
    let end = |files: usize| files.checked_sub(1).map_or(0, |last| ends[last]);
    let ranges = [0..end(first), end(first)..end(second), end(second)..table.places.len()];
    Ok((table, ranges))
}

/// The windows of a table. Those of files of their own begin in these files; the others are split by time.
fn open_windows(
    table: &Table,
    plan: &Plan,
    predicted: &Predicted,
    files: &[Range<usize>; 3],
    cut: Cut,
    how: &Csv,
    request: &Request,
) -> Result<TableSets> {
    let Request { shares, encoding, .. } = *request;
    for (key, at) in [("split_column", plan.split), ("group", plan.group)] {
        if at.is_some() {
            return Err(Error::Usage(format!(
                "data.{key} and data.window exclude each other: windows are split by time"
            )));
        }
    }
    if !shares.is_ordered {
        let message = "data.split = \"random\" would put rows that a window of one part predicts into windows of others: use \
                       \"ordered\"";
        return Err(Error::Usage(message.into()));
    }
    let own = &files[0];
    let windows = count(own.len(), cut);
    let sizes =
        shares.sizes(windows, windows.saturating_sub(1), !files[1].is_empty(), !files[2].is_empty())?;
    let mut ranges = split(own.len(), cut, sizes[0], sizes[1])?;
    for (range, file) in ranges.iter_mut().zip(files).skip(1) {
        if !file.is_empty() {
            *range = file.clone();
        }
    }
    let encoding = match encoding {
        Some((encoding, _)) => encoding.clone(),
        None => Encoding::measure(table, plan, how, &ranges[0].clone().collect::<Vec<_>>())?,
    };
    let all: Vec<usize> = (0..table.places.len()).collect();
    let targets = predicted.take(&all, &[], &table.places)?;
    let rows: Arc<dyn Samples> = Arc::new(TableSamples::new(table, &plan.inputs, &encoding, &all, targets)?);
    let set = |range: &Range<usize>| -> Result<Arc<dyn Samples>> {
        Ok(Arc::new(Windows::new(Arc::clone(&rows), range.clone(), cut)?))
    };
    let some = |range: &Range<usize>| if range.is_empty() { Ok(None) } else { set(range).map(Some) };
    let (train, validation, test) = (set(&ranges[0])?, some(&ranges[1])?, some(&ranges[2])?);
    Ok(TableSets { train, validation, test, encoding, class_names: Vec::new() })
}
