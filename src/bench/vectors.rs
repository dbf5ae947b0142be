//! The vectors on which all-reduces are measured.

use ternflock_job as job;
use ternflock_train::method::{Key, Method, Payload, Setup, Tensor, squarest};
use xxhash_rust::xxh3::xxh3_64;

use super::contender::Contender;
use super::{CLIP_SIGMA, gradient};

/// The vector that a rank averages, and buffers for the results.
pub struct Vectors {
    key: Key,
    job: job::Exchange,
    /// This rank's gradient.
    pub values: Vec<f32>,
    /// The mean over ranks.
    pub result: Vec<f32>,
    compressed: Vec<Compressed>,
}

/// The vector in the form in which a method sends it.
pub struct Compressed {
    method: &'static dyn Method,
    /// The words that the ranks agree on.
    pub words: Vec<u32>,
    /// The method's buffers.
    pub payload: Box<dyn Payload>,
}

impl Vectors {
    /// Vectors of `elements` elements for `rank` of `world` ranks and for `contenders`.
    pub fn new(elements: usize, rank: usize, world: usize, contenders: &[Contender]) -> Vectors {
        let job = job::Exchange { clip_sigma: CLIP_SIGMA.into(), ..job::Exchange::default() };
        let mut values = Vec::new();
        gradient(elements, rank, &mut values);
        let mut compressed = Vec::<Compressed>::new();
        for contender in contenders {
            let Some(averaging) = contender.ours() else { continue };
            if compressed.iter().all(|of| of.method != averaging.method) {
                compressed.push(Compressed::new(averaging.method, elements, &job, world));
            }
        }
        let (key, result) = (Key { seed: 0, step: 0, rank, world }, values.clone());
        Vectors { key, job, values, result, compressed }
    }

    /// The key of this rank's random numbers, the vector in the form in which `method` sends it, and the
    /// gradients.
    pub fn parts(&mut self, method: &'static dyn Method) -> Option<(&Key, &mut Compressed, &mut [f32])> {
        let compressed = self.compressed.iter_mut().find(|of| of.method == method)?;
        Some((&self.key, compressed, &mut self.result))
    }

    /// Averaging starts from the values.
    pub fn reset(&mut self) {
        self.result.copy_from_slice(&self.values);
    }

    /// The computation of `method` without the reduction, with the words of this rank instead of those of all
    /// ranks.
    pub fn run_codec(&mut self, method: &'static dyn Method) {
        let Some((key, Compressed { words, payload, .. }, gradients)) = self.parts(method) else { return };
        payload.prepare(key, gradients, words);
        payload.encode(key, words, gradients);
        payload.decode(key, words, gradients);
    }

    /// Every averaging is a first step, so that its result can be checked.
    pub fn forget(&mut self) {
        self.compressed.iter_mut().for_each(Compressed::forget);
    }

    /// Computes the mean from the reduced payload of `method`.
    pub fn decode(&mut self, method: &'static dyn Method) {
        if let Some((key, Compressed { words, payload, .. }, gradients)) = self.parts(method) {
            payload.decode(key, words, gradients);
        }
    }

    /// Divides the sum of all ranks' values to get their mean.
    pub fn divide(&mut self) {
        let share = 1.0 / self.key.world as f32;
        self.result.iter_mut().for_each(|value| *value *= share);
    }

    /// The check of the result.
    pub fn hash(&self) -> u64 {
        xxh3_64(bytemuck::cast_slice(&self.result))
    }

    /// Whether the result is the correct mean of all ranks' values for `contender`.
    pub fn is_right(&self, contender: Contender) -> bool {
        let values_of = |rank: usize, values: &mut Vec<f32>| gradient(self.values.len(), rank, values);
        contender.method().is_mean(&self.result, &self.job, &self.key, &values_of)
    }
}

impl Compressed {
    fn new(method: &'static dyn Method, elements: usize, job: &job::Exchange, world: usize) -> Compressed {
        let tensor = Tensor {
            number: 0,
            range: 0..elements,
            shape: squarest(elements).into(),
            sparse_rows: false,
            row_scales: false,
        };
        let words = vec![0; method.words(std::slice::from_ref(&tensor.shape))];
        let payload = method.payload(vec![tensor], &Setup { job, bucket_elements: elements, world });
        Compressed { method, words, payload }
    }

    /// Forgets what the method keeps from step to step: the next one is a first step.
    pub fn forget(&mut self) {
        let kept: Vec<_> = self.payload.state().iter().map(|state| (state.slot, state.tensor)).collect();
        for (slot, tensor) in kept {
            if let Some(values) = self.payload.state_mut(slot, tensor) {
                values.fill(0.0);
            }
        }
    }
}
