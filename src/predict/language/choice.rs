//! The choice of the next token. Letters: V words in the vocabulary.

use ternflock_base::error::{Error, Result};

/// How the next token is chosen from the logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The logits are divided by it. 0: the most likely token; 1: as the network says; more: flatter.
    temperature: f64,
    /// Only this many of the most likely tokens can be chosen; `None`: all.
    top_k: Option<usize>,
    /// A token that is never chosen.
    without: Option<u32>,
}

impl Choice {
    /// The choice at `temperature` among the `top_k` most likely tokens except `without`.
    ///
    /// # Errors
    /// If the temperature is negative or not finite, or if `top_k` is 0.
    pub fn new(temperature: f64, top_k: Option<usize>, without: Option<u32>) -> Result<Choice> {
        if !(temperature.is_finite() && temperature >= 0.0) {
            let message = format!(
                "a temperature of {temperature} is not possible: use 0 for the most likely token, or a number above 0"
            );
            return Err(Error::Usage(message));
        }
        if top_k == Some(0) {
            return Err(Error::Usage(
                "a choice among the top 0 tokens is not possible: use 1 or more".into(),
            ));
        }
        Ok(Choice { temperature, top_k, without })
    }

    /// The token that `uniform`, in `[0, 1)`, selects from `logits` `[V]`: the first whose cumulative probability exceeds
    /// it. Tokens with equal logits come in the order of their numbers. `room` is reused.
    ///
    /// # Panics
    /// If there is no token to choose, or if a logit is NaN.
    pub fn choose(&self, logits: &[f32], uniform: f64, room: &mut Vec<u32>) -> u32 {
        room.clear();
        room.extend((0..logits.len() as u32).filter(|&token| self.without != Some(token)));
        let logit = |token: &u32| logits[*token as usize];
        let by_logit = |a: &u32, b: &u32| {
            let order = logit(b).partial_cmp(&logit(a)).expect("no logit is NaN");
            order.then(a.cmp(b))
        };
        let kept = if self.temperature == 0.0 { 1 } else { self.top_k.unwrap_or(usize::MAX) };
        if kept < room.len() {
            room.select_nth_unstable_by(kept - 1, by_logit);
            room.truncate(kept);
            room.sort_unstable();
        }
        let largest = room.iter().map(logit).fold(f32::NEG_INFINITY, f32::max);
        // The largest weight is 1, whatever the temperature.
        let weight = |token: &u32| {
            let below = f64::from(logit(token)) - f64::from(largest);
            if below == 0.0 { 1.0 } else { (below / self.temperature).exp() }
        };
        let total: f64 = room.iter().map(weight).sum();
        let (mut sum, wanted) = (0.0, uniform * total);
        let chosen = room.iter().find(|token| {
            sum += weight(token);
            sum > wanted
        });
        // The product may round up to the total: then it is the last token that has a probability.
        let last = || room.iter().rev().find(|token| weight(token) > 0.0);
        *chosen.or_else(last).expect("the vocabulary has a token")
    }
}
