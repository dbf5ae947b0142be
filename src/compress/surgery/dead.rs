//! The units that can be removed without changing the function that a network computes.

use super::super::units::{CoupledUnits, Role, UnitAxis};
use ternflock_nn::parameters::Parameters;

/// By unit: whether its parameters are in use, and how strong they are.
pub struct UnitActivity {
    /// Some parameter that produces the unit is not zero.
    made: Vec<bool>,
    /// Some parameter that reads the unit is not zero.
    read: Vec<bool>,
    /// The sum of the squares of all of these parameters.
    strength: Vec<f64>,
}

/// By unit: whether it can be removed. It can if nothing reads it or if it is always zero, and if it is not
/// pinned. A value that is not finite is not zero.
pub fn dead_units(units: &CoupledUnits, activity: &UnitActivity) -> Vec<bool> {
    let dead = |unit: usize| {
        let silent = units.zero_stays_zero[unit] && !activity.made[unit];
        units.pinned[unit].is_none() && (!activity.read[unit] || silent)
    };
    (0..units.count()).map(dead).collect()
}

/// Keeps additional units, the strongest first, until each layer has at least one unit and a multiple of
/// `round_to` units, if it had that many, and until each layer has at least one unit to read. Returns the
/// numbers of the layers that would have lost all units, or all units that they read.
pub fn spare(
    units: &CoupledUnits,
    activity: &UnitActivity,
    round_to: usize,
    dead: &mut [bool],
) -> Vec<usize> {
    let strength = &activity.strength;
    let mut emptied = Vec::new();
    let mut is_emptied = vec![false; units.of_source.len()];
    // The units of one layer may also belong to another, so a later layer can change the count of an earlier
    // one.
    loop {
        let mut spared = false;
        for (layer, own) in units.of_source.iter().skip(1).enumerate() {
            let kept = own.iter().filter(|&&unit| !dead[unit]).count();
            if kept == 0 && !own.is_empty() && !is_emptied[layer] {
                is_emptied[layer] = true;
                emptied.push(layer);
            }
            let wanted = kept.max(1).next_multiple_of(round_to.max(1)).min(own.len());
            let mut candidates: Vec<usize> = own.iter().copied().filter(|&unit| dead[unit]).collect();
            candidates.sort_by(|&a, &b| strength[b].total_cmp(&strength[a]).then(a.cmp(&b)));
            candidates.dedup();
            for unit in candidates.into_iter().take(wanted.saturating_sub(kept)) {
                dead[unit] = false;
                spared = true;
            }
        }
        // A layer that reads only some units of its input needs one of these.
        for axis in units.parameters.iter().filter(|axis| axis.role == Role::Reads) {
            if axis.units.iter().all(|&unit| dead[unit]) {
                let stronger =
                    |a: &&usize, b: &&usize| strength[**a].total_cmp(&strength[**b]).then(b.cmp(a));
                if let Some(&unit) = axis.units.iter().max_by(stronger) {
                    dead[unit] = false;
                    spared = true;
                    is_emptied[axis.layer] = true;
                    emptied.push(axis.layer);
                }
            }
        }
        if !spared {
            return emptied;
        }
    }
}

/// The activity of all units, from the parameters that produce or read them.
pub fn measure_activity(units: &CoupledUnits, parameters: &Parameters) -> UnitActivity {
    let count = units.count();
    let mut activity =
        UnitActivity { made: vec![false; count], read: vec![false; count], strength: vec![0.0; count] };
    for axis in &units.parameters {
        for_each_slice(axis, parameters, |unit, squares| {
            let role = if axis.role == Role::Makes { &mut activity.made } else { &mut activity.read };
            // True for NaN, which counts as active.
            role[unit] |= squares != 0.0;
            activity.strength[unit] += squares;
        });
    }
    activity
}

/// Calls `visit` with the unit and the sum of squares for each run of elements of a tensor that belongs to
/// one unit.
fn for_each_slice(axis: &UnitAxis, parameters: &Parameters, mut visit: impl FnMut(usize, f64)) {
    let tensor = &parameters.table[axis.tensor];
    let inner: usize = tensor.spec.shape[axis.axis + 1..].iter().product();
    let runs = parameters.values[tensor.range.clone()].chunks_exact(inner.max(1));
    for (run, &unit) in runs.zip(axis.units.iter().cycle()) {
        visit(unit, run.iter().map(|&value| f64::from(value) * f64::from(value)).sum());
    }
}
