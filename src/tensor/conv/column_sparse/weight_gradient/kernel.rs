//! The innermost loops of the weight gradient.

// Indices are those of the formulas; iterators over arrays of arrays would hide them.
#![allow(clippy::needless_range_loop)]

use pulp::{Simd, WithSimd};

use super::dy_plane;
use crate::conv::column_sparse::layout::ColumnLayout;

/// F filters, K columns, and one work item of V vectors of samples.
pub struct WeightGradientKernel<'a, const F: usize, const K: usize, const V: usize> {
    pub layout: &'a ColumnLayout,
    /// Of the K columns.
    pub offsets: &'a [usize],
    /// Rows of outputs.
    pub outputs: usize,
    /// `[channels, rows, columns, V lanes]`.
    pub x: &'a [f32],
    /// `[F, outputs, Q, V lanes]`.
    pub dy: &'a [f32],
    /// The sums that the products are added to: `[F, K, lanes]`.
    pub lanes: &'a mut [f32],
}

impl<const F: usize, const K: usize, const V: usize> WithSimd for WeightGradientKernel<'_, F, K, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let WeightGradientKernel { layout, offsets, outputs, x, dy, lanes } = self;
        let (width, columns, dy_plane) = (V * S::F32_LANES, layout.shape.window.output.1, dy_plane(layout));
        let step = layout.images.stride.1 * width;
        let offsets: [usize; K] = std::array::from_fn(|k| offsets[k] * width);
        let most = offsets.iter().max().copied().unwrap_or(0);
        assert!(most + (layout.images.place(outputs - 1, columns - 1) + 1) * width <= x.len());
        assert!((F - 1) * dy_plane + outputs * columns * width <= dy.len());
        let (sums, _) = S::as_mut_simd_f32s(lanes);
        let mut accumulators = [[simd.splat_f32s(0.0); K]; F];
        for f in 0..F {
            for k in 0..K {
                accumulators[f][k] = sums[f * K + k];
            }
        }
        for p in 0..outputs {
            // SAFETY: the work item's rows of dy and the pixels under them are packed, as asserted.
            unsafe {
                let mut pixel = x.as_ptr().add(layout.images.place(p, 0) * width);
                let mut slope = dy.as_ptr().add(p * columns * width);
                for _ in 0..columns {
                    for v in 0..V {
                        let mut values = [simd.splat_f32s(0.0); K];
                        for k in 0..K {
                            let at = pixel.add(offsets[k] + v * S::F32_LANES);
                            values[k] = at.cast::<S::f32s>().read_unaligned();
                        }
                        for f in 0..F {
                            let at = slope.add(f * dy_plane + v * S::F32_LANES);
                            let slope = at.cast::<S::f32s>().read_unaligned();
                            for k in 0..K {
                                accumulators[f][k] =
                                    simd.mul_add_e_f32s(slope, values[k], accumulators[f][k]);
                            }
                        }
                    }
                    // After the last output, neither is read.
                    pixel = pixel.wrapping_add(step);
                    slope = slope.wrapping_add(width);
                }
            }
        }
        for f in 0..F {
            for k in 0..K {
                sums[f * K + k] = accumulators[f][k];
            }
        }
    }
}
