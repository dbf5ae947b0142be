//! `ternflock eval`.

use std::process::ExitCode;
use std::time::Instant;

use serde_json::json;
use xxhash_rust::xxh3::xxh3_64;

use super::arguments::Eval;
use super::exit;
use super::launch::launch_or_say;
use super::numbers::{duration, percent, thousands};
use super::streams::print;
use super::table::table;
use crate::checkpoint::{self, Snapshot};
use crate::error::{Error, Result};
use crate::job::{Exchange, Job};
use crate::nn::{Network, Shape, Tally};
use crate::train::{
    EVALUATION_BATCH, Evaluator, Patience, World, evaluate, hash_values, open_test_set, place,
    restore_network,
};

/// Evaluates the checkpoint on the test set; the ranks share the samples.
pub fn main(arguments: &Eval) -> ExitCode {
    let mut world = match launch_or_say(Patience::of(&Exchange::default())) {
        Ok(world) => world,
        Err(code) => return code,
    };
    match measure(arguments, &mut world) {
        Ok(result) if world.rank() == 0 => print(&result.say(arguments)),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => exit::fail_on(world, &error),
    }
}

struct Measured {
    snapshot: Snapshot,
    dataset: String,
    tally: Tally,
    seconds: f64,
}

fn measure(arguments: &Eval, world: &mut World) -> Result<Measured> {
    world.set_context(format_args!("evaluation"));
    place(world)?;
    let prepared = prepare(arguments);
    let (snapshot, dataset, mut evaluator, mut network) = world.together(prepared)?;
    world.agree("the hash of the checkpoint's parameters", hash_values(&network.parameters.values))?;
    world.agree("the hash of its network", xxh3_64(snapshot.network.as_bytes()))?;
    world.agree("the hash of the test data", evaluator.feed().hash())?;
    let start = Instant::now();
    let tally = evaluate(&mut evaluator, &mut network, world)?;
    Ok(Measured { snapshot, dataset, tally, seconds: start.elapsed().as_secs_f64() })
}

fn prepare(arguments: &Eval) -> Result<(Snapshot, String, Evaluator, Network)> {
    let path = &arguments.checkpoint;
    let snapshot = checkpoint::load(path)?;
    let network = restore_network(path, &snapshot, EVALUATION_BATCH)?;
    let job = Job::from_toml(&snapshot.job)
        .map_err(|error| Error::checkpoint(path, format!("its job cannot be read: {error}")))?;
    let dir = arguments.data_dir.as_deref().or(job.data.dir.as_deref());
    let test = open_test_set(&job.data, dir)?;
    let (graph, given, classes) = (network.graph(), test.input(), test.classes());
    if graph.input() != given || graph.output() != (Shape::Vector { features: classes }) {
        let (input, output) = (graph.input(), graph.output());
        let message = format!(
            "its network makes {output} logits of samples of {input}, but `{}` has {classes} classes of {given}",
            job.data.dataset
        );
        return Err(Error::checkpoint(path, message));
    }
    Ok((snapshot, job.data.dataset, Evaluator::new(test), network))
}

impl Measured {
    fn say(&self, arguments: &Eval) -> String {
        let (tally, path) = (&self.tally, arguments.checkpoint.display().to_string());
        let (accuracy, speed) = (tally.accuracy(), tally.samples as f64 / self.seconds);
        if arguments.json {
            let object = json!({
                "checkpoint": path,
                "step": self.snapshot.progress.step,
                "dataset": self.dataset,
                "set": "test",
                "samples": tally.samples,
                "correct": tally.correct,
                "accuracy": accuracy,
                "loss": tally.mean_loss(),
                "seconds": self.seconds,
                "samples_per_s": speed,
            });
            return format!("{object}\n");
        }
        let rows = [
            ("checkpoint", format!("{path}, step {}", thousands(self.snapshot.progress.step))),
            ("test set", format!("{}, {} samples", self.dataset, thousands(tally.samples))),
            ("accuracy", format!("{} (loss {:.4})", percent(accuracy), tally.mean_loss())),
            ("time", format!("{}, {} samples/s", duration(self.seconds), thousands(speed as u64))),
        ];
        table(&rows.map(|(name, value)| vec![name.to_string(), value]), &[])
    }
}
