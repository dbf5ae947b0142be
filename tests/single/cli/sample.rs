//! `ternflock sample`: its output, and refused requests.

use std::process::Stdio;

use support::program::{Finished, Place, Running, finish};

use crate::PROGRAM;

const CHECKPOINT: &str = "run/checkpoints/best.h5";

/// A place with a language model of `layers` in `run`, trained for a moment. `data` are further keys of its data.
fn trained(data: &str, layers: &str) -> Place {
    let place = Place::new(PROGRAM);
    place.write(
        "text.toml",
        format!(
            "[data]\ndataset = \"genesis\"\nvocabulary = 50\nsequence_length = 5\n{data}\n[train]\nsteps = 4\nglobal_batch = 4\n\
             eval_every = 0\n[optimizer]\nlearning_rate = 1.0\n[[model.layers]]\nname = \"embedding\"\ntype = \"embedding\"\n\
             features = 8\n{layers}\n[[model.layers]]\nname = \"logits\"\ntype = \"linear\"\nunits = \"vocabulary\"\n"
        ),
    );
    place.run("train text.toml --run-dir run").ended(0);
    place
}

const LSTM: &str = "[[model.layers]]\ntype = \"lstm\"\nhidden = 8\n";

fn sample(place: &Place, prompt: &str, options: &str) -> Finished {
    let words = ["sample", CHECKPOINT, "--prompt", prompt].into_iter().chain(options.split_whitespace());
    finish(&mut place.command(&words.collect::<Vec<_>>()))
}

/// External scripts rely on these keys.
#[test]
fn a_text_is_continued_and_its_seed_decides() {
    let place = trained("", LSTM);
    let one = sample(&place, "And the", "--tokens 30 --seed 4 --json").json();
    assert_eq!(
        (&one["checkpoint"], &one["prompt"], &one["seed"]),
        (&CHECKPOINT.into(), &"And the".into(), &4.into())
    );
    assert_eq!((&one["step"], &one["unknown"].as_array().unwrap().len()), (&4.into(), &0));
    let tokens = one["tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 30);
    let text = one["text"].as_str().unwrap();
    assert!(text.starts_with("And the"), "{text}");
    // The text is the tokens, one after another.
    let words = text.replace('\n', " <eos> ");
    let words: Vec<&str> = words.split_whitespace().skip(2).collect();
    assert_eq!(tokens.iter().map(|token| token.as_str().unwrap()).collect::<Vec<_>>(), words);

    let again = sample(&place, "And the", "--tokens 30 --seed 4").ended(0);
    assert_eq!((again.out.trim_end(), &again.err[..]), (text.trim_end(), ""));
    assert!(again.out.ends_with('\n'));
    let other = sample(&place, "And the", "--tokens 30 --seed 5").ended(0).out;
    assert_ne!(other, again.out);
    // The first tokens do not depend on how many follow.
    let short = sample(&place, "And the", "--tokens 10 --seed 4 --json").json();
    assert_eq!(short["tokens"].as_array().unwrap()[..], tokens[..10]);
    let cold = |options: &str| {
        sample(&place, "And the", &format!("--tokens 9 --json {options}")).json()["tokens"].clone()
    };
    assert_eq!(cold("--temperature 0 --seed 1"), cold("--temperature 0 --seed 2"));
    assert_eq!(cold("--temperature 0"), cold("--top-k 1 --temperature 3"));
    assert_eq!(sample(&place, "", "--tokens 0").ended(0).out, "");
}

#[test]
fn unknown_words_are_named_and_need_not_be_drawn() {
    let place = trained("lowercase = true\npunctuation = \"apart\"", LSTM);
    let read =
        sample(&place, "The Xyzzy, the plugh xyzzy", "--tokens 400 --temperature 9 --no-unknown").ended(0);
    assert!(read.err.contains("no `xyzzy`, `plugh`; the network reads <unk>"), "{}", read.err);
    assert!(read.out.starts_with("the xyzzy, the plugh xyzzy"), "{}", read.out);
    assert!(!read.out.contains("<unk>"), "{}", read.out);
    let with = sample(&place, "The", "--tokens 400 --temperature 9 --json").json();
    assert!(with["tokens"].as_array().unwrap().iter().any(|token| token == "<unk>"), "{with}");
}

/// The state of every kind of recurrent layer is carried from token to token; the program itself compares each with the
/// network for several tokens.
#[test]
fn every_recurrent_network_can_be_sampled() {
    for layers in [
        "[[model.layers]]\ntype = \"gru\"\nhidden = 6\n",
        "[[model.layers]]\ntype = \"rnn\"\nhidden = 6\n[[model.layers]]\ntype = \"dropout\"\nrate = 0.5\n",
        "[[model.layers]]\ntype = \"rhn\"\nhidden = 6\ndepth = 2\n",
        "[[model.layers]]\ntype = \"lstm\"\nhidden = 6\nrecurrent_rank = 2\n[[model.layers]]\ntype = \"lstm\"\nhidden = 5\n",
    ] {
        let place = trained("level = \"character\"", layers);
        let read = sample(&place, "in\nthe", "--tokens 20 --json").json();
        assert_eq!(read["tokens"].as_array().unwrap().len(), 20, "{layers}");
        let text: String =
            read["tokens"].as_array().unwrap().iter().map(|token| token.as_str().unwrap()).collect();
        assert_eq!(read["text"].as_str().unwrap(), format!("in\nthe{}", text.replace("<eos>", "\n")));
    }
}

/// A character is printed as soon as it is drawn, and no more are drawn when nobody reads them.
#[test]
fn a_reader_may_leave_early() {
    let place = trained("", LSTM);
    let mut command = place.command(&["sample", CHECKPOINT, "--tokens", "4000000000"]);
    let child =
        command.stdout(Stdio::from(std::io::pipe().unwrap().1)).stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(Running(child).end(), Some(0));
}

#[test]
fn what_cannot_be_sampled_is_refused() {
    let place = trained("", LSTM);
    sample(&place, "a", "--temperature -1").refused(2, &["--temperature", "-1 is not possible"]);
    sample(&place, "a", "--temperature nan").refused(2, &["--temperature", "NaN is not possible"]);
    sample(&place, "a", "--top-k 0").refused(2, &["--top-k"]);
    place.run("train tiny.toml --run-dir images").ended(0);
    place
        .run("sample images/checkpoints/best.h5")
        .refused(4, &["its network takes images of 1x8x8", "cannot continue a text", "ternflock predict"]);
    place.run("sample nowhere.h5").refused(4, &["nowhere.h5: cannot be read"]);
    place.run("sample").refused(2, &["<CHECKPOINT>"]);
}
