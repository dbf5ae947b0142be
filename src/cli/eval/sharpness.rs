//! `ternflock eval --sharpness`.

use serde_json::{Value, json};

use crate::arguments::{Eval, Landscape};
use crate::numbers::thousands;
use ternflock_base::error::{Error, Result};
use ternflock_base::io::write_output;
use ternflock_data::EvaluationFeed;
use ternflock_job::Task;
use ternflock_landscape::{Measure, Sharpness, Slice, Span, plot, sharpness, slice};
use ternflock_nn::Network;
use ternflock_report::json::to_value;
use ternflock_train::Objective;
use ternflock_world::World;

/// The measurements around a network.
pub struct Around {
    /// The number of labels over which the loss is averaged.
    samples: u64,
    unit: &'static str,
    sharpness: Sharpness,
    span: Span,
    slices: Vec<Slice>,
}

/// Measures around `network`, on the training samples of `feed`, with all ranks together.
pub fn measure(
    arguments: &Landscape,
    network: &mut Network,
    world: &mut World,
    (feed, task): (Box<dyn EvaluationFeed>, &Task),
    unit: &'static str,
) -> Result<Around> {
    world.set_context(format_args!("sharpness"));
    let (graph, parameters) = (network.graph().clone(), network.parameters.clone());
    let mut objective = Objective::new(network, world, feed, task, arguments.samples as usize)?;
    let measure = Measure {
        epsilon: arguments.epsilon,
        iterations: arguments.iterations as usize,
        repeats: arguments.repeats as usize,
        seed: arguments.seed,
    };
    let samples = objective.count();
    let found = sharpness(&mut objective, &parameters.values, measure)?;
    let span = Span { range: arguments.range, points: arguments.points };
    let along = |direction: u32| {
        slice(&mut objective, &graph, &parameters, span, (arguments.seed, u64::from(direction)))
    };
    let slices = (0..arguments.slices).map(along).collect::<Result<_>>()?;
    Ok(Around { samples, unit, sharpness: found, span, slices })
}

impl Around {
    /// Plots the slices if requested.
    pub fn draw(&self, arguments: &Eval) -> Result<()> {
        let Some(path) = &arguments.landscape.svg else { return Ok(()) };
        let name = shortened(&arguments.checkpoint.display().to_string());
        let title = format!("{name}, sharpness {:.2} %", self.sharpness.sharpness);
        let refuse = |why: String| Error::Usage(format!("--svg {}: {why}", path.display()));
        let picture = plot(&title, &self.slices).map_err(|error| refuse(error.to_string()))?;
        write_output(path, picture.as_bytes()).map_err(|error| refuse(format!("cannot be written: {error}")))
    }

    /// The text report.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let Sharpness { measure, loss, repeated, sharpness, .. } = &self.sharpness;
        let lowest = repeated.iter().copied().fold(f64::INFINITY, f64::min);
        let times = measure.repeats;
        let mut rows = vec![(
            "sharpness",
            format!(
                "{sharpness:.3} % (lowest of {times}: {lowest:.3} %), epsilon {}, training loss {loss:.4} of {} {}",
                measure.epsilon,
                thousands(self.samples),
                self.unit
            ),
        )];
        let ends: Vec<_> =
            self.slices.iter().flat_map(|slice| [slice.loss.first(), slice.loss.last()]).collect();
        if let Some(far) = mean(ends.into_iter().flatten().copied()) {
            rows.push((
                "slices",
                format!(
                    "{} of {} points, training loss {far:.4} on average {} lengths of the weights away",
                    self.slices.len(),
                    self.span.points,
                    self.span.range
                ),
            ));
        }
        rows
    }

    /// The JSON report.
    pub fn object(&self) -> Value {
        json!({
            "sharpness": to_value(&self.sharpness),
            "sharpness_samples": self.samples,
            "slices": to_value(&self.slices),
        })
    }
}

/// The end of a name that is too long for the heading of a picture.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 60;
    let more = name.chars().count().saturating_sub(LONGEST);
    if more == 0 { name.to_owned() } else { format!("...{}", name.chars().skip(more).collect::<String>()) }
}

/// The mean of `losses`, if there are any.
fn mean(losses: impl Iterator<Item = f64>) -> Option<f64> {
    let losses: Vec<f64> = losses.collect();
    (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64)
}
