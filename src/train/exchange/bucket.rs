//! Gradients that travel together: the last layers', then those before them.

use std::ops::Range;

use ternflock_collectives::{Result, Transport, control};

use super::Agreed;
use super::average::Local;
use super::method::{Bytes, Key, Payload, ReductionPath, Share, State};
use super::plan::Group;
use ternflock_job as job;

/// A bucket: payloads of one or several methods, and the words that its ranks agree on.
pub struct Bucket {
    /// Its tensors, as messages name them.
    name: String,
    payloads: Vec<MethodPayload>,
    /// Reduced by maximum: those of each payload, then [`STOP`] and [`NON_FINITE`].
    words: Vec<u32>,
}

/// What one method averages of a bucket.
struct MethodPayload {
    share: Share,
    payload: Box<dyn Payload>,
    /// Where its words are.
    words: Range<usize>,
}

/// Places of the two decisions, counted from the end of the words.
const STOP: usize = 2;
const NON_FINITE: usize = 1;

/// Values that are agreed on in addition to the words of payloads.
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

    /// What each of its methods averages.
    pub fn shares(&self) -> impl Iterator<Item = &Share> {
        self.payloads.iter().map(|own| &own.share)
    }

    /// What its payloads keep from step to step.
    pub fn state(&self) -> impl Iterator<Item = State<'_>> {
        self.payloads.iter().flat_map(|own| own.payload.state())
    }

    /// The values of one state.
    pub fn state_mut(&mut self, slot: &str, tensor: usize) -> Option<&mut [f32]> {
        self.payloads.iter_mut().find_map(|own| own.payload.state_mut(slot, tensor))
    }

    /// What is to be agreed before anything is encoded.
    pub fn words(&mut self) -> &mut [u32] {
        &mut self.words
    }

    /// This rank's words and decisions. With error feedback the gradients become what is to be sent: themselves and what
    /// the last steps have left.
    pub fn prepare(&mut self, key: &Key, local: Local, gradients: &mut [f32]) {
        let mut finite = !local.non_finite;
        for MethodPayload { payload, words, .. } in &mut self.payloads {
            finite &= payload.prepare(key, gradients, &mut self.words[words.clone()]);
        }
        let end = self.words.len();
        self.words[end - STOP] = u32::from(local.stop);
        // The maximum of these is that of the lowest rank.
        self.words[end - NON_FINITE] = if finite { 0 } else { (key.world - key.rank) as u32 };
    }

    /// What the ranks have decided, once the maximum is here.
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

    /// Combines what was encoded on all ranks.
    pub fn reduce(
        &mut self,
        transport: &mut dyn Transport,
        path: &ReductionPath,
        gradients: &[f32],
    ) -> Result<()> {
        self.payloads.iter_mut().try_for_each(|own| own.payload.reduce(transport, path, gradients))
    }

    /// The means over the ranks.
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
}

/// Values that the ranks agree on for a bucket of `shares`: words of its payloads, and decisions.
pub fn agreed_words(shares: &[Share]) -> usize {
    shares.iter().map(Share::words).sum::<usize>() + DECISIONS
}
