//! How the network is trained: the sections `[train]`, `[optimizer]`, `[schedule]` and `[exchange]`.

use super::job::Facts;
use super::length::Length;
use super::setting::Setting;
use ternflock_nn::Shape;

/// Short epochs are not all evaluated.
const MOST_EVALUATIONS: usize = 25;

/// The length of the run.
pub fn train(facts: &Facts, length: Length) -> Vec<Setting> {
    let batch = match facts.input {
        Shape::Tokens { .. } => "Sequences per step, over all ranks together.",
        _ => "Samples per step, over all ranks together. With many ranks, use more, so that each has work.",
    };
    let epochs = match length.is_short {
        true => {
            "Passes over the training samples: few, to keep a first run short. More epochs usually give a better network."
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

/// The update rule: SGD for texts, Adam for all else.
pub fn optimizer(is_text: bool) -> Vec<Setting> {
    match is_text {
        true => vec![
            Setting::new(
                "learning_rate",
                1.0,
                "Plain SGD with a high rate, as is usual for LSTM language models.",
            ),
            Setting::new("momentum", 0.0, ""),
            Setting::new("weight_decay", 0.0, "L2 regularisation. Try 0.00001 if the network overfits."),
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

/// The learning rate over time.
pub fn schedule(is_text: bool) -> Vec<Setting> {
    match is_text {
        true => vec![
            Setting::new(
                "kind",
                "plateau",
                "The learning rate is lowered when the validation loss stops falling.",
            ),
            Setting::new("gamma", 0.5, "The factor by which it falls."),
        ],
        false => {
            vec![Setting::new("kind", "cosine", "The learning rate falls to 0 until the end of the run.")]
        }
    }
}

/// How ranks average gradients.
pub fn exchange() -> [Setting; 1] {
    [Setting::new(
        "gradients",
        "float32",
        "How ranks average gradients. A small network needs no compression; on slow networks, \"ternary\" sends 2 bits per \
         element (docs/how-to/slow-networks.md).",
    )]
}
