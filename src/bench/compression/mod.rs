//! Measures on the gradients of a job how far the mean of ternaries is from the mean gradient: bias and variance per
//! tensor, for several rules by which gradients are clipped.

mod figures;
mod rules;

use serde::Serialize;

pub use figures::Figures;
pub use rules::Rule;

use figures::Sums;
use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;
use ternflock_job::{Exchange, Gradients, Loaded};
use ternflock_nn::Parameter;
use ternflock_train::method::terngrad::TernGrad;
use ternflock_train::{Trainer, compressed, has_row_scales, has_sparse_rows, simulate};

/// The settings of a measurement.
#[derive(Clone, Debug)]
pub struct CompressionOptions {
    /// The number of ranks whose gradients are averaged.
    pub ranks: usize,
    /// The steps whose gradients are measured, from 1.
    pub steps: Vec<u64>,
}

/// The report. External scripts rely on the keys.
#[derive(Clone, Debug, Serialize)]
pub struct Compression {
    /// The name of the job.
    pub job: String,
    /// Ranks, all of them simulated in one process.
    pub ranks: usize,
    /// The steps whose gradients were measured. Figures are pooled over them.
    pub steps: Vec<u64>,
    /// `exchange.clip_sigma`.
    pub clip_sigma: f64,
    /// The tensors whose gradients the job compresses.
    pub tensors: Vec<TensorBias>,
    /// All compressed tensors together.
    pub compressed: Vec<RuleFigures>,
    /// All tensors together; those that travel as float32 have no error.
    pub all: Vec<RuleFigures>,
}

/// The figures of one tensor.
#[derive(Clone, Debug, Serialize)]
pub struct TensorBias {
    /// Its name: "embedding/weight".
    pub name: String,
    /// Its elements.
    pub elements: usize,
    /// The rule by which a run of the job clips it.
    pub rule: &'static str,
    /// By rule.
    pub rules: Vec<RuleFigures>,
}

/// The figures for one rule.
#[derive(Clone, Debug, Serialize)]
pub struct RuleFigures {
    /// The rule; "job" is what a run of the job does, tensor by tensor.
    pub rule: &'static str,
    /// How the mean of ternaries differs from the mean gradient.
    #[serde(flatten)]
    pub figures: Figures,
}

/// The name of the rules of a job, which differ between tensors.
const JOB: &str = "job";

/// Trains `loaded` on simulated ranks up to the last of the steps, with gradients that are averaged exactly, and measures
/// what compression would have done to those of each step.
///
/// # Errors
/// [`Error::Usage`] for a job that does not round its gradients at random, or that has fewer steps; the errors of starting
/// a run; [`Error::NonFinite`] when a gradient is not finite.
pub fn compression(loaded: &Loaded, options: &CompressionOptions) -> Result<Compression> {
    let exchange = &loaded.job.exchange;
    if exchange.error_feedback {
        return Err(Error::Usage(
            "the job rounds to nearest, with error feedback: its bias depends on the residuals of all steps before and is \
             not measured here; --set exchange.error_feedback=false measures stochastic rounding"
                .into(),
        ));
    }
    let mut trainers = simulate(loaded, options.ranks)?;
    let (last, steps) = (options.steps.iter().copied().max().unwrap_or(0), trainers[0].steps);
    if last > steps {
        return Err(Error::Usage(format!(
            "--at: the job, or its first stage, has only {}, so step {last} has no gradient: raise train.epochs or train.steps, or \
             measure an earlier step",
            plural(steps as usize, "step")
        )));
    }
    let network = &trainers[0].network;
    let table = network.parameters.table.clone();
    let compressed = compressed(&TernGrad, exchange, network.graph(), &table)?;
    if exchange.gradients != Gradients::Ternary || !compressed.contains(&true) {
        return Err(Error::Usage(
            "the job compresses no tensor to ternaries: set exchange.gradients = \"ternary\", and lower exchange.min_elements or \
             shorten exchange.keep_float"
                .into(),
        ));
    }
    let scaled = has_row_scales(exchange, network.graph(), &table)?;
    let mut members: Vec<Member> = table
        .iter()
        .zip(compressed)
        .zip(scaled)
        .map(|((parameter, compressed), scaled)| Member {
            parameter,
            rule: compressed.then(|| {
                let sparse_rows = has_sparse_rows(network.graph(), parameter);
                Rule::of(exchange, sparse_rows, scaled)
            }),
            sums: Default::default(),
            exact: Sums::default(),
        })
        .collect();
    for step in 1..=last {
        let measures = options.steps.contains(&step);
        advance(&mut trainers, |gradients| {
            members.iter_mut().filter(|_| measures).for_each(|member| member.measure(gradients, exchange));
        })?;
    }
    Ok(report(loaded, options, &members))
}

/// Takes one step: each rank computes its gradients, `measure` sees them, and all ranks apply their mean.
fn advance(trainers: &mut [Trainer], measure: impl FnOnce(&[&[f32]])) -> Result<()> {
    let world = trainers.len();
    for (rank, trainer) in trainers.iter_mut().enumerate() {
        let tally = trainer.local_gradients((rank, world))?;
        let finite = trainer.network.parameters.gradients.iter().all(|gradient| gradient.is_finite());
        if !finite || !tally.loss.is_finite() {
            let what = "the loss or a gradient is not finite; lower optimizer.learning_rate".into();
            return Err(Error::NonFinite { step: trainer.step + 1, rank, what });
        }
    }
    let gradients: Vec<&[f32]> =
        trainers.iter().map(|trainer| &trainer.network.parameters.gradients[..]).collect();
    measure(&gradients);
    let mut mean = gradients[0].to_vec();
    for other in &gradients[1..] {
        mean.iter_mut().zip(*other).for_each(|(sum, gradient)| *sum += gradient);
    }
    mean.iter_mut().for_each(|sum| *sum /= world as f32);
    for trainer in trainers {
        trainer.network.parameters.gradients.copy_from_slice(&mean);
        trainer.apply();
    }
    Ok(())
}

/// A tensor and its sums.
struct Member<'a> {
    parameter: &'a Parameter,
    /// The rule by which the job clips it; `None`: it travels as float32.
    rule: Option<Rule>,
    /// By rule, if it is compressed.
    sums: [Sums; Rule::ALL.len()],
    /// Without compression.
    exact: Sums,
}

impl Member<'_> {
    fn measure(&mut self, gradients: &[&[f32]], exchange: &Exchange) {
        let ranks: Vec<&[f32]> = gradients.iter().map(|all| &all[self.parameter.range.clone()]).collect();
        if self.rule.is_none() {
            self.exact += Sums::exact(&ranks);
            return;
        }
        let row = self.parameter.spec.shape.iter().skip(1).product();
        for (sums, rule) in self.sums.iter_mut().zip(Rule::ALL) {
            *sums += Sums::of(rule, &ranks, row, exchange.clip_sigma);
        }
    }

    /// The sums for `rule`, or for that of the job.
    fn sums(&self, rule: Option<Rule>) -> Sums {
        let rule = self.rule.map(|own| rule.unwrap_or(own));
        let place = rule.and_then(|rule| Rule::ALL.iter().position(|other| *other == rule));
        place.map_or(self.exact, |place| self.sums[place])
    }
}

fn report(loaded: &Loaded, options: &CompressionOptions, members: &[Member]) -> Compression {
    let tensor = |member: &Member| {
        let own = member.rule?;
        let figures =
            |rule: Rule| RuleFigures { rule: rule.name(), figures: member.sums(Some(rule)).figures() };
        Some(TensorBias {
            name: member.parameter.name.clone(),
            elements: member.parameter.range.len(),
            rule: own.name(),
            rules: Rule::ALL.into_iter().map(figures).collect(),
        })
    };
    let mut steps = options.steps.clone();
    steps.sort_unstable();
    steps.dedup();
    Compression {
        job: loaded.job.name.clone(),
        ranks: options.ranks,
        steps,
        clip_sigma: loaded.job.exchange.clip_sigma,
        tensors: members.iter().filter_map(tensor).collect(),
        compressed: totals(members, |member| member.rule.is_some()),
        all: totals(members, |_| true),
    }
}

/// The figures of all members that `of` accepts together, for the rules of the job and for each rule.
fn totals(members: &[Member], of: fn(&Member) -> bool) -> Vec<RuleFigures> {
    let total = |rule: Option<Rule>| {
        let mut sums = Sums::default();
        members.iter().filter(|member| of(member)).for_each(|member| sums += member.sums(rule));
        RuleFigures { rule: rule.map_or(JOB, Rule::name), figures: sums.figures() }
    };
    std::iter::once(None).chain(Rule::ALL.into_iter().map(Some)).map(total).collect()
}
