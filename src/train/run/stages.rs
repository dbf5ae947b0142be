//! The stages of a run in order: the length and the settings of each.

use crate::step::trainer::{LONGEST, count_steps};
use ternflock_base::error::Error;
use ternflock_compress::force::Force;
use ternflock_compress::group_lasso::GroupLasso;
use ternflock_compress::low_rank::{self, Form};
use ternflock_job::{self as job, Job, Stage};
use ternflock_nn::{Graph, Parameters};
use ternflock_optim::check_decay_layers;
use ternflock_smoothout::SmoothOut;

/// The position of a run in its stages. A job without stages counts as one stage.
#[derive(Debug)]
pub struct Stages<'a> {
    job: &'a Job,
    /// Steps of each.
    lengths: Vec<u64>,
    /// The number of the present one, from 0.
    pub now: usize,
}

impl<'a> Stages<'a> {
    /// The stages of `job`, whose epochs have `samples` samples.
    ///
    /// # Errors
    /// When one of them, or all of them together, are too long; with the number of the stage.
    pub fn new(job: &'a Job, samples: usize) -> std::result::Result<Stages<'a>, (Error, usize)> {
        let length = |(number, stage): (usize, &Stage)| {
            count_steps(&stage.train, samples).map_err(|error| (error, number))
        };
        let lengths: Vec<u64> = match job.stages.is_empty() {
            true => vec![count_steps(&job.train, samples).map_err(|error| (error, 0))?],
            false => job.stages.iter().enumerate().map(length).collect::<std::result::Result<_, _>>()?,
        };
        if lengths.iter().sum::<u64>() > LONGEST {
            let message = format!("all stages together are at most {LONGEST} steps long");
            return Err((Error::Usage(message), lengths.len() - 1));
        }
        Ok(Stages { job, lengths, now: 0 })
    }

    /// The present stage; none in a job without stages.
    pub fn stage(&self) -> Option<&'a Stage> {
        self.job.stages.get(self.now)
    }

    /// Its steps.
    pub fn length(&self) -> u64 {
        self.lengths[self.now]
    }

    /// Steps of all later ones.
    pub fn later(&self) -> u64 {
        self.lengths[self.now + 1..].iter().sum()
    }

    /// All stages with their steps; one without settings of its own in a job without stages.
    pub fn all(&self) -> impl Iterator<Item = (Option<&'a Stage>, u64)> {
        let job = self.job;
        self.lengths.iter().enumerate().map(move |(number, &steps)| (job.stages.get(number), steps))
    }

    /// Whether another stage follows.
    pub fn has_next(&self) -> bool {
        self.now + 1 < self.lengths.len()
    }

    /// The number of stages.
    pub fn count(&self) -> usize {
        self.lengths.len()
    }

    /// The settings of the present stage, without layers that no longer exist in `graph`.
    pub fn settings(&self, graph: &Graph) -> Job {
        let mut job = self.stage().map_or_else(|| self.job.clone(), |stage| stage.settings(self.job));
        // A stage that is only surgery keeps the optimizer of the steps before it, whose state is carried
        // over.
        let before = (0..=self.now).rev().find(|&stage| self.lengths[stage] > 0);
        if let Some(stage) = before.and_then(|stage| self.job.stages.get(stage)) {
            job.optimizer = stage.optimizer.clone();
        }
        let exists = |name: &String| graph.find(name).is_some();
        let logits = |name: &String| name == "logits" || exists(name);
        for names in [&mut job.exchange.keep_float, &mut job.exchange.low_rank] {
            if names.iter().any(|name| name == "logits")
                && let Ok(Some(layer)) = graph.logits_layer()
            {
                names.push(layer.to_owned());
            }
            *names = with_halves(std::mem::take(names), graph);
            names.retain(logits);
        }
        job.optimizer.decay_layers = job.optimizer.decay_layers.map(|names| with_halves(names, graph));
        for names in [&mut job.force.layers, &mut job.smoothout.layers].into_iter().flatten() {
            *names = with_halves(std::mem::take(names), graph);
            names.retain(exists);
        }
        // Surgery has removed every layer that was to be perturbed.
        if job.smoothout.layers.as_ref().is_some_and(Vec::is_empty) {
            job.smoothout.a = 0.0;
        }
        for (name, factor) in job.sparsity.factors.clone() {
            for half in with_halves(vec![name], graph) {
                job.sparsity.factors.entry(half).or_insert(factor);
            }
        }
        job
    }
}

/// `names`, plus the first factors of those that were factorised: the settings of a layer apply to both
/// factors.
fn with_halves(mut names: Vec<String>, graph: &Graph) -> Vec<String> {
    let mut seen = 0;
    // A factor may have been factorised itself.
    while seen < names.len() {
        let halves = [Form::CrossFilter, Form::Separable].map(|form| form.first_name(&names[seen]));
        names.extend(halves.into_iter().filter(|half| graph.find(half).is_some()));
        seen += 1;
    }
    names
}

/// Refuses settings of `job` or of one of its stages that name layers which `graph`, the network before any
/// surgery, does not have. The error comes with the key to blame.
pub fn check(job: &Job, graph: &Graph) -> std::result::Result<(), (Error, String)> {
    let parameters = Parameters::new(graph).map_err(|error| (error, "model".to_owned()))?;
    if job.stages.is_empty() {
        let settings = (&job.optimizer, &job.sparsity, &job.force, &job.smoothout);
        return check_settings(settings, graph, &parameters).map_err(|(error, key)| (error, key.to_owned()));
    }
    for (number, stage) in job.stages.iter().enumerate() {
        let low_rank = stage.low_rank.as_ref().map_or(Ok(()), |request| low_rank::check(request, graph));
        let settings = (&stage.optimizer, &stage.sparsity, &stage.force, &stage.smoothout);
        check_settings(settings, graph, &parameters)
            .and_then(|()| low_rank.map_err(|error| (error, "low_rank")))
            .map_err(|(error, key)| (error, format!("stage[{number}].{key}")))?;
    }
    Ok(())
}

fn check_settings(
    (optimizer, sparsity, force, smoothout): (&job::Optimizer, &job::Sparsity, &job::Force, &job::SmoothOut),
    graph: &Graph,
    parameters: &Parameters,
) -> std::result::Result<(), (Error, &'static str)> {
    let at = |key: &'static str| move |error: Error| (error, key);
    check_decay_layers(optimizer, graph).map_err(at("optimizer.decay_layers"))?;
    GroupLasso::new(sparsity, graph, parameters).map_err(at("sparsity"))?;
    Force::new(force, graph, &parameters.table).map_err(at("force.layers"))?;
    SmoothOut::new(smoothout, graph, &parameters.table).map_err(at("smoothout"))?;
    Ok(())
}

/// The number of the stage `name` of `job`, which a stored run is in.
pub fn find(job: &Job, name: Option<&str>) -> std::result::Result<usize, String> {
    let names: Vec<&str> = job.stages.iter().map(|stage| stage.name.as_str()).collect();
    match name {
        None if names.is_empty() => Ok(0),
        None => {
            Err("belongs to a job without stages; use the job it was trained with, or start a new run".into())
        }
        Some(name) => names.iter().position(|other| *other == name).ok_or_else(|| {
            format!(
                "is in stage `{name}`, which the job does not have; use the job it was trained with, or \
                start a new run"
            )
        }),
    }
}
