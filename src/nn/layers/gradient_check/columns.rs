//! Layers with only some columns of their weights, compared with differences and, bit for bit, with the
//! complete layer that has zeros in the other columns.

use super::*;
use crate::Graph;

/// A layer with `columns` and the complete one, on the same numbers: outputs and gradients are equal.
fn against_the_whole(mut spec: Value, columns: &[usize], input: Shape, batch: usize) {
    let whole = Check::new(spec.clone(), input, batch);
    spec["columns"] = json!(columns);
    Check::new(spec.clone(), input, batch).run(0.0);
    let mut some = Check::new(spec, input, batch);
    let (rows, read) = (some.places[0].range.len() / columns.len(), columns.len());
    let width = whole.places[0].range.len() / rows;
    let scatter = |from: &[f32]| {
        let mut all = vec![0.0; rows * width];
        for (all, from) in all.chunks_exact_mut(width).zip(from.chunks_exact(read)) {
            columns.iter().zip(from).for_each(|(&column, &value)| all[column] = value);
        }
        all
    };
    let biases = some.parameters[some.places[0].range.end..].to_vec();
    let parameters = [scatter(&some.parameters[some.places[0].range.clone()]), biases].concat();
    let mut whole = Check { parameters, ..whole };
    let ((dx, gradients), (whole_dx, whole_gradients)) = (some.gradients(true), whole.gradients(true));
    assert_eq!((&some.y, dx), (&whole.y, whole_dx));
    let gather = |row: &[f32]| columns.iter().map(|&column| row[column]).collect::<Vec<_>>();
    let (weights, biases) = whole_gradients.split_at(rows * width);
    let expected = weights.chunks_exact(width).flat_map(gather).chain(biases.iter().copied());
    assert_eq!(gradients, expected.collect::<Vec<_>>());
}

/// By both ways: 3 samples are less than half of AVX-512's vectors, 9 fill one of AVX2's and begin another.
#[test]
fn conv2d() {
    for batch in [3, 9] {
        for (stride, padding, bias) in [(1, 0, true), (1, 1, false), (2, 1, true)] {
            let spec = json!({"type": "conv2d", "filters": 3, "kernel": 3, "stride": stride,
                              "padding": padding, "bias": bias});
            // Of two channels, and of only the second.
            against_the_whole(spec.clone(), &[0, 2, 7, 9, 10, 17], IMAGE, batch);
            against_the_whole(spec, &[13], IMAGE, batch);
        }
        let spec = json!({"type": "conv2d", "filters": 6, "kernel": 2, "padding": 1, "groups": 2});
        let image = Shape::Image { channels: 4, height: 3, width: 3 };
        against_the_whole(spec, &[1, 2, 6], image, batch);
    }
}

#[test]
fn conv1d() {
    for batch in [3, 9] {
        for (dilation, stride, padding, bias) in [(1, 1, 0, true), (2, 1, 1, false), (1, 2, 1, true)] {
            let spec = json!({"type": "conv1d", "filters": 3, "kernel": 3, "stride": stride,
                              "padding": padding, "dilation": dilation, "bias": bias});
            against_the_whole(spec, &[0, 2, 3, 7, 11], Shape::Sequence { steps: 6, features: 4 }, batch);
        }
    }
}

#[test]
fn linear() {
    for bias in [true, false] {
        let spec = json!({"type": "linear", "units": 5, "bias": bias});
        against_the_whole(spec.clone(), &[0, 3, 4], Shape::Vector { features: 7 }, 4);
        against_the_whole(spec, &[2], Shape::Sequence { steps: 3, features: 4 }, 2);
    }
}

/// Only columns that are present count: in parameters, in multiply-adds, and in the scale of initial weights.
#[test]
fn costs_are_those_of_the_columns() {
    let spec = json!({"type": "conv2d", "filters": 4, "kernel": 3, "columns": [0, 5, 9]});
    let spec: LayerSpec = serde_json::from_value(spec).unwrap();
    let weight = spec.describe().parameters(&[IMAGE]).unwrap().remove(0);
    assert_eq!((weight.shape, weight.fan.inputs, weight.fan.outputs), (vec![4, 3], 3, 6));
    assert_eq!(spec.describe().multiply_adds(&[IMAGE]).unwrap(), 4 * 3 * 12);
}

/// Each message says which values would be right.
#[test]
fn what_are_no_columns_is_refused() {
    let message = |columns: Value, tied: bool| {
        let mut spec = json!({"name": "ip", "type": "linear", "units": 5, "columns": columns});
        let mut layers = vec![json!({"name": "first", "type": "linear", "units": 4})];
        if tied {
            spec["tied"] = json!("first");
        }
        layers.push(spec);
        let tables = layers.into_iter().map(|layer| serde_json::from_value(layer).unwrap());
        Graph::from_tables(Shape::Vector { features: 4 }, tables).unwrap_err().0.to_string()
    };
    for (columns, part) in [
        (json!([]), "at least one"),
        (json!([1, 1]), "must ascend, but 1 follows 1"),
        (json!([0, 4]), "must be below 4, the number of columns of its weight, but one is 4"),
        (json!([-1]), "columns"),
        (json!(3), "columns"),
    ] {
        let message = message(columns, false);
        assert!(message.contains("ip") && message.contains(part), "{message}");
    }
    assert!(message(json!([0]), true).contains("shared with another layer"));
}
