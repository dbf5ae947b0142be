//! The sums are added in the documented order, bit by bit.

use proptest::prelude::*;

use super::*;
use crate::bf16::{add_products, round, widen};
use crate::blocks::parts;
use crate::conv::Shape;
use crate::conv::tests::bf16::reals;
use crate::conv::tests::shapes;
use crate::threads::{set_threads, within};

/// The gradient of the weights by definition, one sum after another, with work items of at most `rows` rows.
struct Definition<'a> {
    shape: Shape,
    batch: usize,
    rows: usize,
    x: &'a [f32],
    dy: &'a [f32],
}

impl Definition<'_> {
    fn weight(&self, f: usize, c: usize, (r, s): (usize, usize)) -> f32 {
        let output = self.shape.window.output;
        let blocks = || parts_of(self.batch);
        let items: Vec<_> = parts(output.0, self.rows)
            .flat_map(|rows| blocks().map(move |block| (rows.clone(), block)))
            .collect();
        let partial_sums = parts(items.len(), items.len().div_ceil(4)).map(|own| {
            let positions = items[own].iter().flat_map(|(rows, block)| {
                rows.clone().flat_map(move |p| (0..output.1).map(move |q| (p, q, block.clone())))
            });
            positions.fold(0.0, |sum, (p, q, block)| {
                let pairs = (0..16).map(|pair| {
                    [0, 1].map(|i| block.start + 2 * pair + i).map(|n| self.factors(f, c, (r, s), (p, q), n))
                });
                add_products(sum, pairs.map(|[first, second]| ([first.0, second.0], [first.1, second.1])))
            })
        });
        partial_sums.reduce(|sum, other| sum + other).unwrap()
    }

    /// The values of x and dy; zeros outside.
    fn factors(
        &self,
        f: usize,
        c: usize,
        (r, s): (usize, usize),
        (p, q): (usize, usize),
        n: usize,
    ) -> (f32, f32) {
        let Shape { window, filters, groups } = self.shape;
        if n >= self.batch {
            return (0.0, 0.0);
        }
        let dy = self.dy[((f * window.output.0 + p) * window.output.1 + q) * self.batch + n];
        let (h, v) = (p * window.stride.0 + r, q * window.stride.1 + s);
        let h = h.checked_sub(window.padding.0).filter(|&h| h < window.size.0);
        let v = v.checked_sub(window.padding.1).filter(|&v| v < window.size.1);
        let channel = f / (filters / groups) * (window.channels / groups) + c;
        let x = h.zip(v).map_or(0.0, |(h, v)| {
            self.x[((channel * window.size.0 + h) * window.size.1 + v) * self.batch + n]
        });
        (widen(round(x)), widen(round(dy)))
    }
}

/// Blocks of 32 samples.
fn parts_of(batch: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..batch.div_ceil(32)).map(|block| 32 * block..32 * block + 32)
}

/// Compares the gradients with their definition, and the gradients of different numbers of threads with each other.
fn check(shape: Shape, batch: usize, bytes: usize) {
    let Some(amx) = Amx::detect() else { return };
    let Shape { window, filters, groups } = shape;
    let (x, dy) = (reals(window.image() * batch, 1), reals(filters * window.positions() * batch, 2));
    let mut found = [1, 2, 3].map(|threads| {
        set_threads(threads).unwrap();
        let buffers = &mut Buffers::allocating();
        let mut sums =
            TileSums::with_items_of(bytes, amx, shape.pass(), Machine::this(), groups, buffers).unwrap();
        // Values left over from earlier uses are not read.
        let scratch = Scratch::new(sums.geometry.scratch(), buffers).unwrap();
        (0..threads).for_each(|_| scratch.with(sums.geometry.scratch(), |scratch| scratch.fill(f32::NAN)));
        let (mut weight, mut bias) =
            (vec![f32::NAN; filters * shape.group().rows()], vec![f32::NAN; filters]);
        within(|| sums.compute(batch, &x, &dy, &scratch, &mut weight, Some(&mut bias)));
        let mut alone = vec![f32::NAN; weight.len()];
        within(|| sums.compute(batch, &x, &dy, &scratch, &mut alone, None));
        assert_eq!(weight, alone);
        (sums.geometry.item_rows, weight, bias)
    });
    set_threads(1).unwrap();
    let (rows, weight, bias) = found[0].clone();
    for other in &mut found[1..] {
        assert_eq!(&(rows, weight.clone(), bias.clone()), other);
    }
    let definition = Definition { shape, batch, rows, x: &x, dy: &dy };
    let mut weight = weight.into_iter();
    for f in 0..filters {
        for c in 0..window.channels / groups {
            for tap in (0..window.kernel.0).flat_map(|r| (0..window.kernel.1).map(move |s| (r, s))) {
                let (found, expected) = (weight.next().unwrap(), definition.weight(f, c, tap));
                assert_eq!(found.to_bits(), expected.to_bits(), "{found} {expected} at {f} {c} {tap:?}");
            }
        }
    }
    let map = window.positions() * batch;
    for (bias, dy) in bias.iter().zip(dy.chunks_exact(map)) {
        let exact: f64 = dy.iter().copied().map(f64::from).sum();
        let magnitude: f64 = dy.iter().map(|value| f64::from(value.abs())).sum();
        let tolerance = map as f64 * f64::from(f32::EPSILON) / 2.0 * magnitude;
        assert!((f64::from(*bias) - exact).abs() <= tolerance, "{bias} instead of {exact}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Work items of one row, of several rows, and of all rows.
    #[test]
    fn sums_have_the_stated_order(shape in shapes(), batch in 1usize..71, bytes in 0usize..200_000) {
        check(shape, batch, bytes);
    }
}

/// Several tiles of filters, and several tiles of taps per row of the window.
#[test]
fn large_shapes() {
    for (channels, filters, size, kernel, stride, padding) in [
        (1, 20, 12, 5, 1, 0),
        (3, 33, 8, 5, 1, 2),
        (17, 16, 8, 3, 2, 1),
        (50, 7, 5, 1, 1, 0),
        (3, 2, 9, 2, 3, 3),
    ] {
        let window = crate::conv::tests::square(channels, size, kernel, stride, padding);
        check(Shape { window, filters, groups: 1 }, 45, 100_000);
    }
}
