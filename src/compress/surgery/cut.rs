//! Removes units from a network: computes the smaller structure and the previous place of each element.

use super::super::units::{CoupledUnits, UnitAxis};
use super::Surgery;
use ternflock_base::error::{Error, Result};
use ternflock_nn::coupling::Units;
use ternflock_nn::parameters::{statistics_table, table};
use ternflock_nn::{Graph, Parameter};

/// `graph` without the units that are `dead`.
///
/// # Errors
/// Those of [`Graph::new`]: none, as long as each layer keeps a unit. [`Error::Usage`] if the shape of a
/// tensor in the smaller graph does not match the units that are left.
pub fn cut(graph: &Graph, units: &CoupledUnits, dead: &[bool]) -> Result<Surgery> {
    let mut nodes = graph.layers().to_vec();
    for (layer, node) in nodes.iter_mut().enumerate() {
        let output = &units.of_source[layer + 1];
        let before = match graph.coupling(layer)?.units {
            Units::Within(first) => places(&output[..first], dead).len(),
            _ => 0,
        };
        let kept = places(output, dead).len();
        if kept < output.len() {
            node.layer.set_units(kept, before);
        }
        if let Some((columns, each)) = node.layer.columns_mut() {
            *columns = columns.of_units(&places(&units.of_source[graph.sources(layer)[0]], dead), each);
        }
    }
    let smaller = Graph::new(graph.input(), nodes)?;
    let names = graph.layers().iter().map(|node| node.name.clone());
    let kept = units.of_source.iter().skip(1).map(|units| places(units, dead));
    Ok(Surgery {
        parameters: index(&table(graph)?, &table(&smaller)?, &units.parameters, dead)?,
        statistics: index(&statistics_table(graph)?, &statistics_table(&smaller)?, &units.statistics, dead)?,
        units: names.zip(kept).collect(),
        graph: smaller,
    })
}

/// The places of those `units` that are left.
fn places(units: &[usize], dead: &[bool]) -> Vec<usize> {
    (0..units.len()).filter(|&place| !dead[units[place]]).collect()
}

/// By place in the flat vector of the tensors `after`: the place in the flat vector of the same number of
/// tensors `before`.
fn index(before: &[Parameter], after: &[Parameter], axes: &[UnitAxis], dead: &[bool]) -> Result<Vec<usize>> {
    let mut index = Vec::new();
    for (tensor, (old, new)) in before.iter().zip(after).enumerate() {
        // The places of the axes from the last visited one to the end, for each kept place of the axis
        // before.
        let (mut offsets, mut stride) = (vec![0], 1);
        for (axis, &size) in old.spec.shape.iter().enumerate().rev() {
            let counts = axes.iter().find(|units| units.tensor == tensor && units.axis == axis);
            let kept = counts.map_or_else(|| (0..size).collect(), |units| places(&units.units, dead));
            if new.spec.shape.get(axis) != Some(&kept.len()) {
                return Err(Error::Usage(format!(
                    "surgery of `{}`: {} of {size} units of axis {axis} are left, but the smaller network's shape is {:?}",
                    new.name,
                    kept.len(),
                    new.spec.shape
                )));
            }
            let with = |place: &usize| offsets.iter().map(|at| place * stride + at).collect::<Vec<_>>();
            offsets = kept.iter().flat_map(with).collect();
            stride *= size;
        }
        index.extend(offsets.into_iter().map(|at| old.range.start + at));
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::super::super::units::Role;
    use super::*;
    use ternflock_nn::Shape;

    /// Both are computed from the same units, so only a wrong declaration of a layer can cause this.
    #[test]
    fn a_tensor_of_another_shape_is_an_error() {
        let table_of = |units: usize| {
            let tables = serde_json::json!([{"type": "linear", "units": units}]);
            let tables: Vec<_> = serde_json::from_value(tables).unwrap();
            table(&Graph::from_tables(Shape::Vector { features: 3 }, tables).unwrap()).unwrap()
        };
        let axes = [UnitAxis { tensor: 0, axis: 0, layer: 0, role: Role::Makes, units: vec![0, 1, 2, 3] }];
        let dead = [false, true, false, false];
        let message = index(&table_of(4), &table_of(2), &axes, &dead).unwrap_err().to_string();
        assert!(message.contains("3 of 4 units of axis 0 are left"), "{message}");
    }
}
