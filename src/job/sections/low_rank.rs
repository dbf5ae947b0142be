//! `low_rank`: which layers to factorise, and to what rank. A table of a `[[stage]]`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value as Json, json};
use toml::Value;

use crate::syntax::{Absent, FromValue, Given, Key, Section, SectionReader, above, choices, read_empty};

/// The settings of a factorisation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LowRank {
    /// How the weight is distributed over its two factors.
    pub method: LowRankMethod,
    /// The share of its weight's energy that each layer keeps (the published value is 0.95: at most 5 %
    /// reconstruction error); `None`: only the layers of `ranks` are factorised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy: Option<f64>,
    /// Convolutions to factorise into a vertical and a horizontal one.
    pub separable: Vec<String>,
    /// Layers that are not factorised.
    pub except: Vec<String>,
    /// Whether a layer is factorised only if its two factors have fewer parameters as well as fewer
    /// multiply-adds.
    pub cost_test: bool,
    /// Ranks by layer, instead of `energy`.
    pub ranks: BTreeMap<String, usize>,
}

/// How a weight is distributed over its two factors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LowRankMethod {
    /// Cross-filter principal components, not centred: `expand` holds the unit eigenvectors U of W Wᵀ, and
    /// `basis` is UᵀW (Wen et al., ICCV 2017).
    #[default]
    Pca,
    /// Singular values, W = U S Vᵀ: `expand` is U S^(1/2) and `basis` is S^(1/2) Vᵀ, so both have the same
    /// norm.
    Svd,
}

const METHOD: Key<LowRankMethod> = Key::new(
    "method",
    Given(|| LowRankMethod::Pca),
    "`\"pca\"`: principal components across filters, not centred. `\"svd\"`: singular values, with both \
     factors of the same norm.",
);

const ENERGY: Key<f64, Absent> = Key::new(
    "energy",
    Absent("none"),
    "The share of its weight's energy that each layer keeps, except the output layer. Without `energy`, only \
     the layers of `ranks` are factorised.",
)
.within(above(0.0).and_at_most(1.0));

const SEPARABLE: Key<Vec<String>> = Key::new(
    "separable",
    Given(Vec::new),
    "Convolutions to factorise into a vertical and a horizontal one. Those that lost columns in earlier \
     surgery are factorised across filters instead.",
);

const EXCEPT: Key<Vec<String>> = Key::new(
    "except",
    Given(Vec::new),
    "Layers that are not factorised, or single recurrent weights (`\"lstm1/weight_hh\"`).",
);

const COST_TEST: Key<bool> = Key::new(
    "cost_test",
    Given(|| true),
    "Factorises a layer only if its two factors have fewer parameters as well as fewer multiply-adds.",
);

const RANKS: Key<Ranks> = Key::new(
    "ranks",
    Given(|| Ranks(BTreeMap::new())),
    "Ranks by layer, instead of `energy`. The recurrent weight of `lstm1` is called `\"lstm1/weight_hh\"`. A \
     layer that has shrunk below its rank gets the largest rank that it can have.",
);

pub(super) const SECTION: Section = Section::new(
    "low_rank",
    "Surgery after `shrink`: two thin layers replace each selected layer if they cost less.",
    &[&[&METHOD, &ENERGY, &SEPARABLE, &EXCEPT, &COST_TEST, &RANKS]],
);

choices! { LowRankMethod: Pca = "pca", Svd = "svd" }

/// A table of whole numbers of at least 1.
#[derive(Serialize)]
struct Ranks(BTreeMap<String, usize>);

impl FromValue for Ranks {
    fn from_value(value: &Value) -> Result<Self, String> {
        let expected = || "a table of layers and ranks of at least 1, as in { conv2 = 10 }".to_owned();
        let entries = value.as_table().ok_or_else(expected)?.iter();
        let rank = |(name, value): (&String, &Value)| {
            let rank = usize::from_value(value).ok().filter(|&rank| rank > 0);
            rank.map(|rank| (name.clone(), rank)).ok_or_else(expected)
        };
        Ok(Ranks(entries.map(rank).collect::<Result<_, _>>()?))
    }

    fn type_name() -> String {
        "table of whole numbers, at least 1".to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "object", "additionalProperties": { "type": "integer", "minimum": 1 } })
    }
}

impl Default for LowRank {
    fn default() -> Self {
        read_empty(&SECTION, LowRank::read)
    }
}

impl LowRank {
    /// Each layer keeps the share `energy` of its energy.
    pub fn energy(energy: f64) -> LowRank {
        LowRank { energy: Some(energy), ..LowRank::default() }
    }

    /// Whether this layer is requested by name.
    pub fn names(&self, layer: &str) -> bool {
        self.ranks.contains_key(layer) || self.is_separable(layer)
    }

    /// Whether layer `layer` is to become a vertical and a horizontal convolution.
    pub fn is_separable(&self, layer: &str) -> bool {
        self.separable.iter().any(|name| name == layer)
    }

    /// Whether layer `layer` is excepted.
    pub fn excepts(&self, layer: &str) -> bool {
        self.except.iter().any(|name| name == layer)
    }

    pub(crate) fn read(section: &mut SectionReader) -> Self {
        LowRank {
            method: section.read(&METHOD),
            energy: section.read(&ENERGY),
            separable: section.read(&SEPARABLE),
            except: section.read(&EXCEPT),
            cost_test: section.read(&COST_TEST),
            ranks: section.read(&RANKS).0,
        }
    }
}
