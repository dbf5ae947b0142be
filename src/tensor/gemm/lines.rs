//! Operands as lines, and lines in panels.
//!
//! Both operands of a product are packed alike. Their *lines* run along k: the rows of `a`, or the columns of
//! `b`. A *panel* is a few neighbouring lines, packed as `[words, width]`; a word has 32 bits and holds one
//! value of k, or two in bf16. So a kernel reads both operands sequentially.

use std::ops::Range;

use ndarray::ArrayView2;

use crate::blocks::part;

/// One operand, and how its lines are cut into panels.
#[derive(Clone, Copy)]
pub struct Lines<'a> {
    /// `[lines, k]`.
    pub values: ArrayView2<'a, f32>,
    /// Every value is multiplied by this first.
    pub scale: f32,
    /// Takes the place of the value after the last, if words hold two.
    pub padding: f32,
    /// The cut.
    pub cut: Cut,
}

impl Lines<'_> {
    /// Whether the values of a line, or those of one k, are neighbours.
    pub fn are_in_order(&self) -> bool {
        let ((lines, k), strides) = (self.values.dim(), self.values.strides());
        k < 2 || lines < 2 || strides.contains(&1)
    }

    /// The number of lines in `panels`.
    pub fn count(&self, panels: &Range<usize>) -> usize {
        let lines = self.values.nrows();
        panels.clone().map(|panel| self.cut.panel(lines, panel).len()).sum()
    }
}

/// How lines are cut into panels.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// The maximum number of lines per panel.
    pub most: usize,
    /// Words from one k of a panel to the next.
    pub width: usize,
    /// Whether panels have nearly equal numbers of lines; otherwise all except the last are full.
    pub even: bool,
}

impl Cut {
    /// The number of panels of `lines` lines.
    pub fn panels(self, lines: usize) -> usize {
        lines.div_ceil(self.most)
    }

    /// The lines of panel `index`, of `lines` in total.
    pub fn panel(self, lines: usize, index: usize) -> Range<usize> {
        if self.even {
            part(lines, self.most, index)
        } else {
            index * self.most..lines.min((index + 1) * self.most)
        }
    }
}
