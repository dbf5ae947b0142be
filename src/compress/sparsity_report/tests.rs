use super::*;
use crate::surgery::shrink;
use ternflock_job::Shrink;
use ternflock_models::preset;
use ternflock_nn::Shape;

const MNIST: Shape = Shape::Image { channels: 1, height: 28, width: 28 };
const PTB: Shape = Shape::Tokens { steps: 20, vocabulary: 50 };

/// A network without zeros.
fn whole(graph: &Graph) -> Parameters {
    let mut parameters = Parameters::new(graph).unwrap();
    parameters.initialise(1);
    parameters.values.iter_mut().filter(|value| **value == 0.0).for_each(|value| *value = 0.5);
    parameters
}

fn tensor<'a>(parameters: &'a mut Parameters, name: &str) -> &'a mut [f32] {
    let range = parameters.table.iter().find(|tensor| tensor.name == name).unwrap().range.clone();
    &mut parameters.values[range]
}

fn kept(layers: &[LayerSparsity], layer: &str, kind: StructureKind) -> Option<(usize, usize)> {
    let layer = layers.iter().find(|row| row.layer == layer).unwrap();
    layer.of(kind).map(|structures| (structures.kept, structures.all))
}

#[test]
fn what_is_zero_is_not_kept() {
    use StructureKind::{Channels, Filters, Filters2d, Inputs, Neurons, Shapes};
    let graph = preset("lenet", MNIST, 10).unwrap();
    let mut parameters = whole(&graph);
    let conv1 = tensor(&mut parameters, "conv1/weight");
    // Filters 0 to 14, and the last tap of all others. Filter 14 keeps its bias, so it is left.
    conv1[..15 * 25].fill(0.0);
    conv1.chunks_exact_mut(25).for_each(|filter| filter[24] = 0.0);
    tensor(&mut parameters, "conv1/bias")[..14].fill(0.0);
    // In conv2: the weights that read channels 4 and up.
    for filter in tensor(&mut parameters, "conv2/weight").chunks_exact_mut(500) {
        filter[4 * 25..].fill(0.0);
    }
    tensor(&mut parameters, "ip1/weight").chunks_exact_mut(800).for_each(|row| row[..100].fill(0.0));
    let layers = sparsity_report(&graph, &parameters, None).unwrap();
    let kept = |layer, kind| kept(&layers, layer, kind);
    assert_eq!(kept("conv1", Filters), Some((6, 20)));
    assert_eq!(kept("conv1", Channels), Some((1, 1)));
    assert_eq!(kept("conv1", Shapes), Some((24, 25)));
    assert_eq!(kept("conv1", Filters2d), Some((5, 20)));
    assert_eq!(kept("conv2", Filters), Some((50, 50)));
    assert_eq!(kept("conv2", Channels), Some((4, 20)));
    assert_eq!(kept("conv2", Shapes), Some((100, 500)));
    assert_eq!(kept("conv2", Filters2d), Some((200, 1000)));
    assert_eq!(kept("ip1", Inputs), Some((700, 800)));
    assert_eq!(kept("ip1", Neurons), Some((500, 500)));
    assert_eq!(kept("ip2", Neurons), Some((10, 10)));
    assert_eq!(kept("conv1", Neurons), None);
    assert_eq!(layers[1].structures, []);
    let conv2 = layers.iter().find(|row| row.layer == "conv2").unwrap();
    assert_eq!((conv2.parameters, conv2.nonzero), (25_050, 50 * 100 + 50));
    assert_eq!((conv2.multiply_adds, &conv2.ranks), (1_600_000, &vec![]));
}

/// With two groups, filters 0 and 1 read channels 0 and 1, and filters 2 and 3 read channels 2 and 3.
#[test]
fn groups_of_filters_have_channels_and_columns_of_their_own() {
    let table =
        serde_json::json!({"type": "conv2d", "name": "a", "filters": 4, "kernel": [1, 2], "groups": 2});
    let input = Shape::Image { channels: 4, height: 3, width: 3 };
    let graph = Graph::from_tables(input, [table.as_object().unwrap().clone()]).unwrap();
    let mut parameters = whole(&graph);
    // [4, 2, 1, 2]: all weights of filters 2 and 3 for channel 3, and the first tap of channel 2.
    let weight = tensor(&mut parameters, "a/weight");
    for filter in [2, 3] {
        weight[filter * 4 + 2..filter * 4 + 4].fill(0.0);
        weight[filter * 4] = 0.0;
    }
    let layers = sparsity_report(&graph, &parameters, Some(0.95)).unwrap();
    let kept = |kind| kept(&layers, "a", kind);
    assert_eq!(kept(StructureKind::Filters), Some((4, 4)));
    assert_eq!(kept(StructureKind::Channels), Some((3, 4)));
    assert_eq!(kept(StructureKind::Shapes), Some((5, 8)));
    assert_eq!(kept(StructureKind::Filters2d), Some((6, 8)));
    assert_eq!(layers[0].ranks, []);
}

/// A hidden unit counts until all weights that produce or read it are zero; biases do not matter.
#[test]
fn hidden_units_count_wherever_they_are() {
    let graph = preset("lstm-small", PTB, 50).unwrap();
    let mut parameters = whole(&graph);
    let kept = |parameters: &Parameters, layer| {
        kept(&sparsity_report(&graph, parameters, None).unwrap(), layer, StructureKind::HiddenUnits)
    };
    // Unit 7 of the first level: its rows, the column that reads it back, the next level's column.
    for name in ["lstm1/weight_ih", "lstm1/weight_hh"] {
        let weight = tensor(&mut parameters, name);
        (0..4).for_each(|gate| weight[(gate * 200 + 7) * 200..][..200].fill(0.0));
    }
    tensor(&mut parameters, "lstm1/weight_hh").chunks_exact_mut(200).for_each(|row| row[7] = 0.0);
    assert_eq!(kept(&parameters, "lstm1"), Some((200, 200)));
    tensor(&mut parameters, "lstm2/weight_ih").chunks_exact_mut(200).for_each(|row| row[7] = 0.0);
    assert_eq!(kept(&parameters, "lstm1"), Some((199, 200)));
    assert_eq!(kept(&parameters, "lstm2"), Some((200, 200)));
}

#[test]
fn branches_are_layers_and_what_is_zero_is_none() {
    let input = Shape::Image { channels: 3, height: 32, width: 32 };
    let graph = preset("resnet-20", input, 10).unwrap();
    let mut parameters = whole(&graph);
    tensor(&mut parameters, "stage1.block2.conv1/weight").fill(0.0);
    for name in ["stage1.block2.bn1/weight", "stage1.block2.bn1/bias"] {
        tensor(&mut parameters, name).fill(0.0);
    }
    let layers = sparsity_report(&graph, &parameters, None).unwrap();
    let kept = |layer| kept(&layers, layer, StructureKind::Layers);
    assert_eq!(kept("conv1"), None);
    assert_eq!(kept("stage1.block2.conv1"), Some((0, 1)));
    assert_eq!(kept("stage1.block2.conv2"), Some((1, 1)));
}

/// The ranks are those of [`crate::low_rank::ranks`]. A NaN is named, and its layer has no rank.
#[test]
fn a_weight_that_is_not_finite_is_named() {
    let graph = preset("lenet", MNIST, 10).unwrap();
    let mut parameters = whole(&graph);
    let table = crate::low_rank::ranks(&graph, &parameters, 0.9).unwrap();
    let found: Vec<LayerRank> = sparsity_report(&graph, &parameters, Some(0.9))
        .unwrap()
        .into_iter()
        .flat_map(|row| row.ranks)
        .collect();
    assert_eq!(found, table);
    tensor(&mut parameters, "conv2/weight")[3] = f32::NAN;
    let layers = sparsity_report(&graph, &parameters, Some(0.9)).unwrap();
    let conv2 = layers.iter().find(|row| row.layer == "conv2").unwrap();
    assert_eq!(conv2.not_finite.as_deref(), Some("`conv2/weight` holds NaN at element 3"));
    assert_eq!((&conv2.ranks, conv2.nonzero), (&vec![], 25_050));
    assert!(!layers[0].ranks.is_empty() && layers[0].not_finite.is_none());
}

#[test]
fn a_share_that_is_none_is_refused() {
    let graph = preset("lenet", MNIST, 10).unwrap();
    let parameters = Parameters::new(&graph).unwrap();
    for energy in [0.0, -1.0, 1.01, f64::NAN] {
        let error = sparsity_report(&graph, &parameters, Some(energy)).unwrap_err().to_string();
        assert!(error.contains("must be above 0 and at most 1"), "{error}");
    }
}

/// Surgery that removes the columns does not change their count.
#[test]
fn columns_that_are_not_there_are_not_kept() {
    let graph = preset("lenet", MNIST, 10).unwrap();
    let mut parameters = whole(&graph);
    tensor(&mut parameters, "conv1/weight").chunks_exact_mut(25).for_each(|filter| filter[20..].fill(0.0));
    // One tap of each channel of conv2 stays, so that no channel is removed.
    for filter in tensor(&mut parameters, "conv2/weight").chunks_exact_mut(500) {
        filter.iter_mut().enumerate().filter(|(at, _)| at % 25 != 3).for_each(|(_, value)| *value = 0.0);
    }
    let surgery = shrink(&graph, &parameters, &Shrink::default()).unwrap().surgery;
    let smaller = surgery.apply(&parameters).unwrap();
    assert_eq!(smaller.table[2].spec.shape, [50, 20]);
    let before = sparsity_report(&graph, &parameters, None).unwrap();
    let after = sparsity_report(&surgery.graph, &smaller, None).unwrap();
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((&before.structures, before.nonzero), (&after.structures, after.nonzero));
    }
    assert_eq!(kept(&after, "conv2", StructureKind::Shapes), Some((20, 500)));
    assert_eq!(kept(&after, "conv1", StructureKind::Filters2d), Some((20, 20)));
    assert_eq!(after[0].parameters, 20 * 20 + 20);
}
