//! The position of each tensor in a payload.

use crate::planes::{self, WORD, WORDS};

/// Tensors one after another in one space of elements. Each begins at a word boundary, so that it can be
/// encoded and decoded separately; a bias of 10 elements takes 64. The end is padded to full blocks. Padding
/// is zero on every rank if the payload was zero at first, because [`encode`](super::encode) never writes
/// there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    first_words: Vec<usize>,
    blocks: usize,
}

impl Layout {
    /// Lays out tensors with these numbers of elements, in this order.
    pub fn new(elements: impl IntoIterator<Item = usize>) -> Self {
        let mut end = 0;
        let mut place = |elements: usize| {
            let first = end;
            end += elements.div_ceil(WORD);
            first
        };
        let first_words = elements.into_iter().map(&mut place).collect();
        Layout { first_words, blocks: end.div_ceil(WORDS) }
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
        self.blocks
    }

    /// The number of words of the payload at `width`.
    pub fn words(&self, width: usize) -> usize {
        planes::words(self.blocks, width)
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
}
