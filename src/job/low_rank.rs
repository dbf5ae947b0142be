//! `low_rank`: which layers to factorise, and to what rank. A table of a `[[stage]]`.

use std::collections::BTreeMap;

use serde::Serialize;
use toml::Value;

use super::read::Section;
use super::value::{FromValue, Rule, choose};

/// What is asked of a factorisation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LowRank {
    /// How the factors share the size of a weight.
    pub method: LowRankMethod,
    /// The share of its weight's energy that each layer keeps (0.95: at most 5 % reconstruction error, the published
    /// value); `None`: only the layers of `ranks` are factorised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy: Option<f64>,
    /// Convolutions to factorise into a vertical and a horizontal one.
    pub separable: Vec<String>,
    /// Layers to leave alone.
    pub except: Vec<String>,
    /// Whether a layer is left alone where its two factors would not have both fewer parameters and fewer multiply-adds.
    pub cost_test: bool,
    /// Ranks by layer, in place of `energy`.
    pub ranks: BTreeMap<String, usize>,
}

/// How two factors share what they make up together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LowRankMethod {
    /// Cross-filter principal components, not centred: `expand` are the eigenvectors U of W Wᵀ, of length 1, and `basis` is
    /// UᵀW (Wen et al., ICCV 2017).
    #[default]
    Pca,
    /// Singular values, W = U S Vᵀ: `expand` is U S^(1/2) and `basis` is S^(1/2) Vᵀ, equally large.
    Svd,
}

/// A table of whole numbers of at least 1.
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
}

impl Default for LowRank {
    fn default() -> Self {
        LowRank {
            method: LowRankMethod::Pca,
            energy: None,
            separable: Vec::new(),
            except: Vec::new(),
            cost_test: true,
            ranks: BTreeMap::new(),
        }
    }
}

impl LowRank {
    /// Every layer at the share `energy` of its energy.
    pub fn energy(energy: f64) -> LowRank {
        LowRank { energy: Some(energy), ..LowRank::default() }
    }

    /// Whether this very layer is asked for.
    pub fn names(&self, layer: &str) -> bool {
        self.ranks.contains_key(layer) || self.is_separable(layer)
    }

    /// Whether layer `layer` is to become a vertical and a horizontal convolution.
    pub fn is_separable(&self, layer: &str) -> bool {
        self.separable.iter().any(|name| name == layer)
    }

    /// Whether layer `layer` is to be left alone.
    pub fn excepts(&self, layer: &str) -> bool {
        self.except.iter().any(|name| name == layer)
    }

    pub(super) fn read(section: &mut Section) -> Self {
        let default = LowRank::default();
        let methods = [("pca", LowRankMethod::Pca), ("svd", LowRankMethod::Svd)];
        let method = section.take_as("method", &Rule::ANY, |value| choose(value, &methods));
        let share = Rule::new("above 0 and at most 1", |&share: &f64| share > 0.0 && share <= 1.0);
        LowRank {
            method: method.ok().flatten().unwrap_or(default.method),
            energy: section.optional("energy", &share),
            separable: section.or("separable", default.separable, &Rule::ANY),
            except: section.or("except", default.except, &Rule::ANY),
            cost_test: section.or("cost_test", default.cost_test, &Rule::ANY),
            ranks: section.or("ranks", Ranks(default.ranks), &Rule::ANY).0,
        }
    }
}
