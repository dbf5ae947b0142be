//! `ternflock data import`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::arguments::Import;
use crate::exit;
use crate::numbers::{bytes, thousands};
use crate::output::{Format, check_new};
use crate::streams::{log, print};
use ternflock_base::error::{Error, Result};
use ternflock_data::{Packed, Samples as _, open_folder, pack};
use ternflock_job::{Colour, Folder, OnError, Resize};
use ternflock_tensor::set_threads;

/// The file that is written.
const PACKED: Format = Format { name: "an HDF5 file", own: &["h5", "hdf5", "hdf", "he5"] };

/// The interval between two lines of progress.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// Packs a folder of images.
pub fn main(arguments: &Import) -> ExitCode {
    match import(arguments) {
        Ok(text) => print(&text),
        Err(error) => exit::fail(&error),
    }
}

fn import(arguments: &Import) -> Result<String> {
    let to = &arguments.output;
    PACKED.check("--output", to)?;
    check_new(to, arguments.overwrite)?;
    set_threads(std::thread::available_parallelism().map_or(1, usize::from))?;
    let sets = open_folder(&arguments.directory, &how(arguments), None)?;
    sets.train.remarks().iter().for_each(|remark| log(format_args!("ternflock: {remark}")));
    let mut said = Instant::now();
    let packed = pack(&sets, to, &mut |done, all| {
        if said.elapsed() >= BETWEEN_LINES {
            said = Instant::now();
            log(format_args!("  {} of {} images", thousands(done as u64), thousands(all as u64)));
        }
    })?;
    let size = to.metadata().map_err(|error| Error::data(to, error.to_string()))?.len();
    let (shape, classes) = (sets.train.input().to_string(), sets.train.class_names().unwrap_or_default());
    if arguments.json {
        let set = |set: &Packed| json!({"samples": set.samples, "images": set.images, "labels": set.labels});
        let of_sets = packed.iter().map(|packed| (packed.set.to_owned(), set(packed)));
        let of_sets: serde_json::Map<_, _> = of_sets.collect();
        let fields = json!({"output": to.display().to_string(), "shape": shape, "classes": classes, "sets": of_sets, "bytes": size});
        return Ok(format!("{fields}\n"));
    }
    let count: usize = packed.iter().map(|set| set.samples).sum();
    let head = format!(
        "{}: {} images of {shape} in {} classes, {}\n",
        to.display(),
        thousands(count as u64),
        classes.len(),
        bytes(size as f64)
    );
    Ok(head + "\nTo train on it:\n\n" + &section(arguments, &packed))
}

fn how(arguments: &Import) -> Folder {
    let resize = match (arguments.size, arguments.stretch) {
        (None, _) => Resize::None,
        (Some(_), true) => Resize::Stretch,
        (Some(_), false) => Resize::Crop,
    };
    Folder {
        colour: if arguments.grey { Colour::Grey } else { Colour::Rgb },
        size: arguments.size,
        resize,
        on_error: if arguments.skip { OnError::Skip } else { OnError::Refuse },
        // Every image is read once, or twice if all are decoded to find those to leave out.
        cache_megabytes: 0,
    }
}

/// The section of a job that reads the file.
fn section(arguments: &Import, packed: &[Packed]) -> String {
    let path = arguments.output.display().to_string();
    let mut text = "[data]\ndataset = \"hdf5\"\n".to_owned();
    for Packed { set, images, labels, .. } in packed {
        let prefix = if *set == "train" { String::new() } else { format!("{set}_") };
        for (key, name) in [("inputs", images), ("targets", labels)] {
            text += &format!("{prefix}{key} = {}\n", json!(format!("{path}:{name}")));
        }
    }
    text
}
