//! The formulas of the layers in double precision, one number at a time, as a reference for their passes.

/// T, N, D and H.
#[derive(Clone, Copy)]
pub(super) struct Dims {
    pub steps: usize,
    pub batch: usize,
    pub features: usize,
    pub hidden: usize,
}

/// A layer: computes the output `[T, N, H]` from its parameters, an input `[T, N, D]` and its states `[N,
/// H]`, which become those after the last step.
pub(super) type Formula = fn(&Dims, &[Vec<f64>], &[f64], &mut [Vec<f64>]) -> Vec<f64>;

/// The parameters of a layer whose recurrent weight is a product of rank `rank`, with that product multiplied
/// out.
pub(super) fn multiplied_out(dims: &Dims, rank: usize, parameters: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let (basis, rest) = parameters.split_last().expect("a basis");
    let mut whole = rest.to_vec();
    let row = |row: &[f64]| -> Vec<f64> {
        let column = |k: usize| (0..rank).map(|i| row[i] * basis[i * dims.hidden + k]).sum();
        (0..dims.hidden).map(column).collect()
    };
    whole[1] = rest[1].chunks_exact(rank).flat_map(row).collect();
    whole
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Row `row` of a weight times a vector.
fn times(weight: &[f64], row: usize, vector: &[f64]) -> f64 {
    weight[row * vector.len()..][..vector.len()].iter().zip(vector).map(|(w, v)| w * v).sum()
}

/// Calls `step(x_t, states)` for each step of each sample, which returns the new states; the output is the first of them.
fn unroll(
    dims: &Dims,
    x: &[f64],
    states: &mut [Vec<f64>],
    step: impl Fn(&[f64], &[Vec<f64>]) -> Vec<Vec<f64>>,
) -> Vec<f64> {
    let (d, h) = (dims.features, dims.hidden);
    let mut y = vec![0.0; dims.steps * dims.batch * h];
    for t in 0..dims.steps {
        for n in 0..dims.batch {
            let row = t * dims.batch + n;
            let before: Vec<Vec<f64>> =
                states.iter().map(|state| state[n * h..(n + 1) * h].to_vec()).collect();
            let after = step(&x[row * d..(row + 1) * d], &before);
            for (state, after) in states.iter_mut().zip(&after) {
                state[n * h..(n + 1) * h].copy_from_slice(after);
            }
            y[row * h..(row + 1) * h].copy_from_slice(&after[0]);
        }
    }
    y
}

/// With a forget bias of 0.5.
pub(super) fn lstm(dims: &Dims, parameters: &[Vec<f64>], x: &[f64], states: &mut [Vec<f64>]) -> Vec<f64> {
    let [weight_ih, weight_hh, bias] = parameters else { panic!("three tensors") };
    unroll(dims, x, states, |x, states| {
        let (h, c) = (&states[0], &states[1]);
        let sum = |gate: usize, k: usize| {
            let row = gate * dims.hidden + k;
            times(weight_ih, row, x) + times(weight_hh, row, h) + bias[row]
        };
        let cell = |k: usize| sigmoid(sum(1, k) + 0.5) * c[k] + sigmoid(sum(0, k)) * sum(2, k).tanh();
        let c: Vec<f64> = (0..dims.hidden).map(cell).collect();
        let h = (0..dims.hidden).map(|k| sigmoid(sum(3, k)) * c[k].tanh()).collect();
        vec![h, c]
    })
}

pub(super) fn rnn_tanh(dims: &Dims, parameters: &[Vec<f64>], x: &[f64], states: &mut [Vec<f64>]) -> Vec<f64> {
    rnn(f64::tanh, dims, parameters, x, states)
}

pub(super) fn rnn_relu(dims: &Dims, parameters: &[Vec<f64>], x: &[f64], states: &mut [Vec<f64>]) -> Vec<f64> {
    rnn(|x| x.max(0.0), dims, parameters, x, states)
}

fn rnn(
    f: fn(f64) -> f64,
    dims: &Dims,
    parameters: &[Vec<f64>],
    x: &[f64],
    states: &mut [Vec<f64>],
) -> Vec<f64> {
    let [weight_ih, weight_hh, bias] = parameters else { panic!("three tensors") };
    unroll(dims, x, states, |x, states| {
        let sum = |k: usize| times(weight_ih, k, x) + times(weight_hh, k, &states[0]) + bias[k];
        vec![(0..dims.hidden).map(|k| f(sum(k))).collect()]
    })
}

pub(super) fn gru(dims: &Dims, parameters: &[Vec<f64>], x: &[f64], states: &mut [Vec<f64>]) -> Vec<f64> {
    let [weight_ih, weight_hh, bias, bias_n] = parameters else { panic!("four tensors") };
    unroll(dims, x, states, |x, states| {
        let h = &states[0];
        let input = |gate: usize, k: usize| {
            let row = gate * dims.hidden + k;
            times(weight_ih, row, x) + bias[row]
        };
        let state = |gate: usize, k: usize| times(weight_hh, gate * dims.hidden + k, h);
        let unit = |k: usize| {
            let r = sigmoid(input(0, k) + state(0, k));
            let z = sigmoid(input(1, k) + state(1, k));
            let n = (input(2, k) + r * (state(2, k) + bias_n[k])).tanh();
            (1.0 - z) * n + z * h[k]
        };
        vec![(0..dims.hidden).map(unit).collect()]
    })
}

/// With the number of levels that the bias has, and a transform bias of -1.
pub(super) fn rhn(dims: &Dims, parameters: &[Vec<f64>], x: &[f64], states: &mut [Vec<f64>]) -> Vec<f64> {
    let [weight_ih, weight_hh, bias] = parameters else { panic!("three tensors") };
    let hidden = dims.hidden;
    unroll(dims, x, states, |x, states| {
        let mut s = states[0].clone();
        for level in 0..bias.len() / (2 * hidden) {
            let sum = |gate: usize, k: usize| {
                let row = gate * hidden + k;
                let input = if level == 0 { times(weight_ih, row, x) } else { 0.0 };
                input + times(weight_hh, level * 2 * hidden + row, &s) + bias[level * 2 * hidden + row]
            };
            let unit = |k: usize| {
                let (h, t) = (sum(0, k).tanh(), sigmoid(sum(1, k) - 1.0));
                h * t + s[k] * (1.0 - t)
            };
            s = (0..hidden).map(unit).collect();
        }
        vec![s]
    })
}
