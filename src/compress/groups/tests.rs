use super::*;
use ternflock_models::preset;
use ternflock_nn::Shape;

const MNIST: Shape = Shape::Image { channels: 1, height: 28, width: 28 };
const CIFAR: Shape = Shape::Image { channels: 3, height: 32, width: 32 };

/// By layer: the number of groups, and the size of the first one.
fn counts(name: &str, input: Shape, classes: usize, kind: StructureKind) -> Vec<(String, usize, usize)> {
    let graph = preset(name, input, classes).unwrap();
    let parameters = Parameters::new(&graph).unwrap();
    let all = groups(&graph, &parameters, kind).unwrap();
    all.iter().map(|groups| (groups.layer.clone(), groups.count, groups.sizes()[0])).collect()
}

fn expect(found: Vec<(String, usize, usize)>, expected: &[(&str, usize, usize)]) {
    let found: Vec<_> = found.iter().map(|(layer, count, size)| (layer.as_str(), *count, *size)).collect();
    assert_eq!(found, expected);
}

/// LeNet's groups as in the SSL paper: 20 and 50 filters, 20 channels, filter sizes of 25 and 500.
#[test]
fn the_groups_of_lenet_are_the_published_ones() {
    let of = |kind| counts("lenet", MNIST, 10, kind);
    expect(of(StructureKind::Filters), &[("conv1", 20, 26), ("conv2", 50, 501)]);
    expect(of(StructureKind::Channels), &[("conv2", 20, 50 * 25)]);
    expect(of(StructureKind::Shapes), &[("conv1", 25, 20), ("conv2", 500, 50)]);
    expect(of(StructureKind::Filters2d), &[("conv1", 20, 25), ("conv2", 1000, 25)]);
    // The logits cannot be removed; ip1 reads 16 pixels of each filter of conv2.
    expect(of(StructureKind::Neurons), &[("ip1", 500, 801)]);
    expect(of(StructureKind::Inputs), &[("ip1", 50, 16 * 500), ("ip2", 500, 10)]);
    expect(of(StructureKind::Layers), &[]);
    expect(of(StructureKind::HiddenUnits), &[]);
}

/// 784-500-300-10: the rows and columns of the published code, including those of pixels.
#[test]
fn the_first_linear_layer_has_a_group_for_each_input() {
    let of = |kind| counts("mlp", MNIST, 10, kind);
    expect(of(StructureKind::Neurons), &[("ip1", 500, 785), ("ip2", 300, 501)]);
    expect(of(StructureKind::Inputs), &[("ip1", 784, 500), ("ip2", 500, 300), ("ip3", 300, 10)]);
}

/// Each of the 18 convolutions that shortcuts bypass, but not the stem.
#[test]
fn the_layers_of_resnet_are_those_that_a_shortcut_goes_around() {
    let found = counts("resnet-20", CIFAR, 10, StructureKind::Layers);
    assert_eq!(found.len(), 18);
    assert!(found.iter().all(|(_, count, _)| *count == 1));
    assert_eq!((found[0].2, found[17].2), (16 * 16 * 9 + 2 * 16, 64 * 64 * 9 + 2 * 64));
}

/// The columns of a grouped convolution are those of each group, which reads its own channels: AlexNet's second layer
/// has 48 channels of 5 x 5 in each of two groups of 128 filters.
#[test]
fn columns_of_filters_in_groups_are_those_of_each_group() {
    let imagenet = Shape::Image { channels: 3, height: 227, width: 227 };
    expect(
        counts("alexnet", imagenet, 1000, StructureKind::Shapes),
        &[
            ("conv1", 363, 96),
            ("conv2", 2 * 1200, 128),
            ("conv3", 2304, 384),
            ("conv4", 2 * 1728, 192),
            ("conv5", 2 * 1728, 128),
        ],
    );
}

/// Group by group, they match the counts of the sparsity report, with all or with some of the columns.
#[test]
fn a_column_that_one_group_has_lost_is_gone_in_that_group() {
    for columns in [None, Some(serde_json::json!([0, 2, 5, 7]))] {
        let mut table = serde_json::json!(
            {"type": "conv2d", "name": "a", "filters": 6, "kernel": 2, "groups": 2, "padding": 1});
        if let Some(columns) = &columns {
            table["columns"] = columns.clone();
        }
        let input = Shape::Image { channels: 4, height: 3, width: 3 };
        let graph = Graph::from_tables(input, [table.as_object().unwrap().clone()]).unwrap();
        let mut parameters = Parameters::new(&graph).unwrap();
        parameters.values.fill(1.0);
        let width = if columns.is_some() { 4 } else { 8 };
        // Columns 1 and 3 of the filters in the second group, and column 1 of those in the first group except
        // for one element.
        for (filter, column) in [(3, 1), (4, 1), (5, 1), (3, 3), (4, 3), (5, 3), (0, 1), (1, 1)] {
            parameters.values[filter * width + column] = 0.0;
        }
        let [shapes] = &groups(&graph, &parameters, StructureKind::Shapes).unwrap()[..] else {
            panic!("one layer")
        };
        assert_eq!(shapes.sizes(), vec![3; 2 * width]);
        let mut squares = vec![f64::NAN; shapes.count];
        shapes.squares(&parameters.values, &mut squares);
        let mut expected = vec![3.0; 2 * width];
        (expected[1], expected[width + 1], expected[width + 3]) = (1.0, 0.0, 0.0);
        assert_eq!(squares, expected);
        let layers = crate::sparsity_report::sparsity_report(&graph, &parameters, None).unwrap();
        let counted = layers[0].of(StructureKind::Shapes).unwrap();
        assert_eq!(
            (counted.kept, counted.all),
            (2 * width - 2, 16),
            "columns that are not there count as zeros"
        );
    }
}

/// An intrinsic structure of the ISS paper: 4 rows of each weight, the recurrent column, and the column of the next layer. The rows
/// and the recurrent column cross in one element for each gate.
#[test]
fn hidden_units_are_intrinsic_structures() {
    let ptb = Shape::Tokens { steps: 20, vocabulary: 10_000 };
    let found = counts("lstm-small", ptb, 10_000, StructureKind::HiddenUnits);
    let (rows, column) = (4 * (200 + 200), 4 * 200);
    let crossings = 4;
    expect(
        found,
        &[("lstm1", 200, rows + 2 * column - crossings), ("lstm2", 200, rows + column + 10_000 - crossings)],
    );
    // With tied weights, a unit also includes a column of the embedding, once, and therefore the weights with
    // which the first level reads its input.
    let found = counts("rhn", ptb, 10_000, StructureKind::HiddenUnits);
    let (rows, columns) = (2 * 830 + 2 * 10 * 830, 2 * 830 + 10 * 2 * 830);
    expect(found, &[("rhn", 830, rows + columns + 10_000 - 2 * 10 - 2)]);
}

/// Only the weights of a unit to itself, at each gate of each level, are in two views of its group.
#[test]
fn shared_elements_are_those_of_rows_and_column() {
    let layers: Vec<serde_json::Map<_, _>> = serde_json::from_value(serde_json::json!([
        {"type": "embedding", "features": 2},
        {"name": "rhn", "type": "rhn", "hidden": 3, "depth": 2},
        {"type": "linear", "units": 5},
    ]))
    .unwrap();
    let graph = Graph::from_tables(Shape::Tokens { steps: 2, vocabulary: 5 }, layers).unwrap();
    let parameters = Parameters::new(&graph).unwrap();
    let [units] = &groups(&graph, &parameters, StructureKind::HiddenUnits).unwrap()[..] else {
        panic!("one layer")
    };
    let weight = parameters.table.iter().find(|tensor| tensor.name == "rhn/weight_hh").unwrap();
    let mut expected = Vec::new();
    for row in 0..2 * 2 * 3 {
        expected.push((row % 3, weight.range.start + row * 3 + row % 3));
    }
    let found: Vec<_> = units.shared.iter().map(|shared| (shared.group, shared.at)).collect();
    assert_eq!(found, expected);
    let kinds =
        [StructureKind::Filters, StructureKind::Neurons, StructureKind::Inputs, StructureKind::Filters2d];
    let lenet = preset("lenet", MNIST, 10).unwrap();
    let parameters = Parameters::new(&lenet).unwrap();
    for kind in kinds {
        assert!(groups(&lenet, &parameters, kind).unwrap().iter().all(|groups| groups.shared.is_empty()));
    }
}

#[test]
fn views_reach_every_element_of_their_groups_once() {
    let graph = preset("lenet", MNIST, 10).unwrap();
    let parameters = Parameters::new(&graph).unwrap();
    let ones = vec![1.0; parameters.values.len()];
    for kind in
        [StructureKind::Filters, StructureKind::Channels, StructureKind::Shapes, StructureKind::Inputs]
    {
        for groups in groups(&graph, &parameters, kind).unwrap() {
            let factors: Vec<f32> = (0..groups.count).map(|group| group as f32 + 1.0).collect();
            let (mut squares, mut sums, mut scaled) =
                (vec![0.0; groups.count], vec![0.0; ones.len()], ones.clone());
            groups.squares(&ones, &mut squares);
            let sizes: Vec<f64> = groups.sizes().iter().map(|&size| size as f64).collect();
            assert_eq!(squares, sizes);
            groups.add_scaled(&factors, &ones, &mut sums);
            groups.views.iter().for_each(|view| view.scale(&factors, &mut scaled));
            // Each element of group g got g + 1; all others got nothing.
            assert!(
                sums.iter().zip(&scaled).all(|(sum, scaled)| sum == scaled || (*sum, *scaled) == (0.0, 1.0))
            );
            let total: f64 = sums.iter().map(|&sum| f64::from(sum)).sum();
            let expected: f64 =
                sizes.iter().zip(&factors).map(|(size, &factor)| size * f64::from(factor)).sum();
            assert_eq!(total, expected);
        }
    }
}

/// A weight that two linear layers share has rows and columns of both, so none of their units can be removed.
#[test]
fn what_linear_layers_share_stays() {
    let layers: Vec<serde_json::Map<_, _>> = serde_json::from_value(serde_json::json!([
        {"name": "a", "type": "linear", "units": 10},
        {"name": "c", "type": "linear", "units": 10, "tied": "a", "inputs": ["input"]},
        {"name": "sum", "type": "add", "inputs": ["a", "c"]},
        {"name": "hidden", "type": "linear", "units": 4},
        {"name": "logits", "type": "linear", "units": 3},
    ]))
    .unwrap();
    let graph = Graph::from_tables(Shape::Vector { features: 64 }, layers).unwrap();
    let parameters = Parameters::new(&graph).unwrap();
    let of = |kind| -> Vec<(String, usize)> {
        groups(&graph, &parameters, kind).unwrap().into_iter().map(|g| (g.layer, g.count)).collect()
    };
    assert_eq!(of(StructureKind::Neurons), [("hidden".to_owned(), 4)]);
    assert_eq!(of(StructureKind::Inputs), [("hidden".to_owned(), 10), ("logits".to_owned(), 4)]);
    // Its zeros stay, and the network does not change.
    let zeros = crate::surgery::shrink(&graph, &parameters, &ternflock_job::Shrink::default()).unwrap();
    assert_eq!(zeros.surgery.graph.shape(1), graph.shape(1));
}
