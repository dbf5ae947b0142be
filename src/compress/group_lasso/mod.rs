//! Group lasso: a penalty of `strength ||w_g||` on each group g of parameters, which makes entire groups zero
//! (Yuan and Lin, 2006; W. Wen et al., 2016, section 3.1).
//!
//! The plain l1 norm of weights (`l1`) may be used with it or alone.
//!
//! There are two ways to apply it in a step. Both act after the exchange, on values that are equal on all ranks:
//!
//! - that of the published code: `strength w / ||w_g||` is added to the gradient, or zero if the norm is zero. After
//!   the step, every parameter with a magnitude below a threshold becomes zero, in any group;
//! - the proximal step (`proximal`): after the update by the gradient of the loss alone, each group shrinks at the
//!   rate at which its parameters moved. This gives exact zeros without a threshold. Kinds of groups that overlap
//!   shrink one after another.
//!
//! Two views of one group can share an element, for example a hidden unit's recurrent weights to itself. The norm of
//! the published code counts such an element twice, and so does that method here; the proximal step counts it once.

mod l1;
mod proximal;

use std::collections::HashSet;

use self::l1::L1;
use self::proximal::Proximal;
use super::groups::{Groups, groups};
use ternflock_base::error::{Error, Result};
use ternflock_base::suggest::suggest;
use ternflock_job::{Sparsity, SparsityMethod};
use ternflock_nn::{Graph, Parameters, StructureKind};
use ternflock_tensor::vectorise;

/// The penalties of a job on a network.
pub struct GroupLasso {
    method: SparsityMethod,
    threshold: f32,
    penalties: Vec<Penalty>,
    l1: L1,
    /// For each group of one penalty: the square of its norm, and the factor with which its elements are added to their
    /// gradients.
    squares: Vec<f64>,
    factors: Vec<f32>,
    proximal: Proximal,
}

struct Penalty {
    groups: Groups,
    /// By group.
    strengths: Vec<f64>,
}

impl GroupLasso {
    /// The penalties that `job` sets for `graph`; `None` if there are none.
    ///
    /// # Errors
    /// [`Error::Usage`] if it sets a strength for groups that the network does not have, or names layers
    /// without groups.
    pub fn new(job: &Sparsity, graph: &Graph, parameters: &Parameters) -> Result<Option<GroupLasso>> {
        let lasso = GroupLasso::of_what_is_left(job, graph, parameters)?;
        let penalties = lasso.iter().flat_map(|lasso| &lasso.penalties);
        for (kind, key, strength) in kinds(job) {
            if strength != 0.0 && !penalties.clone().any(|penalty| penalty.groups.kind == kind) {
                return Err(Error::Usage(format!(
                    "sparsity.{key} = {strength}: the network has no such groups that can be removed"
                )));
            }
        }
        let mut layers: Vec<&str> = penalties.map(|penalty| penalty.groups.layer.as_str()).collect();
        if job.l1 > 0.0 {
            let weights = parameters.table.iter().filter(|tensor| tensor.spec.role.decays());
            layers.extend(weights.map(|tensor| graph.layers()[tensor.layer].name.as_str()));
        }
        if lasso.is_none() {
            // A later stage may set strengths, so only names that cannot be a layer's are wrong.
            layers.extend(graph.layers().iter().map(|node| node.name.as_str()));
        }
        let known: HashSet<&str> = layers.iter().copied().collect();
        if let Some(name) = job.factors.keys().find(|name| !known.contains(name.as_str())) {
            return Err(Error::Usage(format!(
                "sparsity.factors: no layer with penalised groups is called `{name}`; {}",
                suggest(name, &layers)
            )));
        }
        Ok(lasso)
    }

    /// Like [`GroupLasso::new`], after surgery that may have removed groups and layers that `job` names:
    /// missing ones are ignored.
    ///
    /// # Errors
    /// Those of [`groups`].
    pub fn of_what_is_left(
        job: &Sparsity,
        graph: &Graph,
        parameters: &Parameters,
    ) -> Result<Option<GroupLasso>> {
        let mut penalties = Vec::new();
        for (kind, _, strength) in kinds(job).into_iter().filter(|(_, _, strength)| *strength != 0.0) {
            let all = groups(graph, parameters, kind)?;
            penalties.extend(all.into_iter().map(|groups| Penalty::new(job, strength, groups)));
        }
        let l1 = L1::new(job, graph, parameters);
        if penalties.is_empty() && l1.is_none() {
            return Ok(None);
        }
        let most = penalties.iter().map(|penalty: &Penalty| penalty.groups.count).max().unwrap_or(0);
        Ok(Some(GroupLasso {
            proximal: Proximal::new(penalties.iter().map(|penalty| &penalty.groups)),
            method: job.method,
            threshold: job.threshold as f32,
            penalties,
            l1,
            squares: vec![0.0; most],
            factors: vec![0.0; most],
        }))
    }

    /// Before the update: adds the penalties' gradients.
    pub fn add_gradients(&mut self, parameters: &mut Parameters) {
        if self.method != SparsityMethod::GroupLasso {
            return;
        }
        let GroupLasso { penalties, l1, squares, factors, .. } = self;
        let Parameters { values, gradients, .. } = parameters;
        l1.add_gradients(values, gradients);
        for penalty in penalties {
            let factor = |norm: f64, strength: f64| if norm == 0.0 { 0.0 } else { strength / norm };
            penalty.factors(values, squares, factors, factor);
            penalty.groups.add_scaled(factors, values, gradients);
        }
    }

    /// Makes zeros after the update. `rates` holds the rate at which the update moved each tensor.
    pub fn make_zeros(&mut self, rates: &[f64], values: &mut [f32]) {
        if self.method == SparsityMethod::GroupLasso {
            let threshold = self.threshold;
            return vectorise(
                #[inline(always)]
                || values.iter_mut().for_each(|w| *w = if w.abs() < threshold { 0.0 } else { *w }),
            );
        }
        self.l1.shrink(rates, values);
        for Penalty { groups, strengths } in &self.penalties {
            self.proximal.shrink(groups, strengths, rates, values);
        }
    }
}

impl Penalty {
    fn new(job: &Sparsity, strength: f64, groups: Groups) -> Penalty {
        let strength = strength * job.factors.get(&groups.layer).unwrap_or(&1.0);
        let scale = |size: usize| if job.scale_by_size { (size as f64).sqrt() } else { 1.0 };
        let strengths = groups.sizes().into_iter().map(|size| strength * scale(size)).collect();
        Penalty { groups, strengths }
    }

    /// Sets the factor with which the elements of each group are added to their gradients: `factor` of its
    /// norm and its strength.
    fn factors(
        &self,
        values: &[f32],
        squares: &mut [f64],
        factors: &mut [f32],
        factor: impl Fn(f64, f64) -> f64,
    ) {
        self.groups.squares(values, &mut squares[..self.groups.count]);
        let norms = squares.iter().map(|square| square.sqrt());
        for ((to, norm), &strength) in factors.iter_mut().zip(norms).zip(&self.strengths) {
            *to = factor(norm, strength) as f32;
        }
    }
}

/// The kinds of groups, their keys in a job, and their strengths.
fn kinds(job: &Sparsity) -> [(StructureKind, &'static str, f64); 8] {
    let strengths = &job.strengths;
    [
        (StructureKind::Filters, "filters", strengths.filters),
        (StructureKind::Channels, "channels", strengths.channels),
        (StructureKind::Shapes, "shapes", strengths.shapes),
        (StructureKind::Filters2d, "filters_2d", strengths.filters_2d),
        (StructureKind::Layers, "layers", strengths.layers),
        (StructureKind::Neurons, "neurons", strengths.neurons),
        (StructureKind::Inputs, "inputs", strengths.inputs),
        (StructureKind::HiddenUnits, "hidden_units", strengths.hidden_units),
    ]
}

#[cfg(test)]
mod tests;
