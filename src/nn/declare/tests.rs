//! Every type of layer declares all of its parts: its declaration must match its tensors and its options. The
//! tests run over the examples of each type.

use std::collections::BTreeSet;

use crate::coupling::{Axis, Units};
use crate::declare::Product;
use crate::layer::{Draw, Mode, ParameterSpec, TensorRole};
use crate::{Example, Execution, Graph, LayerSpec, Network, Shape, StructureKind};

/// The examples, as layers with their inputs.
fn samples() -> Vec<(LayerSpec, Vec<Shape>)> {
    let layer =
        |example: &Example| example.layer().unwrap_or_else(|error| panic!("{}: {error}", example.table));
    LayerSpec::examples().iter().map(|example| (layer(example), example.inputs.to_vec())).collect()
}

/// The trained tensors that the layer reads: its own, and the one it is tied to.
fn trained(layer: &LayerSpec, inputs: &[Shape]) -> Vec<ParameterSpec> {
    let mut tensors = layer.describe().parameters(inputs).unwrap();
    tensors.extend(layer.describe().tied(inputs).unwrap().map(|tied| tied.spec));
    tensors
}

fn units_of_output(layer: &LayerSpec, inputs: &[Shape]) -> usize {
    layer.describe().output(inputs).unwrap().units()
}

#[test]
fn every_type_has_an_example() {
    let sampled: BTreeSet<_> = samples().iter().map(|(layer, _)| layer.kind()).collect();
    assert_eq!(sampled, LayerSpec::KINDS.iter().copied().collect());
}

/// The name in the list of types is the one in files.
#[test]
fn kinds_are_the_words_of_files() {
    for (layer, _) in samples() {
        assert_eq!(serde_json::to_value(&layer).unwrap()["type"], layer.kind());
    }
}

#[test]
fn axes_count_what_they_say() {
    for (layer, inputs) in samples() {
        let (made, read) = (units_of_output(&layer, &inputs), inputs[0].units());
        let describe = layer.describe();
        let tensors = trained(&layer, &inputs).into_iter().chain(describe.statistics(&inputs).unwrap());
        for ParameterSpec { name, shape, axes, .. } in tensors {
            assert_eq!(shape.len(), axes.len(), "{layer:?}: {name}");
            for (&size, axis) in shape.iter().zip(&axes) {
                let counted = match axis {
                    Axis::Free => size,
                    Axis::Makes(times) => times * made,
                    Axis::ReadsOwn => made,
                    Axis::Reads => read,
                    Axis::ReadsAt(places) => {
                        assert!(places.iter().all(|&unit| unit < read), "{layer:?}: {name}");
                        places.len()
                    }
                };
                assert_eq!(size, counted, "{layer:?}: {name}, {axis:?}");
            }
            assert!(axes.iter().any(|axis| *axis != Axis::Free), "{layer:?}: no unit has a part of {name}");
        }
    }
}

/// Each tensor has one role, and the layer declares each role that penalties and surgery look for: a layer
/// with weights cannot be invisible to them.
#[test]
fn every_tensor_is_part_of_a_declaration() {
    for (layer, inputs) in samples() {
        let (parts, tensors) = (layer.parts(), trained(&layer, &inputs));
        let names: BTreeSet<_> = tensors.iter().map(|tensor| tensor.name).collect();
        assert_eq!(names.len(), tensors.len(), "{layer:?}: two tensors of one name");
        let of = |role: TensorRole| -> Vec<&str> {
            tensors.iter().filter(|tensor| tensor.role == role).map(|tensor| tensor.name).collect()
        };
        let declared: Vec<&str> = parts.matrix.iter().map(|matrix| matrix.tensor).collect();
        assert_eq!(of(TensorRole::Matrix), declared, "{layer:?}");
        assert_eq!(of(TensorRole::Recurrent).len(), usize::from(parts.state.is_some()), "{layer:?}");
        let rank = parts.state.and_then(|state| state.rank);
        assert_eq!(of(TensorRole::RecurrentBasis).len(), usize::from(rank.is_some()), "{layer:?}");
        assert_eq!(parts.structures.is_empty(), parts.matrix.is_none(), "{layer:?}");
        assert_eq!(parts.has(StructureKind::HiddenUnits), parts.state.is_some(), "{layer:?}");
        assert_eq!(of(TensorRole::Statistic), [""; 0], "{layer:?}");
        let statistics = layer.describe().statistics(&inputs).unwrap();
        assert!(statistics.iter().all(|tensor| tensor.role == TensorRole::Statistic), "{layer:?}");
        // A layer with its own units has a tensor with an axis for them.
        let makes = |tensor: &ParameterSpec| tensor.axes.iter().any(|axis| matches!(axis, Axis::Makes(_)));
        if layer.describe().coupling(&inputs).unwrap().units == Units::Own {
            assert!(tensors.iter().any(makes), "{layer:?}");
        }
    }
}

/// A declared matrix has the rows and columns of the tensor.
#[test]
fn matrices_have_the_shape_of_their_tensors() {
    for (layer, inputs) in samples() {
        let Some(matrix) = layer.parts().matrix else { continue };
        let tensors = trained(&layer, &inputs);
        let tensor = tensors.iter().find(|tensor| tensor.name == matrix.tensor).unwrap();
        let all = inputs[0].units() / matrix.groups * matrix.taps();
        assert_eq!(tensor.row(), matrix.columns.count(all), "{layer:?}");
        assert!(tensor.shape[0].is_multiple_of(matrix.groups), "{layer:?}");
    }
}

/// Surgery changes the number of units only in a layer with its own units.
#[test]
fn units_can_be_set_where_a_layer_makes_them() {
    for (mut layer, inputs) in samples() {
        let (units, before) = (units_of_output(&layer, &inputs), layer.clone());
        let own = match layer.describe().coupling(&inputs).unwrap().units {
            Units::Own | Units::Within(_) => true,
            Units::Inputs | Units::Sum | Units::SideBySide | Units::Spread(_) => false,
        };
        layer.set_units(units - 2, 0);
        assert_eq!(units_of_output(&layer, &inputs), if own { units - 2 } else { units }, "{layer:?}");
        assert_eq!(layer == before, !own, "{layer:?}");
    }
}

/// Surgery that removes columns from a matrix makes the tensor narrower.
#[test]
fn columns_can_be_left_out_where_a_layer_declares_them() {
    for (mut layer, inputs) in samples() {
        let parts = layer.parts();
        let expected = parts.has(StructureKind::Shapes) || parts.has(StructureKind::Inputs);
        let is_tied = layer.describe().tied(&inputs).unwrap().is_some();
        let width = |layer: &LayerSpec| {
            let name = layer.parts().matrix.unwrap().tensor;
            trained(layer, &inputs).iter().find(|tensor| tensor.name == name).unwrap().row()
        };
        let Some((columns, _)) = layer.columns_mut() else {
            assert!(!expected, "{layer:?}");
            continue;
        };
        assert!(expected);
        if !is_tied {
            *columns = columns.at(&[0, 2], usize::MAX);
            assert_eq!(width(&layer), 2, "{layer:?}");
            layer.describe().output(&inputs).unwrap();
        }
    }
}

/// A layer that declares that zero stays zero computes zeros from zeros, with all of its tensors zero.
#[test]
fn zero_stays_zero_where_it_is_declared() {
    let mut checked = BTreeSet::new();
    for example in LayerSpec::examples() {
        let (layer, [input]) = (example.layer().unwrap(), example.inputs) else { continue };
        let is_tied = layer.describe().tied(example.inputs).unwrap().is_some();
        if is_tied || !layer.describe().coupling(example.inputs).unwrap().zero_stays_zero {
            continue;
        }
        let table = serde_json::from_str(example.table).unwrap();
        let graph = Graph::from_tables(*input, [table]).unwrap_or_else(|(error, _)| panic!("{error}"));
        let mut network = Network::new(graph, Execution::float32(2)).unwrap();
        network.input_mut(2).fill(0.0);
        for mode in [Mode::Train(Draw::default()), Mode::Evaluate] {
            assert!(network.forward(2, mode).iter().all(|&y| y == 0.0), "{layer:?}");
        }
        checked.insert(layer.kind());
    }
    assert!(checked.contains("tanh") && checked.contains("gelu"), "{checked:?}");
    assert!(!checked.contains("sigmoid"), "sigmoid(0) is 1/2");
}

/// The two layers that replace one have the same output. The first one has as many units as the rank.
#[test]
fn pairs_fit_where_the_layer_stood() {
    const RANK: usize = 3;
    for (layer, inputs) in samples() {
        let Some(matrix) = layer.parts().matrix else { continue };
        // Surgery does not change these.
        if matrix.groups > 1 || layer.describe().tied(&inputs).unwrap().is_some() {
            continue;
        }
        let mut pairs = vec![matrix.factors.pair(RANK)];
        if let (Product::Windows(windows), true) = (matrix.product, matrix.columns.is_all()) {
            pairs.extend(windows.separable(RANK));
        }
        let output = layer.describe().output(&inputs).unwrap();
        for [first, second] in pairs {
            let between = first.describe().output(&inputs).unwrap();
            assert_eq!(between.units(), RANK, "{layer:?}");
            assert_eq!(second.describe().output(&[between]).unwrap(), output, "{layer:?}");
            let [basis] = &first.describe().parameters(&inputs).unwrap()[..] else {
                panic!("{layer:?}: the first of the two has more than a weight");
            };
            assert_eq!((basis.name, basis.shape[0]), ("weight", RANK));
            assert_eq!(second.parts().matrix.unwrap().tensor, matrix.tensor, "{layer:?}");
        }
    }
}
