//! A synthetic text, which every rank generates for itself.

use std::ops::Range;

use support::digits::load;
use support::ranks::on_ranks;
use ternflock::data::{Feeds, shard};
use ternflock::nn::{TargetKind, Targets};
use ternflock::train::{open_feeds, open_test_set};

use super::made_up;
use crate::WORLDS;
use crate::runs::{resume_changed, train};

/// Each rank generates the entire text and reads its own columns. The bound on losses is that of
/// `float32_follows_one_rank_also_where_it_is_resumed_on_another_number`.
#[test]
fn ranks_share_a_made_up_text_however_many_they_are() {
    let loaded = made_up(&["exchange.gradients=float32"]);
    let read = |part: Range<usize>| {
        let Feeds { mut train, evaluation, .. } = open_feeds(&loaded).unwrap();
        let (mut input, mut targets) = (vec![0.0; 7 * part.len()], Targets::default());
        let mut columns = vec![Vec::new(); part.len()];
        for step in [0, 1, 27, 28] {
            train.fill(step, part.clone(), &mut input, &mut targets).unwrap();
            for (at, (&token, &label)) in input.iter().zip(&targets.labels).enumerate() {
                columns[at % part.len()].push((token as usize, label));
            }
        }
        (columns, train.hash(), evaluation.hash())
    };
    let (whole, train_hash, evaluation_hash) = read(0..7);
    let directory = tempfile::tempdir().unwrap();
    let alone = train(1, &loaded, directory.path())[0].losses();
    for ranks in &WORLDS[1..5] {
        let shares = on_ranks(*ranks, |world| read(shard(7, world.rank(), world.size())));
        assert!(
            shares
                .iter()
                .all(|(_, train, evaluation)| (*train, *evaluation) == (train_hash, evaluation_hash))
        );
        assert_eq!(shares.into_iter().flat_map(|(columns, ..)| columns).collect::<Vec<_>>(), whole);
        let directory = tempfile::tempdir().unwrap();
        let losses = train(*ranks, &loaded, directory.path())[0].losses();
        let apart = alone.iter().zip(&losses).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(losses.len() == 20 && apart < 1e-4, "{ranks} ranks: losses differ by {apart:e}");
    }
}

/// There is more to learn than the frequencies of tokens: the perplexity of those alone is exp of their
/// entropy.
#[test]
fn a_made_up_text_teaches_what_follows_what() {
    let directory = tempfile::tempdir().unwrap();
    let loaded = made_up(&["data.tokens=20000", "train.steps=400", "train.log_every=400"]);
    train(2, &loaded, directory.path());
    let stored = load(directory.path(), 400);
    let mut train = open_feeds(&loaded).unwrap().train;
    let (mut counts, mut targets, steps) = ([0.0; 60], Targets::default(), train.samples() as u64 / 7);
    for step in 0..steps {
        train.fill(step, 0..7, &mut [0.0; 49], &mut targets).unwrap();
        targets.labels.iter().for_each(|&label| counts[label] += 1.0);
    }
    let all: f64 = counts.iter().sum();
    let shares = counts.iter().map(|count| count / all).filter(|share| *share > 0.0);
    let frequencies = shares.map(|share| -share * share.ln()).sum::<f64>().exp();
    let perplexity = stored.progress.metrics["validation_perplexity"];
    assert!(perplexity < 0.8 * frequencies, "{perplexity}, by frequencies alone {frequencies}");

    assert!(stored.vocabulary.is_empty());
    let evaluation = open_test_set(&loaded.job.data, None, None).unwrap();
    assert_eq!((evaluation.target(), evaluation.items()), (TargetKind::Class(60), 5));
    for rank in resume_changed(2, &made_up(&["data.tokens=20001", "train.steps=401"]), directory.path()) {
        let message = rank.result.unwrap_err().to_string();
        assert!(
            message.contains("data.tokens: 20000 -> 20001") || message.contains("has failed"),
            "{message}"
        );
    }
}
