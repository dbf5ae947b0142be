//! What becomes of each layer: its rank, what that costs, and the reason where it is left alone.

use super::super::spectrum::Spectrum;
use super::super::weight;
use super::pair::{Form, Halves, Pair};
use super::request::lacks_columns;
use ternflock_base::error::{Error, Result};
use ternflock_job::LowRank;
use ternflock_nn::{Graph, LayerSpec, Node, Parameters, Shape};

/// What a layer, or the two in its place, comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Numbers that are trained.
    pub parameters: usize,
    /// Multiply-adds of a forward pass of one sample.
    pub multiply_adds: u64,
}

/// A row of the closing table.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerReport {
    /// The layer's name; "NAME/weight_hh" of its recurrent weight, whose row follows the layer's.
    pub layer: String,
    /// Its type.
    pub kind: &'static str,
    /// The largest rank there can be, if the weight was decomposed.
    pub full_rank: Option<usize>,
    /// The rank that was chosen or asked for, whatever came of it.
    pub rank: Option<usize>,
    /// The share of the weight's energy that this rank keeps.
    pub energy: Option<f64>,
    /// Before; of a recurrent weight, that weight alone.
    pub before: Cost,
    /// After: of both layers, or factors, where there are two.
    pub after: Cost,
    /// What was done.
    pub outcome: Outcome,
}

/// What was done to a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Two layers stand in its place.
    Factorised(Form),
    /// The layer stands, and its weight is a product of two.
    Product,
    /// It is as it was, for this reason.
    Kept(String),
}

/// Decides on layer `index`: no report of a layer without a weight, no pair for one that is left alone.
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
    /// Of what is as it was, for no reason yet.
    pub(super) fn new(layer: String, kind: &'static str, before: Cost) -> LayerReport {
        let outcome = Outcome::Kept(String::new());
        LayerReport { layer, kind, full_rank: None, rank: None, energy: None, before, after: before, outcome }
    }

    /// The rank that `request` asks for, of a weight of these energies; the report says so.
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

    /// Why the rank that was chosen is not worth it, if `request` wants to know and it is not.
    pub(super) fn too_dear(&self, request: &LowRank) -> Option<String> {
        let (before, after) = (self.before, self.after);
        let cheaper = after.parameters < before.parameters && after.multiply_adds < before.multiply_adds;
        (request.cost_test && !cheaper).then(|| {
            format!(
                "at rank {} it would have {} parameters and {} multiply-adds in place of {} and {}",
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

/// Why the layer is not even looked at, if it is not.
fn reason_to_leave(graph: &Graph, request: &LowRank, node: &Node, form: Form) -> Result<Option<String>> {
    let name = node.name.as_str();
    let first = form.first_name(name);
    Ok(if request.excepts(name) {
        Some("it is excepted".into())
    } else if !request.names(name) && request.energy.is_none() {
        Some("no rank was asked for".into())
    } else if !request.names(name) && graph.logits_layer()? == Some(name) {
        Some("it makes the logits; give it a rank of its own to factorise it".into())
    } else if form == Form::Separable && lacks_columns(&node.layer) {
        Some("its kernels have lost columns, and a vertical and a horizontal filter need whole ones".into())
    } else if graph.find(&first).is_some() {
        Some(format!("there is a layer `{first}` already"))
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
