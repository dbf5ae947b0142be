//! Zero columns of matrices, alone and together with units.

use super::*;
use crate::groups::groups;
use ternflock_nn::LayerSpec;
use ternflock_nn::StructureKind;
use ternflock_nn::layers::Columns;

/// The weights that are matrices and belong to one layer only, as `(tensor, rows, columns)`.
fn matrices(graph: &Graph, parameters: &Parameters) -> Vec<(usize, usize, usize)> {
    let is_shared = |layer: usize| {
        graph.tied(layer).is_some() || (0..graph.layers().len()).any(|other| graph.tied(other) == Some(layer))
    };
    let table = parameters.table.iter().enumerate();
    let own = table.filter(|(_, tensor)| {
        let layer = &graph.layers()[tensor.layer].layer;
        tensor.spec.name == "weight"
            && matches!(layer, LayerSpec::Conv2d(_) | LayerSpec::Linear(_))
            && !is_shared(tensor.layer)
    });
    own.map(|(at, tensor)| (at, tensor.spec.shape[0], tensor.range.len() / tensor.spec.shape[0])).collect()
}

fn zero_column(parameters: &mut Parameters, (tensor, rows, width): (usize, usize, usize), column: usize) {
    let start = parameters.table[tensor].range.start;
    (0..rows).for_each(|row| parameters.values[start + row * width + column] = 0.0);
}

/// Sets some columns of some matrices to zero, sometimes all of them. Returns their number.
fn kill_columns(graph: &Graph, parameters: &mut Parameters, draws: &mut Draws) -> usize {
    let mut killed = 0;
    for matrix in matrices(graph, parameters) {
        let share = [0, 1, 1, 2, 3][draws.below(5)];
        for column in 0..matrix.2 {
            if draws.below(3) < share {
                zero_column(parameters, matrix, column);
                killed += 1;
            }
        }
    }
    killed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Columns alone; units and columns; then more of both in the result.
    #[test]
    fn zero_columns_and_their_absence_compute_the_same(seed: u64, language: bool) {
        let mut draws = Draws(seed);
        let graph = if language { language_network(&mut draws) } else { image_network(&mut draws) };
        let mut parameters = parameters(&graph, &mut draws);
        let killed = kill_columns(&graph, &mut parameters, &mut draws);
        let mut shrunk = check(&graph, &parameters, &mut draws);
        prop_assert!(killed == 0 || shrunk.surgery.parameters.len() < parameters.values.len()
            || !shrunk.emptied.is_empty());
        for _ in 0..2 {
            parameters = shrunk.surgery.apply(&parameters).unwrap();
            let smaller = shrunk.surgery.graph;
            kill_units(&smaller, &mut parameters, &mut draws);
            check_with(&UNITS, &smaller, &parameters, &mut draws);
            kill_columns(&smaller, &mut parameters, &mut draws);
            shrunk = check(&smaller, &parameters, &mut draws);
        }
        // No zero column is left, except the last one of a layer.
        let parameters = shrunk.surgery.apply(&parameters).unwrap();
        for (tensor, rows, width) in matrices(&shrunk.surgery.graph, &parameters) {
            let values = &parameters.values[parameters.table[tensor].range.clone()];
            let is_zero = |column: usize| (0..rows).all(|row| values[row * width + column] == 0.0);
            prop_assert!(width == 1 || !(0..width).any(is_zero));
        }
    }
}

fn lenet() -> (Graph, Parameters) {
    let graph =
        ternflock_models::preset("lenet", Shape::Image { channels: 1, height: 28, width: 28 }, 10).unwrap();
    let parameters = parameters(&graph, &mut Draws(3));
    (graph, parameters)
}

/// The numbers of Wen et al.'s LeNet 5: 7 of 25 and 14 of 500 columns are left, in 1 channel.
#[test]
fn lenet_of_7_and_14_columns() {
    let (graph, mut parameters) = lenet();
    let columns = matrices(&graph, &parameters);
    (0..25).filter(|at| at % 4 != 0).for_each(|at| zero_column(&mut parameters, columns[0], at));
    (0..500)
        .filter(|at| !(325..339).contains(at))
        .for_each(|at| zero_column(&mut parameters, columns[1], at));
    let shrunk = check(&graph, &parameters, &mut Draws(4));
    let smaller = &shrunk.surgery.graph;
    // Channel 13, the only one that is read, is now channel 0, and its filter is the only one in conv1.
    assert_eq!(smaller.layers()[0].layer, with_columns(&graph.layers()[0].layer, 1, (0..25).step_by(4)));
    let conv2 = smaller.layers().iter().position(|node| node.name == "conv2").unwrap();
    assert_eq!(smaller.layers()[conv2].layer, with_columns(&graph.layers()[conv2].layer, 50, 0..14));
    assert_eq!(smaller.parameters(conv2).unwrap()[0].shape, [50, 14]);
    assert_eq!(smaller.multiply_adds(conv2).unwrap(), 50 * 14 * 64);
    assert_eq!(shrunk.surgery.units["conv1"], [13]);
    // Its groups: columns are still columns, and all of them belong to the only channel.
    let parameters = shrunk.surgery.apply(&parameters).unwrap();
    let count = |kind| {
        let all = groups(smaller, &parameters, kind).unwrap();
        all.iter().map(|groups| (groups.layer.clone(), groups.sizes())).collect::<Vec<_>>()
    };
    assert_eq!(count(StructureKind::Shapes), [("conv1".into(), vec![1; 7]), ("conv2".into(), vec![50; 14])]);
    assert_eq!(count(StructureKind::Channels), [("conv2".into(), vec![14 * 50])]);
    assert_eq!(count(StructureKind::Filters2d)[1], ("conv2".into(), vec![14; 50]));
    // It survives JSON, in which complete columns are not written.
    assert_eq!(&Graph::from_json(&smaller.to_json()).unwrap(), smaller);
    assert!(!graph.to_json().contains("columns"));
}

fn with_columns(layer: &LayerSpec, units: usize, columns: impl Iterator<Item = usize>) -> LayerSpec {
    let mut layer = layer.clone();
    layer.set_units(units, 0);
    if let Some((own, _)) = layer.columns_mut() {
        *own = Columns::of(columns.collect());
    }
    layer
}

/// 784-500-300-10 with dead inputs keeps the image as its input and reads 469 of its pixels; hidden units are
/// removed as units.
#[test]
fn an_mlp_reads_the_live_inputs_alone() {
    let image = Shape::Image { channels: 1, height: 28, width: 28 };
    let graph = ternflock_models::preset("mlp", image, 10).unwrap();
    let mut draws = Draws(5);
    let mut parameters = parameters(&graph, &mut draws);
    let all = matrices(&graph, &parameters);
    (469..784).for_each(|pixel| zero_column(&mut parameters, all[0], pixel));
    (294..500).for_each(|unit| zero_column(&mut parameters, all[1], unit));
    let shrunk = check(&graph, &parameters, &mut draws);
    let weights = matrices(&shrunk.surgery.graph, &shrunk.surgery.apply(&parameters).unwrap());
    assert_eq!(
        weights.iter().map(|(_, rows, width)| (*rows, *width)).collect::<Vec<_>>(),
        [(294, 469), (300, 294), (10, 300)]
    );
    assert_eq!(shrunk.surgery.graph.input(), image);
    let with_list = shrunk.surgery.graph.layers().iter().filter(|node| {
        let mut layer = node.layer.clone();
        layer.columns_mut().is_some_and(|(columns, _)| !columns.is_all())
    });
    assert_eq!(with_list.map(|node| node.name.as_str()).collect::<Vec<_>>(), ["ip1"]);
}

/// A matrix of zeros keeps its first column. A layer that reads only dead units keeps the strongest one of
/// these.
#[test]
fn a_dead_matrix_keeps_a_column() {
    let (graph, mut parameters) = lenet();
    let columns = matrices(&graph, &parameters);
    (0..25).for_each(|at| zero_column(&mut parameters, columns[0], at));
    let shrunk = check(&graph, &parameters, &mut Draws(6));
    assert_eq!(shrunk.emptied, ["conv1"]);
    assert_eq!(shrunk.surgery.graph.parameters(0).unwrap()[0].shape, [20, 1]);

    let (graph, mut parameters) = lenet();
    (0..500).filter(|at| !(330..333).contains(at) && *at != 77).for_each(|at| {
        zero_column(&mut parameters, columns[1], at);
    });
    let first = shrink(&graph, &parameters, &Shrink::default()).unwrap().surgery;
    let mut parameters = first.apply(&parameters).unwrap();
    assert_eq!(first.units["conv1"], [3, 13]);
    // Both channels are dead now, and conv2 has only columns of these.
    let conv1 = parameters.table[0].range.start..parameters.table[1].range.end;
    parameters.values[conv1].fill(0.0);
    let second = check(&first.graph, &parameters, &mut Draws(7));
    assert!(second.emptied.contains(&"conv1".to_string()));
    let conv2 = second.surgery.graph.layers().iter().position(|node| node.name == "conv2").unwrap();
    assert_eq!(second.surgery.units["conv1"].len(), 1);
    assert!(second.surgery.graph.parameters(conv2).unwrap()[0].shape[1] >= 1);
}

/// All groups of a convolution share one list of columns, so a column that is zero in only one group stays; one that is
/// zero in both is removed.
#[test]
fn a_column_goes_when_all_groups_of_filters_have_lost_it() {
    let layers = vec![
        json!({"name": "a", "type": "conv2d", "filters": 4, "kernel": 2, "groups": 2}),
        json!({"type": "flatten"}),
        json!({"type": "linear", "units": 3}),
    ];
    let graph = super::graph(Shape::Image { channels: 4, height: 3, width: 3 }, layers);
    let mut parameters = parameters(&graph, &mut Draws(8));
    let (tensor, _, width) = matrices(&graph, &parameters)[0];
    assert_eq!(width, 8);
    let groups_of = |parameters: &Parameters| {
        let [shapes] = &groups(&graph, parameters, StructureKind::Shapes).unwrap()[..] else {
            panic!("one layer")
        };
        let mut squares = vec![0.0; shapes.count];
        shapes.squares(&parameters.values, &mut squares);
        (shapes.count, squares.iter().filter(|&&square| square == 0.0).count())
    };
    assert_eq!(groups_of(&parameters), (16, 0));
    let start = parameters.table[tensor].range.start;
    for (row, column) in [(0, 1), (1, 1), (0, 4), (1, 4), (2, 4), (3, 4)] {
        parameters.values[start + row * width + column] = 0.0;
    }
    assert_eq!(groups_of(&parameters), (16, 3));
    let smaller = check(&graph, &parameters, &mut Draws(9)).surgery.graph;
    assert_eq!(
        smaller.layers()[0].layer,
        with_columns(&graph.layers()[0].layer, 4, [0, 1, 2, 3, 5, 6, 7].into_iter())
    );
}

/// NaN is not zero. A weight that another layer shares keeps all columns.
#[test]
fn what_is_not_zero_stays() {
    let (graph, mut parameters) = lenet();
    let conv1 = matrices(&graph, &parameters)[0];
    zero_column(&mut parameters, conv1, 4);
    parameters.values[parameters.table[0].range.start + 25 + 4] = f32::NAN;
    assert_eq!(shrink(&graph, &parameters, &Shrink::default()).unwrap().surgery.graph, graph);
    let tied = super::graph(
        Shape::Tokens { steps: 3, vocabulary: 7 },
        vec![
            json!({"name": "words", "type": "embedding", "features": 4}),
            json!({"type": "linear", "units": 7, "tied": "words"}),
        ],
    );
    let zeros = Parameters::new(&tied).unwrap();
    let shrunk = shrink(&tied, &zeros, &Shrink::default()).unwrap();
    assert!(!shrunk.surgery.graph.to_json().contains("columns"));
}
