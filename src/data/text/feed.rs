//! Text as feeds. Letters: T steps, N sequences per batch, K columns, V words in the vocabulary.
//!
//! The training text is cut into columns of equal length, one per sequence of the global batch. Step s of an
//! epoch reads the tokens s * T to (s + 1) * T of each column; the label of a token is the next token. So
//! sequence i of a step continues where sequence i of the step before ended, on whichever rank, and a network
//! carries its state over. The rest at the end of a column, which is shorter than a step, is not read. (W.
//! Zaremba et al., "Recurrent Neural Network Regularization", 2014, section 4.)

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use crate::feed::{Chunk, EvaluationFeed, Facts, TrainingFeed};
use crate::shard;
use ternflock_base::error::{Error, Result};
use ternflock_nn::{NO_LABEL, Shape, TargetKind, Targets};

/// A training text.
pub struct TextFeed {
    tokens: Vec<u32>,
    vocabulary: usize,
    /// T.
    steps: usize,
    global_batch: usize,
    /// Tokens per column.
    column: usize,
    unknown: Option<f64>,
}

impl TextFeed {
    /// Cuts `tokens`, numbers below `vocabulary`, into `global_batch` columns for sequences of `steps` tokens.
    ///
    /// # Errors
    /// If the text is too short for one step.
    pub fn new(tokens: Vec<u32>, vocabulary: usize, steps: usize, global_batch: usize) -> Result<TextFeed> {
        let column = tokens.len() / global_batch;
        if column <= steps {
            let needed = steps.saturating_add(1).saturating_mul(global_batch);
            return Err(Error::Usage(format!(
                "the training text has {} tokens, but a batch of {global_batch} sequences of {steps} needs \
                 {needed} (one more token per sequence, for the last label): use a longer text, a smaller \
                 train.global_batch or a shorter data.sequence_length",
                tokens.len()
            )));
        }
        Ok(TextFeed { tokens, vocabulary, steps, global_batch, column, unknown: None })
    }

    /// Sets `unknown` as the token for all words outside the vocabulary.
    #[must_use]
    pub fn with_unknown(self, unknown: u32) -> TextFeed {
        TextFeed { unknown: Some(share(&self.tokens, unknown)), ..self }
    }

    /// Steps per epoch.
    fn epoch(&self) -> u64 {
        ((self.column - 1) / self.steps) as u64
    }
}

impl TrainingFeed for TextFeed {
    fn input(&self) -> Shape {
        Shape::Tokens { steps: self.steps, vocabulary: self.vocabulary }
    }

    fn target(&self) -> TargetKind {
        TargetKind::Class(self.vocabulary)
    }

    fn samples(&self) -> usize {
        self.epoch() as usize * self.global_batch
    }

    fn restarts(&self, step: u64) -> bool {
        step.is_multiple_of(self.epoch())
    }

    fn fill(
        &mut self,
        step: u64,
        part: Range<usize>,
        input: &mut [f32],
        targets: &mut Targets,
    ) -> Result<()> {
        let batch = part.len();
        check_size(input, self.steps * batch)?;
        let first = (step % self.epoch()) as usize * self.steps;
        targets.labels.clear();
        for (t, row) in input.chunks_exact_mut(batch.max(1)).enumerate() {
            for (value, column) in row.iter_mut().zip(part.clone()) {
                let at = column * self.column + first + t;
                *value = self.tokens[at] as f32;
                targets.labels.push(self.tokens[at + 1] as usize);
            }
        }
        Ok(())
    }

    fn unknown_share(&self) -> Option<f64> {
        self.unknown
    }

    fn hash(&self) -> u64 {
        hash(&self.tokens, self.vocabulary)
    }

    fn facts(&self) -> Facts {
        facts(&self.tokens, self.vocabulary)
    }
}

/// An evaluation text: every token except the first is a label once. The text is cut into K columns that are
/// read in parallel, each from a state of zero. The labels of a column continue where those of the column
/// before end.
///
/// One column would be exact but slow, because a batch of one does not use a processor fully. With K columns,
/// the first few tokens of K - 1 columns lack the context that the entire text would give. K is a setting of
/// the job, so the result does not depend on the number of ranks.
pub struct TextSet {
    tokens: Vec<u32>,
    vocabulary: usize,
    /// T.
    steps: usize,
    /// K.
    columns: usize,
    unknown: Option<f64>,
}

impl TextSet {
    /// Cuts `tokens`, numbers below `vocabulary`, into at most `columns` columns, which are read `steps`
    /// tokens at a time.
    ///
    /// # Errors
    /// If there is no label in it.
    pub fn new(tokens: Vec<u32>, vocabulary: usize, steps: usize, columns: usize) -> Result<TextSet> {
        if tokens.len() < 2 {
            return Err(Error::Usage(format!(
                "an evaluation text needs at least 2 tokens, one to read and one to predict; this one has {}",
                tokens.len()
            )));
        }
        let columns = columns.clamp(1, tokens.len() - 1);
        Ok(TextSet { tokens, vocabulary, steps, columns, unknown: None })
    }

    /// Like [`TextFeed::with_unknown`].
    #[must_use]
    pub fn with_unknown(self, unknown: u32) -> TextSet {
        TextSet { unknown: Some(share(&self.tokens, unknown)), ..self }
    }

    /// The positions of the tokens that `column` reads. The label of each is the next token.
    fn places(&self, column: usize) -> Range<usize> {
        shard(self.tokens.len() - 1, column, self.columns)
    }
}

impl EvaluationFeed for TextSet {
    fn input(&self) -> Shape {
        Shape::Tokens { steps: self.steps, vocabulary: self.vocabulary }
    }

    fn target(&self) -> TargetKind {
        TargetKind::Class(self.vocabulary)
    }

    fn items(&self) -> usize {
        self.columns
    }

    fn chunks(&self, part: Range<usize>, capacity: usize) -> Vec<Chunk> {
        let windows = self.places(0).len().div_ceil(self.steps);
        let firsts = part.clone().step_by(capacity);
        let columns = firsts.map(|first| first..part.end.min(first + capacity));
        columns
            .flat_map(|items| (0..windows).map(move |window| Chunk { items: items.clone(), window }))
            .collect()
    }

    fn fill(&mut self, chunk: &Chunk, input: &mut [f32], targets: &mut Targets) -> Result<()> {
        let batch = chunk.items.len();
        check_size(input, self.steps * batch)?;
        targets.labels.clear();
        for (t, row) in input.chunks_exact_mut(batch.max(1)).enumerate() {
            for (value, column) in row.iter_mut().zip(chunk.items.clone()) {
                let places = self.places(column);
                let at = places.start + chunk.window * self.steps + t;
                let here = at < places.end;
                *value = if here { self.tokens[at] as f32 } else { 0.0 };
                targets.labels.push(if here { self.tokens[at + 1] as usize } else { NO_LABEL });
            }
        }
        Ok(())
    }

    fn unknown_share(&self) -> Option<f64> {
        self.unknown
    }

    fn hash(&self) -> u64 {
        hash(&self.tokens, self.vocabulary)
    }

    fn facts(&self) -> Facts {
        facts(&self.tokens, self.vocabulary)
    }
}

fn check_size(input: &[f32], needed: usize) -> Result<()> {
    if input.len() == needed {
        return Ok(());
    }
    Err(Error::Shape {
        layer: "data".into(),
        operation: "fill".into(),
        message: format!("{needed} tokens do not fit an input of {} values", input.len()),
    })
}

fn facts(tokens: &[u32], vocabulary: usize) -> Facts {
    let hash = xxh3_64(bytemuck::cast_slice(tokens));
    vec![
        ("tokens", tokens.len().to_string()),
        ("vocabulary", vocabulary.to_string()),
        ("contents", format!("{hash:016x}")),
    ]
}

/// The share of `unknown` in `tokens`, which must not be empty.
fn share(tokens: &[u32], unknown: u32) -> f64 {
    tokens.iter().filter(|&&token| token == unknown).count() as f64 / tokens.len() as f64
}

fn hash(tokens: &[u32], vocabulary: usize) -> u64 {
    let words = [xxh3_64(bytemuck::cast_slice(tokens)), tokens.len() as u64, vocabulary as u64];
    xxh3_64(bytemuck::cast_slice(&words))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(tokens: usize) -> Vec<u32> {
        (0..tokens as u32).collect()
    }

    #[test]
    fn a_column_goes_on_from_step_to_step_and_begins_anew_with_the_epoch() {
        // 23 tokens in 2 columns of 11: (11 - 1) / 3 = 3 steps.
        let mut feed = TextFeed::new(text(23), 23, 3, 2).unwrap();
        let mut batch = |step, part: Range<usize>| {
            let (mut input, mut targets) = (vec![0.0; 3 * part.len()], Targets::default());
            feed.fill(step, part, &mut input, &mut targets).unwrap();
            (input, targets.labels)
        };
        assert_eq!(batch(0, 0..2), (vec![0.0, 11.0, 1.0, 12.0, 2.0, 13.0], vec![1, 12, 2, 13, 3, 14]));
        assert_eq!(batch(2, 0..1), (vec![6.0, 7.0, 8.0], vec![7, 8, 9]));
        assert_eq!(batch(2, 1..2).0, [17.0, 18.0, 19.0]);
        assert_eq!(batch(3, 0..2), batch(0, 0..2));
        assert_eq!(
            (feed.samples(), [0, 1, 2, 3].map(|step| feed.restarts(step))),
            (6, [true, false, false, true])
        );
    }

    #[test]
    fn a_text_shorter_than_a_batch_of_sequences_is_refused_with_what_it_needs() {
        assert!(TextFeed::new(text(40), 40, 9, 4).is_ok());
        let message = TextFeed::new(text(39), 39, 9, 4).err().unwrap().to_string();
        for part in ["has 39 tokens", "4 sequences of 9 needs 40", "train.global_batch"] {
            assert!(message.contains(part), "{message}");
        }
        let message = TextSet::new(text(1), 1, 9, 4).err().unwrap().to_string();
        assert!(message.contains("at least 2 tokens") && message.ends_with("has 1"), "{message}");
    }

    proptest! {
        /// The sequences do not depend on how ranks share a step.
        #[test]
        fn shares_of_a_step_are_parts_of_the_whole(
            extra in 0usize..40, steps in 1usize..6, batch in 1usize..7, world in 1usize..5, step in 0u64..50
        ) {
            let tokens = text(batch * (steps + 1) + extra);
            let mut feed = TextFeed::new(tokens.clone(), tokens.len(), steps, batch).unwrap();
            let mut fill = |part: Range<usize>| {
                let (mut input, mut targets) = (vec![0.0; steps * part.len()], Targets::default());
                feed.fill(step, part, &mut input, &mut targets).unwrap();
                (input, targets.labels)
            };
            let (whole, right) = fill(0..batch);
            for rank in 0..world {
                let part = shard(batch, rank, world);
                let (input, labels) = fill(part.clone());
                for t in 0..steps {
                    let row = t * batch + part.start..t * batch + part.end;
                    let mine = t * part.len()..(t + 1) * part.len();
                    prop_assert_eq!(&input[mine.clone()], &whole[row.clone()]);
                    prop_assert_eq!(&labels[mine], &right[row]);
                }
            }
        }

        /// Every token except the first is a label exactly once, and follows the token that was read.
        #[test]
        fn every_token_is_foretold_once(
            tokens in 2usize..200, steps in 1usize..9, columns in 1usize..20, world in 1usize..5, capacity in 1usize..9
        ) {
            let mut set = TextSet::new(text(tokens), tokens, steps, columns).unwrap();
            let mut seen = Vec::new();
            for rank in 0..world {
                let mut last = None;
                for chunk in set.chunks(shard(set.items(), rank, world), capacity) {
                    // Windows of the same columns follow each other, so that their state can be carried.
                    let goes_on = last == chunk.window.checked_sub(1).map(|before| (chunk.items.clone(), before));
                    prop_assert!(chunk.window == 0 || goes_on);
                    let (mut input, mut targets) = (vec![f32::NAN; steps * chunk.items.len()], Targets::default());
                    set.fill(&chunk, &mut input, &mut targets).unwrap();
                    for (&read, &label) in input.iter().zip(&targets.labels).filter(|(_, label)| **label != NO_LABEL) {
                        prop_assert_eq!(read as usize + 1, label);
                        seen.push(label);
                    }
                    last = Some((chunk.items, chunk.window));
                }
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (1..tokens).collect::<Vec<_>>());
        }
    }
}
