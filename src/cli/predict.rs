//! `ternflock predict`.

mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use super::arguments::Predict;
use super::exit;
use super::launch::launch_or_say;
use super::output::check_new;
use super::streams::{log, print_part};
use report::Predicted;
use ternflock_base::error::{Error, Result};
use ternflock_data::shard;
use ternflock_job::Exchange;
use ternflock_nn::{Beside, Execution, Shape, check_memory};
use ternflock_predict::formats::{Csv, FORMATS, Format, of_path};
use ternflock_predict::inputs::{Collection, file_of};
use ternflock_predict::{
    Item, Items, LinePredictor, Outputs, Predictor, Preparation, Problem, Rows, SamplePredictor, Trained,
};
use ternflock_tensor::set_threads;
use ternflock_train::{EVALUATION_BATCH, hash_values, most_on_a_node, place};
use ternflock_world::{Patience, World};

/// Lines of a text per pass: the logits of more take too much memory.
const LINES: usize = 16;

/// The most values that a rank sends at a time.
const PIECE: usize = 1 << 18;

/// Computes the outputs of the checkpoint's network for the inputs. The ranks share the samples.
pub fn main(arguments: &Predict) -> ExitCode {
    let mut world = match launch_or_say(Patience::of(&Exchange::default()), None) {
        Ok(world) => world,
        Err(code) => return code,
    };
    match predict(arguments, &mut world) {
        Ok(code) => code,
        Err(error) => exit::fail_on(world, &error),
    }
}

fn predict(arguments: &Predict, world: &mut World) -> Result<ExitCode> {
    world.set_context(format_args!("prediction"));
    let asked = check(arguments).and_then(|format| arguments.instructions.choose().map(|()| format));
    let format = world.all_or_none(asked)?;
    place(world)?;
    let threads = arguments.threads.map_or(Ok(()), |threads| set_threads(threads.into()));
    world.all_or_none(threads)?;
    let prepared = prepare(arguments, most_on_a_node(&world.topology()));
    let (mut predictor, step, hash) = world.all_or_none(prepared)?;
    world.agree("the hash of the checkpoint's parameters", hash)?;
    let items = predictor.items().count();
    world.agree("the number of samples", items as u64)?;
    let start = Instant::now();
    let streams = world.size() == 1 && format.is_none() && !arguments.json;
    let run = run(arguments, &mut *predictor, world, streams);
    let (rows, skipped) = match world.all_or_none(run)? {
        Ended::Early(code) => return Ok(code),
        Ended::Complete(rows, skipped) => (rows, skipped),
    };
    let skipped = world.gather([skipped as u64])?.into_iter().map(|[count]| count).sum();
    if streams {
        report::say_skipped(skipped, predictor.items());
        return Ok(ExitCode::SUCCESS);
    }
    let all = gather(world, items, predictor.width(), &rows)?;
    let seconds = start.elapsed().as_secs_f64();
    let predicted = Predicted::new(&*predictor, all, step, skipped, seconds);
    let written = match (world.rank(), format, &arguments.output) {
        (0, Some(format), Some(path)) => predicted.write(format, path),
        _ => Ok(()),
    };
    world.all_or_none(written)?;
    Ok(if world.rank() == 0 { predicted.print(arguments) } else { ExitCode::SUCCESS })
}

/// Refuses what cannot be done whatever the files hold. Returns the format of the output file.
fn check(arguments: &Predict) -> Result<Option<&'static dyn Format>> {
    if let Some(ending) = arguments.checkpoint.extension()
        && ending == "toml"
    {
        let job = arguments.checkpoint.display();
        return Err(Error::Usage(format!(
            "{job} is a job, but `ternflock predict` needs a checkpoint; to forecast how fast a job trains, use `ternflock \
             forecast {job}`"
        )));
    }
    let Some(path) = &arguments.output else { return Ok(None) };
    let format = of_path(path).ok_or_else(|| {
        let extensions: Vec<String> =
            FORMATS.iter().map(|format| format!(".{}", format.extension())).collect();
        Error::Usage(format!(
            "--output {}: no format has this extension; use one of {}",
            path.display(),
            extensions.join(", ")
        ))
    })?;
    check_new(path, arguments.overwrite)?;
    keep_inputs(path, arguments)?;
    Ok(Some(format))
}

/// Refuses an output that would replace the checkpoint or an input.
fn keep_inputs(output: &Path, arguments: &Predict) -> Result<()> {
    let Ok(place) = output.canonicalize() else { return Ok(()) };
    let is_there = |path: &Path| path.canonicalize().is_ok_and(|path| path == place);
    let is_read = |path: &PathBuf| is_there(path) || file_of(path).is_some_and(|file| is_there(&file));
    match std::iter::once(&arguments.checkpoint).chain(&arguments.inputs).find(|path| is_read(path)) {
        None => Ok(()),
        Some(path) => Err(Error::Usage(format!(
            "--output {}: it would replace {}, which is read; use another file",
            output.display(),
            path.display()
        ))),
    }
}

/// The network with the items that it reads, the step of the checkpoint and a hash of its parameters. `ranks` is the
/// largest number of ranks on one node.
fn prepare(arguments: &Predict, ranks: usize) -> Result<(Box<dyn Predictor>, u64, u64)> {
    let trained = Trained::load(&arguments.checkpoint)?;
    let input = trained.graph.input();
    let is_text = matches!(input, Shape::Tokens { .. });
    let batch =
        arguments.batch.map_or(if is_text { LINES } else { EVALUATION_BATCH }, |batch| batch as usize);
    let execution = |items: usize| {
        // Not the share of a rank: the size of a batch may change the last bits.
        let batch = batch.min(items).max(1);
        let execution = Execution { batch, precision: trained.precision(arguments.precision) };
        let too_large = |error: Error| Error::Usage(format!("{}: {error}", trained.path.display()));
        check_memory(&trained.graph, execution, Beside::default(), ranks)
            .map_err(too_large)
            .map(|()| execution)
    };
    let predictor: Box<dyn Predictor> = if is_text {
        if arguments.top.is_some() || arguments.raw {
            let option = if arguments.raw { "--raw" } else { "--top" };
            return Err(Error::Usage(format!(
                "{option} is for networks that read samples; {} holds a language model, which judges lines",
                trained.path.display()
            )));
        }
        Box::new(LinePredictor::new(&trained, &arguments.inputs, execution(usize::MAX)?)?)
    } else {
        let preparation = Preparation::of(&trained)?;
        let collection = Collection::open(&arguments.inputs, &preparation.reading())?;
        if arguments.top.is_some() && preparation.predicts_values() {
            return Err(Error::Usage(format!(
                "--top is for classes; the network of {} predicts values",
                trained.path.display()
            )));
        }
        let outputs = match arguments.raw || preparation.predicts_values() {
            true => Outputs::Raw,
            false => Outputs::Classes(arguments.top.unwrap_or(1) as usize),
        };
        let execution = execution(collection.count())?;
        Box::new(SamplePredictor::new(&trained, collection, preparation, execution, outputs)?)
    };
    let tensors = trained.snapshot.parameters.iter();
    let hash = tensors.fold(0, |hash: u64, tensor| hash.rotate_left(1) ^ hash_values(&tensor.values));
    Ok((predictor, trained.snapshot.progress.step, hash))
}

/// How the work of a rank ended.
enum Ended {
    /// The reader of standard output has gone: an exit code.
    Early(ExitCode),
    /// The rows of all items of this rank, empty if they were printed; and the number of items without one.
    Complete(Vec<f32>, usize),
}

/// Computes this rank's items. If `streams`, prints their rows as soon as they exist.
fn run(arguments: &Predict, predictor: &mut dyn Predictor, world: &World, streams: bool) -> Result<Ended> {
    let (items, unit) = (predictor.items().count(), predictor.items().unit());
    let mine = shard(items, world.rank(), world.size());
    let (fields, width) = (predictor.fields().to_vec(), predictor.width());
    let class_names = predictor.class_names().to_vec();
    // Printed with the first rows, so that nothing is printed if there are none.
    let mut header = Some(Csv::header(unit, &fields)).filter(|_| streams);
    let (mut all, mut skipped, mut first) = (Vec::new(), 0, mine.start);
    let (mut early, mut bad) = (None, None);
    predictor.run(mine, &mut |items: &dyn Items, rows: Rows| {
        for Problem { item, reason } in &rows.problems {
            log(format_args!("ternflock: {} {reason}", name(&items.item(*item), unit)));
        }
        skipped += rows.problems.len();
        if let Some(problem) = rows.problems.first().filter(|_| !arguments.skip_bad) {
            bad = Some(items.item(problem.item).path.to_owned());
            return false;
        }
        if !streams {
            all.extend_from_slice(&rows.values);
            return true;
        }
        let mut text = header.take().unwrap_or_default().into_bytes();
        for (row, values) in rows.values.chunks_exact(width).enumerate() {
            if !values[0].is_nan() {
                Csv::row(&items.item(first + row), &fields, &class_names, values, &mut text);
            }
        }
        first += rows.values.len() / width;
        early = print_part(&String::from_utf8_lossy(&text)).err();
        early.is_none()
    })?;
    if let Some(path) = bad {
        let message = format!(
            "{skipped} of {items} {unit}s cannot be used, the first of them here (see above); --skip-bad leaves such {unit}s out"
        );
        return Err(Error::data(path, message));
    }
    if let Some(header) = header {
        early = print_part(&header).err();
    }
    Ok(early.map_or(Ended::Complete(all, skipped), Ended::Early))
}

/// An item as messages name it: its file, and its number there.
fn name(item: &Item, unit: &str) -> String {
    let path = item.path.display();
    item.number.map_or_else(|| format!("{path}:"), |number| format!("{path}: {unit} {number}"))
}

/// The rows of all `items` on rank 0, each of `width` values, from the rows of each rank; empty on other ranks. A rank sends
/// at most [`PIECE`] values at a time.
fn gather(world: &mut World, items: usize, width: usize, mine: &[f32]) -> Result<Vec<f32>> {
    let size = world.size();
    if size == 1 {
        return Ok(mine.to_vec());
    }
    let mut all = if world.rank() == 0 { vec![f32::NAN; items * width] } else { Vec::new() };
    let largest = (0..size).map(|rank| shard(items, rank, size).len() * width).max().unwrap_or(0);
    let mut piece = vec![f32::NAN; PIECE.min(largest)];
    for first in (0..largest).step_by(PIECE) {
        let rest = mine.get(first..).unwrap_or_default();
        let count = rest.len().min(piece.len());
        piece[..count].copy_from_slice(&rest[..count]);
        let pieces = world.gather_to_root(&piece)?;
        for (rank, piece) in pieces.chunks_exact(piece.len()).enumerate() {
            let part = shard(items, rank, size);
            let part = part.start * width + first..part.end * width;
            if !part.is_empty() {
                let count = part.len().min(piece.len());
                all[part.start..][..count].copy_from_slice(&piece[..count]);
            }
        }
    }
    Ok(all)
}
