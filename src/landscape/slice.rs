//! The loss along a line through the parameters.
//!
//! H. Li et al., "Visualizing the Loss Landscape of Neural Nets" (NeurIPS 2018), section 4: a random
//! direction in which each filter has the norm of the network's own filter, so that networks with different
//! scales of weights can be compared. Biases and batch norm do not change.

use serde::Serialize;

use super::Objective;
use ternflock_base::error::Result;
use ternflock_job::{self as job, Adapt, Distribution};
use ternflock_nn::layer::Draw;
use ternflock_nn::{Graph, Parameters};
use ternflock_smoothout::SmoothOut;

/// The points of a line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Span {
    /// The range is from minus this to this, in units of the direction's length.
    pub range: f64,
    /// The number of points, including both ends and the middle; odd.
    pub points: usize,
}

/// The loss along one direction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Slice {
    /// The number of the direction.
    pub direction: u64,
    /// The position along it.
    pub t: Vec<f64>,
    /// The mean loss there, in nats.
    pub loss: Vec<f64>,
}

/// The loss at `parameters` of `graph`, along direction `direction` of those that `seed` draws.
///
/// # Errors
/// Those of the objective.
pub fn slice(
    objective: &mut dyn Objective,
    graph: &Graph,
    parameters: &Parameters,
    span: Span,
    (seed, direction): (u64, u64),
) -> Result<Slice> {
    let line = draw(graph, parameters, (seed, direction))?;
    let half = (span.points / 2) as f64;
    let t: Vec<f64> =
        (0..span.points).map(|point| span.range * (point as f64 - half) / half.max(1.0)).collect();
    let mut x = parameters.values.clone();
    let mut loss = Vec::with_capacity(span.points);
    for &t in &t {
        let from = parameters.values.iter().zip(&line);
        x.iter_mut().zip(from).for_each(|(x, (w, d))| *x = w + t as f32 * d);
        loss.push(objective.value(&x)?);
    }
    Ok(Slice { direction, t, loss })
}

/// A normally distributed direction in which each filter has the norm of the network's filter: the noise of
/// AdaSmoothOut with a = 1.
fn draw(graph: &Graph, parameters: &Parameters, (seed, direction): (u64, u64)) -> Result<Vec<f32>> {
    let job = job::SmoothOut {
        a: 1.0,
        adapt: Adapt::Filter,
        distribution: Distribution::Normal,
        ..job::SmoothOut::default()
    };
    let mut moved = parameters.values.clone();
    if let Some(mut noise) = SmoothOut::new(&job, graph, &parameters.table)? {
        noise.perturb(Draw { seed, step: direction, first_sample: 0 }, 1.0, &mut moved);
    }
    moved.iter_mut().zip(&parameters.values).for_each(|(moved, w)| *moved -= w);
    for parameter in parameters.table.iter().filter(|parameter| !parameter.spec.role.decays()) {
        moved[parameter.range.clone()].fill(0.0);
    }
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ternflock_nn::Shape;

    fn network() -> (Graph, Parameters) {
        let layers: Vec<serde_json::Map<_, _>> = serde_json::from_value(serde_json::json!([
            {"type": "linear", "units": 5}, {"type": "batch_norm"}, {"type": "linear", "units": 3},
        ]))
        .unwrap();
        let graph = Graph::from_tables(Shape::Vector { features: 4 }, layers).unwrap();
        let mut parameters = Parameters::new(&graph).unwrap();
        parameters.initialise(1);
        parameters.values.iter_mut().for_each(|value| *value += 0.25);
        (graph, parameters)
    }

    fn norm(values: &[f32]) -> f64 {
        values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
    }

    /// Each filter of a direction has the norm of the network's filter; it is zero for biases and batch norm.
    #[test]
    fn directions_are_as_long_as_filters() {
        let (graph, parameters) = network();
        let line = draw(&graph, &parameters, (3, 0)).unwrap();
        for parameter in &parameters.table {
            let (weights, part) =
                (&parameters.values[parameter.range.clone()], &line[parameter.range.clone()]);
            match parameter.spec.shape[..] {
                [_, width] => {
                    for (weights, part) in weights.chunks(width).zip(part.chunks(width)) {
                        assert!((norm(part) / norm(weights) - 1.0).abs() < 1e-4, "{}", parameter.name);
                    }
                }
                _ => assert!(part.iter().all(|&d| d == 0.0), "{}", parameter.name),
            }
        }
        assert_ne!(line, draw(&graph, &parameters, (3, 1)).unwrap());
        assert_ne!(line, draw(&graph, &parameters, (4, 0)).unwrap());
    }

    /// The bias of a recurrent highway network has an axis for its levels, but is still a bias.
    #[test]
    fn biases_of_levels_have_no_direction() {
        let layers: Vec<serde_json::Map<_, _>> = serde_json::from_value(serde_json::json!([
            {"type": "embedding", "features": 3},
            {"name": "rhn", "type": "rhn", "hidden": 4, "depth": 2},
            {"type": "linear", "units": 5},
        ]))
        .unwrap();
        let graph = Graph::from_tables(Shape::Tokens { steps: 2, vocabulary: 5 }, layers).unwrap();
        let mut parameters = Parameters::new(&graph).unwrap();
        parameters.values.iter_mut().enumerate().for_each(|(i, value)| *value = 1.0 + (i as f32).sin());
        let line = draw(&graph, &parameters, (3, 0)).unwrap();
        let of = |name: &str| parameters.table.iter().find(|p| p.name == name).unwrap().range.clone();
        assert!(line[of("rhn/bias")].iter().all(|&d| d == 0.0));
        for (row, part) in
            parameters.values[of("rhn/weight_hh")].chunks(4).zip(line[of("rhn/weight_hh")].chunks(4))
        {
            assert!((norm(part) / norm(row) - 1.0).abs() < 1e-4);
        }
    }

    struct SquaredDistance(Vec<f32>);

    impl Objective for SquaredDistance {
        fn value_and_gradient(&mut self, x: &[f32], _: &mut [f32]) -> Result<f64> {
            self.value(x)
        }

        fn value(&mut self, x: &[f32]) -> Result<f64> {
            let off: Vec<f32> = x.iter().zip(&self.0).map(|(x, w)| x - w).collect();
            Ok(if norm(&off) > 3.0 { f64::INFINITY } else { norm(&off).powi(2) })
        }
    }

    #[test]
    fn a_slice_goes_through_the_middle() {
        let (graph, parameters) = network();
        let mut objective = SquaredDistance(parameters.values.clone());
        let span = Span { range: 0.5, points: 5 };
        let slice = slice(&mut objective, &graph, &parameters, span, (3, 7)).unwrap();
        assert_eq!((slice.direction, &slice.t[..]), (7, &[-0.5, -0.25, 0.0, 0.25, 0.5][..]));
        let length = norm(&draw(&graph, &parameters, (3, 7)).unwrap());
        for (t, loss) in slice.t.iter().zip(&slice.loss) {
            let exact = (t * length).powi(2);
            assert!((loss - exact).abs() <= 1e-5 * exact.max(1e-9), "{loss:?} at {t}");
        }
        let far = super::slice(&mut objective, &graph, &parameters, Span { range: 50.0, points: 3 }, (3, 7));
        assert_eq!(far.unwrap().loss, [f64::INFINITY, 0.0, f64::INFINITY]);
    }
}
