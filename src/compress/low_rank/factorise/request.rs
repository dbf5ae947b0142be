//! What is asked of a factorisation.

use std::collections::BTreeMap;

use super::super::decompose::Method;
use super::super::weight;
use crate::error::{Error, Result};
use crate::job::suggest;
use crate::nn::{Graph, LayerSpec};

/// Which layers to factorise, and to what rank.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// How the factors share the size of a weight.
    pub method: Method,
    /// The share of its weight's energy that each layer keeps (0.95: at most 5 % reconstruction error, the published
    /// value); `None`: only the layers of `ranks` are factorised.
    pub energy: Option<f64>,
    /// Ranks by layer, in place of `energy`.
    pub ranks: BTreeMap<String, usize>,
    /// Convolutions to factorise into a vertical and a horizontal one.
    pub separable: Vec<String>,
    /// Layers to leave alone.
    pub except: Vec<String>,
    /// Whether a layer is left alone where its two factors would not have both fewer parameters and fewer multiply-adds.
    pub cost_test: bool,
}

impl Default for Request {
    fn default() -> Self {
        Request {
            method: Method::Pca,
            energy: None,
            ranks: BTreeMap::new(),
            separable: Vec::new(),
            except: Vec::new(),
            cost_test: true,
        }
    }
}

impl Request {
    /// Every layer at the share `energy` of its energy.
    pub fn energy(energy: f64) -> Request {
        Request { energy: Some(energy), ..Request::default() }
    }

    /// Whether the request asks for this very layer.
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

    /// Refuses a share that is none, and names of layers that cannot be meant.
    pub(super) fn check(&self, graph: &Graph) -> Result<()> {
        if let Some(energy) = self.energy
            && !(energy > 0.0 && energy <= 1.0)
        {
            return Err(Error::Usage(format!(
                "low rank: energy = {energy} must be above 0 and at most 1, the share that is kept"
            )));
        }
        for name in self.ranks.keys().chain(&self.separable).chain(&self.except) {
            self.check_name(name, graph)?;
        }
        match self.ranks.iter().find(|(_, rank)| **rank == 0) {
            Some((name, _)) => {
                Err(Error::Usage(format!("low rank: the rank of `{name}` must be at least 1")))
            }
            None => Ok(()),
        }
    }

    fn check_name(&self, name: &str, graph: &Graph) -> Result<()> {
        let refuse = |message: String| Err(Error::Usage(format!("low rank: {message}")));
        let weighted = graph.layers().iter().filter(|node| weight::tensor(&node.layer).is_some());
        let Some(node) = weighted.clone().find(|node| node.name == name) else {
            let names: Vec<&str> = weighted.map(|node| node.name.as_str()).collect();
            let advice = suggest(name, &names);
            return refuse(format!("no layer with a weight to factorise is called `{name}`; {advice}"));
        };
        if self.excepts(name) && self.names(name) {
            return refuse(format!("`{name}` is both asked for and excepted"));
        }
        if self.is_separable(name) && !matches!(node.layer, LayerSpec::Conv2d(_)) {
            let kind = node.layer.kind();
            return refuse(format!(
                "`{name}` is a {kind} layer; only a conv2d has a vertical and a horizontal part"
            ));
        }
        if self.is_separable(name) && self.energy.is_none() && !self.ranks.contains_key(name) {
            return refuse(format!("`{name}` is to be separable; say at which energy, or at which rank"));
        }
        Ok(())
    }
}
