//! A checkpoint that is used, not trained further.

use std::path::{Path, PathBuf};

use ternflock_base::error::{Error, Result};
use ternflock_checkpoint::{self as checkpoint, Snapshot};
use ternflock_data::Vocabulary;
use ternflock_job::{Job, Text};
use ternflock_nn::Graph;
use ternflock_tensor::Precision;
use ternflock_train::precision;

/// The contents of a checkpoint that its use needs.
pub struct Trained {
    /// Its file, for messages.
    pub path: PathBuf,
    /// Its contents, without the state of the optimizer and of recurrent layers.
    pub snapshot: Snapshot,
    /// The job that it was trained with.
    pub job: Job,
    /// Its network.
    pub graph: Graph,
}

impl Trained {
    /// Reads the checkpoint at `path`.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if it is damaged, or if its job or its network cannot be read.
    pub fn load(path: &Path) -> Result<Trained> {
        let mut snapshot = checkpoint::load(path)?;
        // Only training needs them, and they take more memory than the parameters.
        (snapshot.optimizer, snapshot.recurrent_state) = (Vec::new(), Vec::new());
        let job = Job::from_stored(&snapshot.job)
            .map_err(|error| Error::checkpoint(path, format!("its job cannot be read: {error}")))?;
        let graph = Graph::from_json(&snapshot.network)
            .map_err(|error| Error::checkpoint(path, error.to_string()))?;
        Ok(Trained { path: path.into(), snapshot, job, graph })
    }

    /// The precision of matrix products: `wanted`, or that of the job.
    pub fn precision(&self, wanted: Option<Precision>) -> Precision {
        wanted.unwrap_or_else(|| precision(&self.job))
    }

    /// The way in which a text is split into tokens, and the vocabulary; `None` if the network does not read texts.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if its job trains on a text, but its vocabulary is missing, is none, or has another size than
    /// that of the network.
    pub fn text(&self) -> Result<Option<(&Text, Vocabulary)>> {
        let Some(how) = &self.job.data.text else { return Ok(None) };
        let words = self.snapshot.vocabulary.clone();
        if words.is_empty() {
            return Err(self.refuse("its job trains on a text, but it has no vocabulary"));
        }
        let vocabulary = Vocabulary::of(words).map_err(|message| self.refuse(message))?;
        match self.graph.input() {
            ternflock_nn::Shape::Tokens { vocabulary: size, .. } if size == vocabulary.len() => {
                Ok(Some((how, vocabulary)))
            }
            other => Err(self.refuse(format!(
                "its network takes {}, but its vocabulary has {} words",
                other.described(),
                vocabulary.len()
            ))),
        }
    }

    /// An error about this checkpoint.
    pub fn refuse(&self, message: impl Into<String>) -> Error {
        Error::checkpoint(&self.path, message)
    }
}
