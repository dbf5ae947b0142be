//! Buckets: gradients that are sent together, from the last layers to the first.

use std::ops::Range;

use ternflock_collectives::{Result, Transport, control};

use super::Agreed;
use super::average::Local;
use super::method::{Bytes, Key, Payload, ReductionPath, Share, State};
use super::plan::Group;
use ternflock_job as job;

/// A bucket: payloads of one or several methods, and the words that the ranks agree on for it.
pub struct Bucket {
    /// Its tensors, as messages name them.
    name: String,
    payloads: Vec<MethodPayload>,
    /// Reduced by maximum: the words of each payload, then [`STOP`] and [`NON_FINITE`].
    words: Vec<u32>,
}

/// The part of a bucket that one method averages.
struct MethodPayload {
    share: Share,
    payload: Box<dyn Payload>,
    /// The range of its words.
    words: Range<usize>,
}

/// Places of the two decisions, counted from the end of the words.
const STOP: usize = 2;
const NON_FINITE: usize = 1;

/// Number of values that the ranks agree on in addition to the words of payloads.
pub const DECISIONS: usize = STOP;

impl Bucket {
    /// The bucket of `group` for `world` ranks.
    pub fn new(group: Group<'_>, job: &job::Exchange, world: usize) -> Bucket {
        let (name, setup) = (group.name(), group.setup(job, world));
        let mut end = 0;
        let build = |(method, tensors): (_, Vec<_>)| {
            let share = Share::new(method, &tensors);
            let start = end;
            end += share.words();
            MethodPayload { share, payload: method.payload(tensors, &setup), words: start..end }
        };
        let payloads = group.parts.into_iter().map(build).collect();
        Bucket { name, payloads, words: vec![0; end + DECISIONS] }
    }

    /// Its tensors, as messages name them.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The share of each of its methods.
    pub fn shares(&self) -> impl Iterator<Item = &Share> {
        self.payloads.iter().map(|own| &own.share)
    }

    /// The state that its payloads keep from step to step.
    pub fn state(&self) -> impl Iterator<Item = State<'_>> {
        self.payloads.iter().flat_map(|own| own.payload.state())
    }

    /// The values of one state.
    pub fn state_mut(&mut self, slot: &str, tensor: usize) -> Option<&mut [f32]> {
        self.payloads.iter_mut().find_map(|own| own.payload.state_mut(slot, tensor))
    }

    /// The words that the ranks must agree on before anything is encoded.
    pub fn words(&mut self) -> &mut [u32] {
        &mut self.words
    }

    /// Computes this rank's words and decisions. With error feedback the residuals of earlier steps are added
    /// to the gradients.
    pub fn prepare(&mut self, key: &Key, local: Local, gradients: &mut [f32]) {
        let mut finite = !local.non_finite;
        for MethodPayload { payload, words, .. } in &mut self.payloads {
            finite &= payload.prepare(key, gradients, &mut self.words[words.clone()]);
        }
        let end = self.words.len();
        self.words[end - STOP] = u32::from(local.stop);
        // The maximum of these values identifies the lowest such rank.
        self.words[end - NON_FINITE] = if finite { 0 } else { (key.world - key.rank) as u32 };
    }

    /// The decision of the ranks, once the maximum has arrived.
    pub fn agreed(&self, world: usize) -> Agreed {
        let end = self.words.len();
        let non_finite = world - self.words[end - NON_FINITE] as usize;
        Agreed { stop: self.words[end - STOP] != 0, non_finite: (non_finite < world).then_some(non_finite) }
    }

    /// Encodes the gradients with the agreed words.
    pub fn encode(&mut self, key: &Key, gradients: &[f32]) {
        for MethodPayload { payload, words, .. } in &mut self.payloads {
            payload.encode(key, &self.words[words.clone()], gradients);
        }
    }

    /// Reduces the encoded gradients of all ranks.
    pub fn reduce(
        &mut self,
        transport: &mut dyn Transport,
        path: &ReductionPath,
        gradients: &[f32],
    ) -> Result<()> {
        self.payloads.iter_mut().try_for_each(|own| own.payload.reduce(transport, path, gradients))
    }

    /// Writes the means over the ranks.
    pub fn decode(&mut self, key: &Key, gradients: &mut [f32]) {
        for MethodPayload { payload, words, .. } in &mut self.payloads {
            payload.decode(key, &self.words[words.clone()], gradients);
        }
    }

    /// Bytes that `rank` sends for the bucket.
    pub fn bytes_sent(&self, path: &ReductionPath, rank: usize) -> Bytes {
        let agreed = control::max_traffic(self.words.len(), path.topology.world()).bytes_sent;
        let payloads = self.payloads.iter().map(|own| own.payload.bytes_sent(path, rank));
        payloads.chain([Bytes::Exact(agreed)]).sum()
    }

    /// Bytes that `rank` sends for the bucket in `steps`, exactly or at most.
    pub fn bytes_sent_in(&self, steps: &Range<u64>, path: &ReductionPath, rank: usize) -> u64 {
        let always = (steps.end - steps.start) * self.bytes_sent(path, rank).bound();
        self.payloads.iter().fold(always, |bytes, own| {
            let (begins, each) = own.payload.first_steps(path, rank);
            let first = begins.min(steps.end).saturating_sub(steps.start);
            bytes + first * each.bound() - first * own.payload.bytes_sent(path, rank).bound()
        })
    }

    /// Seconds that the last reduction has spent on encoding.
    pub fn computing(&self) -> f64 {
        self.payloads.iter().map(|own| own.payload.computing()).sum()
    }
}

/// Number of values that the ranks agree on for a bucket of `shares`: the words of its payloads, and the
/// decisions.
pub fn agreed_words(shares: &[Share]) -> usize {
    shares.iter().map(Share::words).sum::<usize>() + DECISIONS
}
