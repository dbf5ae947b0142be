//! Language models: from tokens to the logits of the next token, over the vocabulary of the data. The shape
//! of the input determines the number of steps that gradients are propagated back through.

use serde_json::{Value, json};

use super::{Tables, tables};

/// Zaremba, Sutskever and Vinyals ("Recurrent Neural Network Regularization", 2014, section 4.1): two levels
/// of LSTM between an embedding and the logits, dropout between levels, and all parameters initialised from a
/// uniform distribution. An LSTM has one bias here; PyTorch adds two: 4,651,600 parameters for `lstm-small`
/// and 10,000 words, 19,775,200 for `lstm-medium`, 66,022,000 for `lstm-large`.
struct Zaremba {
    hidden: usize,
    init: f64,
    dropout: f64,
}

/// 2 x 200 units, without dropout; published with 20 steps.
pub(super) fn lstm_small(words: usize) -> Tables {
    zaremba(Zaremba { hidden: 200, init: 0.1, dropout: 0.0 }, words)
}

/// 2 x 650 units; published with 35 steps.
pub(super) fn lstm_medium(words: usize) -> Tables {
    zaremba(Zaremba { hidden: 650, init: 0.05, dropout: 0.5 }, words)
}

/// 2 x 1500 units; published with 35 steps.
pub(super) fn lstm_large(words: usize) -> Tables {
    zaremba(Zaremba { hidden: 1500, init: 0.04, dropout: 0.65 }, words)
}

fn zaremba(Zaremba { hidden, init, dropout }: Zaremba, words: usize) -> Tables {
    let init = json!({"uniform": init});
    let level =
        |name: &str| json!({"name": name, "type": "lstm", "hidden": hidden, "init": init, "bias_init": init});
    let dropped = |name: &str| json!({"name": name, "type": "dropout", "rate": dropout});
    let mut layers = vec![
        json!({"name": "embedding", "type": "embedding", "features": hidden, "init": init}),
        dropped("dropout1"),
        level("lstm1"),
        dropped("dropout2"),
        level("lstm2"),
        dropped("dropout3"),
        json!({"name": "logits", "type": "linear", "units": words, "init": init, "bias_init": init}),
    ];
    layers.retain(|layer| layer["type"] != "dropout" || dropout > 0.0);
    tables(Value::Array(layers))
}

/// A recurrent highway network of 10 levels and 830 units, its logits tied to the embedding (Zilly et al.,
/// "Recurrent Highway Networks", 2017, in the size of their best network for the Penn Treebank, 23.5 million
/// weights). Dropout is drawn again at each step, while theirs keeps one mask per sequence, and there is no
/// dropout inside the recurrence.
pub(super) fn rhn(words: usize) -> Tables {
    let (init, hidden, dropout) = (json!({"uniform": 0.04}), 830, 0.75);
    tables(json!([
        {"name": "embedding", "type": "embedding", "features": hidden, "init": init},
        {"name": "dropout1", "type": "dropout", "rate": dropout},
        {"name": "rhn", "type": "rhn", "hidden": hidden, "depth": 10, "transform_bias": -2.0, "init": init},
        {"name": "dropout2", "type": "dropout", "rate": dropout},
        {"name": "logits", "type": "linear", "units": words, "tied": "embedding"},
    ]))
}
