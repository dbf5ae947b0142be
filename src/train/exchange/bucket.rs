//! Buckets: gradients that are sent together, from the last layers to the first.

use std::ops::Range;

use ternflock_collectives::control::Reduction;
use ternflock_collectives::transport::Lane;
use ternflock_collectives::{Error, Result, Transport, control};

use super::Agreed;
use super::average::Local;
use super::method::{Bytes, Key, Method, Payload, ReductionPath, Share, State};
use super::plan::Group;
use super::rows::SparseTensor;
use ternflock_job as job;

/// A bucket: payloads of one or several methods, and the words that the ranks agree on for it.
pub struct Bucket {
    /// Its tensors, as messages name them.
    name: String,
    payloads: Vec<MethodPayload>,
    /// First the words that are reduced by maximum: those of each payload, then the scales of rows, then [`STOP`] and
    /// [`NON_FINITE`]. Then the bitmaps of sparse tensors, which are reduced by bitwise or.
    words: Vec<u32>,
    /// Number of words that are reduced by maximum.
    maxima: usize,
    /// The range of the scales of rows, most of which are 0.
    row_scales: Range<usize>,
}

/// The part of a bucket that one method averages.
struct MethodPayload {
    share: Share,
    payload: Box<dyn Payload>,
    /// The range of its words.
    words: Range<usize>,
    /// The range of its scales of rows.
    row_scales: Range<usize>,
    /// The tensors of which only some rows travel, each with the range of its bitmap among the words.
    sparse: Vec<(SparseTensor, Range<usize>)>,
}

/// Places of the two decisions, counted from the end of the maxima.
const STOP: usize = 2;
const NON_FINITE: usize = 1;

/// Number of values that the ranks agree on in addition to the words of payloads.
pub const DECISIONS: usize = STOP;

impl Bucket {
    /// The bucket of `group` for `world` ranks.
    pub fn new(mut group: Group<'_>, job: &job::Exchange, world: usize) -> Bucket {
        let (name, parts) = (group.name(), std::mem::take(&mut group.parts));
        let setup = group.setup(job, world);
        let mut end = 0;
        let mut take = |words: usize| {
            end += words;
            end - words..end
        };
        let build = |(method, tensors): (&'static dyn Method, Vec<_>)| {
            let share = Share::new(method, &tensors);
            let all = if method.takes_rows() { &tensors[..] } else { &[] };
            let sparse = SparseTensor::of(all, |tensor| group.name_of(tensor));
            let sparse = sparse.into_iter().map(|tensor| (tensor, 0..0)).collect();
            let words = take(share.words());
            MethodPayload { share, payload: method.payload(tensors, &setup), words, row_scales: 0..0, sparse }
        };
        let mut payloads: Vec<_> = parts.into_iter().map(build).collect();
        let start = take(0).end;
        payloads.iter_mut().for_each(|own| own.row_scales = take(own.payload.row_scales().len()));
        let row_scales = start..take(0).end;
        let maxima = take(DECISIONS).end;
        let sparse = payloads.iter_mut().flat_map(|own| &mut own.sparse);
        sparse.for_each(|(tensor, bitmap)| *bitmap = take(tensor.words()));
        Bucket { name, payloads, words: vec![0; end], maxima, row_scales }
    }

    /// Its tensors, as messages name them.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The share of each of its methods.
    pub fn shares(&self) -> impl Iterator<Item = &Share> {
        self.payloads.iter().map(|own| &own.share)
    }

    /// From now on a step of all ranks reads at most `most` rows of a table.
    pub fn bound_rows(&mut self, most: usize) {
        self.payloads.iter_mut().for_each(|own| own.payload.bound_rows(most));
    }

    /// The state that its payloads keep from step to step.
    pub fn state(&self) -> impl Iterator<Item = State<'_>> {
        self.payloads.iter().flat_map(|own| own.payload.state())
    }

    /// The values of one state.
    pub fn state_mut(&mut self, slot: &str, tensor: usize) -> Option<&mut [f32]> {
        self.payloads.iter_mut().find_map(|own| own.payload.state_mut(slot, tensor))
    }

    /// The words that the ranks must agree on before anything is encoded. [`Bucket::reduction`]
    /// reduces them.
    pub fn words(&mut self) -> &mut [u32] {
        &mut self.words
    }

    /// The reduction of these words in `lane`.
    pub fn reduction(&self, lane: Lane) -> Reduction {
        Reduction::new(lane, self.maxima).with_sparse(self.row_scales.start, self.row_scales.len())
    }

    /// Computes this rank's words and decisions, and marks the rows in which it has a gradient. With error feedback the
    /// residuals of earlier steps are added to the gradients.
    pub fn prepare(&mut self, key: &Key, local: Local, gradients: &mut [f32]) {
        let mut finite = !local.non_finite;
        for MethodPayload { payload, words, row_scales, sparse, .. } in &mut self.payloads {
            // Residuals do not count here: they wait until a step reads their row.
            for (tensor, bitmap) in sparse {
                tensor.mark(gradients, &mut self.words[bitmap.clone()]);
            }
            finite &= payload.prepare(key, gradients, &mut self.words[words.clone()]);
            self.words[row_scales.clone()].copy_from_slice(payload.row_scales());
        }
        let end = self.maxima;
        self.words[end - STOP] = u32::from(local.stop);
        // The maximum of these values identifies the lowest such rank.
        self.words[end - NON_FINITE] = if finite { 0 } else { (key.world - key.rank) as u32 };
    }

    /// The decision of the ranks, once the words are reduced.
    ///
    /// # Errors
    /// [`Error::Invalid`] if they name a rank or a row that does not exist.
    pub fn agreed(&mut self, key: &Key) -> Result<Agreed> {
        let end = self.maxima;
        for (tensor, bitmap) in self.payloads.iter_mut().flat_map(|own| &mut own.sparse) {
            tensor.collect(key.rank, &self.words[bitmap.clone()])?;
        }
        let behind = self.words[end - NON_FINITE] as usize;
        let invalid = || {
            let what = format!("a rank {behind} before the end of {} as not finite", key.world);
            Error::Invalid { rank: key.rank, what }
        };
        let non_finite = key.world.checked_sub(behind).ok_or_else(invalid)?;
        let non_finite = (non_finite < key.world).then_some(non_finite);
        Ok(Agreed { stop: self.words[end - STOP] != 0, non_finite })
    }

    /// Encodes the gradients with the agreed words, of sparse tensors only the agreed rows.
    pub fn encode(&mut self, key: &Key, gradients: &[f32]) {
        for MethodPayload { payload, words, row_scales, sparse, .. } in &mut self.payloads {
            payload.row_scales().copy_from_slice(&self.words[row_scales.clone()]);
            sparse.iter().for_each(|(tensor, _)| payload.set_rows(tensor.place, tensor.active()));
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
        let (words, world) = (self.words.len(), path.topology.world());
        let agreed = match self.row_scales.len() {
            0 => Bytes::Exact(control::max_traffic(words, world).bytes_sent),
            sparse => Bytes::AtMost(control::sparse_max_traffic(words, sparse, world).bytes_sent),
        };
        let payloads = self.payloads.iter().map(|own| own.payload.bytes_sent(path, rank));
        payloads.chain([agreed]).sum()
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

/// Number of values that the ranks agree on for a bucket of `shares`: the words of its payloads, the decisions, and the
/// bitmaps of rows.
pub fn agreed_words(shares: &[Share]) -> usize {
    shares.iter().map(Share::agreed_words).sum::<usize>() + DECISIONS
}
