//! The position of each tensor in a payload.

use crate::planes::{self, WORD, WORDS};

/// Tensors one after another in one space of elements. Each begins at a word boundary, so that it can be
/// encoded and decoded separately; a bias of 10 elements takes 64. The end is padded to full blocks. Padding
/// is zero on every rank if the payload was zero at first, because [`encode`](super::encode) never writes
/// there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    first_words: Vec<usize>,
    /// Words of a plane that the tensors take, without the padding to a block.
    end: usize,
}

impl Layout {
    /// Lays out tensors with these numbers of elements, in this order.
    pub fn new(elements: impl IntoIterator<Item = usize>) -> Self {
        let mut layout = Layout { first_words: Vec::new(), end: 0 };
        layout.set(elements);
        layout
    }

    /// Lays out tensors with these numbers of elements instead. Allocates nothing if there are no more tensors than
    /// before. A payload that was in use before has other tensors' elements in its padding.
    pub fn set(&mut self, elements: impl IntoIterator<Item = usize>) {
        let mut end = 0;
        let place = |elements: usize| {
            let first = end;
            end += elements.div_ceil(WORD);
            first
        };
        self.first_words.clear();
        self.first_words.extend(elements.into_iter().map(place));
        self.end = end;
    }

    /// The word of a plane, counted through all blocks, at which `tensor` begins.
    ///
    /// # Panics
    /// If there is no such tensor.
    pub fn first_word(&self, tensor: usize) -> usize {
        self.first_words[tensor]
    }

    /// The number of blocks of the payload.
    pub fn blocks(&self) -> usize {
        self.end.div_ceil(WORDS)
    }

    /// The word of a plane, counted through all blocks, after the last tensor. The rest of its block is padding.
    pub fn end(&self) -> usize {
        self.end
    }

    /// The number of words of the payload at `width`.
    pub fn words(&self, width: usize) -> usize {
        planes::words(self.blocks(), width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_begin_at_words_and_the_whole_ends_at_a_block() {
        let layout = Layout::new([500, 20, 0, 64, 65, 1]);
        let first: Vec<usize> = (0..6).map(|tensor| layout.first_word(tensor)).collect();
        assert_eq!(first, [0, 8, 9, 9, 10, 12]);
        assert_eq!((layout.blocks(), layout.words(3)), (2, 48));
        assert_eq!(Layout::new([]).blocks(), 0);
    }

    #[test]
    fn a_layout_that_is_set_is_that_of_the_new_tensors() {
        let mut layout = Layout::new([500, 20, 0]);
        for tensors in [[64, 0, 65], [0, 0, 0], [1000, 1000, 1000]] {
            layout.set(tensors);
            assert_eq!(layout, Layout::new(tensors));
        }
        assert_eq!((layout.end(), layout.blocks()), (48, 6));
    }
}
