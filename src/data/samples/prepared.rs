//! Samples that are prepared as they are read.

use std::sync::Arc;

use super::scale::features;
use super::{Facts, Preparation, Samples, Scale};
use ternflock_base::error::{Error, Result};
use ternflock_nn::{Shape, TargetKind, Targets};
use xxhash_rust::xxh3::xxh3_64;

/// Samples with a preparation.
pub(super) struct Prepared {
    samples: Arc<dyn Samples>,
    inputs: Option<Scale>,
    targets: Option<Scale>,
    /// The standard deviations of the targets.
    target_scale: Option<Vec<f32>>,
    class_names: Vec<String>,
    hash: u64,
}

impl Prepared {
    /// `samples`, as `preparation` says.
    pub fn new(samples: Arc<dyn Samples>, preparation: &Preparation) -> Result<Prepared> {
        let Preparation { inputs, targets, class_names } = preparation.clone();
        let values = match samples.target() {
            TargetKind::Values(values) => values,
            TargetKind::Class(_) => 0,
        };
        let fits = |scale: &Option<Scale>, count: usize| {
            scale.as_ref().is_none_or(|scale| scale.mean.len() == count && scale.std.len() == count)
        };
        let (channels, _) = features(samples.input());
        if !fits(&inputs, channels) || !fits(&targets, values) {
            return Err(Error::Usage(format!(
                "the data are {} with {}, but the network was trained on data with other features or targets",
                samples.input().described(),
                samples.target().described()
            )));
        }
        let target_scale = targets.as_ref().map(|scale| scale.std.iter().map(|&std| std as f32).collect());
        let hash = xxh3_64(preparation.to_json().as_bytes());
        Ok(Prepared { samples, inputs, targets, target_scale, class_names, hash })
    }
}

impl Samples for Prepared {
    fn input(&self) -> Shape {
        self.samples.input()
    }

    fn target(&self) -> TargetKind {
        self.samples.target()
    }

    fn len(&self) -> usize {
        self.samples.len()
    }

    fn read(&self, numbers: &[usize], inputs: &mut [f32], targets: &mut Targets) -> Result<()> {
        self.samples.read(numbers, inputs, targets)?;
        let (_, run) = features(self.input());
        self.inputs.iter().for_each(|scale| scale.apply(run, inputs));
        self.targets.iter().for_each(|scale| scale.apply(1, &mut targets.values));
        Ok(())
    }

    fn labels(&self) -> Option<Vec<usize>> {
        self.samples.labels()
    }

    fn class_names(&self) -> Option<&[String]> {
        match self.class_names.is_empty() {
            true => self.samples.class_names(),
            false => Some(&self.class_names),
        }
    }

    fn remarks(&self) -> Vec<String> {
        self.samples.remarks()
    }

    fn target_scale(&self) -> Option<&[f32]> {
        self.target_scale.as_deref()
    }

    fn hash(&self) -> u64 {
        xxh3_64(bytemuck::cast_slice(&[self.samples.hash(), self.hash]))
    }

    fn facts(&self) -> Facts {
        let mut facts = self.samples.facts();
        facts.push(("preparation", format!("{:016x}", self.hash)));
        facts
    }
}
