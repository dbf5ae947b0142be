//! The declaration of recurrent layers, which is the same for all of them.

use crate::declare::{Factors, Matrix, Parts, Product, State};
use crate::example::{Example, Examples, SEQUENCE};
use crate::init::Init;
use crate::layers::{Columns, Linear};
use crate::{LayerSpec, StructureKind};

use super::sizes::WEIGHT_IH;
use super::{Gru, Lstm, Rhn, Rnn};

impl Examples for Lstm {
    const EXAMPLES: &'static [Example] = &[
        Example { table: r#"{"type": "lstm", "hidden": 5}"#, inputs: &[SEQUENCE] },
        Example { table: r#"{"type": "lstm", "hidden": 5, "recurrent_rank": 2}"#, inputs: &[SEQUENCE] },
        Example { table: r#"{"type": "lstm", "hidden": 5, "reverse": true}"#, inputs: &[SEQUENCE] },
    ];
}

impl Examples for Rnn {
    const EXAMPLES: &'static [Example] = &[
        Example { table: r#"{"type": "rnn", "hidden": 5}"#, inputs: &[SEQUENCE] },
        Example { table: r#"{"type": "rnn", "hidden": 5, "recurrent_rank": 2}"#, inputs: &[SEQUENCE] },
        Example { table: r#"{"type": "rnn", "hidden": 5, "reverse": true}"#, inputs: &[SEQUENCE] },
    ];
}

impl Examples for Gru {
    const EXAMPLES: &'static [Example] = &[
        Example { table: r#"{"type": "gru", "hidden": 5}"#, inputs: &[SEQUENCE] },
        Example { table: r#"{"type": "gru", "hidden": 5, "recurrent_rank": 2}"#, inputs: &[SEQUENCE] },
        Example { table: r#"{"type": "gru", "hidden": 5, "reverse": true}"#, inputs: &[SEQUENCE] },
    ];
}

impl Examples for Rhn {
    const EXAMPLES: &'static [Example] = &[
        Example { table: r#"{"type": "rhn", "hidden": 5, "depth": 2}"#, inputs: &[SEQUENCE] },
        Example {
            table: r#"{"type": "rhn", "hidden": 5, "depth": 2, "recurrent_rank": 2}"#,
            inputs: &[SEQUENCE],
        },
        Example {
            table: r#"{"type": "rhn", "hidden": 5, "depth": 2, "reverse": true}"#,
            inputs: &[SEQUENCE],
        },
    ];
}

/// The parts of `layer`, whose state is `state`.
pub(super) fn parts(layer: &dyn Factors, state: State) -> Parts<'_> {
    let matrix = Matrix {
        tensor: WEIGHT_IH,
        groups: 1,
        kernel: (1, 1),
        columns: &Columns::ALL,
        product: Product::Gates,
        factors: layer,
    };
    Parts { structures: &[StructureKind::HiddenUnits], matrix: Some(matrix), state: Some(state) }
}

/// The layer before `layer` that reduces its input to `rank` features, and `layer`.
pub(super) fn pair(layer: LayerSpec, rank: usize, init: Init) -> [LayerSpec; 2] {
    let basis =
        Linear { units: rank, columns: Columns::ALL, bias: false, init, bias_init: Init::Zero, tied: None };
    [LayerSpec::Linear(basis), layer]
}

/// Declares a layer with the options `hidden`, `recurrent_rank`, `reverse`, `init` and `bias_init`.
macro_rules! declare_recurrent {
    ($layer:ident) => {
        impl crate::declare::Declare for $layer {
            fn parts(&self) -> crate::declare::Parts<'_> {
                let state = crate::declare::State { hidden: self.hidden, rank: self.recurrent_rank };
                super::declare::parts(self, state)
            }

            fn adjustable(&mut self) -> crate::declare::Adjustable<'_> {
                crate::declare::Adjustable {
                    units: Some(&mut self.hidden),
                    recurrent_rank: Some(&mut self.recurrent_rank),
                    ..Default::default()
                }
            }
        }

        impl $layer {
            fn common_options(&self) -> super::sizes::Options {
                super::sizes::Options {
                    hidden: self.hidden,
                    rank: self.recurrent_rank,
                    reverse: self.reverse,
                    inits: [self.init, self.bias_init],
                }
            }
        }

        impl crate::declare::Factors for $layer {
            fn pair(&self, rank: usize) -> [crate::LayerSpec; 2] {
                super::declare::pair(crate::LayerSpec::$layer(self.clone()), rank, self.init)
            }
        }
    };
}

pub(super) use declare_recurrent;
