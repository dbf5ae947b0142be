//! `ternflock export`.

use std::process::ExitCode;

use serde_json::json;

use super::arguments::Export;
use super::exit;
use super::launcher::is_not_first;
use super::numbers::{bytes, thousands};
use super::output::{Format, check_new};
use super::streams::print;
use ternflock_base::error::{Error, Result};
use ternflock_base::io::write_output;
use ternflock_checkpoint as checkpoint;
use ternflock_export::{EXPORTERS, Exporter, find, find_by_extension};
use ternflock_train::restore_parameters;

/// Writes a checkpoint's network in the format of another program.
pub fn main(arguments: &Export) -> ExitCode {
    if is_not_first() {
        return ExitCode::SUCCESS;
    }
    match export(arguments) {
        Ok(text) => print(&text),
        Err(error) => exit::fail(&error),
    }
}

fn export(arguments: &Export) -> Result<String> {
    let (from, to) = (&arguments.checkpoint, &arguments.output);
    let exporter = exporter(arguments)?;
    check_new(to, arguments.overwrite)?;
    let snapshot = checkpoint::load(from)?;
    // The tensors must be those of the network.
    restore_parameters(from, &snapshot)?;
    let content = exporter.encode(&snapshot).map_err(|problem| {
        Error::checkpoint(from, format!("cannot be exported as {}: {problem}", exporter.name()))
    })?;
    write_output(to, &content)
        .map_err(|error| Error::checkpoint(to, format!("cannot be written: {error}")))?;
    let params: usize = snapshot.parameters.iter().map(|tensor| tensor.values.len()).sum();
    Ok(if arguments.json {
        let fields = json!({
            "checkpoint": from.display().to_string(),
            "output": to.display().to_string(),
            "format": exporter.name(),
            "tensors": snapshot.parameters.len(),
            "params": params,
            "bytes": content.len(),
        });
        format!("{fields}\n")
    } else {
        format!(
            "{}: {} parameters in {} tensors, {}; for {}\n",
            to.display(),
            thousands(params as u64),
            snapshot.parameters.len(),
            bytes(content.len() as f64),
            exporter.summary()
        )
    })
}

/// The format that the user named, or the one for the extension of the output file.
fn exporter(arguments: &Export) -> Result<&'static dyn Exporter> {
    let extension = arguments.output.extension().and_then(|extension| extension.to_str());
    let by_extension = extension.and_then(find_by_extension);
    let chosen = match &arguments.format {
        Some(name) => find(name),
        None => by_extension,
    };
    if let Some(exporter) = chosen {
        let format = Format { name: exporter.name(), own: exporter.extensions() };
        format.check("--output", &arguments.output)?;
    }
    chosen.ok_or_else(|| {
        let extensions: Vec<String> = EXPORTERS
            .iter()
            .flat_map(|exporter| exporter.extensions())
            .map(|extension| format!(".{extension}"))
            .collect();
        Error::Usage(format!(
            "--output {}: no format has this extension; use one of {}, or add --format",
            arguments.output.display(),
            extensions.join(", ")
        ))
    })
}
