//! Shows a run's events on the terminal: with a progress bar if possible, otherwise as plain lines.

use std::io::IsTerminal;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::numbers::{clock, shown, thousands};
use super::streams::log;
use ternflock_base::text::plural;
use ternflock_report::Event;
use ternflock_tensor::blas_computes;

/// Shows the events of a run on standard error.
pub struct Terminal {
    bar: Option<ProgressBar>,
    progress: Progress,
    /// The stage that the run is in, if its job has any.
    stage: Option<String>,
}

impl Terminal {
    /// The display for rank 0. It has a progress bar if standard error is a terminal.
    pub fn new() -> Terminal {
        let bar = std::io::stderr().is_terminal().then(ProgressBar::hidden);
        Terminal { bar, progress: Progress::new(0, 0), stage: None }
    }

    /// Shows `event`.
    pub fn show(&mut self, event: &Event) {
        match event {
            Event::Start { step, steps, .. } => {
                self.progress = Progress::new(*step, *steps);
                self.bar = self.bar.as_ref().map(|_| bar(*step, *steps));
            }
            Event::Stage { stage, .. } => self.stage = Some(stage.clone()),
            _ => {}
        }
        match (&self.bar, event) {
            (Some(bar), Event::Train { step, loss, speed, .. }) => {
                bar.set_position(*step);
                let (rate, unit) = (thousands(speed.rate() as u64), speed.unit());
                bar.set_message(format!("loss {loss:.4}, {rate} {unit}/s,"));
            }
            (Some(bar), Event::End(_) | Event::Failed { .. }) => bar.finish_and_clear(),
            _ => {}
        }
        let Some(line) = self.line(event) else { return };
        match &self.bar {
            Some(bar) => bar.suspend(|| log(line)),
            None => log(line),
        }
    }

    /// The event as a line. `None` for training and checkpoints if there is a progress bar, which shows them.
    fn line(&self, event: &Event) -> Option<String> {
        let best = match &self.stage {
            Some(stage) => format!(", the best so far in stage {stage}"),
            None => ", the best so far".into(),
        };
        let has_bar = self.bar.is_some();
        match event {
            Event::Start { .. } => Some(start_line(event)),
            Event::Stage { step, stage, number, stages, steps, parameters } => Some(format!(
                "step {step:>6}  stage {stage} ({number} of {stages}), to step {steps}: {} parameters",
                thousands(*parameters as u64)
            )),
            Event::Train { .. } | Event::Checkpoint { .. } if has_bar => None,
            Event::Train { step, epoch, loss, score, learning_rate, speed, .. } => Some(format!(
                "step {step:>6}  epoch {epoch:6.2}  loss {loss:.4}  training {} {}  lr {learning_rate:.5}  {} {}/s  {}",
                score.metric.title(),
                shown(*score),
                thousands(speed.rate() as u64),
                speed.unit(),
                self.progress.at(*step, self.progress.since.elapsed().as_secs_f64())
            )),
            Event::Evaluate { step, set, loss, score, samples, best: is_best, .. } => Some(format!(
                "step {step:>6}  {set} {} {} of {} {}, loss {loss:.4}{}",
                score.metric.title(),
                shown(*score),
                thousands(samples.number()),
                samples.unit(),
                if *is_best { &best } else { "" }
            )),
            Event::Test { step, set, checkpoint, test } => Some(format!(
                "step {step:>6}  {set} {} {} of {} {}{}: {}, of step {}",
                test.score.metric.title(),
                shown(test.score),
                thousands(test.samples.number()),
                test.samples.unit(),
                test.loss.map_or(String::new(), |loss| format!(", loss {loss:.4}")),
                checkpoint.display(),
                thousands(test.network_step)
            )),
            Event::Checkpoint { step, path } => {
                Some(format!("step {step:>6}  checkpoint {}", path.display()))
            }
            Event::Note { text, .. } => Some(text.clone()),
            Event::End(_) | Event::Failed { .. } => None,
        }
    }
}

fn bar(step: u64, steps: u64) -> ProgressBar {
    let bar = ProgressBar::new(steps).with_position(step);
    let template = "step {pos}/{len} {wide_bar} {msg} {elapsed} elapsed, {eta} left";
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    // A resumed run did not do the earlier steps itself.
    bar.reset_eta();
    bar
}

/// The progress of a run. Log lines report it if there is no bar, as under mpirun, which forwards the output of rank 0
/// through a pipe.
struct Progress {
    since: Instant,
    /// The first and last step of this process.
    first: u64,
    last: u64,
}

impl Progress {
    fn new(first: u64, last: u64) -> Progress {
        Progress { since: Instant::now(), first, last }
    }

    /// The share of all steps, the elapsed time, and the time left if the remaining steps are as fast as those done in
    /// these `seconds`, as in "12 %, 0:34 elapsed, 4:10 left".
    fn at(&self, step: u64, seconds: f64) -> String {
        let share = 100.0 * step as f64 / self.last.max(1) as f64;
        let (done, rest) = (step.saturating_sub(self.first), self.last.saturating_sub(step));
        let left = seconds * rest as f64 / done.max(1) as f64;
        format!("{share:.0} %, {} elapsed, {} left", clock(seconds), clock(left))
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
        blas,
        blas_reason,
        blas_warnings,
        precision: _,
        products,
        vectors,
        vectors_warning,
        parameters,
        ternary_parameters,
        algorithm,
        exchange_every,
        exchange_every_start,
        samples,
        vocabulary,
        unknown,
        evaluation_unknown,
        set,
        step,
        steps,
    } = event
    else {
        return String::new();
    };
    let [parameters, ternary] = [parameters, ternary_parameters].map(|n| thousands(*n as u64));
    let of = vocabulary.map_or(String::new(), |words| format!(", vocabulary {}", thousands(words as u64)));
    let unknown = match (unknown, evaluation_unknown) {
        (Some(train), Some(evaluation)) if train + evaluation > 0.0 => {
            let [train, evaluation] = [train, evaluation].map(|share| 100.0 * share);
            format!(" (unknown tokens: training {train:.1} %, evaluation {evaluation:.1} %)")
        }
        _ => String::new(),
    };
    let samples = format!("{} {}{of}{unknown}", thousands(samples.number()), samples.unit());
    let local = match (exchange_every, exchange_every_start) {
        (1, _) => String::new(),
        (every, 0) => format!(", an exchange every {every} steps"),
        (every, start) => format!(", an exchange every {every} steps from step {start} on"),
    };
    let by = if *ranks > 1 { format!("; all-reduce {algorithm}{local}") } else { local };
    let kernels = if blas_computes() {
        let reason = blas_reason.map_or(String::new(), |reason| format!(" ({reason})"));
        format!("{vectors}; BLAS: {blas}{reason}")
    } else {
        (*vectors).to_owned()
    };
    let warnings: String = blas_warnings.iter().map(|warning| format!("\nwarning: {warning}")).collect();
    let differ = vectors_warning.as_ref().map_or(String::new(), |warning| format!("\nwarning: {warning}"));
    format!(
        "{job}: {} on {}, {} per rank ({threads_reason})\n\
         {parameters} parameters, {ternary} of them with compressed gradients{by}; {samples}; \
         the {set} set chooses the network; steps {step} to {steps}; writing to {}\n\
         {products}; vector instructions: {kernels}{warnings}{differ}",
        plural(*ranks, "rank"),
        plural(*hosts, "host"),
        plural(*threads, "compute thread"),
        run_dir.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_that_of_the_steps_left() {
        let whole = Progress::new(0, 1000);
        assert_eq!(whole.at(120, 34.0), "12 %, 0:34 elapsed, 4:09 left");
        assert_eq!(whole.at(1000, 3725.0), "100 %, 1:02:05 elapsed, 0:00 left");
        // For a resumed run, earlier steps took none of this time.
        assert_eq!(Progress::new(800, 1000).at(900, 10.0), "90 %, 0:10 elapsed, 0:10 left");
        assert_eq!(Progress::new(0, 0).at(0, 0.0), "0 %, 0:00 elapsed, 0:00 left");
    }
}
