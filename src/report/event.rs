//! The events of a run. Each is a line of `metrics.jsonl`; the key `event` holds its kind.

use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Count, Phases, Score, Scores, Speed};
use ternflock_base::clock::rfc3339;
use ternflock_base::error::{INTERRUPTED, Kind};

/// An event of a run.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Once, before the first step.
    Start {
        /// The job's name.
        job: String,
        /// The run directory.
        run_dir: PathBuf,
        /// Ranks.
        ranks: usize,
        /// Hosts that the ranks run on.
        hosts: usize,
        /// Compute threads of each rank.
        threads: usize,
        /// The reason for this number.
        threads_reason: String,
        /// The BLAS of rank 0, with its version and the core type of its kernels.
        blas: String,
        /// The reason why it uses these kernels, if it did not choose them itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        blas_reason: Option<&'static str>,
        /// Problems of its kernels, and differences between ranks.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        blas_warnings: Vec<String>,
        /// The number format of the operands of matrix products and convolutions, as in the job.
        precision: &'static str,
        /// How rank 0 computes these products.
        products: &'static str,
        /// The vector instructions of the program's own kernels on rank 0.
        vectors: &'static str,
        /// Differences between ranks in these.
        #[serde(skip_serializing_if = "Option::is_none")]
        vectors_warning: Option<String>,
        /// Parameters of the network.
        parameters: usize,
        /// The number of these whose gradients are compressed.
        ternary_parameters: usize,
        /// The all-reduce of the gradients: the one of ternaries, or `ring_f32` if there are none.
        algorithm: &'static str,
        /// Steps from one exchange to the next; above 1: local steps.
        exchange_every: u64,
        /// The step from which this applies; before it, the ranks exchange in each step.
        exchange_every_start: u64,
        /// Samples per epoch; for a text, the tokens that are read.
        #[serde(flatten)]
        samples: Count,
        /// The vocabulary size of a language model.
        #[serde(skip_serializing_if = "Option::is_none")]
        vocabulary: Option<usize>,
        /// The share of unknown tokens in the training text: those for words outside the vocabulary.
        #[serde(skip_serializing_if = "Option::is_none")]
        unknown: Option<f64>,
        /// The share of unknown tokens in the evaluation text.
        #[serde(skip_serializing_if = "Option::is_none")]
        evaluation_unknown: Option<f64>,
        /// The set that chooses the network: "validation" or "test".
        set: &'static str,
        /// The step at which the run starts: 0, or that of the checkpoint from which it resumes.
        step: u64,
        /// The step at which it ends.
        steps: u64,
    },
    /// Once per stage, before its first step.
    Stage {
        /// Steps done.
        step: u64,
        /// Its name.
        stage: String,
        /// Its number, from 1.
        number: usize,
        /// The number of stages.
        stages: usize,
        /// The step at which it ends.
        steps: u64,
        /// Parameters of the network after its surgery.
        parameters: usize,
    },
    /// The training steps of a log interval, over all ranks.
    Train {
        /// Steps done.
        step: u64,
        /// Passes over the training set, including the fraction of the current one.
        epoch: f64,
        /// Mean loss of the samples or tokens in the interval; of cross-entropies, in nats.
        loss: f64,
        /// The score of the network on them during training.
        #[serde(flatten)]
        score: Score,
        /// Learning rate of the last step.
        learning_rate: f64,
        /// Samples or tokens per second, over all ranks.
        #[serde(flatten)]
        speed: Speed,
        /// Bytes that rank 0 sent in the interval to average gradients.
        bytes_sent: u64,
        /// Seconds per step, the mean over ranks and steps.
        phases: Phases,
    },
    /// An evaluation on the set that chooses the network.
    Evaluate {
        /// Steps done.
        step: u64,
        /// "test" or "validation".
        set: &'static str,
        /// Mean loss; of cross-entropies, in nats.
        loss: f64,
        /// The score of the network by which it is compared with others.
        #[serde(flatten)]
        score: Score,
        /// Its other scores.
        #[serde(flatten)]
        others: Scores,
        /// The number of samples or tokens.
        #[serde(flatten)]
        samples: Count,
        /// Whether the network is the best so far; in a stage, the best of that stage.
        best: bool,
    },
    /// Once, at the end of a run in which a validation set chose the network: the evaluation of that network
    /// on the test set.
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
    /// A note.
    Note {
        /// Steps done.
        step: u64,
        /// Its text.
        text: String,
    },
    /// Once, at the end of a run that was completed or interrupted.
    End(Summary),
    /// Once, at the end of a run that failed. The line has the same `event`, `end`.
    #[serde(rename = "end")]
    Failed {
        /// Steps done.
        step: u64,
        /// Never.
        complete: bool,
        /// How it ended, and when.
        #[serde(flatten)]
        ending: Ending,
        /// The error message.
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
    /// The status.
    pub status: Status,
    /// The exit code of the program.
    pub exit_code: u8,
    /// RFC 3339, UTC, to the second.
    pub time: String,
}

impl Ending {
    /// The end, at the current time, of a run without an error.
    pub fn of(complete: bool) -> Ending {
        match complete {
            true => Ending::now(Status::Complete, 0),
            false => Ending::now(Status::Interrupted, INTERRUPTED),
        }
    }

    /// The end, at the current time, of a run that failed with an error of `kind`.
    pub fn by(kind: Kind) -> Ending {
        let status = if kind == Kind::NonFinite { Status::Diverged } else { Status::Failed };
        Ending::now(status, kind.exit_code())
    }

    fn now(status: Status, exit_code: u8) -> Ending {
        Ending { status, exit_code, time: rfc3339(SystemTime::now()) }
    }
}

impl Event {
    /// Steps done at that time.
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

/// The summary of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Steps done.
    pub step: u64,
    /// Whether all steps were done; otherwise a signal ended the run.
    pub complete: bool,
    /// The status and the time.
    #[serde(flatten)]
    pub ending: Ending,
    /// The set that chooses the network: "validation" or "test".
    pub set: &'static str,
    /// The score of the last network on that set; undefined if the run was interrupted.
    #[serde(flatten)]
    pub score: Score,
    /// Mean loss of the last network; `None` if the run was interrupted.
    pub loss: Option<f64>,
    /// The network that was chosen; `None` if the run was interrupted.
    pub chosen: Option<Chosen>,
    /// The evaluation of this network on the test set; `None` if the run was interrupted.
    pub test: Option<Test>,
    /// Seconds of training and evaluation in this run, without data loading.
    pub seconds: f64,
    /// Samples or tokens per second, over all ranks and all training steps of this run.
    #[serde(flatten)]
    pub speed: Speed,
    /// The traffic of rank 0 for averaging gradients.
    pub traffic: Traffic,
    /// The last checkpoint of each stage; empty for a run without stages.
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
#[derive(Clone, Debug, Serialize)]
pub struct Test {
    /// The step of the network.
    pub network_step: u64,
    /// Its score.
    #[serde(flatten)]
    pub score: Score,
    /// Its other scores; none if the test set itself chose.
    #[serde(flatten)]
    pub others: Scores,
    /// Mean loss; `None` if the test set itself chose and an earlier version did not keep the loss.
    pub loss: Option<f64>,
    /// The number of samples or tokens.
    #[serde(flatten)]
    pub samples: Count,
}

/// Bytes that a rank sends per step to average gradients.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Traffic {
    /// Counted at the transport: the mean over the steps of this run.
    pub bytes_per_step: f64,
    /// Predicted by the formulas of docs/algorithms.md: the mean over the steps of this run.
    pub formula_bytes_per_step: f64,
    /// Whether that prediction is an upper bound, because the lengths of some messages depend on the gradients.
    #[serde(rename = "formula_is_bound")]
    pub is_bound: bool,
    /// The bytes that a float32 ring would send.
    pub float32_bytes_per_step: f64,
}
