//! Removes zero columns from the matrices of convolutions and linear layers: shape-wise sparsity, and inputs
//! of the network that a layer does not read. The inputs themselves stay.

use std::ops::Range;

use super::Surgery;
use ternflock_base::error::Result;
use ternflock_nn::parameters::{find, table};
use ternflock_nn::{Graph, Parameter, Parameters};

/// `graph` without columns that are zero in all rows of their matrix, if there are any; and the numbers of
/// the layers that would have lost all columns and keep the first one.
///
/// # Errors
/// Those of [`Graph::new`]: none.
pub fn cut_columns(graph: &Graph, parameters: &Parameters) -> Result<(Option<Surgery>, Vec<usize>)> {
    let mut nodes = graph.layers().to_vec();
    let (mut surgery, mut emptied) = (Surgery::none(graph, parameters), Vec::new());
    let mut kept_of: Vec<Option<Vec<usize>>> = vec![None; parameters.table.len()];
    for (layer, node) in nodes.iter_mut().enumerate() {
        // A weight that two layers share keeps all columns.
        if graph.shares_weight(layer) {
            continue;
        }
        let matrix = node.layer.parts().matrix;
        let own = matrix.and_then(|matrix| find(&parameters.table, layer, matrix.tensor));
        let (Some((number, weight)), Some((columns, _))) = (own, node.layer.columns_mut()) else { continue };
        let (mut kept, width) = live(weight, &parameters.values);
        if kept.is_empty() {
            emptied.push(layer);
            kept.push(0);
        }
        if kept.len() < width {
            *columns = columns.at(&kept, width);
            kept_of[number] = Some(kept);
        }
    }
    if kept_of.iter().all(Option::is_none) {
        return Ok((None, emptied));
    }
    surgery.graph = Graph::new(graph.input(), nodes)?;
    surgery.parameters.clear();
    for (tensor, kept) in table(graph)?.iter().zip(kept_of) {
        match kept {
            None => surgery.parameters.extend(tensor.range.clone()),
            Some(kept) => surgery.parameters.extend(
                rows(tensor)
                    .flat_map(|row| kept.iter().map(move |column| row.start + column).collect::<Vec<_>>()),
            ),
        }
    }
    Ok((Some(surgery), emptied))
}

/// The rows of a tensor as a matrix.
fn rows(tensor: &Parameter) -> impl Iterator<Item = Range<usize>> + use<> {
    let (Range { start, end }, width) = (tensor.range.clone(), tensor.range.len() / tensor.spec.shape[0]);
    (start..end).step_by(width).map(move |first| first..first + width)
}

/// The columns that are not all zero (NaN is not zero), and the number of all columns.
fn live(weight: &Parameter, values: &[f32]) -> (Vec<usize>, usize) {
    let mut live = vec![false; weight.range.len() / weight.spec.shape[0]];
    for row in rows(weight) {
        live.iter_mut().zip(&values[row]).for_each(|(live, &value)| *live |= value != 0.0);
    }
    ((0..live.len()).filter(|&column| live[column]).collect(), live.len())
}
