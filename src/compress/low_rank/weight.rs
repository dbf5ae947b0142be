//! The weights of layers as matrices `[N, d]`, with one row per filter, unit or gate of a hidden unit.

use ternflock_base::error::{Error, Result};
pub(super) use ternflock_nn::layer::RECURRENT;
use ternflock_nn::parameters::find;
use ternflock_nn::{Graph, LayerSpec, Parameters};

/// A matrix `[N, d]` of a network.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// Its name in messages: "conv1/weight".
    pub name: &'a str,
    /// Row by row.
    pub values: &'a [f32],
    /// N.
    pub filters: usize,
    /// d.
    pub width: usize,
}

impl Matrix<'_> {
    /// min(N, d).
    pub fn full_rank(&self) -> usize {
        self.filters.min(self.width)
    }

    /// The values in double precision, if all are finite: with NaN, an iteration would never end.
    pub(super) fn in_double(&self) -> Result<Vec<f64>> {
        match self.values.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(Error::Usage(format!(
                "`{}` holds {} at element {at}, so it cannot be decomposed; use an earlier checkpoint",
                self.name, self.values[at]
            ))),
            None => Ok(self.values.iter().copied().map(f64::from).collect()),
        }
    }

    pub(super) fn did_not_converge(&self) -> Error {
        let Matrix { name, filters, width, .. } = self;
        Error::Usage(format!("the decomposition of `{name}` ({filters}x{width}) did not converge"))
    }
}

/// The main weight of the layer, which can be written as a product of two.
pub(super) fn tensor(layer: &LayerSpec) -> Option<&'static str> {
    layer.parts().matrix.map(|matrix| matrix.tensor)
}

/// The name of the recurrent weight of layer `layer` in requests and reports: "lstm1/weight_hh".
pub(super) fn recurrent_name(layer: &str) -> String {
    format!("{layer}/{RECURRENT}")
}

/// The layer whose recurrent weight is called `name`, if `name` has this form.
pub(super) fn recurrent_layer(name: &str) -> Option<&str> {
    name.strip_suffix(RECURRENT)?.strip_suffix('/')
}

/// The reason why the weight of layer `index` cannot be factorised, if there is one.
pub(super) fn reason_to_leave(graph: &Graph, index: usize) -> Option<String> {
    let name = |layer: usize| &graph.layers()[layer].name;
    let groups = graph.layers()[index].layer.parts().matrix.map_or(1, |matrix| matrix.groups);
    if groups > 1 {
        return Some(format!("its filters are in {groups} groups"));
    }
    if let Some(owner) = graph.tied(index) {
        return Some(format!("its weight is that of `{}`", name(owner)));
    }
    graph.shared_by(index).map(|reader| format!("`{}` reads its weight too", name(reader)))
}

/// The matrix of layer `index`; `Err` is the reason why it cannot be factorised.
pub(super) fn matrix<'a>(
    graph: &Graph,
    parameters: &'a Parameters,
    index: usize,
    tensor: &str,
) -> std::result::Result<Matrix<'a>, String> {
    if let Some(reason) = reason_to_leave(graph, index) {
        return Err(reason);
    }
    let own = find(&parameters.table, index, tensor);
    let (_, own) = own.ok_or_else(|| format!("it has no tensor `{tensor}`"))?;
    let (values, width) = (&parameters.values[own.range.clone()], own.spec.row());
    Ok(Matrix { name: &own.name, values, filters: values.len() / width, width })
}
