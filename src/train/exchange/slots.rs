//! The state of an averaging method by slot, taken out of one exchange to be put into another.

use std::collections::{BTreeMap, BTreeSet};

use super::Exchange;
use ternflock_nn::Parameter;

/// The state of an exchange on this rank, as far as it has the shape of its tensor, laid out like the
/// parameters.
pub struct Slots {
    /// By slot; zero where the method keeps nothing for a tensor.
    values: BTreeMap<&'static str, Vec<f32>>,
    /// Slots in which the state of some tensor has another shape than the tensor.
    others: BTreeSet<&'static str>,
}

impl Slots {
    /// A copy of the state of `exchange`, whose parameters are those of `table`.
    pub fn of(exchange: &Exchange, table: &[Parameter]) -> Slots {
        let elements = table.last().map_or(0, |last| last.range.end);
        let mut slots = Slots { values: BTreeMap::new(), others: BTreeSet::new() };
        for state in exchange.state() {
            let parameter = &table[state.tensor];
            if *state.shape == *parameter.spec.shape {
                let all = slots.values.entry(state.slot).or_insert_with(|| vec![0.0; elements]);
                all[parameter.range.clone()].copy_from_slice(state.values);
            } else {
                slots.others.insert(state.slot);
            }
        }
        slots
    }

    /// Replaces the values of each slot by what `take` makes of them, such as the layout of other parameters.
    pub fn map(mut self, take: impl Fn(&[f32]) -> Vec<f32>) -> Slots {
        self.values.values_mut().for_each(|values| *values = take(values));
        self
    }

    /// Puts the state into `exchange`, whose parameters are those of `table`. Returns the slots that are not carried over
    /// completely, because the state of some tensor has another shape than the tensor.
    pub fn restore(self, exchange: &mut Exchange, table: &[Parameter]) -> BTreeSet<&'static str> {
        let fitting = exchange.state().filter(|state| *state.shape == *table[state.tensor].spec.shape);
        let fitting: Vec<_> = fitting.map(|state| (state.slot, state.tensor)).collect();
        for (slot, number) in fitting {
            if let (Some(values), Some(state)) = (self.values.get(slot), exchange.state_mut(slot, number)) {
                state.copy_from_slice(&values[table[number].range.clone()]);
            }
        }
        self.others
    }
}
