//! The events of a run. Each is a line of `metrics.jsonl`, told apart by its key `event`.

use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Count, Phases, Score, Speed};
use ternflock_base::clock::rfc3339;
use ternflock_base::error::{INTERRUPTED, Kind};

/// Something a run has to say.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Once, before the first step.
    Start {
        /// The job's name.
        job: String,
        /// Where everything is written.
        run_dir: PathBuf,
        /// Ranks.
        ranks: usize,
        /// Hosts they run on.
        hosts: usize,
        /// Threads that compute in each rank.
        threads: usize,
        /// Why so many.
        threads_reason: String,
        /// The BLAS of rank 0, with its version and the core type of its kernels.
        blas: String,
        /// Why it uses these kernels, if it did not choose them by itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        blas_reason: Option<&'static str>,
        /// Problems of its kernels, and differences between ranks.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        blas_warnings: Vec<String>,
        /// Parameters of the network.
        parameters: usize,
        /// Of these, how many travel as ternaries.
        ternary_parameters: usize,
        /// The all-reduce of the gradients: the one of ternaries, or `ring_f32` if there are none.
        algorithm: &'static str,
        /// Samples of an epoch; of a text, the tokens that are read.
        #[serde(flatten)]
        samples: Count,
        /// Words that a language model knows.
        #[serde(skip_serializing_if = "Option::is_none")]
        vocabulary: Option<usize>,
        /// The share of unknown tokens in the training text: those for words outside the vocabulary.
        #[serde(skip_serializing_if = "Option::is_none")]
        unknown: Option<f64>,
        /// The share of unknown tokens in the evaluation text.
        #[serde(skip_serializing_if = "Option::is_none")]
        evaluation_unknown: Option<f64>,
        /// What the network is chosen by: "validation" or "test".
        set: &'static str,
        /// The step the run begins at: 0, or that of the checkpoint it resumes from.
        step: u64,
        /// The step it ends at.
        steps: u64,
    },
    /// Once a stage, before its first step.
    Stage {
        /// Steps done.
        step: u64,
        /// Its name.
        stage: String,
        /// Its number, from 1.
        number: usize,
        /// How many there are.
        stages: usize,
        /// The step it ends at.
        steps: u64,
        /// Parameters of the network after its surgery.
        parameters: usize,
    },
    /// A stretch of training steps, over all ranks.
    Train {
        /// Steps done.
        step: u64,
        /// Passes over the training set, with the part of the present one.
        epoch: f64,
        /// Mean loss of the stretch's samples or tokens, in nats.
        loss: f64,
        /// How good the network was at them while training.
        #[serde(flatten)]
        score: Score,
        /// Learning rate of the last step.
        learning_rate: f64,
        /// Samples or tokens of all ranks a second.
        #[serde(flatten)]
        speed: Speed,
        /// Bytes that rank 0 has sent in the stretch to average gradients.
        bytes_sent: u64,
        /// Seconds a step, mean over ranks and steps.
        phases: Phases,
    },
    /// An evaluation of the set that chooses the network.
    Evaluate {
        /// Steps done.
        step: u64,
        /// "test" or "validation".
        set: &'static str,
        /// Mean loss, in nats.
        loss: f64,
        /// How good the network is.
        #[serde(flatten)]
        score: Score,
        /// The number of samples or tokens.
        #[serde(flatten)]
        samples: Count,
        /// Whether it is the best so far; in a stage, the best of that stage.
        best: bool,
    },
    /// Once, at the end of a run in which a validation set chose the network: that network on the test set.
    Test {
        /// Steps done.
        step: u64,
        /// "test".
        set: &'static str,
        /// The checkpoint of the network.
        checkpoint: PathBuf,
        /// The result.
        #[serde(flatten)]
        test: Test,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// Steps done.
        step: u64,
        /// Its file.
        path: PathBuf,
    },
    /// Something worth a sentence.
    Note {
        /// Steps done.
        step: u64,
        /// The sentence.
        text: String,
    },
    /// Once, at the end of a run that is complete or was interrupted.
    End(Summary),
    /// Once, at the end of a run that an error ended; a line with the same `event`, `end`.
    #[serde(rename = "end")]
    Failed {
        /// Steps done.
        step: u64,
        /// Never.
        complete: bool,
        /// How it ended, and when.
        #[serde(flatten)]
        ending: Ending,
        /// What went wrong.
        error: String,
    },
}

/// How a run ended. A run that was killed has no end event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All steps were done.
    Complete,
    /// A signal or the end of its allocation ended it after a checkpoint.
    Interrupted,
    /// A loss, a gradient or a parameter was not finite.
    Diverged,
    /// Another error ended it.
    Failed,
}

/// How a run ended, and when.
#[derive(Clone, Debug, Serialize)]
pub struct Ending {
    /// How.
    pub status: Status,
    /// The exit code of the program.
    pub exit_code: u8,
    /// RFC 3339, UTC, to the second.
    pub time: String,
}

impl Ending {
    /// The end, at the current time, of a run that no error ended.
    pub fn of(complete: bool) -> Ending {
        match complete {
            true => Ending::now(Status::Complete, 0),
            false => Ending::now(Status::Interrupted, INTERRUPTED),
        }
    }

    /// The end, at the current time, of a run by an error of `kind`.
    pub fn by(kind: Kind) -> Ending {
        let status = if kind == Kind::NonFinite { Status::Diverged } else { Status::Failed };
        Ending::now(status, kind.exit_code())
    }

    fn now(status: Status, exit_code: u8) -> Ending {
        Ending { status, exit_code, time: rfc3339(SystemTime::now()) }
    }
}

impl Event {
    /// Steps done when it happened.
    pub fn step(&self) -> u64 {
        match self {
            Event::Start { step, .. }
            | Event::Stage { step, .. }
            | Event::Train { step, .. }
            | Event::Evaluate { step, .. }
            | Event::Test { step, .. }
            | Event::Checkpoint { step, .. }
            | Event::Note { step, .. }
            | Event::Failed { step, .. } => *step,
            Event::End(summary) => summary.step,
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Steps done.
    pub step: u64,
    /// Whether all steps were done; otherwise a signal ended the run.
    pub complete: bool,
    /// The same in words, and when it was.
    #[serde(flatten)]
    pub ending: Ending,
    /// What the network is chosen by: "validation" or "test".
    pub set: &'static str,
    /// The score of the last network on that set; NaN if the run was interrupted.
    #[serde(flatten)]
    pub score: Score,
    /// Mean loss of the last network; none if the run was interrupted.
    pub loss: Option<f64>,
    /// The network that was chosen; none if the run was interrupted.
    pub chosen: Option<Chosen>,
    /// The same network on the test set; none if the run was interrupted.
    pub test: Option<Test>,
    /// Seconds of training and evaluating in this run, data loading left out.
    pub seconds: f64,
    /// Samples or tokens of all ranks a second, over all training steps of this run.
    #[serde(flatten)]
    pub speed: Speed,
    /// What rank 0 sent to average gradients.
    pub traffic: Traffic,
    /// The checkpoints that stages have ended with; none of a run without stages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<PathBuf>,
    /// The last checkpoint.
    pub checkpoint: PathBuf,
    /// The checkpoint of the best evaluation, if one is kept.
    pub best_checkpoint: Option<PathBuf>,
}

/// The network that a run's evaluations chose: the best one if the job keeps it, otherwise the last.
#[derive(Clone, Debug, Serialize)]
pub struct Chosen {
    /// Its step.
    pub step: u64,
    /// Its checkpoint.
    pub checkpoint: PathBuf,
    /// Its score on the set that chose it.
    #[serde(flatten)]
    pub score: Score,
    /// Mean loss on that set; `None` if an earlier version, which did not keep it, made the evaluation.
    pub loss: Option<f64>,
}

/// The chosen network on the test set.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Test {
    /// The step of the network.
    pub network_step: u64,
    /// Its score.
    #[serde(flatten)]
    pub score: Score,
    /// Mean loss, in nats; `None` if the test set itself chose and an earlier version did not keep the loss.
    pub loss: Option<f64>,
    /// The number of samples or tokens.
    #[serde(flatten)]
    pub samples: Count,
}

/// Bytes that a rank sends each step to average gradients.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Traffic {
    /// Counted at the transport, mean over the steps of this run.
    pub bytes_per_step: f64,
    /// As docs/algorithms.md predicts, mean over the steps of this run.
    pub formula_bytes_per_step: f64,
    /// What a float32 ring would send.
    pub float32_bytes_per_step: f64,
}
