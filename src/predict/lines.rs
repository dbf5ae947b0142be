//! What a language model says about the lines of texts. Letters: T steps, N lines of a batch, V words in the vocabulary.

use std::ops::Range;
use std::path::PathBuf;

use crate::{Field, Give, Item, Items, Kind, Predictor, Rows, Trained};
use ternflock_base::error::{Error, Result};
use ternflock_data::{END_OF_LINE, Vocabulary, read_text, tokenize};
use ternflock_job::Text;
use ternflock_nn::layer::Mode;
use ternflock_nn::{Execution, Network, Shape, softmax_cross_entropy};
use ternflock_tensor::{for_each_row, rows_mut};
use ternflock_train::restore_network;

/// Lines are sorted by their length among so many batches, so that a batch has lines of about equal length.
const SORTED_BATCHES: usize = 16;

const FIELDS: [Field; 4] = [
    Field { name: "tokens", width: 1, kind: Kind::Count },
    Field { name: "unknown", width: 1, kind: Kind::Count },
    Field { name: "log_likelihood", width: 1, kind: Kind::Real },
    Field { name: "perplexity", width: 1, kind: Kind::Real },
];

/// A language model that reads lines. Each line is a text of its own: it follows the end of a line, and the network begins
/// with states of zero.
pub struct LinePredictor {
    lines: Lines,
    how: Text,
    vocabulary: Vocabulary,
    network: Network,
    /// T.
    steps: usize,
    path: PathBuf,
}

/// The lines of texts.
struct Lines {
    /// Paths and texts.
    files: Vec<(PathBuf, String)>,
    /// By line: its file, and its place in the text.
    places: Vec<(usize, Range<usize>)>,
    /// The number of lines before each file.
    starts: Vec<usize>,
}

impl Lines {
    fn read(paths: &[PathBuf], how: &Text) -> Result<Lines> {
        let mut lines = Lines { files: Vec::new(), places: Vec::new(), starts: Vec::new() };
        for path in paths {
            let text = read_text(path, how)?;
            lines.starts.push(lines.places.len());
            for line in text.lines() {
                let start = line.as_ptr() as usize - text.as_ptr() as usize;
                lines.places.push((lines.files.len(), start..start + line.len()));
            }
            lines.files.push((path.clone(), text));
        }
        Ok(lines)
    }

    fn text(&self, number: usize) -> &str {
        let (file, range) = &self.places[number];
        &self.files[*file].1[range.clone()]
    }
}

impl Items for Lines {
    fn count(&self) -> usize {
        self.places.len()
    }

    fn item(&self, number: usize) -> Item<'_> {
        let file = self.places[number].0;
        Item { path: &self.files[file].0, number: Some(number - self.starts[file]) }
    }

    fn unit(&self) -> &'static str {
        "line"
    }
}

/// A line as numbers: the input tokens, and behind them the last label.
struct Line {
    numbers: Vec<u32>,
    unknown: usize,
}

impl LinePredictor {
    /// The language model of `trained` for the texts in `files`.
    ///
    /// # Errors
    /// If a file is not a text, if there is no language model, or those of building it.
    pub fn new(trained: &Trained, files: &[PathBuf], execution: Execution) -> Result<LinePredictor> {
        let (Some((how, vocabulary)), Shape::Tokens { steps, .. }) = (trained.text()?, trained.graph.input())
        else {
            return Err(trained.refuse("it has no language model"));
        };
        let output = Shape::Sequence { steps, features: vocabulary.len() };
        if trained.graph.output() != output {
            let ends = trained.graph.output().described();
            return Err(trained.refuse(format!("its network ends in {ends}, not in {}", output.described())));
        }
        let (how, lines) = (how.clone(), Lines::read(files, how)?);
        let network = restore_network(&trained.path, &trained.snapshot, execution)?;
        let path = trained.path.clone();
        Ok(LinePredictor { lines, how, vocabulary, network, steps, path })
    }

    fn line(&self, number: usize) -> Result<Line> {
        let tokens = tokenize(self.lines.text(number), &self.how)?;
        let end = self.vocabulary.number(END_OF_LINE);
        let mut numbers = vec![end];
        numbers.extend(tokens.iter().map(|token| self.vocabulary.number(token)));
        numbers.push(end);
        let unknown = numbers.iter().filter(|&&number| number == self.vocabulary.unknown()).count();
        Ok(Line { numbers, unknown })
    }

    /// The log-likelihood of each of `lines`, at most as many as a batch holds; 0 for the rest of the batch.
    fn likelihoods(&mut self, lines: &[&Line]) -> Result<Vec<f64>> {
        // Always a full batch: another number of lines may be computed by other kernels, which round otherwise.
        let (batch, vocabulary) = (self.network.capacity(), self.vocabulary.len());
        let mut sums = vec![0.0; batch];
        let mut losses = vec![0.0; self.steps * batch];
        self.network.recurrent_state().into_iter().for_each(|(_, state)| state.values.fill(0.0));
        let longest = lines.iter().map(|line| line.numbers.len() - 1).max().unwrap_or(0);
        for window in (0..longest).step_by(self.steps) {
            for (step, row) in self.network.input_mut(batch).chunks_exact_mut(batch).enumerate() {
                for (place, value) in row.iter_mut().enumerate() {
                    // After the end of a line, any token is read; nothing of it counts.
                    let token = lines.get(place).and_then(|line| line.numbers.get(window + step));
                    *value = token.copied().unwrap_or(0) as f32;
                }
            }
            let logits = self.network.forward(batch, Mode::Evaluate);
            for_each_row(rows_mut(&mut losses, 1), |row, loss| {
                let (step, line) = (row / batch, row % batch);
                let label = lines.get(line).and_then(|line| line.numbers.get(window + step + 1));
                loss[0] = label.map_or(0.0, |&label| {
                    let logits = &logits[row * vocabulary..][..vocabulary];
                    softmax_cross_entropy(logits, &[label as usize], 1.0, None).loss
                });
            });
            for row in losses.chunks_exact(batch) {
                sums.iter_mut().zip(row).for_each(|(sum, loss)| *sum -= loss);
            }
        }
        if sums.iter().any(|sum: &f64| sum.is_nan()) {
            let cause = self.network.first_non_finite().unwrap_or_default();
            return Err(Error::checkpoint(&self.path, format!("its logits are not finite: {cause}")));
        }
        Ok(sums)
    }
}

impl Predictor for LinePredictor {
    fn items(&self) -> &dyn Items {
        &self.lines
    }

    fn fields(&self) -> &[Field] {
        &FIELDS
    }

    fn run(&mut self, range: Range<usize>, give: Give) -> Result<()> {
        let capacity = self.network.capacity();
        let at_a_time = capacity * SORTED_BATCHES;
        for first in range.clone().step_by(at_a_time) {
            let numbers = first..range.end.min(first + at_a_time);
            let lines = numbers.map(|number| self.line(number)).collect::<Result<Vec<Line>>>()?;
            let mut order: Vec<usize> = (0..lines.len()).collect();
            order.sort_by_key(|&line| lines[line].numbers.len());
            let mut values = vec![0.0; lines.len() * FIELDS.len()];
            for batch in order.chunks(capacity) {
                let together: Vec<&Line> = batch.iter().map(|&line| &lines[line]).collect();
                let likelihoods = self.likelihoods(&together)?;
                for (&line, likelihood) in batch.iter().zip(likelihoods) {
                    let Line { numbers, unknown } = &lines[line];
                    let labels = numbers.len() - 1;
                    let perplexity = (-likelihood / labels as f64).exp();
                    values[line * FIELDS.len()..][..FIELDS.len()].copy_from_slice(&[
                        labels as f32,
                        *unknown as f32,
                        likelihood as f32,
                        perplexity as f32,
                    ]);
                }
            }
            if !give(&self.lines, Rows { values, problems: Vec::new() }) {
                break;
            }
        }
        Ok(())
    }
}
