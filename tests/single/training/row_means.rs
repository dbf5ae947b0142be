//! An averaging method that only tests use: it sends the mean of each row of a tensor, in float32, as the
//! difference from the mean that the ranks decoded last. Error feedback keeps the rest. A tensor that is zero
//! on all ranks is not sent.

use ternflock::job;
use ternflock::report::Phases;
use ternflock::train::method::{
    Bytes, Key, Method, Payload, RESIDUAL, ReductionPath, Setup, State, Tensor, VirtualRanks,
};
use ternflock_collectives::all_reduce::{Algorithm, ring_f32};
use ternflock_collectives::cost::Costs;
use ternflock_collectives::{Result, Transport};

#[derive(Clone, Copy, Debug)]
pub struct RowMeans {
    /// The checkpoint slot of the means decoded last.
    pub slot: &'static str,
}

/// The method with a slot of its own.
pub const ROW_MEANS: RowMeans = RowMeans { slot: "last_means" };

/// The first dimension.
fn rows(shape: &[usize]) -> usize {
    shape.first().copied().unwrap_or(1)
}

fn all_rows(shapes: &[Vec<usize>]) -> usize {
    shapes.iter().map(|shape| rows(shape)).sum()
}

impl Method for RowMeans {
    fn name(&self) -> &'static str {
        "row_means"
    }

    fn label(&self, _: Algorithm) -> &'static str {
        "row_means_f32"
    }

    fn is_lossless(&self) -> bool {
        false
    }

    fn payload(&self, tensors: Vec<Tensor>, setup: &Setup) -> Box<dyn Payload> {
        let rows: Vec<[usize; 1]> = tensors.iter().map(|tensor| [rows(&tensor.shape)]).collect();
        Box::new(Rows {
            slot: self.slot,
            last: rows.iter().map(|[rows]| vec![0.0; *rows]).collect(),
            rows,
            tensors,
            differences: Vec::new(),
            sent: Vec::new(),
            residual: vec![0.0; setup.bucket_elements],
        })
    }

    fn state_elements(&self, tensors: &[Tensor], setup: &Setup) -> usize {
        setup.bucket_elements + tensors.iter().map(|tensor| rows(&tensor.shape)).sum::<usize>()
    }

    fn words(&self, shapes: &[Vec<usize>]) -> usize {
        shapes.len()
    }

    fn seconds(&self, shapes: &[Vec<usize>], costs: &Costs, path: &ReductionPath) -> f64 {
        costs.float32(path.topology, all_rows(shapes))
    }

    fn rehearse(&self, shapes: &[Vec<usize>], _: Algorithm, ranks: &VirtualRanks) -> Result<Phases> {
        let mut means = vec![0.0; all_rows(shapes)];
        let exchange = ranks.longest(1.0, ranks.costs().add_floats, |transport| {
            ring_f32::sum(transport, ring_f32::SEGMENT, &mut means)
        })?;
        Ok(Phases { exchange, ..Phases::default() })
    }

    fn predicted_bytes(&self, shapes: &[Vec<usize>], path: &ReductionPath, rank: usize) -> u64 {
        let world = path.topology.world();
        ring_f32::traffic(ring_f32::SEGMENT, all_rows(shapes), world, rank).bytes_sent
    }

    fn is_mean(
        &self,
        mean: &[f32],
        _: &job::Exchange,
        key: &Key,
        gradient: &dyn Fn(usize, &mut Vec<f32>),
    ) -> bool {
        // A vector's rows are its elements.
        let mut exact = vec![0.0; mean.len()];
        for rank in 0..key.world {
            let mut values = Vec::new();
            gradient(rank, &mut values);
            exact.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(value));
        }
        mean.iter().zip(exact).all(|(mean, sum)| (f64::from(*mean) - sum / key.world as f64).abs() < 1e-5)
    }
}

struct Rows {
    slot: &'static str,
    tensors: Vec<Tensor>,
    /// By tensor, the number of its rows: the shape of its means.
    rows: Vec<[usize; 1]>,
    /// By tensor, the means that the ranks have decoded last: the same on all of them.
    last: Vec<Vec<f32>>,
    /// Of the tensors that are sent, one after the other.
    differences: Vec<f32>,
    /// Numbers of those among `tensors`.
    sent: Vec<usize>,
    residual: Vec<f32>,
}

impl Payload for Rows {
    fn prepare(&mut self, _: &Key, gradients: &mut [f32], words: &mut [u32]) -> bool {
        let mut finite = true;
        for (tensor, word) in self.tensors.iter().zip(words) {
            let values = &mut gradients[tensor.range.clone()];
            let residual = &self.residual[tensor.range.clone()];
            values.iter_mut().zip(residual).for_each(|(value, left)| *value += left);
            *word = values.iter().fold(0.0, |max: f32, value| max.max(value.abs())).to_bits();
            finite &= values.iter().all(|value| value.is_finite());
        }
        finite
    }

    fn encode(&mut self, _: &Key, words: &[u32], gradients: &[f32]) {
        self.sent = (0..self.tensors.len()).filter(|&index| words[index] != 0).collect();
        self.differences.clear();
        for &index in &self.sent {
            let Tensor { range, shape, .. } = &self.tensors[index];
            let columns = range.len() / rows(shape);
            let residual = self.residual[range.clone()].chunks_mut(columns);
            let of_rows = gradients[range.clone()].chunks(columns).zip(residual);
            for ((row, left), last) in of_rows.zip(&self.last[index]) {
                let mean = row.iter().sum::<f32>() / columns as f32;
                self.differences.push(mean - last);
                left.iter_mut().zip(row).for_each(|(left, value)| *left = value - mean);
            }
        }
    }

    fn reduce(&mut self, transport: &mut dyn Transport, _: &ReductionPath, _: &[f32]) -> Result<()> {
        ring_f32::sum(transport, ring_f32::SEGMENT, &mut self.differences)
    }

    fn decode(&mut self, key: &Key, _: &[u32], gradients: &mut [f32]) {
        let mut differences = self.differences.iter();
        for &index in &self.sent {
            let Tensor { range, shape, .. } = &self.tensors[index];
            let columns = range.len() / rows(shape);
            for (row, last) in gradients[range.clone()].chunks_mut(columns).zip(&mut self.last[index]) {
                *last += differences.next().unwrap() / key.world as f32;
                row.fill(*last);
            }
        }
    }

    fn bytes_sent(&self, path: &ReductionPath, rank: usize) -> Bytes {
        let shapes: Vec<_> = self.tensors.iter().map(|tensor| tensor.shape.clone()).collect();
        Bytes::AtMost(ROW_MEANS.predicted_bytes(&shapes, path, rank))
    }

    fn state(&self) -> Vec<State<'_>> {
        let tensors = self.tensors.iter().zip(self.rows.iter().zip(&self.last));
        let states = tensors.flat_map(|(Tensor { number, range, shape, .. }, (rows, last))| {
            let tensor = usize::from(*number);
            let residual = State { slot: RESIDUAL, tensor, shape, values: &self.residual[range.clone()] };
            [residual, State { slot: self.slot, tensor, shape: rows, values: last }]
        });
        states.collect()
    }

    fn state_mut(&mut self, slot: &str, number: usize) -> Option<&mut [f32]> {
        let index = self.tensors.iter().position(|tensor| usize::from(tensor.number) == number)?;
        match slot {
            RESIDUAL => self.residual.get_mut(self.tensors[index].range.clone()),
            slot if slot == self.slot => Some(&mut self.last[index]),
            _ => None,
        }
    }
}
