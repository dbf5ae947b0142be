//! The optimizer of a run: its update rule, the state of the rule, and a step.

use std::collections::HashSet;
use std::ops::Range;

use super::adam::{self, Adam};
use super::norm::{clip_factor, sum_of_squares};
use super::update::Update;
use super::{lars, sgd};
use ternflock_base::error::{Error, Result};
use ternflock_base::suggest::suggest;
use ternflock_job::{self as job, OptimizerKind};
use ternflock_nn::{Graph, Parameter, Parameters};
use ternflock_tensor::{
    BLOCK, Rows, for_each_row, has_bits, prefetch_after, rows, rows_mut, vectorise, within,
};

/// Elements that one thread takes at a time.
const PART: usize = 1 << 15;

/// Updates parameters with averaged gradients, identically on every rank.
#[derive(Clone, Debug)]
pub struct Optimizer {
    kind: OptimizerKind,
    weight_decay: f32,
    /// The layers whose weights decay; `None`: all of them.
    decay_layers: Option<HashSet<String>>,
    clip_norm: Option<f64>,
    states: Vec<State>,
    /// The sum of the squares of each part of the gradients, if they are clipped.
    squares: Vec<f64>,
    /// The rate of the last step, by tensor.
    rates: Vec<f64>,
}

/// A number that an optimizer stores for each parameter.
#[derive(Clone, Debug)]
pub struct State {
    /// Its name in checkpoints.
    pub name: &'static str,
    /// The values, in the layout of the parameters; zero at the start of a run.
    pub values: Vec<f32>,
}

/// The names of all states of all optimizers.
pub static STATE_NAMES: [&str; 4] = ["momentum", "first_moment", "second_moment", "velocity"];

/// The names of the states of an optimizer of `kind`, all of which are in [`STATE_NAMES`].
pub fn state_names(kind: &OptimizerKind) -> &'static [&'static str] {
    match kind {
        OptimizerKind::Sgd { momentum: 0.0 } => &[],
        OptimizerKind::Sgd { .. } | OptimizerKind::Nesterov { .. } => &STATE_NAMES[..1],
        OptimizerKind::Adam { .. } => &STATE_NAMES[1..3],
        OptimizerKind::Lars { .. } => &STATE_NAMES[3..],
    }
}

impl Optimizer {
    /// The optimizer of a job for `parameters` parameters, with a state of zero.
    pub fn new(job: &job::Optimizer, parameters: usize) -> Optimizer {
        let state = |&name| State { name, values: vec![0.0; parameters] };
        Optimizer {
            kind: job.kind,
            weight_decay: job.weight_decay as f32,
            decay_layers: job.decay_layers.as_ref().map(|layers| layers.iter().cloned().collect()),
            clip_norm: job.clip_norm,
            states: state_names(&job.kind).iter().map(state).collect(),
            squares: vec![0.0; job.clip_norm.map_or(0, |_| parameters.div_ceil(PART))],
            rates: Vec::new(),
        }
    }

    /// For each tensor, the factor with which the gradient of the last step changed the parameters. It is the
    /// learning rate; with LARS, it is multiplied by the ratio of the tensor, or 0 if the tensor has a ratio
    /// but its gradient is zero. Adam also divides by a separate number per parameter.
    pub fn rates(&self) -> &[f64] {
        &self.rates
    }

    /// The state that is kept from step to step.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// The state, mutable, to restore it.
    pub fn states_mut(&mut self) -> &mut [State] {
        &mut self.states
    }

    /// Whether an update depends on the number of the step, because the state is corrected for its start at
    /// zero.
    pub fn counts_steps(&self) -> bool {
        matches!(self.kind, OptimizerKind::Adam { .. })
    }

    /// Whether [`Optimizer::rates`] depend on gradients and parameters, not on the schedule alone.
    pub fn rates_depend_on_gradients(&self) -> bool {
        matches!(self.kind, OptimizerKind::Lars { .. })
    }

    /// Performs step `step`, counted from 0, with `learning_rate` and the averaged gradients in `parameters`.
    pub fn step(&mut self, step: u64, learning_rate: f64, parameters: &mut Parameters) {
        // Allocates only before the first step.
        self.rates.clear();
        self.rates.resize(parameters.table.len(), learning_rate);
        within(|| self.step_here(step, learning_rate as f32, parameters));
    }

    fn step_here(&mut self, step: u64, rate: f32, parameters: &mut Parameters) {
        let rule = Rule::at(&self.kind, step);
        let scale = self.clip_norm.map_or(1.0, |limit| clip_factor(self.norm(&parameters.gradients), limit));
        let Parameters { table, values, gradients, .. } = parameters;
        for (parameter, last_rate) in table.iter().zip(&mut self.rates) {
            let range = parameter.range.clone();
            let (gradients, values) = (&gradients[range.clone()], &mut values[range.clone()]);
            let decay = if decays(&self.decay_layers, parameter) { self.weight_decay } else { 0.0 };
            let update = Update { scale, decay, rate };
            let update = match rule.ratio(&update, parameter.spec.role.decays(), gradients, values) {
                Some(Some(ratio)) => {
                    let update = Update { rate: rate * ratio as f32, ..update };
                    *last_rate = f64::from(update.rate);
                    update
                }
                // Decay still uses the schedule's rate.
                Some(None) => {
                    *last_rate = 0.0;
                    update
                }
                None => update,
            };
            let (g, w) = (rows(gradients, PART), rows_mut(values, PART));
            match &mut self.states[..] {
                [] => for_each_row((g, w), |_, (g, w)| rule.update(&update, g, [&mut [], &mut []], w)),
                [one] => for_each_row((g, parts(one, &range), w), |_, (g, one, w)| {
                    rule.update(&update, g, [one, &mut []], w);
                }),
                [one, two, ..] => {
                    for_each_row((g, parts(one, &range), parts(two, &range), w), |_, (g, one, two, w)| {
                        rule.update(&update, g, [one, two], w);
                    })
                }
            }
        }
    }

    /// The norm of all gradients together, summed part by part in order.
    fn norm(&mut self, gradients: &[f32]) -> f64 {
        for_each_row((rows(gradients, PART), rows_mut(&mut self.squares, 1)), |_, (gradients, square)| {
            square[0] = sum_of_squares(gradients);
        });
        self.squares.iter().sum::<f64>().sqrt()
    }
}

/// The values of `state` for the tensor at `range`, in parts.
fn parts<'a>(state: &'a mut State, range: &Range<usize>) -> impl Rows<Row = &'a mut [f32]> + use<'a> {
    rows_mut(&mut state.values[range.clone()], PART)
}

fn decays(layers: &Option<HashSet<String>>, parameter: &Parameter) -> bool {
    let layer = parameter.name.rsplit_once('/').map_or("", |(layer, _)| layer);
    parameter.spec.role.decays() && layers.as_ref().is_none_or(|layers| layers.contains(layer))
}

/// Refuses `decay_layers` that `graph` does not have or that have no weights.
pub fn check_decay_layers(job: &job::Optimizer, graph: &Graph) -> Result<()> {
    let mut weighted = Vec::new();
    for (number, node) in graph.layers().iter().enumerate() {
        if graph.parameters(number)?.iter().any(|spec| spec.role.decays()) {
            weighted.push(node.name.as_str());
        }
    }
    let known: HashSet<&str> = weighted.iter().copied().collect();
    match job.decay_layers.iter().flatten().find(|name| !known.contains(name.as_str())) {
        Some(name) => Err(Error::Usage(format!(
            "optimizer.decay_layers: no layer with weights is called `{name}`; {}",
            suggest(name, &weighted)
        ))),
        None => Ok(()),
    }
}

/// An update rule with its constants of one step.
enum Rule {
    Plain,
    Momentum(f32),
    Nesterov(f32),
    Adam(adam::Corrected),
    Lars { momentum: f32, trust: f64 },
}

impl Rule {
    fn at(kind: &OptimizerKind, step: u64) -> Rule {
        match *kind {
            OptimizerKind::Sgd { momentum: 0.0 } => Rule::Plain,
            OptimizerKind::Sgd { momentum } => Rule::Momentum(momentum as f32),
            OptimizerKind::Nesterov { momentum } => Rule::Nesterov(momentum as f32),
            OptimizerKind::Adam { beta1, beta2, epsilon, decoupled_decay } => {
                Rule::Adam(Adam { beta1, beta2, epsilon, decoupled_decay }.at(step))
            }
            OptimizerKind::Lars { momentum, trust } => Rule::Lars { momentum: momentum as f32, trust },
        }
    }

    /// The LARS ratio of one tensor: see [`lars::ratio`]. `None` for a tensor that does not decay (a bias, a
    /// factor of a normalisation), whose rate LARS does not change, and for all tensors with the other rules.
    fn ratio(&self, update: &Update, decays: bool, gradients: &[f32], values: &[f32]) -> Option<Option<f64>> {
        match self {
            Rule::Lars { trust, .. } if decays => Some(lars::ratio(*trust, update, gradients, values)),
            _ => None,
        }
    }

    /// Whether weights whose gradients are 0 stay as they are. With momentum they still move.
    fn keeps(&self, update: &Update) -> bool {
        matches!(self, Rule::Plain) && sgd::plain_keeps(update)
    }

    /// Updates a part of a tensor in one pass. If the rule leaves weights without a gradient as they are, it skips blocks
    /// whose gradients are all zero and does not read their weights: most words are not in a batch, so most rows of an
    /// embedding have no gradient.
    fn update(
        &self,
        update: &Update,
        gradients: &[f32],
        [first, second]: [&mut [f32]; 2],
        values: &mut [f32],
    ) {
        let keeps = self.keeps(update);
        vectorise(
            #[inline(always)]
            || {
                for start in (0..gradients.len()).step_by(BLOCK) {
                    let at = start..gradients.len().min(start + BLOCK);
                    let g = &gradients[at.clone()];
                    prefetch_after(g);
                    if keeps && !has_bits(g) {
                        continue;
                    }
                    let w = &mut values[at.clone()];
                    // Rules without a state have an empty one.
                    let first = first.get_mut(at.clone()).unwrap_or_default();
                    let second = second.get_mut(at).unwrap_or_default();
                    [&*w, first, second].into_iter().for_each(prefetch_after);
                    match self {
                        Rule::Plain => sgd::plain(update, g, w),
                        Rule::Momentum(mu) => sgd::momentum(update, *mu, g, first, w),
                        Rule::Nesterov(mu) => sgd::nesterov(update, *mu, g, first, w),
                        Rule::Adam(adam) => adam::update(update, adam, g, first, second, w),
                        Rule::Lars { momentum, .. } => lars::update(update, *momentum, g, first, w),
                    }
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rules with their formula for a vector of any length.
    type Formula = fn(&Update, &[f32], [&mut [f32]; 2], &mut [f32]);
    const ADAM: Adam = Adam { beta1: 0.5, beta2: 0.75, epsilon: 0.1, decoupled_decay: false };
    const FORMULAS: [(OptimizerKind, Formula); 5] = [
        (OptimizerKind::Sgd { momentum: 0.0 }, |update, g, _, w| {
            g.iter().zip(w).for_each(|(g, w)| *w -= update.rate * update.gradient(*g, *w));
        }),
        (OptimizerKind::Sgd { momentum: 0.5 }, |update, g, [v, _], w| sgd::momentum(update, 0.5, g, v, w)),
        (OptimizerKind::Nesterov { momentum: 0.5 }, |update, g, [v, _], w| {
            sgd::nesterov(update, 0.5, g, v, w);
        }),
        (OptimizerKind::Lars { momentum: 0.5, trust: 0.1 }, |update, g, [v, _], w| {
            lars::update(update, 0.5, g, v, w);
        }),
        (
            OptimizerKind::Adam { beta1: 0.5, beta2: 0.75, epsilon: 0.1, decoupled_decay: false },
            |update, g, [m, s], w| adam::update(update, &ADAM.at(0), g, m, s, w),
        ),
    ];

    /// Numbers of which many are zero, infinite or NaN.
    fn number() -> impl Strategy<Value = f32> {
        prop_oneof![
            3 => Just(0.0f32),
            1 => Just(-0.0),
            3 => -2.0f32..2.0,
            1 => prop::sample::select(vec![f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MIN_POSITIVE]),
        ]
    }

    /// Which NaN an operation returns depends on how the compiler orders its operands.
    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| if value.is_nan() { f32::NAN } else { *value }.to_bits()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Blocks are an order of computing, and blocks of zeros that are left out would not have changed a bit.
        #[test]
        fn blocks_change_no_bit(
            (length, rows) in (0usize..1000, prop::collection::vec(any::<bool>(), 16)),
            numbers in prop::collection::vec(number(), 31),
            (scale, decay, rate) in (0.0f32..=1.0, prop_oneof![Just(0.0f32), 0.0f32..0.1], number()),
        ) {
            let element = |at: usize, step: usize| numbers[(at * step) % numbers.len()];
            let gradient = |at: usize| if rows[at / 64] { element(at, 3) } else { 0.0 };
            let g: Vec<f32> = (0..length).map(gradient).collect();
            // Without decay, an infinite weight may stay.
            let weight = |number: f32| if number.is_infinite() { f32::MAX } else { number };
            let w: Vec<f32> = (0..length).map(|at| weight(element(at, 5))).collect();
            let v: Vec<f32> = (0..length).map(|at| element(at, 7)).collect();
            let update = Update { scale, decay, rate };
            for (kind, formula) in &FORMULAS {
                let (mut expected, mut found) = ([&w, &v, &v].map(Vec::clone), [&w, &v, &v].map(Vec::clone));
                let [x, first, second] = &mut expected;
                formula(&update, &g, [first, second], x);
                let [x, first, second] = &mut found;
                Rule::at(kind, 0).update(&update, &g, [first, second], x);
                prop_assert_eq!(found.map(|x| bits(&x)), expected.map(|x| bits(&x)), "{:?}", kind);
            }
        }
    }
}
