//! Remarks about data that can be trained on but may not be what the user expects.

use super::Feeds;

/// The share of unknown tokens above which a perplexity means little.
const MANY_UNKNOWN: f64 = 0.1;
/// The maximum number of classes to list.
const MOST_LISTED: usize = 10;

impl Feeds {
    /// One sentence for each oddity of the data.
    pub fn remarks(&self) -> Vec<String> {
        let words = self.vocabulary.as_ref().map_or(0, super::Vocabulary::len);
        let train = self.train.unknown_share().and_then(|share| unknown_remark("training", share, words));
        let evaluation =
            self.evaluation.unknown_share().and_then(|share| unknown_remark(self.set, share, words));
        let empty = empty_remark(&self.train.empty_classes(), self.train.target().outputs());
        train.into_iter().chain(evaluation).chain(empty).chain(self.train.remarks()).collect()
    }
}

/// A remark about the `set` text if the `share` of its tokens that are `<unk>` under a vocabulary of `words` words is
/// large.
pub fn unknown_remark(set: &str, share: f64, words: usize) -> Option<String> {
    let remedy = match set {
        "training" => "raise data.vocabulary",
        _ => "use a text like the training text, or raise data.vocabulary",
    };
    (share > MANY_UNKNOWN).then(|| {
        format!(
            "warning: {:.1} % of the {set} text's tokens are `<unk>`, because the vocabulary has {words} words: the perplexity \
             mostly measures how well `<unk>` is predicted; {remedy}, or merge words with data.lowercase = true and \
             data.punctuation = \"apart\"",
            100.0 * share
        )
    })
}

fn empty_remark(empty: &[usize], classes: usize) -> Option<String> {
    if empty.is_empty() {
        return None;
    }
    let listed: Vec<String> = empty.iter().take(MOST_LISTED).map(usize::to_string).collect();
    let more = if empty.len() > MOST_LISTED { ", ..." } else { "" };
    let from_one = match empty {
        [0] => "; if labels begin at 1, data.first_label = 1 leaves it out",
        _ => "",
    };
    Some(format!(
        "{} of {classes} classes have no training sample, so the network cannot learn them: {}{more}{from_one}",
        empty.len(),
        listed.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_words_are_spoken_of_when_they_are_many() {
        assert_eq!(unknown_remark("training", 0.1, 100), None);
        let remark = unknown_remark("training", 0.876, 100).unwrap();
        for part in [
            "warning: 87.6 % of the training text's tokens are `<unk>`",
            "has 100 words",
            "; raise data.vocab",
        ] {
            assert!(remark.contains(part), "{remark}");
        }
        let remark = unknown_remark("validation", 0.2, 100).unwrap();
        assert!(
            remark.contains("of the validation text's") && remark.contains("like the training text"),
            "{remark}"
        );
    }

    #[test]
    fn classes_without_samples_are_named() {
        assert_eq!(empty_remark(&[], 10), None);
        let remark = empty_remark(&[3, 7], 10).unwrap();
        assert!(
            remark.starts_with("2 of 10 classes have no training sample") && remark.ends_with(": 3, 7"),
            "{remark}"
        );
        let remark = empty_remark(&[0], 27).unwrap();
        assert!(remark.contains(": 0; if labels begin at 1, data.first_label = 1"), "{remark}");
        let many: Vec<usize> = (256..1000).collect();
        let remark = empty_remark(&many, 1000).unwrap();
        assert!(remark.starts_with("744 of 1000") && remark.ends_with("265, ..."), "{remark}");
    }
}
