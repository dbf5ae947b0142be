//! Converts tokens to vectors with a table of one row per word. Letters: T steps, N samples, V vocabulary, D
//! features.

use serde::{Deserialize, Serialize};

use super::{Example, Examples, TOKENS, single};
use crate::coupling::{Axis, Coupling, Units};
use crate::declare::{Adjustable, Declare, Parts};
use crate::init::{Fan, Init};
use crate::layer::{Backward, BackwardReads, Describe, Forward, Layer, ParameterSpec, TensorRole, WEIGHT};
use crate::size::elements;
use crate::spec::default;
use crate::{Execution, Shape};
use ternflock_tensor::{
    BLOCK, Buffers, add_scaled, for_each_row, has_bits, prefetch_after, rows_mut, vectorise,
};

/// Replaces each token by its row of the weight `[V, D]`: `[T, N]` to `[T, N, D]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    /// D.
    pub features: usize,
    /// V, if it must exceed that of the tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<usize>,
    /// The initialisation of the weight; each output is one of its numbers, so fan_in is 1.
    #[serde(default = "default::init")]
    pub init: Init,
}

impl Embedding {
    /// (T, V).
    fn sizes(&self, inputs: &[Shape]) -> Result<(usize, usize), String> {
        let (steps, tokens) = match single(inputs)? {
            Shape::Tokens { steps, vocabulary } => (steps, vocabulary),
            shape => return Err(format!("takes tokens, got {}", shape.described())),
        };
        let rows = self.vocabulary.unwrap_or(tokens);
        if rows < tokens {
            return Err(format!(
                "its table is [{rows}, {}], for a vocabulary of {rows}, and the data's vocabulary is \
                 {tokens}; set `vocabulary` to {tokens} or omit it",
                self.features
            ));
        }
        elements(&[rows, self.features])?;
        self.init.check()?;
        match self.features {
            0 => Err("features must be at least 1".into()),
            _ => Ok((steps, rows)),
        }
    }
}

impl Examples for Embedding {
    const EXAMPLES: &'static [Example] =
        &[Example { table: r#"{"type": "embedding", "features": 5}"#, inputs: &[TOKENS] }];
}

impl Declare for Embedding {
    /// A row is a word, so neither penalties nor surgery remove rows.
    fn parts(&self) -> Parts<'_> {
        Parts::default()
    }

    fn adjustable(&mut self) -> Adjustable<'_> {
        Adjustable { units: Some(&mut self.features), ..Adjustable::default() }
    }
}

impl Describe for Embedding {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (steps, _) = self.sizes(inputs)?;
        Ok(Shape::Sequence { steps, features: self.features })
    }

    fn parameters(&self, inputs: &[Shape]) -> Result<Vec<ParameterSpec>, String> {
        let (_, vocabulary) = self.sizes(inputs)?;
        Ok(vec![ParameterSpec {
            name: WEIGHT,
            shape: vec![vocabulary, self.features],
            init: self.init,
            fan: Fan { inputs: 1, outputs: self.features },
            role: TensorRole::Table,
            axes: vec![Axis::Free, Axis::Makes(1)],
        }])
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::INPUTS
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        Ok(Coupling::new(Units::Own))
    }

    fn build(&self, _: &[Shape], _: Execution, _: &mut Buffers) -> Result<Box<dyn Layer>, String> {
        Ok(Box::new(Rows { features: self.features }))
    }
}

/// Number of elements that a thread sets to zero at a time.
const CLEARED: usize = 1 << 15;

/// Sets `values` to zero. Nearly all of them already are, because only rows of words in the last batch had a gradient, and
/// reading is faster than writing.
fn clear(values: &mut [f32]) {
    vectorise(
        #[inline(always)]
        || {
            for block in values.chunks_mut(BLOCK) {
                prefetch_after(block);
                if has_bits(block) {
                    block.fill(0.0);
                }
            }
        },
    );
}

struct Rows {
    features: usize,
}

impl Rows {
    /// The range of the row of `token` in the table.
    fn row(&self, token: f32) -> std::ops::Range<usize> {
        let start = token as usize * self.features;
        start..start + self.features
    }
}

impl Layer for Rows {
    fn forward(&mut self, pass: Forward<'_>) {
        let weight = pass.parameters.get(WEIGHT);
        for (y, &token) in pass.y.chunks_exact_mut(self.features).zip(pass.x.get(0)) {
            y.copy_from_slice(&weight[self.row(token)]);
        }
    }

    /// Tokens have no gradient.
    fn backward(&mut self, mut pass: Backward<'_>) {
        let shared = pass.gradients.shared(WEIGHT);
        let gradient = pass.gradients.get(WEIGHT);
        if !shared {
            for_each_row(rows_mut(gradient, CLEARED), |_, part| clear(part));
        }
        for (dy, &token) in pass.dy.chunks_exact(self.features).zip(pass.x.get(0)) {
            add_scaled(1.0, dy, &mut gradient[self.row(token)]);
        }
    }
}
