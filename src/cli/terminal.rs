//! A run's events on the terminal: a progress bar where there is one, plain lines otherwise.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use super::numbers::{shown, thousands};
use super::streams::log;
use crate::report::Event;

/// Shows the events of a run on standard error.
pub struct Terminal {
    bar: Option<ProgressBar>,
}

impl Terminal {
    /// For rank 0; shows a bar if standard error is a terminal.
    pub fn new() -> Terminal {
        Terminal { bar: std::io::stderr().is_terminal().then(ProgressBar::hidden) }
    }

    /// Shows `event`.
    pub fn show(&mut self, event: &Event) {
        if let Event::Start { step, steps, .. } = event
            && let Some(bar) = &mut self.bar
        {
            *bar = ProgressBar::new(*steps).with_position(*step);
            let template = "step {pos}/{len} {wide_bar} {msg} {eta} left";
            bar.set_style(
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
        }
        match (&self.bar, event) {
            (Some(bar), Event::Train { step, loss, speed, .. }) => {
                bar.set_position(*step);
                let (rate, unit) = (thousands(speed.rate() as u64), speed.unit());
                bar.set_message(format!("loss {loss:.4}, {rate} {unit}/s,"));
            }
            (Some(bar), Event::End(_)) => bar.finish_and_clear(),
            _ => {}
        }
        let Some(line) = line(event, self.bar.is_some()) else { return };
        match &self.bar {
            Some(bar) => bar.suspend(|| log(line)),
            None => log(line),
        }
    }
}

/// The event as a line; a bar shows training and checkpoints by itself.
fn line(event: &Event, bar: bool) -> Option<String> {
    match event {
        Event::Start { .. } => Some(start_line(event)),
        Event::Stage { step, stage, number, stages, steps, parameters } => Some(format!(
            "step {step:>6}  stage {stage} ({number} of {stages}), to step {steps}: {} parameters",
            thousands(*parameters as u64)
        )),
        Event::Train { .. } if bar => None,
        Event::Train { step, epoch, loss, score, learning_rate, speed, .. } => Some(format!(
            "step {step:>6}  epoch {epoch:6.2}  loss {loss:.4}  training {} {}  lr {learning_rate:.5}  {} {}/s",
            score.name(),
            shown(*score),
            thousands(speed.rate() as u64),
            speed.unit()
        )),
        Event::Evaluate { step, set, loss, score, samples, best } => Some(format!(
            "step {step:>6}  {set} {} {} of {} {}, loss {loss:.4}{}",
            score.name(),
            shown(*score),
            thousands(samples.number()),
            samples.unit(),
            if *best { ", the best so far" } else { "" }
        )),
        Event::Checkpoint { .. } if bar => None,
        Event::Checkpoint { step, path } => Some(format!("step {step:>6}  checkpoint {}", path.display())),
        Event::Note { text, .. } => Some(text.clone()),
        Event::End(_) => None,
    }
}

fn start_line(event: &Event) -> String {
    let Event::Start {
        job,
        run_dir,
        ranks,
        hosts,
        threads,
        threads_reason,
        parameters,
        ternary_parameters,
        algorithm,
        samples,
        vocabulary,
        unknown,
        evaluation_unknown,
        step,
        steps,
    } = event
    else {
        return String::new();
    };
    let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let [parameters, ternary] = [parameters, ternary_parameters].map(|n| thousands(*n as u64));
    let of = vocabulary.map_or(String::new(), |words| format!(" of {} kinds", thousands(words as u64)));
    let unknown = match (unknown, evaluation_unknown) {
        (Some(train), Some(evaluation)) if train + evaluation > 0.0 => {
            let [train, evaluation] = [train, evaluation].map(|share| 100.0 * share);
            format!(" (unknown tokens: training {train:.1} %, evaluation {evaluation:.1} %)")
        }
        _ => String::new(),
    };
    let samples = format!("{} {}{of}{unknown}", thousands(samples.number()), samples.unit());
    let by = if *ranks > 1 { format!(", by {algorithm}") } else { String::new() };
    format!(
        "{job}: {} on {}, {} a rank ({threads_reason})\n\
         {parameters} parameters, {ternary} of them with ternary gradients{by}; {samples}; \
         steps {step} to {steps}; writing to {}",
        plural(*ranks, "rank"),
        plural(*hosts, "host"),
        plural(*threads, "compute thread"),
        run_dir.display()
    )
}
