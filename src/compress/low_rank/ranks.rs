//! The ranks of a network's current weights, which show the possible gain before anything is changed.

use super::spectrum::Spectrum;
use super::weight;
use ternflock_base::error::Result;
use ternflock_nn::{Graph, Parameters};

/// A row of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerRank {
    /// The layer's name.
    pub layer: String,
    /// The tensor, `[filters, width]` as a matrix.
    pub tensor: &'static str,
    /// N.
    pub filters: usize,
    /// d.
    pub width: usize,
    /// The rank that keeps the requested share of energy.
    pub rank: usize,
    /// The full rank, min(N, d).
    pub full_rank: usize,
}

/// For each weight of `graph`, the rank that keeps the share `energy` of its energy, in the order of the
/// graph. For a recurrent layer, the input weight comes before the recurrent weight. Grouped convolutions and
/// tied weights are left out, because they are not factorised.
///
/// # Errors
/// If a weight is not finite.
pub fn ranks(graph: &Graph, parameters: &Parameters, energy: f64) -> Result<Vec<LayerRank>> {
    let all = (0..graph.layers().len()).map(|index| ranks_of(graph, parameters, index, energy));
    Ok(all.collect::<Result<Vec<_>>>()?.concat())
}

/// The rows of layer `index`; empty if there is no weight to factorise.
///
/// # Errors
/// If the weight is not finite.
pub fn ranks_of(graph: &Graph, parameters: &Parameters, index: usize, energy: f64) -> Result<Vec<LayerRank>> {
    let node = &graph.layers()[index];
    let tensors = weight::tensor(&node.layer).into_iter();
    let tensors = tensors.chain(node.layer.is_recurrent().then_some(weight::RECURRENT));
    let mut rows = Vec::new();
    for tensor in tensors {
        let Ok(matrix) = weight::matrix(graph, parameters, index, tensor) else { continue };
        let spectrum = Spectrum::of(matrix)?;
        rows.push(LayerRank {
            layer: node.name.clone(),
            tensor,
            filters: matrix.filters,
            width: matrix.width,
            rank: spectrum.rank_at(energy),
            full_rank: matrix.full_rank(),
        });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ternflock_models::preset;
    use ternflock_nn::Shape;

    #[test]
    fn every_weight_has_a_row() {
        let graph = preset("lenet", Shape::Image { channels: 1, height: 28, width: 28 }, 10).unwrap();
        let mut parameters = Parameters::new(&graph).unwrap();
        parameters.initialise(1);
        // The second convolution consists of fifty copies of one filter.
        let conv2 = parameters.table[2].range.clone();
        assert_eq!(parameters.table[2].name, "conv2/weight");
        let first = parameters.values[conv2.clone()][..500].to_vec();
        parameters.values[conv2].chunks_exact_mut(500).for_each(|filter| filter.copy_from_slice(&first));
        let table = ranks(&graph, &parameters, 0.95).unwrap();
        let found: Vec<_> =
            table.iter().map(|row| (&row.layer[..], row.filters, row.width, row.full_rank)).collect();
        let expected =
            [("conv1", 20, 25, 20), ("conv2", 50, 500, 50), ("ip1", 500, 800, 500), ("ip2", 10, 500, 10)];
        assert_eq!(found, expected);
        assert_eq!(table[1].rank, 1);
        assert!(
            table[0].rank > 10 && table[2].rank > 250,
            "random filters have no rank to speak of: {table:?}"
        );
        parameters.values[3] = f32::NAN;
        assert!(
            ranks(&graph, &parameters, 0.95).unwrap_err().to_string().contains("`conv1/weight` holds NaN")
        );
    }
}
