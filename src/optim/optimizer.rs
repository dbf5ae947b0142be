//! The optimizer of a run: its update rule, the state that the rule keeps for every parameter, and a step.

use super::adam::{self, Adam};
use super::norm::{clip_factor, sum_of_squares};
use super::update::Update;
use super::{lars, sgd};
use crate::error::{Error, Result};
use crate::job::{self, OptimizerKind, suggest};
use crate::nn::{Graph, Parameter, Parameters};

/// How averaged gradients become a step, the same on every rank.
#[derive(Clone, Debug)]
pub struct Optimizer {
    kind: OptimizerKind,
    weight_decay: f32,
    /// The layers whose weights decay; `None`: all of them.
    decay_layers: Option<Vec<String>>,
    clip_norm: Option<f64>,
    states: Vec<State>,
}

/// One number that an optimizer keeps for every parameter.
#[derive(Clone, Debug)]
pub struct State {
    /// What it is, as checkpoints call it.
    pub name: &'static str,
    /// Laid out as the parameters; zero where a run begins.
    pub values: Vec<f32>,
}

/// The names of the states of an optimizer of `kind`.
pub fn state_names(kind: &OptimizerKind) -> &'static [&'static str] {
    match kind {
        OptimizerKind::Sgd { momentum: 0.0 } => &[],
        OptimizerKind::Sgd { .. } | OptimizerKind::Nesterov { .. } => &["momentum"],
        OptimizerKind::Adam { .. } => &["first_moment", "second_moment"],
        OptimizerKind::Lars { .. } => &["velocity"],
    }
}

impl Optimizer {
    /// The optimizer that a job asks for, for `parameters` parameters in all, at rest.
    pub fn new(job: &job::Optimizer, parameters: usize) -> Optimizer {
        let state = |&name| State { name, values: vec![0.0; parameters] };
        Optimizer {
            kind: job.kind,
            weight_decay: job.weight_decay as f32,
            decay_layers: job.decay_layers.clone(),
            clip_norm: job.clip_norm,
            states: state_names(&job.kind).iter().map(state).collect(),
        }
    }

    /// What it keeps from step to step.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// The same, to restore it.
    pub fn states_mut(&mut self) -> &mut [State] {
        &mut self.states
    }

    /// Step `step`, from 0, at `learning_rate`, by the averaged gradients in `parameters`.
    pub fn step(&mut self, step: u64, learning_rate: f64, parameters: &mut Parameters) {
        let rule = Rule::at(&self.kind, step);
        let Parameters { table, values, gradients, .. } = parameters;
        let scale = self.clip_norm.map_or(1.0, |limit| clip_factor(global_norm(table, gradients), limit));
        for parameter in table.iter() {
            let range = parameter.range.clone();
            let decay = if decays(&self.decay_layers, parameter) { self.weight_decay } else { 0.0 };
            let update = Update { scale, decay, rate: learning_rate as f32 };
            let mut states = self.states.iter_mut().map(|state| &mut state.values[range.clone()]);
            let states = [states.next().unwrap_or_default(), states.next().unwrap_or_default()];
            let (gradients, values) = (&gradients[range.clone()], &mut values[range]);
            rule.update(update, parameter.spec.decay, gradients, states, values);
        }
    }
}

fn decays(layers: &Option<Vec<String>>, parameter: &Parameter) -> bool {
    let layer = parameter.name.rsplit_once('/').map_or("", |(layer, _)| layer);
    parameter.spec.decay && layers.as_ref().is_none_or(|layers| layers.iter().any(|name| name == layer))
}

/// Refuses names of layers to decay that `graph` does not have, or that have no weights.
pub fn check_decay_layers(job: &job::Optimizer, graph: &Graph) -> Result<()> {
    let mut weighted = Vec::new();
    for (number, node) in graph.layers().iter().enumerate() {
        if graph.parameters(number)?.iter().any(|spec| spec.decay) {
            weighted.push(node.name.as_str());
        }
    }
    let names = job.decay_layers.iter().flatten();
    match names.into_iter().find(|name| !weighted.contains(&name.as_str())) {
        Some(name) => Err(Error::Usage(format!(
            "optimizer.decay_layers: no layer with weights is called `{name}`; {}",
            suggest(name, &weighted)
        ))),
        None => Ok(()),
    }
}

/// The norm of all gradients together. Tensors are summed apart and in their order.
fn global_norm(table: &[Parameter], gradients: &[f32]) -> f64 {
    table.iter().map(|parameter| sum_of_squares(&gradients[parameter.range.clone()])).sum::<f64>().sqrt()
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

    /// One pass over a tensor. One that does not decay (a bias, a factor of a normalisation) has no norm to speak of:
    /// LARS leaves its rate alone.
    fn update(
        &self,
        mut update: Update,
        decays: bool,
        gradients: &[f32],
        [first, second]: [&mut [f32]; 2],
        values: &mut [f32],
    ) {
        match self {
            Rule::Plain => sgd::plain(&update, gradients, values),
            Rule::Momentum(mu) => sgd::momentum(&update, *mu, gradients, first, values),
            Rule::Nesterov(mu) => sgd::nesterov(&update, *mu, gradients, first, values),
            Rule::Adam(adam) => adam::update(&update, adam, gradients, first, second, values),
            Rule::Lars { momentum, trust } => {
                if decays {
                    update.rate *= lars::ratio(*trust, &update, gradients, values) as f32;
                }
                lars::update(&update, *momentum, gradients, first, values);
            }
        }
    }
}
