//! The tensors of a layer: what it declares of each, and how a pass reaches them by name.

use super::coupling::Axis;
use super::init::{Fan, Init};

/// A tensor of parameters that a layer asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSpec {
    /// Its name within the layer: "weight", "bias", "weight_hh", "running_mean" and so on.
    pub name: &'static str,
    /// Its shape, output dimension first, as in PyTorch: conv2d weight `[filters, C, R, S]`, linear weight `[units, D]`.
    pub shape: Vec<usize>,
    /// The distribution of its initial values.
    pub init: Init,
    /// What `init` needs to know of its place.
    pub fan: Fan,
    /// What the layer uses it for.
    pub role: TensorRole,
    /// What each axis of `shape` counts.
    pub axes: Vec<Axis>,
}

/// What a layer uses a tensor for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorRole {
    /// The matrix that the layer multiplies its input by: see [`super::declare::Matrix`].
    Matrix,
    /// The weight between a recurrent layer's state and its next state, or the first factor of it.
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

/// The name of what is added to each unit.
pub const BIAS: &str = "bias";

/// The name of the weight between a recurrent layer's state and its next state.
pub const RECURRENT: &str = "weight_hh";

/// Where a tensor of a layer stands in a flat vector.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// What the layer calls it.
    pub name: &'static str,
    /// Its elements.
    pub range: std::ops::Range<usize>,
}

/// A layer's slices of a flat vector, by the names that it gives its tensors.
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
    /// When the layer has declared none.
    pub fn get(&self, name: &str) -> &'a [f32] {
        self.find(name).unwrap_or_else(|| panic!("the layer has declared no tensor `{name}`"))
    }
}

/// As [`Tensors`], to write.
pub struct TensorsMut<'a> {
    pub(super) flat: &'a mut [f32],
    pub(super) places: &'a [Place],
    pub(super) shared: &'a [bool],
}

impl TensorsMut<'_> {
    /// All of them, to read.
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
    /// When the layer has declared none.
    pub fn get(&mut self, name: &str) -> &mut [f32] {
        self.find(name).unwrap_or_else(|| panic!("the layer has declared no tensor `{name}`"))
    }

    /// Whether a later layer that reads the tensor `name` too has written its part of the gradient: this one adds its
    /// own. Only a tensor that a layer is tied to can be shared.
    pub fn shared(&self, name: &str) -> bool {
        let mut shared = self.places.iter().zip(self.shared);
        shared.any(|(place, &shared)| place.name == name && shared)
    }

    /// [`WEIGHT`] and, where there is one, [`BIAS`], which stands behind it.
    pub fn weight_and_bias(&mut self) -> (&mut [f32], Option<&mut [f32]>) {
        let [weight, rest @ ..] = self.places else { panic!("the layer has declared no tensor") };
        let Some(bias) = rest.iter().find(|place| place.name == BIAS) else {
            return (&mut self.flat[weight.range.clone()], None);
        };
        let (before, after) = self.flat.split_at_mut(bias.range.start);
        (&mut before[weight.range.clone()], Some(&mut after[..bias.range.len()]))
    }
}
