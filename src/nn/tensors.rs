//! The tensors of a layer: their declarations, and access by name during a pass.

use super::coupling::Axis;
use super::init::{Fan, Init};

/// The declaration of a parameter tensor of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSpec {
    /// Its name within the layer: "weight", "bias", "weight_hh", "running_mean" and so on.
    pub name: &'static str,
    /// Its shape, output dimension first, as in PyTorch: conv2d weight `[filters, C, R, S]`, linear weight `[units, D]`.
    pub shape: Vec<usize>,
    /// The distribution of its initial values.
    pub init: Init,
    /// The fan-in and fan-out for `init`.
    pub fan: Fan,
    /// Its role in the layer.
    pub role: TensorRole,
    /// What each axis of `shape` counts.
    pub axes: Vec<Axis>,
}

/// The role of a tensor in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorRole {
    /// The matrix by which the layer multiplies its input: see [`super::declare::Matrix`].
    Matrix,
    /// The weight between a recurrent layer's state and its next state, or the first factor of this weight.
    Recurrent,
    /// The second factor of a recurrent weight.
    RecurrentBasis,
    /// A table of rows that the input selects: an embedding.
    Table,
    /// Added to each unit.
    Bias,
    /// A factor or an offset of a normalisation.
    Normalisation,
    /// Not trained.
    Statistic,
}

impl TensorRole {
    /// Whether weight decay applies: to weights, not to biases or normalisations.
    pub fn decays(self) -> bool {
        match self {
            TensorRole::Matrix | TensorRole::Recurrent | TensorRole::RecurrentBasis | TensorRole::Table => {
                true
            }
            TensorRole::Bias | TensorRole::Normalisation | TensorRole::Statistic => false,
        }
    }
}

impl ParameterSpec {
    /// Elements per row of the tensor as a matrix: the weights of a filter, of a unit, or of a gate of a hidden unit.
    /// The levels of a recurrent weight are stacked. Each bias or normalisation factor is a row by itself.
    pub fn row(&self) -> usize {
        match &self.shape[..] {
            _ if !self.role.decays() => 1,
            [.., columns] if self.role == TensorRole::Recurrent => *columns,
            [_, row @ ..] => row.iter().product(),
            [] => 1,
        }
    }
}

/// The name of the tensor that another layer can be tied to.
pub const WEIGHT: &str = "weight";

/// The name of the tensor that is added to each unit.
pub const BIAS: &str = "bias";

/// The name of the weight between a recurrent layer's state and its next state.
pub const RECURRENT: &str = "weight_hh";

/// The place of a layer's tensor in a flat vector.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The layer's name for it.
    pub name: &'static str,
    /// The range of its elements.
    pub range: std::ops::Range<usize>,
}

/// A layer's slices of a flat vector, by the layer's names for its tensors.
#[derive(Clone, Copy)]
pub struct Tensors<'a> {
    pub(super) flat: &'a [f32],
    pub(super) places: &'a [Place],
}

impl<'a> Tensors<'a> {
    /// The tensor called `name`, if the layer has declared one.
    pub fn find(&self, name: &str) -> Option<&'a [f32]> {
        let place = self.places.iter().find(|place| place.name == name)?;
        Some(&self.flat[place.range.clone()])
    }

    /// The tensor called `name`.
    ///
    /// # Panics
    /// If the layer has not declared it.
    pub fn get(&self, name: &str) -> &'a [f32] {
        self.find(name).unwrap_or_else(|| panic!("the layer has declared no tensor `{name}`"))
    }
}

/// The mutable version of [`Tensors`].
pub struct TensorsMut<'a> {
    pub(super) flat: &'a mut [f32],
    pub(super) places: &'a [Place],
    pub(super) shared: &'a [bool],
}

impl TensorsMut<'_> {
    /// All of them, for reading.
    pub fn view(&self) -> Tensors<'_> {
        Tensors { flat: self.flat, places: self.places }
    }

    /// The tensor called `name`, if the layer has declared one.
    pub fn find(&mut self, name: &str) -> Option<&mut [f32]> {
        let place = self.places.iter().find(|place| place.name == name)?;
        Some(&mut self.flat[place.range.clone()])
    }

    /// The tensor called `name`.
    ///
    /// # Panics
    /// If the layer has not declared it.
    pub fn get(&mut self, name: &str) -> &mut [f32] {
        self.find(name).unwrap_or_else(|| panic!("the layer has declared no tensor `{name}`"))
    }

    /// Whether a later layer that shares the tensor `name` has already written its part of the gradient, so
    /// that this layer must add its own. Only a tensor to which another layer is tied can be shared.
    pub fn shared(&self, name: &str) -> bool {
        let mut shared = self.places.iter().zip(self.shared);
        shared.any(|(place, &shared)| place.name == name && shared)
    }

    /// [`WEIGHT`] and, if there is one, [`BIAS`], which comes after it.
    pub fn weight_and_bias(&mut self) -> (&mut [f32], Option<&mut [f32]>) {
        let [weight, rest @ ..] = self.places else { panic!("the layer has declared no tensor") };
        let Some(bias) = rest.iter().find(|place| place.name == BIAS) else {
            return (&mut self.flat[weight.range.clone()], None);
        };
        let (before, after) = self.flat.split_at_mut(bias.range.start);
        (&mut before[weight.range.clone()], Some(&mut after[..bias.range.len()]))
    }
}
