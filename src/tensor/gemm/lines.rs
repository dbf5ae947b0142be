//! Operands as lines, and lines in panels.
//!
//! Both operands of a product are packed alike. Their *lines* run along k: the rows of `a`, or the columns of
//! `b`. A *panel* is a few neighbouring lines, packed in the [`Order`] in which a kernel reads it; a word has 32
//! bits and holds one value of k, or two in bf16. A kernel therefore reads both operands sequentially.

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
    /// The value that fills the last word after the end of a line.
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
    /// The order of words.
    pub order: Order,
}

/// The order of the words in a panel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// `[words, width]`: the words of one k are neighbours.
    ByWord,
    /// `[words / 16, width, 16]`: 16 words of a line are neighbours and form a row of a tile.
    ByLine,
}

/// The number of words of a line that are neighbours with [`Order::ByLine`].
pub const ROW_WORDS: usize = 16;

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

    /// Cuts `panels` of `lines` lines in total at the panel where their size changes. The second part may be empty.
    pub fn by_size(self, lines: usize, panels: Range<usize>) -> [Range<usize>; 2] {
        let size = |panel| self.panel(lines, panel).len();
        let changes = |panel: &usize| size(*panel) != size(panels.start);
        let middle = panels.clone().find(changes).unwrap_or(panels.end);
        [panels.start..middle, middle..panels.end]
    }

    /// The position of a word in its panel.
    pub fn place(self, word: usize, line: usize) -> usize {
        match self.order {
            Order::ByWord => word * self.width + line,
            Order::ByLine => (word / ROW_WORDS * self.width + line) * ROW_WORDS + word % ROW_WORDS,
        }
    }
}
