//! Decides on each layer: its rank, the cost, or the reason why it is not factorised.

use super::super::spectrum::Spectrum;
use super::super::weight;
use super::pair::{Form, Halves, Pair};
use super::request::lacks_columns;
use ternflock_base::error::{Error, Result};
use ternflock_job::LowRank;
use ternflock_nn::{Graph, LayerSpec, Node, Parameters, Shape};

/// The cost of a layer, or of the two layers that replace it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// The number of parameters.
    pub parameters: usize,
    /// Multiply-adds of a forward pass per sample.
    pub multiply_adds: u64,
}

/// A row of the report.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerReport {
    /// The layer's name, or "NAME/weight_hh" for its recurrent weight, whose row follows that of the layer.
    pub layer: String,
    /// Its type.
    pub kind: &'static str,
    /// The full rank, if the weight was decomposed.
    pub full_rank: Option<usize>,
    /// The rank that was chosen or requested, even if the layer was not factorised.
    pub rank: Option<usize>,
    /// The share of the weight's energy that this rank keeps.
    pub energy: Option<f64>,
    /// The cost before; for a recurrent weight, of that weight only.
    pub before: Cost,
    /// The cost after: of both layers or factors if there are two.
    pub after: Cost,
    /// The outcome.
    pub outcome: Outcome,
}

/// The outcome for a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Two layers replace it.
    Factorised(Form),
    /// The layer stays, and its weight is a product of two.
    Product,
    /// It is unchanged, for this reason.
    Kept(String),
}

/// Decides on layer `index`. There is no report on a layer without a weight, and no pair for a layer that is
/// not factorised.
pub(super) fn plan(
    graph: &Graph,
    parameters: &Parameters,
    request: &LowRank,
    index: usize,
) -> Result<(Option<LayerReport>, Option<Pair>)> {
    let node = &graph.layers()[index];
    let Some(declared) = node.layer.parts().matrix else { return Ok((None, None)) };
    let inputs = graph.input_shapes(index);
    let fail = |message: String| refusal(node, message);
    let before = cost(&node.layer, &inputs).map_err(fail)?;
    let mut report = LayerReport::new(node.name.clone(), node.layer.kind(), before);
    let form = if request.is_separable(&node.name) { Form::Separable } else { Form::CrossFilter };
    let matrix = match reason_to_leave(graph, request, node, form)? {
        Some(reason) => Err(reason),
        None => weight::matrix(graph, parameters, index, declared.tensor),
    };
    let matrix = match matrix {
        Ok(matrix) => matrix,
        Err(reason) if request.names(&node.name) => {
            return Err(fail(format!("it cannot be factorised: {reason}")));
        }
        Err(reason) => return Ok((Some(kept(report, reason)), None)),
    };

    let halves = Halves::new(declared, matrix, form, request.method)?;
    let rank = report.choose(request, halves.spectrum());
    let pair = halves.pair(rank);
    report.after = cost_of_two(&pair.layers, &inputs).map_err(fail)?;
    Ok(match report.too_dear(request) {
        Some(reason) => (Some(kept(LayerReport { after: before, ..report }, reason)), None),
        None => (Some(LayerReport { outcome: Outcome::Factorised(form), ..report }), Some(pair)),
    })
}

impl LayerReport {
    /// The report on an unchanged layer, without a reason yet.
    pub(super) fn new(layer: String, kind: &'static str, before: Cost) -> LayerReport {
        let outcome = Outcome::Kept(String::new());
        LayerReport { layer, kind, full_rank: None, rank: None, energy: None, before, after: before, outcome }
    }

    /// The rank that `request` selects for a weight with these energies. It is added to the report.
    pub(super) fn choose(&mut self, request: &LowRank, spectrum: &Spectrum) -> usize {
        let rank = match (request.ranks.get(&self.layer), request.energy) {
            (Some(&rank), _) => rank,
            (None, Some(energy)) => spectrum.rank_at(energy),
            (None, None) => spectrum.full_rank(),
        };
        self.full_rank = Some(spectrum.full_rank());
        self.rank = Some(rank);
        self.energy = Some(spectrum.kept(rank));
        rank
    }

    /// The reason why the chosen rank is not cheaper, if `request` has the cost test and it is not.
    pub(super) fn too_dear(&self, request: &LowRank) -> Option<String> {
        let (before, after) = (self.before, self.after);
        let cheaper = after.parameters < before.parameters && after.multiply_adds < before.multiply_adds;
        (request.cost_test && !cheaper).then(|| {
            format!(
                "at rank {} it would have {} parameters and {} multiply-adds instead of {} and {}",
                self.rank.unwrap_or_default(),
                after.parameters,
                after.multiply_adds,
                before.parameters,
                before.multiply_adds
            )
        })
    }
}

pub(super) fn kept(report: LayerReport, reason: String) -> LayerReport {
    LayerReport { outcome: Outcome::Kept(reason), ..report }
}

/// The reason why the layer is not considered at all, if there is one.
fn reason_to_leave(graph: &Graph, request: &LowRank, node: &Node, form: Form) -> Result<Option<String>> {
    let name = node.name.as_str();
    let first = form.first_name(name);
    Ok(if request.excepts(name) {
        Some("it is excepted".into())
    } else if !request.names(name) && request.energy.is_none() {
        Some("no rank was requested".into())
    } else if !request.names(name) && graph.logits_layer()? == Some(name) {
        Some("it computes the logits; set its rank to factorise it".into())
    } else if form == Form::Separable && lacks_columns(&node.layer) {
        Some(
            "its kernels have lost columns, and a vertical and a horizontal filter need complete kernels"
                .into(),
        )
    } else if graph.find(&first).is_some() {
        Some(format!("a layer `{first}` already exists"))
    } else {
        None
    })
}

pub(super) fn refusal(node: &Node, message: String) -> Error {
    Error::Shape { layer: node.name.clone(), operation: node.layer.kind().into(), message }
}

pub(super) fn cost(layer: &LayerSpec, inputs: &[Shape]) -> std::result::Result<Cost, String> {
    let describe = layer.describe();
    let parameters = describe.parameters(inputs)?;
    let parameters = parameters.iter().map(|spec| spec.shape.iter().product::<usize>()).sum();
    Ok(Cost { parameters, multiply_adds: describe.multiply_adds(inputs)? })
}

fn cost_of_two([first, second]: &[LayerSpec; 2], inputs: &[Shape]) -> std::result::Result<Cost, String> {
    let one = cost(first, inputs)?;
    let two = cost(second, &[first.describe().output(inputs)?])?;
    Ok(Cost {
        parameters: one.parameters + two.parameters,
        multiply_adds: one.multiply_adds.saturating_add(two.multiply_adds),
    })
}
