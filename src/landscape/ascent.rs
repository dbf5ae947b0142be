//! Maximises a function in a box, with the spectral projected gradient method of Birgin, Martínez and Raydan
//! ("Nonmonotone Spectral Projected Gradient Methods on Convex Sets", SIAM J. Optim. 10, 2000), in its
//! monotone form.
//!
//! Near a minimum, a loss is convex, and a convex function has its maximum over a box in a corner. So if the
//! curvature along the last step is not that of a maximum, the next step is as long as the box allows, which
//! reaches a corner at once.

use super::Objective;
use ternflock_base::error::Result;
use ternflock_tensor::dot;

/// The share of the predicted increase that a step must achieve (Armijo), and the maximum number of times
/// that the step is halved.
const SHARE: f64 = 1e-4;
const HALVINGS: u32 = 12;

/// The minimum and maximum length of steps along the gradient.
const SHORTEST: f64 = 1e-10;
const LONGEST: f64 = 1e10;

/// A box around `centre`: element i is within `width[i]` of the centre.
pub struct Cube<'a> {
    pub centre: &'a [f32],
    pub width: &'a [f32],
}

/// Ascends from `z` in at most `iterations` steps and returns the largest value found. `z` is in units of the
/// box: within [-1, 1], 0 is its centre.
///
/// # Errors
/// Those of the objective.
pub fn climb(
    objective: &mut dyn Objective,
    cube: &Cube<'_>,
    z: &mut [f32],
    iterations: usize,
) -> Result<f64> {
    let n = z.len();
    let mut room = [vec![0.0; n], vec![0.0; n], vec![0.0; n], vec![0.0; n], vec![0.0; n]];
    let [x, gradient, next, next_gradient, direction] = &mut room;
    let mut value = at(objective, cube, z, x, gradient)?;
    let mut length = {
        let longest = project(z, gradient, 1.0, direction);
        if longest == 0.0 { return Ok(value) } else { 1.0 / longest }
    };
    for _ in 0..iterations {
        project(z, gradient, length, direction);
        let promised = dot(gradient, direction);
        // No direction within the box leads upwards.
        if promised <= 0.0 {
            break;
        }
        let (mut part, mut reached) = (1.0, None);
        for _ in 0..=HALVINGS {
            next.iter_mut().zip(&*z).zip(&*direction).for_each(|((next, z), d)| *next = z + part as f32 * d);
            let found = at(objective, cube, next, x, next_gradient)?;
            if found >= value + SHARE * part * promised {
                reached = Some(found);
                break;
            }
            part /= 2.0;
        }
        let Some(found) = reached else { break };
        // The length of Barzilai and Borwein: the inverse curvature along the step.
        let moved = part * part * dot(direction, direction);
        let bend = part * (dot(direction, gradient) - dot(direction, next_gradient));
        length = if bend > 0.0 { (moved / bend).clamp(SHORTEST, LONGEST) } else { LONGEST };
        value = found;
        z.copy_from_slice(next);
        std::mem::swap(gradient, next_gradient);
    }
    Ok(value)
}

/// The value at `z` and its gradient with respect to `z`.
fn at(
    objective: &mut dyn Objective,
    cube: &Cube<'_>,
    z: &[f32],
    x: &mut [f32],
    gradient: &mut [f32],
) -> Result<f64> {
    let Cube { centre, width } = cube;
    x.iter_mut().zip(*centre).zip(*width).zip(z).for_each(|(((x, c), w), z)| *x = c + w * z);
    let value = objective.value_and_gradient(x, gradient)?;
    gradient.iter_mut().zip(*width).for_each(|(gradient, width)| *gradient *= width);
    Ok(value)
}

/// Sets `direction` to a step from `z` of `length` times the gradient, clipped to the box. Returns its
/// largest element.
fn project(z: &[f32], gradient: &[f32], length: f64, direction: &mut [f32]) -> f64 {
    let mut longest = 0.0f64;
    for ((direction, z), gradient) in direction.iter_mut().zip(z).zip(gradient) {
        let there = (f64::from(*z) + length * f64::from(*gradient)).clamp(-1.0, 1.0) as f32;
        *direction = there - z;
        longest = longest.max(f64::from(direction.abs()));
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum of c_i (x_i - m_i)^2, and the number of evaluations.
    struct Quadratic {
        curvature: Vec<f32>,
        middle: Vec<f32>,
        asked: usize,
    }

    impl Objective for Quadratic {
        fn value_and_gradient(&mut self, x: &[f32], gradient: &mut [f32]) -> Result<f64> {
            self.asked += 1;
            let mut sum = 0.0;
            for i in 0..x.len() {
                let off = x[i] - self.middle[i];
                sum += f64::from(self.curvature[i] * off * off);
                gradient[i] = 2.0 * self.curvature[i] * off;
            }
            Ok(sum)
        }

        fn value(&mut self, x: &[f32]) -> Result<f64> {
            self.value_and_gradient(x, &mut vec![0.0; x.len()])
        }
    }

    /// The largest value of a convex bowl, on the side where the ascent starts, is in a corner.
    #[test]
    fn a_bowl_is_highest_in_a_corner() {
        let mut bowl = Quadratic { curvature: vec![1.0, 5.0, 0.5], middle: vec![0.01, -0.02, 0.3], asked: 0 };
        let cube = Cube { centre: &[0.0, 0.0, 0.0], width: &[0.5, 0.1, 1.0] };
        let mut z = [-0.1, -0.1, 0.0];
        let found = climb(&mut bowl, &cube, &mut z, 10).unwrap();
        assert_eq!(z, [-1.0, 1.0, -1.0]);
        let exact = 0.51f64.powi(2) + 5.0 * 0.12f64.powi(2) + 0.5 * 1.3f64.powi(2);
        assert!((found - exact).abs() < 1e-6, "{found}, not {exact}");
        assert!(bowl.asked < 8, "{} evaluations", bowl.asked);
    }

    /// A maximum inside the box is found, and one outside is approached up to the boundary.
    #[test]
    fn a_summit_is_found() {
        let mut hill =
            Quadratic { curvature: vec![-1.0, -20.0, -0.1], middle: vec![0.3, -0.05, 5.0], asked: 0 };
        let cube = Cube { centre: &[0.0; 3], width: &[1.0, 0.1, 1.0] };
        let mut z = [-0.5, 0.9, 0.0];
        let found = climb(&mut hill, &cube, &mut z, 40).unwrap();
        let exact = -0.1 * 16.0;
        assert!((found - exact).abs() < 1e-3, "{found}, not {exact}, at {z:?}");
        assert_eq!(z[2], 1.0);
    }

    #[test]
    fn a_plain_stays_where_it_is() {
        let mut plain = Quadratic { curvature: vec![0.0; 2], middle: vec![0.0; 2], asked: 0 };
        let mut z = [0.25, -0.5];
        assert_eq!(
            climb(&mut plain, &Cube { centre: &[0.0; 2], width: &[1.0; 2] }, &mut z, 10).unwrap(),
            0.0
        );
        assert_eq!((z, plain.asked), ([0.25, -0.5], 1));
    }
}
