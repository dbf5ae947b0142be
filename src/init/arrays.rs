//! Arrays in NumPy and HDF5 files: which holds the inputs, which the targets, and what their dimensions mean.

use std::fs;
use std::path::Path;

use super::axes::axes;
use super::choice::{Choice, choose, described};
use super::proposal::Proposal;
use super::request::{Request, utf8};
use super::targets::set_targets;
use ternflock_base::error::{Error, Result};
use ternflock_base::suggest::list;
use ternflock_data::{FoundArray, array_name, list_arrays};

/// A NumPy file, with its targets in another one.
pub fn propose_npy(request: &Request) -> Result<Proposal> {
    let (path, name) = (request.path, request.name()?);
    let inputs = only(name)?;
    let Some(targets) = request.targets else {
        let shape = described(&inputs);
        let files = like(path, &inputs);
        let advice = match &files[..] {
            [] => String::new(),
            files => {
                let files = list(files.iter().map(String::as_str), "", "");
                format!("; these files have the same number of rows: {files}")
            }
        };
        return Err(Error::Usage(format!(
            "{name} holds the inputs, {shape}: add --targets FILE.npy, the file with the values or classes to predict{advice}"
        )));
    };
    let target_name = utf8(targets)?;
    let targets = only(target_name)?;
    check_rows(path, &inputs, &targets, target_name)?;
    let mut proposal = Proposal::default();
    proposal.set("dataset", "npy", "NumPy files with one array each.");
    proposal.set(
        "inputs",
        name,
        "What the network reads: a file, or a list of files. Paths start from the directory in which you run the program.",
    );
    proposal.set("targets", target_name, "What it predicts, row by row.");
    let has_values = set_meaning(path, "npy", &inputs, (&targets, target_name), &mut proposal)?;
    proposal.set_splits(false);
    proposal.set_normalisation(has_values);
    Ok(proposal)
}

/// The array in the NumPy file `name`.
fn only(name: &str) -> Result<FoundArray> {
    let found = list_arrays("npy", name)?.arrays.pop();
    found.ok_or_else(|| Error::data(name, "holds no array"))
}

/// Other NumPy files in the directory of `path` with as many rows.
fn like(path: &Path, inputs: &FoundArray) -> Vec<String> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.path()).filter(|other| other.file_name() != path.file_name());
    let names = names.filter(|other| other.extension().is_some_and(|ending| ending == "npy"));
    let rows = |name: &str| only(name).ok().map(|array| array.shape[0]);
    let mut like: Vec<String> = names
        .filter(|other| other.to_str().and_then(rows) == Some(inputs.shape[0]))
        .map(|other| other.display().to_string())
        .collect();
    like.sort();
    like
}

/// An archive of NumPy arrays, or an HDF5 file.
pub fn propose_container(request: &Request, dataset: &str) -> Result<Proposal> {
    let (path, name) = (request.path, request.name()?);
    let listing = list_arrays(dataset, name)?;
    let Choice { inputs, targets, own_sets, reason } = choose(path, &listing, request)?;
    let [input_name, target_name] = [&inputs, &targets].map(|array| array_name(name, &array.name));
    check_rows(path, &inputs, &targets, &target_name)?;
    let mut proposal = Proposal::default();
    let comment = match dataset {
        "npz" => "An archive of NumPy arrays, which np.savez writes.",
        _ => "Datasets in an HDF5 file.",
    };
    let choice = format!(
        "Inputs: `{}`, {}. To predict: `{}`, {}. {reason}",
        inputs.name,
        described(&inputs),
        targets.name,
        described(&targets)
    );
    proposal.choices.push(choice.trim_end().to_owned());
    proposal.set("dataset", dataset, comment);
    proposal.set(
        "inputs",
        input_name,
        "What the network reads: a file and the array in it. The path starts from the directory in which you run the program.",
    );
    proposal.set("targets", target_name.clone(), "What it predicts, row by row.");
    for (key, array) in own_sets {
        let comment = if key.ends_with("inputs") { "A set of its own, from the same file." } else { "" };
        proposal.set(key, array_name(name, &array), comment);
    }
    let has_values = set_meaning(path, dataset, &inputs, (&targets, &target_name), &mut proposal)?;
    proposal.set_splits(false);
    proposal.set_normalisation(has_values);
    Ok(proposal)
}

/// Refuses targets of another length.
fn check_rows(path: &Path, inputs: &FoundArray, targets: &FoundArray, name: &str) -> Result<()> {
    match [inputs, targets].map(|array| array.shape[0]) {
        [rows, others] if rows == others && rows > 0 => Ok(()),
        [0, _] => Err(Error::data(path, "holds no samples: the first dimension of its array is 0")),
        [rows, others] => Err(Error::data(
            path,
            format!(
                "holds {rows} samples, but {name} holds {others} targets: choose arrays that belong together"
            ),
        )),
    }
}

/// Adds the meaning of the dimensions, and what is learnt. Returns whether it is values, not classes or labels.
fn set_meaning(
    path: &Path,
    dataset: &str,
    inputs: &FoundArray,
    (targets, target_name): (&FoundArray, &str),
    proposal: &mut Proposal,
) -> Result<bool> {
    let Some((axes, meaning)) = axes(inputs) else {
        return Err(Error::data(
            path,
            format!(
                "the inputs have {} dimensions, {:?}; known are [N, F], [N, T, F] and [N, C, H, W]: reshape the array",
                inputs.shape.len(),
                inputs.shape
            ),
        ));
    };
    proposal.set(
        "axes",
        axes,
        format!(
            "The dimensions of {:?} are {meaning}. Check this: \"NTF\" are sequences, \"NHW\" grey images.",
            inputs.shape
        ),
    );
    set_targets(dataset, targets, target_name, proposal)
}
