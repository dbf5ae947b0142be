//! The recurrent weight of a layer, which is between one state and the next. No separate layer can be there,
//! so the layer itself has the two factors, `weight_hh` `[G H, r]` and `weight_hh_basis` `[r, H]`. All levels
//! of a recurrent highway network share a basis: their weights are one matrix, with one level below the
//! other.

use super::super::decompose::Decomposition;
use super::super::weight::{self, RECURRENT, recurrent_name};
use super::plan::{Cost, LayerReport, Outcome, cost, kept, refusal};
use ternflock_base::error::Result;
use ternflock_job::LowRank;
use ternflock_nn::{Graph, LayerSpec, Parameters};

/// A recurrent weight as a product.
pub(super) struct Product {
    /// r.
    pub rank: usize,
    /// `weight_hh` and `weight_hh_basis`.
    pub weights: [Vec<f32>; 2],
}

impl Product {
    /// The tensors for [`Product::weights`] in layer `layer`.
    pub fn tensor_names(layer: &str) -> [String; 2] {
        [recurrent_name(layer), format!("{}_basis", recurrent_name(layer))]
    }
}

/// Decides on the recurrent weight of layer `index`. There is no report on a layer without one, and no
/// product for a weight that is not factorised.
pub(super) fn plan(
    graph: &Graph,
    parameters: &Parameters,
    request: &LowRank,
    index: usize,
) -> Result<(Option<LayerReport>, Option<Product>)> {
    let node = &graph.layers()[index];
    if !node.layer.is_recurrent() {
        return Ok((None, None));
    }
    let name = recurrent_name(&node.name);
    let inputs = graph.input_shapes(index);
    let fail = |message: String| refusal(node, message);
    let own = weight::matrix(graph, parameters, index, RECURRENT).map_err(fail)?;
    let steps = graph.shape(index).elements() / graph.shape(index).units();
    let before = Cost { parameters: own.values.len(), multiply_adds: (steps * own.values.len()) as u64 };
    let mut report = LayerReport::new(name.clone(), node.layer.kind(), before);
    let reason = if request.excepts(&node.name) || request.excepts(&name) {
        Some("it is excepted")
    } else if !request.names(&name) && request.energy.is_none() {
        Some("no rank was requested")
    } else {
        node.layer.recurrent_rank().map(|_| "it is already a product")
    };
    if let Some(reason) = reason {
        return Ok((Some(kept(report, reason.into())), None));
    }

    let parts = Decomposition::new(request.method, own)?;
    let rank = report.choose(request, &parts.spectrum);
    let whole = |layer: &LayerSpec| cost(layer, &inputs).map_err(fail);
    let (dense, product) = (whole(&node.layer)?, whole(&node.layer.clone().with_recurrent_rank(rank))?);
    report.after = Cost {
        parameters: before.parameters + product.parameters - dense.parameters,
        multiply_adds: before.multiply_adds + product.multiply_adds - dense.multiply_adds,
    };
    if let Some(reason) = report.too_dear(request) {
        return Ok((Some(kept(LayerReport { after: before, ..report }, reason)), None));
    }
    let factors = parts.factors(rank);
    let product = Product { rank, weights: [factors.expand, factors.basis] };
    Ok((Some(LayerReport { outcome: Outcome::Product, ..report }), Some(product)))
}
