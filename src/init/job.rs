//! The text of the job.

use super::layers::Network;
use super::length::Length;
use super::proposal::Proposal;
use super::setting::{Setting, comment, toml, visible};
use super::training::{exchange, optimizer, schedule, train};
use ternflock_base::error::Result;
use ternflock_nn::{Shape, TargetKind};

/// What opening the data has shown.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The shape of a sample.
    pub input: Shape,
    /// What is predicted for it.
    pub target: TargetKind,
    /// The number of training samples.
    pub samples: usize,
    /// The description of the data, as `ternflock data info` prints it.
    pub info: &'a str,
}

/// A job.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Its text.
    pub text: String,
    /// The network, in words.
    pub network: &'static str,
    /// Whether a longer run would learn more.
    pub is_short: bool,
}

/// The job for `proposal`, whose data are as `facts` say. The file is called `file`, and `name` is the name of the job if the
/// file's is none.
///
/// # Errors
/// If no network fits the samples.
pub fn write(proposal: &Proposal, facts: &Facts, file: &str, name: Option<&str>) -> Result<Draft> {
    let (model, network, length) = match facts.input {
        Shape::Tokens { vocabulary, .. } => language_model(proposal.tokens, vocabulary),
        input => {
            let network = Network::new(input, facts.target)?;
            let length = Length::new(input, facts.samples, network.multiply_adds);
            (network.text(), network.described, length)
        }
    };
    let mut text = head(facts.info, file);
    if let Some(name) = name {
        text += &format!("{}name = {}\n\n", comment("The name of the run directory."), toml(&name.into()));
    }
    text += &proposal.sections();
    text += &section("train", &train(facts, length));
    let is_text = matches!(facts.input, Shape::Tokens { .. });
    text += &section("optimizer", &optimizer(is_text));
    text += &section("schedule", &schedule(is_text));
    text += &section("exchange", &exchange());
    text += &comment(&match is_text {
        true => format!("The network: {network}."),
        false => format!(
            "The network: {network}. The comment of a layer is the shape of its output, for one sample. It reads {}. The \
             last layer gets its size from the data.",
            facts.input.described()
        ),
    });
    text += &format!("\n{}\n", model.trim_end());
    Ok(Draft { text, network, is_short: length.is_short })
}

fn head(info: &str, file: &str) -> String {
    let mut text = comment(
        "A first job, written by `ternflock init`. It trains as it is; docs/job-file.md describes all keys.",
    );
    text += &format!("#\n#   ternflock check {0}\n#   mpirun -n 2 ternflock train {0}\n#\n", visible(file));
    text += &format!("# The data, as `ternflock data info {}` shows them:\n#\n", visible(file));
    for line in info.lines() {
        text += format!("# {}", visible(line)).trim_end();
        text.push('\n');
    }
    text + "\n"
}

fn section(name: &str, settings: &[Setting]) -> String {
    format!("[{name}]\n{}\n", settings.iter().map(Setting::lines).collect::<String>())
}

/// The hidden units of the preset `lstm-small`, and its levels.
const HIDDEN: u64 = 200;
const LEVELS: u64 = 2;

/// Two levels of LSTM for a text of `tokens` tokens with `vocabulary` different ones.
fn language_model(tokens: usize, vocabulary: usize) -> (String, &'static str, Length) {
    let cost = LEVELS * 8 * HIDDEN * HIDDEN + HIDDEN * vocabulary as u64;
    let length = Length::of_text(tokens, cost);
    let setting = Setting::new(
        "preset",
        "lstm-small",
        "Two levels of 200 LSTM units. \"lstm-medium\" has 650, for texts of a million words.",
    );
    let model = format!("[model]\n{}", setting.lines());
    (model, "an LSTM language model", length)
}
