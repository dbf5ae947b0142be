//! Draws a text, token by token.

use super::{Choice, Stepper};
use ternflock_base::error::Result;
use ternflock_base::rng::{Purpose, Stream};

/// A language model that continues a text.
pub struct Sampler {
    stepper: Stepper,
    choice: Choice,
    seed: u64,
    /// Tokens drawn so far.
    drawn: u64,
    /// Scratch space of the choice.
    room: Vec<u32>,
}

impl Sampler {
    /// A sampler that has read nothing. `seed` determines all draws.
    pub fn new(stepper: Stepper, choice: Choice, seed: u64) -> Sampler {
        Sampler { stepper, choice, seed, drawn: 0, room: Vec::new() }
    }

    /// Reads `token` as the next one of the text.
    ///
    /// # Errors
    /// Those of [`Stepper::read`].
    pub fn read(&mut self, token: u32) -> Result<()> {
        self.stepper.read(token).map(drop)
    }

    /// Draws the next token and reads it. At least one token must have been read before.
    ///
    /// # Errors
    /// Those of [`Stepper::read`].
    pub fn draw(&mut self) -> Result<u32> {
        let (step, purpose) = (self.drawn, Purpose::Sample);
        let stream = Stream { seed: self.seed, purpose, step, subject: 0, tensor: 0 };
        let [high, low, ..] = stream.block(0);
        // 53 bits, as many as an f64 holds exactly below 1.
        let bits = (u64::from(high) << 32 | u64::from(low)) >> 11;
        let uniform = bits as f64 / (1u64 << 53) as f64;
        let token = self.choice.choose(self.stepper.logits(), uniform, &mut self.room);
        self.drawn += 1;
        self.read(token)?;
        Ok(token)
    }
}
