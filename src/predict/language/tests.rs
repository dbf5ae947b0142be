//! Choices have the probabilities of the network, texts split into their tokens again, and one token at a time computes what
//! several at once compute.

use proptest::prelude::*;
use ternflock_base::rng::{Purpose, Stream};
use ternflock_data::tokenize;
use ternflock_job::{Level, Punctuation, Text};

use super::*;

fn how(level: Level, punctuation: Punctuation) -> Text {
    Text {
        train: None,
        valid: None,
        test: None,
        held_out: None,
        level,
        lowercase: false,
        punctuation,
        vocabulary: 100,
        sequence_length: 5,
        evaluation_columns: 1,
    }
}

fn choose(choice: (f64, Option<usize>, Option<u32>), logits: &[f32], uniform: f64) -> u32 {
    let (temperature, top_k, without) = choice;
    Choice::new(temperature, top_k, without).unwrap().choose(logits, uniform, &mut Vec::new())
}

const LOGITS: [f32; 5] = [0.5, 2.0, -1.0, 2.0, 1.0];

#[test]
fn the_coldest_choice_is_the_first_of_the_most_likely() {
    for uniform in [0.0, 0.5, 1.0 - f64::EPSILON] {
        assert_eq!(choose((0.0, None, None), &LOGITS, uniform), 1);
        assert_eq!(choose((0.0, Some(3), None), &LOGITS, uniform), 1);
        assert_eq!(choose((5.0, Some(1), None), &LOGITS, uniform), 1);
        assert_eq!(choose((0.0, None, Some(1)), &LOGITS, uniform), 3);
        // A temperature so low that all other weights are 0.
        assert!([1, 3].contains(&choose((1e-300, None, None), &LOGITS, uniform)));
    }
    assert_eq!(choose((0.0, None, None), &[f32::NEG_INFINITY, -3.0], 0.0), 1);
}

#[test]
fn impossible_choices_are_refused() {
    for temperature in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(Choice::new(temperature, None, None).is_err(), "{temperature}");
    }
    assert!(Choice::new(1.0, Some(0), None).is_err());
}

/// The shares of many draws against softmax(logits / temperature) over the tokens that can be chosen. A share of n draws
/// has a standard deviation of at most 1 / (2 sqrt n); 5 of them are exceeded once in a million.
#[test]
fn tokens_are_drawn_with_their_probabilities() {
    const DRAWS: usize = 40_000;
    for (temperature, top_k, without) in
        [(1.0, None, None), (0.5, None, Some(3)), (2.0, Some(3), None), (1.0, Some(2), Some(1))]
    {
        let mut allowed: Vec<u32> = (0..5).filter(|&token| without != Some(token)).collect();
        allowed.sort_by(|&a, &b| LOGITS[b as usize].total_cmp(&LOGITS[a as usize]));
        allowed.truncate(top_k.unwrap_or(5));
        let weight = |token: u32| (f64::from(LOGITS[token as usize]) / temperature).exp();
        let total: f64 = allowed.iter().map(|&token| weight(token)).sum();
        let mut counts = [0usize; 5];
        for draw in 0..DRAWS {
            let step = draw as u64;
            let stream = Stream { seed: 9, purpose: Purpose::Test, step, subject: 0, tensor: 0 };
            let uniform = f64::from(stream.word(0)) / 2f64.powi(32);
            counts[choose((temperature, top_k, without), &LOGITS, uniform) as usize] += 1;
        }
        for token in 0..5u32 {
            let expected = if allowed.contains(&token) { weight(token) / total } else { 0.0 };
            let share = counts[token as usize] as f64 / DRAWS as f64;
            assert!((share - expected).abs() <= 2.5 / (DRAWS as f64).sqrt(), "{token}: {share} {expected}");
            assert!(expected > 0.0 || counts[token as usize] == 0);
        }
    }
}

proptest! {
    /// The token is that of a plain sum over all tokens in order.
    #[test]
    fn the_choice_is_the_inverse_of_the_cumulative_distribution(
        logits in proptest::collection::vec(-8i8..8, 1..40), uniform in 0.0f64..1.0, quarters in 1u8..12
    ) {
        let logits: Vec<f32> = logits.into_iter().map(f32::from).collect();
        let temperature = f64::from(quarters) / 4.0;
        let weights: Vec<f64> = logits.iter().map(|&logit| (f64::from(logit) / temperature).exp()).collect();
        let total: f64 = weights.iter().sum();
        let token = choose((temperature, None, None), &logits, uniform) as usize;
        let before: f64 = weights[..token].iter().sum::<f64>() / total;
        let through = before + weights[token] / total;
        prop_assert!(before <= uniform + 1e-12 && uniform < through + 1e-12);
    }

    #[test]
    fn a_joined_text_splits_into_the_same_tokens(text in "([ab,.!\n '()-]|<unk>){0,40}", kind in 0usize..3) {
        let how = [
            how(Level::Word, Punctuation::Attached),
            how(Level::Word, Punctuation::Apart),
            how(Level::Character, Punctuation::Attached),
        ][kind].clone();
        let tokens = tokenize(&text, &how).unwrap();
        let (mut joiner, mut joined) = (Joiner::new(&how), String::new());
        tokens.iter().for_each(|token| joiner.push(token, &mut joined));
        prop_assert_eq!(tokenize(&joined, &how).unwrap(), tokens);
        prop_assert_eq!(joiner.is_at_line_start(), joined.is_empty() || joined.ends_with('\n'));
    }
}

#[test]
fn marks_follow_their_words() {
    let join = |how: &Text, tokens: &[&str]| {
        let (mut joiner, mut text) = (Joiner::new(how), String::new());
        tokens.iter().for_each(|token| joiner.push(token, &mut text));
        text
    };
    let tokens = ["and", "god", "said", ",", "(", "let", ")", "<eos>", ".", "x"];
    assert_eq!(join(&how(Level::Word, Punctuation::Apart), &tokens), "and god said, ( let)\n. x");
    assert_eq!(join(&how(Level::Word, Punctuation::Attached), &tokens), "and god said , ( let )\n. x");
    assert_eq!(join(&how(Level::Character, Punctuation::Attached), &["a", " ", "<eos>", "b"]), "a \nb");
}
