//! Inverted dropout (Srivastava et al., 2014): training scales up the elements that are kept, and evaluation
//! changes nothing.
//!
//! Letters: N samples, E elements per sample, T steps, F features; images `[E, N]`, vectors `[N, E]`,
//! sequences `[T, N, F]`, where a sample has T F elements.

use serde::{Deserialize, Serialize};

use super::{Example, Examples, VECTOR, single_numbers};
use crate::coupling::Coupling;
use crate::declare::WithoutMatrix;
use crate::layer::{Backward, BackwardReads, Describe, Draw, Forward, Layer, Mode};
use crate::{Execution, Shape};
use ternflock_base::rng::{Purpose, SIDE, Stream};
use ternflock_tensor::{Buffers, for_each_row, rows, rows_mut, vectorise};

/// Sets each element to zero with probability `rate` and divides the others by 1 - `rate`. Whether an element
/// is kept depends on the seed, the step, the sample's place in the global batch, the layer and the element,
/// but not on the rank.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// The probability of dropping an element, rounded to a 65536th.
    pub rate: f64,
}

/// An element is dropped if its 16 random bits are below this.
fn threshold(rate: f64) -> u32 {
    (rate * f64::from(1 << 16)).round() as u32
}

impl Examples for Dropout {
    const EXAMPLES: &'static [Example] =
        &[Example { table: r#"{"type": "dropout", "rate": 0.5}"#, inputs: &[VECTOR] }];
}

impl WithoutMatrix for Dropout {}

impl Describe for Dropout {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        if !(0.0..1.0).contains(&self.rate) || threshold(self.rate) > u32::from(u16::MAX) {
            return Err(format!("rate = {} must be at least 0 and below 1", self.rate));
        }
        single_numbers(inputs)
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        Ok(Coupling::unit_by_unit())
    }

    fn build(
        &self,
        inputs: &[Shape],
        Execution { batch, .. }: Execution,
        buffers: &mut Buffers,
    ) -> Result<Box<dyn Layer>, String> {
        let shape = single_numbers(inputs)?;
        let threshold = threshold(self.rate);
        let scale = (f64::from(1 << 16) / f64::from((1 << 16) - threshold)) as f32;
        let mask = buffers.zeros(&[shape.elements(), batch])?;
        Ok(Box::new(Mask { shape, threshold, scale, mask, drops: false }))
    }
}

struct Mask {
    shape: Shape,
    threshold: u32,
    /// 1 / the probability of keeping an element.
    scale: f32,
    /// 1 for each element that the last training step kept, 0 for the others.
    mask: Vec<u8>,
    /// Whether the last pass dropped elements; false in evaluation.
    drops: bool,
}

/// Number of elements that one block of the generator decides.
const BLOCK: usize = 8;

impl Mask {
    fn draw(&mut self, draw: Draw, layer: usize, n: usize) {
        let Draw { seed, step, first_sample } = draw;
        let stream = |sample: usize| Stream {
            seed,
            purpose: Purpose::Dropout,
            step,
            subject: (first_sample + sample) as u32,
            tensor: layer as u16,
        };
        let threshold = self.threshold;
        let mask = &mut self.mask[..self.shape.elements() * n];
        match self.shape {
            // The elements of a block, for all samples.
            Shape::Image { .. } => for_each_row(rows_mut(mask, BLOCK * n), |block, mask| {
                for sample in 0..n {
                    let keep = keep(&stream(sample), block, threshold);
                    mask[sample..].iter_mut().step_by(n).zip(keep).for_each(|(mask, keep)| *mask = keep);
                }
            }),
            // One row of a sample.
            shape => {
                let width =
                    if let Shape::Sequence { features, .. } = shape { features } else { shape.elements() };
                for_each_row(rows_mut(mask, width), |row, mask| {
                    let (stream, first) = (stream(row % n), row / n * width);
                    vectorise(
                        #[inline(always)]
                        || draw_row(&stream, first, threshold, mask),
                    );
                });
            }
        }
    }

    /// `to` = scaled `from` where it is kept, and 0 elsewhere.
    fn apply(&self, from: &[f32], to: &mut [f32]) {
        let (mask, scale) = (&self.mask[..from.len()], self.scale);
        for_each_row((rows(from, WIDTH), rows(mask, WIDTH), rows_mut(to, WIDTH)), |_, (from, mask, to)| {
            vectorise(
                #[inline(always)]
                || {
                    for ((to, from), &mask) in to.iter_mut().zip(from).zip(mask) {
                        *to = from * (scale * f32::from(mask));
                    }
                },
            );
        });
    }
}

/// Number of elements that a thread processes at a time.
const WIDTH: usize = 16 * 1024;

/// The decisions for elements `BLOCK * block ..` of a sample.
#[inline]
fn keep(stream: &Stream, block: usize, threshold: u32) -> [u8; BLOCK] {
    let words = stream.block(block as u32);
    std::array::from_fn(|i| u8::from(words[i / 2] >> (i % 2 * 16) & 0xFFFF >= threshold))
}

/// The decisions for the elements of a sample from `first` on, drawn [`SIDE`] blocks at a time.
#[inline(always)]
fn draw_row(stream: &Stream, first: usize, threshold: u32, mask: &mut [u8]) {
    let end = first + mask.len();
    for block in (first / BLOCK..end.div_ceil(BLOCK)).step_by(SIDE) {
        let keep = keep_side_by_side(stream, block, threshold);
        let begin = block * BLOCK;
        let (from, to) = (first.max(begin), end.min(begin + keep.len()));
        mask[from - first..to - first].copy_from_slice(&keep[from - begin..to - begin]);
    }
}

/// [`keep`] of the blocks `block`, `block + 1`, ...: [`SIDE`] of them, one after another.
#[inline(always)]
fn keep_side_by_side(stream: &Stream, block: usize, threshold: u32) -> [u8; SIDE * BLOCK] {
    let words = stream.side_by_side(block as u32);
    // One number per block, whose bytes are the decisions.
    let mut packed = [0u64; SIDE];
    for element in 0..BLOCK {
        let (words, shift) = (&words[element / 2], element % 2 * 16);
        for (packed, word) in packed.iter_mut().zip(words) {
            *packed |= u64::from(word >> shift & 0xFFFF >= threshold) << (8 * element);
        }
    }
    let mut keep = [0; SIDE * BLOCK];
    for (keep, packed) in keep.as_chunks_mut::<BLOCK>().0.iter_mut().zip(packed) {
        *keep = packed.to_le_bytes();
    }
    keep
}

impl Layer for Mask {
    fn forward(&mut self, pass: Forward<'_>) {
        self.drops = matches!(pass.mode, Mode::Train(_));
        match pass.mode {
            Mode::Train(draw) => {
                self.draw(draw, pass.layer, pass.batch);
                self.apply(pass.x.get(0), pass.y);
            }
            Mode::Evaluate => pass.y.copy_from_slice(pass.x.get(0)),
        }
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        match pass.dx.get(0) {
            Some(dx) if self.drops => self.apply(pass.dy, dx),
            Some(dx) => dx.copy_from_slice(pass.dy),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::{Graph, Network};

    const DRAW: Draw = Draw { seed: 7, step: 3, first_sample: 0 };

    /// Dropout of ones: the factor of each element of each sample, `[N][E]`.
    fn factors(input: Shape, rate: f64, draw: Draw, batch: usize, layer: usize) -> Vec<Vec<f32>> {
        let table: Map<String, Value> =
            serde_json::from_value(json!({"type": "dropout", "rate": rate})).unwrap();
        let before = (0..layer).map(|_| serde_json::from_value(json!({"type": "relu"})).unwrap());
        let graph = Graph::from_tables(input, before.chain([table])).unwrap();
        let mut network = Network::new(graph, Execution::float32(batch)).unwrap();
        network.input_mut(batch).fill(1.0);
        let y = network.forward(batch, Mode::Train(draw)).to_vec();
        let at = |n: usize, e: usize| match input {
            Shape::Image { .. } => e * batch + n,
            Shape::Sequence { features, .. } => (e / features * batch + n) * features + e % features,
            _ => n * input.elements() + e,
        };
        (0..batch).map(|n| (0..input.elements()).map(|e| y[at(n, e)]).collect()).collect()
    }

    const IMAGE: Shape = Shape::Image { channels: 3, height: 5, width: 7 };
    const VECTOR: Shape = Shape::Vector { features: 105 };
    const SEQUENCE: Shape = Shape::Sequence { steps: 5, features: 21 };

    /// A sample gets the same mask in every part of the batch and in every shape.
    #[test]
    fn a_mask_belongs_to_a_sample() {
        let all = factors(IMAGE, 0.3, DRAW, 7, 0);
        for shape in [IMAGE, VECTOR, SEQUENCE] {
            for part in [0..7, 0..3, 3..7, 6..7] {
                let draw = Draw { first_sample: part.start, ..DRAW };
                assert_eq!(factors(shape, 0.3, draw, part.len(), 0), all[part.clone()], "{shape} {part:?}");
            }
        }
        assert_ne!(all[0], all[1]);
    }

    /// Rows that begin and end within blocks, and rows of more blocks than are drawn side by side.
    #[test]
    fn blocks_side_by_side_decide_like_one_block() {
        let stream = Stream { seed: 7, purpose: Purpose::Dropout, step: 3, subject: 5, tensor: 2 };
        for first in [0, 1, 7, 8, 650, 1300] {
            for width in [1, 7, 8, 9, 127, 128, 129, 650] {
                let mut mask = vec![2; width];
                draw_row(&stream, first, threshold(0.3), &mut mask);
                let expected = (first..first + width)
                    .map(|element| keep(&stream, element / BLOCK, threshold(0.3))[element % BLOCK]);
                assert_eq!(mask, expected.collect::<Vec<_>>(), "{first} {width}");
            }
        }
    }

    #[test]
    fn seed_step_and_layer_change_it() {
        let one = factors(VECTOR, 0.5, DRAW, 1, 0);
        assert_ne!(factors(VECTOR, 0.5, Draw { step: 4, ..DRAW }, 1, 0), one);
        assert_ne!(factors(VECTOR, 0.5, Draw { seed: 8, ..DRAW }, 1, 0), one);
        assert_ne!(factors(VECTOR, 0.5, DRAW, 1, 1), one);
    }

    /// The share that is kept lies within 5 standard errors of the requested one, and kept elements are
    /// scaled by its inverse.
    #[test]
    fn as_many_are_kept_as_asked_for() {
        for rate in [0.0, 0.2, 0.5, 0.65] {
            let factors = factors(Shape::Vector { features: 10_000 }, rate, DRAW, 10, 0).concat();
            let kept: Vec<f32> = factors.iter().copied().filter(|&factor| factor != 0.0).collect();
            let (share, n) = (kept.len() as f64 / factors.len() as f64, factors.len() as f64);
            assert!(
                (share - (1.0 - rate)).abs() <= 5.0 * (rate * (1.0 - rate) / n).sqrt(),
                "{rate}: {share}"
            );
            // The rate is rounded to a 65536th.
            let scale = 1.0 / (1.0 - rate);
            assert!(kept.iter().all(|&factor| (f64::from(factor) / scale - 1.0).abs() < 5e-5), "{rate}");
        }
    }

    #[test]
    fn evaluation_changes_nothing() {
        let table: Map<String, Value> =
            serde_json::from_value(json!({"type": "dropout", "rate": 0.5})).unwrap();
        let mut network =
            Network::new(Graph::from_tables(VECTOR, [table]).unwrap(), Execution::float32(2)).unwrap();
        let x: Vec<f32> = (0..210).map(|i| i as f32).collect();
        network.input_mut(2).copy_from_slice(&x);
        assert_eq!(network.forward(2, Mode::Evaluate), x);
    }

    /// Also after a training step, whose mask belongs to another pass.
    #[test]
    fn the_gradient_of_evaluation_is_whole() {
        let tables: Vec<Map<String, Value>> = serde_json::from_value(json!([
            {"type": "linear", "units": 105}, {"type": "dropout", "rate": 0.5},
        ]))
        .unwrap();
        let mut network =
            Network::new(Graph::from_tables(VECTOR, tables).unwrap(), Execution::float32(2)).unwrap();
        network.input_mut(2).fill(1.0);
        let mut bias = |mode| {
            network.forward(2, mode);
            network.output_and_gradient().1.fill(1.0);
            network.backward(2);
            network.parameters.gradients[network.parameters.table[1].range.clone()].to_vec()
        };
        assert!(bias(Mode::Train(DRAW)).contains(&0.0));
        assert_eq!(bias(Mode::Evaluate), [2.0; 105]);
    }

    #[test]
    fn rates_that_leave_nothing_are_refused() {
        for rate in [-0.1, 1.0, 0.999999, f64::NAN] {
            assert!(Dropout { rate }.output(&[VECTOR]).unwrap_err().contains("rate"), "{rate}");
        }
    }
}
