//! How a strength acts.

use serde::Serialize;

use crate::syntax::choices;

/// The methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SparsityMethod {
    /// The gradient of the groups' norms, and a threshold after the step.
    GroupLasso,
    /// The proximal step of the groups' norms: exact zeros.
    Proximal,
}

choices! { SparsityMethod: GroupLasso = "group_lasso", Proximal = "proximal" }
