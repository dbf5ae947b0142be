//! Losses of other programs that use this library.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use ternflock_base::error::Result;
use ternflock_job::{TaskKind, register_loss_name};
use ternflock_nn::Loss;

static LOSSES: RwLock<BTreeMap<&'static str, Arc<dyn Loss>>> = RwLock::new(BTreeMap::new());

/// Makes `loss` available in this process as `task.loss = "..."`, by its [`Loss::name`], for tasks of the kinds `kinds`.
/// Register it before jobs and checkpoints that name it are read, and on every rank.
///
/// # Errors
/// [`Error::Usage`](ternflock_base::error::Error::Usage) if there is a loss of this name, or if `kinds` is empty
/// or has language models.
pub fn register_loss<L: Loss + 'static>(kinds: &'static [TaskKind], loss: L) -> Result<()> {
    register_loss_name(loss.name(), kinds)?;
    LOSSES.write().unwrap_or_else(PoisonError::into_inner).insert(loss.name(), Arc::new(loss));
    Ok(())
}

/// The loss that is registered as `name`.
pub(super) fn registered_loss(name: &str) -> Option<Arc<dyn Loss>> {
    LOSSES.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
}
