//! Differences between a resumed run and the one that wrote its checkpoint: some are refused, others are
//! noted in the log.

use std::path::Path;

use crate::run::steps::Run;
use crate::state::trained_on::differences;
use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;
use ternflock_checkpoint::{Progress, Snapshot};
use ternflock_data::Vocabulary;
use ternflock_job::{Difference, Job};
use ternflock_tensor::{self as tensor, Precision};

impl Run<'_> {
    /// Refuses a checkpoint whose vocabulary is not that of the data: the same number would stand for another
    /// word.
    pub(crate) fn check_vocabulary(&self, snapshot: &Snapshot) -> std::result::Result<(), String> {
        let Some(mine) = &self.data.vocabulary else { return Ok(()) };
        let difference = Vocabulary::of(snapshot.vocabulary.clone())?.difference(mine);
        difference.map_or(Ok(()), |difference| {
            Err(format!(
                "its vocabulary is not that of the data ({difference}): use the text it was trained on, or \
                 start a new run"
            ))
        })
    }

    /// Refuses a checkpoint that was trained on data other than those that were read: its counters would
    /// refer to other samples, and its best evaluation would not be comparable.
    pub(crate) fn check_data(&self, path: &Path, snapshot: &Snapshot) -> Result<()> {
        let differences = differences(snapshot, &self.data.identity);
        if differences.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the data are not those that {} was trained on: {}; restore them, or start a new run \
             (model.checkpoint loads these parameters)",
            path.display(),
            differences.join("; ")
        );
        Err(Error::data(&self.job.data.dataset, message))
    }

    /// Notes on the differences between this run and the one with the job `stored` that reached `progress`.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if its counters would refer to other samples.
    pub(crate) fn what_differs(
        &self,
        path: &Path,
        stored: &Job,
        progress: &Progress,
        world: usize,
    ) -> Result<Vec<String>> {
        let differences = stored.differences(self.job);
        if let Some(difference) =
            differences.iter().find(|difference| FIXED.iter().any(|key| difference.key.starts_with(key)))
        {
            let message = format!(
                "cannot be resumed with another order of samples ({difference}): use the job it was trained \
                 with, or start a new run"
            );
            return Err(Error::checkpoint(path, message));
        }
        let mut notes = Vec::new();
        if !differences.is_empty() {
            notes.push(describe_changes("the checkpoint's", &differences));
        }
        if progress.ranks != world as u64 {
            notes.push(format!(
                "written on {}, continuing on {world}: batches and their order stay the same, but ternary \
                 rounding and the order of sums differ from a run on {}",
                plural(progress.ranks as usize, "rank"),
                progress.ranks
            ));
        }
        // Only sums of BLAS depend on the number of threads.
        let threads = tensor::threads() as u64;
        if progress.threads != threads && tensor::blas_computes() {
            notes.push(format!(
                "compute threads of rank 0 were {} until now and are {threads} from here: sums are rounded differently, so the \
                 weights will not be bit-identical to those of an uninterrupted run (OPENBLAS_NUM_THREADS={} would make \
                 them so)",
                progress.threads, progress.threads
            ));
        }
        notes.extend(what_computes_differently(progress, self.trainer.network.precision()));
        Ok(notes)
    }
}

/// Changes since `progress` was recorded that alter the rounding of sums: other BLAS kernels, other vector
/// instructions, or other products of this `precision`.
fn what_computes_differently(progress: &Progress, precision: Precision) -> Option<String> {
    let changed = |what: &str, before: &Option<String>, now: &str| {
        let before = before.as_deref().filter(|before| *before != now)?;
        Some(format!("{what} was {before} until now and is {now} from here"))
    };
    // Checkpoints from before the program had products of its own do not name their arithmetic.
    let from_blas = progress.products.is_none() && !tensor::blas_computes();
    let changes = [
        if tensor::blas_computes() {
            changed("BLAS of rank 0", &progress.blas, &tensor::blas().to_string())
        } else {
            from_blas.then(|| {
                "matrix products were those of BLAS until now and are ternflock's own from here".into()
            })
        },
        changed(
            "the widest vector instruction set of rank 0",
            &progress.vectors,
            tensor::vector_instructions(),
        ),
        changed("the arithmetic of products on rank 0", &progress.products, precision.arithmetic()),
    ];
    let changes: Vec<String> = changes.into_iter().flatten().collect();
    (!changes.is_empty()).then(|| {
        format!(
            "{}: sums are rounded differently, so the weights will not be bit-identical to those of an uninterrupted run",
            changes.join("; ")
        )
    })
}

/// A note that the job differs from `whose`.
pub fn describe_changes(whose: &str, differences: &[Difference]) -> String {
    let all: Vec<_> = differences.iter().map(ToString::to_string).collect();
    format!("the job differs from {whose}: {}", all.join("; "))
}

/// Keys of a job that decide which samples a step sees.
const FIXED: [&str; 13] = [
    "data.dataset",
    "data.samples",
    "data.tokens",
    "data.validation",
    "data.train",
    "data.held_out",
    "data.level",
    "data.lowercase",
    "data.punctuation",
    "data.vocabulary",
    "data.sequence_length",
    "train.global_batch",
    "train.seed",
];
