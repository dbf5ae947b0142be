//! The text of the job.

use super::layers::Network;
use super::length::Length;
use super::proposal::Proposal;
use super::setting::{Setting, comment, toml, visible};
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

/// Short epochs are not all evaluated.
const MOST_EVALUATIONS: usize = 25;

fn section(name: &str, settings: &[Setting]) -> String {
    format!("[{name}]\n{}\n", settings.iter().map(Setting::lines).collect::<String>())
}

fn train(facts: &Facts, length: Length) -> Vec<Setting> {
    let batch = match facts.input {
        Shape::Tokens { .. } => "Sequences per step, over all ranks together.",
        _ => "Samples per step, over all ranks together. With many ranks, use more, so that each has work.",
    };
    let epochs = match length.is_short {
        true => {
            "Passes over the training samples: few, so that a first run takes minutes. More will learn more."
        }
        false => "Passes over the training samples. Use more while the validation metric still improves.",
    };
    let mut settings = vec![
        Setting::new("global_batch", length.batch, batch),
        Setting::new("epochs", length.epochs, epochs),
    ];
    // Texts need few epochs.
    if length.epochs > MOST_EVALUATIONS && !matches!(facts.input, Shape::Tokens { .. }) {
        let steps = (length.epochs * facts.samples).div_ceil(length.batch * MOST_EVALUATIONS);
        let comment =
            "Steps from one evaluation on the validation split to the next; without it, one per epoch.";
        settings.push(Setting::new("eval_every", steps, comment));
    }
    settings.push(Setting::new(
        "seed",
        1,
        "Another seed gives another initial network and order of samples.",
    ));
    settings
}

fn optimizer(is_text: bool) -> Vec<Setting> {
    match is_text {
        true => vec![
            Setting::new(
                "learning_rate",
                1.0,
                "Plain SGD with a high rate, as is usual for LSTM language models.",
            ),
            Setting::new("momentum", 0.0, ""),
            Setting::new(
                "weight_decay",
                0.0,
                "L2 regularisation. Try 0.00001 if the training text is learnt by heart.",
            ),
            Setting::new(
                "clip_norm",
                5.0,
                "Gradients with a larger norm are scaled down; lower it if the loss diverges.",
            ),
        ],
        false => vec![
            Setting::new(
                "kind",
                "adam",
                "The update rule. \"sgd\" needs about ten times the rate, and has no decoupled_decay.",
            ),
            Setting::new(
                "learning_rate",
                0.003,
                "Lower it if the loss diverges or jumps; raise it if it falls slowly.",
            ),
            Setting::new("decoupled_decay", true, "Weight decay as in AdamW."),
            Setting::new(
                "weight_decay",
                0.01,
                "Raise it if the training loss is much lower than the validation loss.",
            ),
            Setting::new(
                "clip_norm",
                1.0,
                "Gradients with a larger norm are scaled down, so that outliers do no harm.",
            ),
        ],
    }
}

fn schedule(is_text: bool) -> Vec<Setting> {
    match is_text {
        true => vec![
            Setting::new("kind", "plateau", "The learning rate falls when the validation loss does not."),
            Setting::new("gamma", 0.5, "The factor by which it falls."),
        ],
        false => {
            vec![Setting::new("kind", "cosine", "The learning rate falls to 0 until the end of the run.")]
        }
    }
}

fn exchange() -> [Setting; 1] {
    [Setting::new(
        "gradients",
        "float32",
        "How ranks average gradients. A small network needs no compression; on slow networks, \"ternary\" sends 2 bits per \
         element (docs/how-to/slow-networks.md).",
    )]
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
