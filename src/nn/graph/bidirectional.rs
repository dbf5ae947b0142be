//! The key `bidirectional` of recurrent layers, which stands for three layers: NAME.forward reads the sequence from
//! its first step, NAME.reverse from its last, and NAME has the features of both side by side. Penalties, surgery and reports
//! then see two recurrent layers like any other.

use serde_json::{Map, Value, json};

use super::{Node, shape_error};
use crate::LayerSpec;
use ternflock_base::error::Result;
use ternflock_base::text::quote;

/// The key in a job file.
const KEY: &str = "bidirectional";

/// Reads table `index` as [`Node::from_table`] does: one layer, or the three of a bidirectional layer.
pub(super) fn from_table(mut table: Map<String, Value>, index: usize, before: String) -> Result<Vec<Node>> {
    // A registered layer's keys are its own.
    let is_built_in = |kind: &str| LayerSpec::KINDS.contains(&kind);
    if !table.get("type").and_then(Value::as_str).is_none_or(is_built_in) {
        return Ok(vec![Node::from_table(table, index, before)?]);
    }
    let value = table.remove(KEY);
    let node = Node::from_table(table.clone(), index, before.clone())?;
    let fail = |message: String| Err(shape_error(&node.name, node.layer.kind(), message));
    let Some(value) = value else { return Ok(vec![node]) };
    if !node.layer.is_recurrent() {
        return fail(format!("it has no key `{KEY}`; only recurrent layers have"));
    }
    match value {
        Value::Bool(false) => return Ok(vec![node]),
        Value::Bool(true) if !table.contains_key("reverse") => (),
        Value::Bool(true) => return fail(format!("it can have only one of `reverse` and `{KEY}`")),
        other => return fail(format!("`{KEY}` must be true or false, found {}", quote(&other.to_string()))),
    }
    table.insert("reverse".into(), json!(true));
    let backwards = Node::from_table(table, index, before)?;
    let halves = [(node.clone(), "forward"), (backwards, "reverse")]
        .map(|(half, direction)| Node { name: format!("{}.{direction}", half.name), ..half });
    let inputs = halves.iter().map(|half| half.name.clone()).collect();
    let both = Node { name: node.name, inputs, layer: LayerSpec::Concat(crate::layers::Concat {}) };
    Ok(halves.into_iter().chain([both]).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Graph;
    use super::*;
    use crate::Shape;

    const INPUT: Shape = Shape::Sequence { steps: 4, features: 3 };

    fn graph(layers: Value) -> std::result::Result<Graph, (String, usize)> {
        let tables = serde_json::from_value::<Vec<Map<String, Value>>>(layers).unwrap();
        Graph::from_tables(INPUT, tables).map_err(|(error, table)| (error.to_string(), table))
    }

    #[test]
    fn both_directions_are_layers_side_by_side() {
        let network = graph(json!([
            {"type": "lstm", "hidden": 5, "bidirectional": true},
            {"name": "gru", "type": "gru", "hidden": 2, "bidirectional": true},
            {"type": "rnn", "hidden": 6, "bidirectional": false},
        ]))
        .unwrap();
        let layers = network.layers().iter();
        let layers: Vec<_> = layers.map(|node| (node.name.as_str(), node.layer.kind())).collect();
        assert_eq!(
            layers,
            [
                ("lstm_1.forward", "lstm"),
                ("lstm_1.reverse", "lstm"),
                ("lstm_1", "concat"),
                ("gru.forward", "gru"),
                ("gru.reverse", "gru"),
                ("gru", "concat"),
                ("rnn_3", "rnn"),
            ]
        );
        assert_eq!(network.shape(3), Shape::Sequence { steps: 4, features: 10 });
        assert_eq!(network.shape(6), Shape::Sequence { steps: 4, features: 4 });
        assert_eq!(Graph::from_json(&network.to_json()).unwrap(), network);
    }

    /// The number is that of the table, which stands for several layers.
    #[test]
    fn what_is_wrong_is_named() {
        let lstm = json!({"type": "lstm", "hidden": 5, "bidirectional": true});
        let cases = [
            (json!({"type": "linear", "units": 2, "bidirectional": true}), "only recurrent layers"),
            (json!({"type": "gru", "hidden": 2, "bidirectional": 1}), "must be true or false, found 1"),
            (json!({"type": "gru", "hidden": 2, "bidirectional": true, "reverse": true}), "only one of"),
            (json!({"type": "gru", "hidden": 0, "bidirectional": true}), "hidden must be at least 1"),
        ];
        for (second, part) in cases {
            let (message, table) = graph(json!([lstm, second])).unwrap_err();
            assert!(message.contains(part) && table == 1, "{message}, table {table}");
        }
    }
}
