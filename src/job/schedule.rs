//! `[schedule]`: how the learning rate changes from step to step.

use serde::Serialize;
use toml::Value;

use super::read::Section;
use super::value::{FromValue, Rule, choose};

/// The section `[schedule]`: the learning rate of step `t` (from 0) of a run of `T` steps that starts at `lr`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Schedule {
    /// `lr`.
    #[default]
    Fixed,
    /// `lr * gamma^floor(t / every)`.
    Step {
        /// The factor.
        gamma: f64,
        /// Steps from one factor to the next.
        every: u64,
    },
    /// `lr * gamma^m`, where `m` milestones are at most `t`.
    Multistep {
        /// The factor.
        gamma: f64,
        /// The steps, ascending, from which on one more factor holds.
        milestones: Vec<u64>,
    },
    /// `lr * (1 - t / T)^power`: zero at the end.
    Polynomial {
        /// The exponent.
        power: f64,
    },
    /// `lr * (1 + gamma * t)^-power`.
    Inv {
        /// The factor of the step.
        gamma: f64,
        /// The exponent.
        power: f64,
    },
}

/// The name of a schedule, which decides what other keys it has.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Fixed,
    Step,
    Multistep,
    Polynomial,
    Inv,
}

const KINDS: [(&str, Kind); 5] = [
    ("fixed", Kind::Fixed),
    ("step", Kind::Step),
    ("multistep", Kind::Multistep),
    ("polynomial", Kind::Polynomial),
    ("inv", Kind::Inv),
];

/// The kinds that each key belongs to.
const OWNERS: [(&str, &[Kind]); 4] = [
    ("gamma", &[Kind::Step, Kind::Multistep, Kind::Inv]),
    ("every", &[Kind::Step]),
    ("milestones", &[Kind::Multistep]),
    ("power", &[Kind::Polynomial, Kind::Inv]),
];

impl FromValue for Kind {
    fn from_value(value: &Value) -> Result<Self, String> {
        choose(value, &KINDS)
    }
}

impl Schedule {
    pub(super) fn read(section: &mut Section) -> Self {
        let kind = section.take("kind", &Rule::ANY);
        OWNERS.iter().for_each(|(key, _)| section.know(key));
        // Of a kind that is none, no key can be said to be wrong.
        let Ok(kind) = kind else { return Schedule::default() };
        let kind = kind.unwrap_or(Kind::Fixed);
        refuse_keys_of_others(section, kind);
        match kind {
            Kind::Fixed => Schedule::Fixed,
            Kind::Step => Schedule::Step {
                gamma: section.or("gamma", 0.1, &Rule::POSITIVE),
                every: section.required("every", &Rule::<u64>::SOME),
            },
            Kind::Multistep => Schedule::Multistep {
                gamma: section.or("gamma", 0.1, &Rule::POSITIVE),
                milestones: section.required(
                    "milestones",
                    &Rule::new("one or more steps, ascending", |steps: &Vec<u64>| ascending(steps)),
                ),
            },
            Kind::Polynomial => Schedule::Polynomial { power: section.or("power", 1.0, &Rule::POSITIVE) },
            Kind::Inv => Schedule::Inv {
                gamma: section.or("gamma", 0.0001, &Rule::POSITIVE),
                power: section.or("power", 0.75, &Rule::POSITIVE),
            },
        }
    }
}

fn refuse_keys_of_others(section: &mut Section, kind: Kind) {
    let name = |kind: Kind| KINDS.iter().find(|(_, other)| *other == kind).map_or("", |(name, _)| *name);
    for (key, owners) in OWNERS {
        if section.has(key) && !owners.contains(&kind) {
            let owners: Vec<String> = owners.iter().map(|&owner| format!("\"{}\"", name(owner))).collect();
            let (owners, kind) = (owners.join(", "), name(kind));
            section.refuse(
                key,
                format!("schedule.{key} belongs to kind = {owners}; this schedule is \"{kind}\""),
            );
        }
    }
}

fn ascending(milestones: &[u64]) -> bool {
    milestones.first().is_some_and(|&first| first > 0)
        && milestones.is_sorted_by(|earlier, later| earlier < later)
}
