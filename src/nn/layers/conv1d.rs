//! Convolution over the steps of a sequence (cross-correlation, as in PyTorch).
//!
//! Letters: F filters, C channels (the features of a step), G groups, K kernel, T steps, N samples; sequences
//! `[T, N, C]`.

mod depthwise;
mod images;
mod products;
mod taps;

use serde::{Deserialize, Serialize};

pub use self::taps::{Padding, PaddingRule};

use self::depthwise::Depthwise;
use self::images::ByImages;
use self::products::ByProducts;
use self::taps::Taps;
use super::Columns;
use super::conv2d::MOST_PHASES;
use super::linear::with_bias;
use super::window::LARGEST;
use super::{Example, Examples, SEQUENCE, single_sequence};
use crate::coupling::{Axis, Coupling, Units};
use crate::declare::{Adjustable, Declare, Factors, Matrix, Parts, Product, Windowed};
use crate::init::{Fan, Init};
use crate::layer::{BackwardReads, Describe, Layer, ParameterSpec, TensorRole, WEIGHT};
use crate::size::{elements, multiply};
use crate::spec::default;
use crate::{Execution, LayerSpec, Shape, StructureKind};
use ternflock_base::text::plural;
use ternflock_tensor::{Buffers, ConvolutionShape, Precision, Window};

/// Convolution over time: weight `[F, C / G, K]`, or `[F, columns]` if it has only some of the columns; bias
/// `[F]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv1d {
    /// F.
    pub filters: usize,
    /// K.
    pub kernel: usize,
    /// Steps from one window to the next.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub stride: usize,
    /// Zeros before and after the sequence.
    #[serde(default)]
    pub padding: Padding,
    /// Steps from one tap of the kernel to the next.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub dilation: usize,
    /// G: the number of groups of filters and channels. A filter sees only the channels of its own group.
    #[serde(default = "default::one_group", skip_serializing_if = "default::is_one_group")]
    pub groups: usize,
    /// The columns that the weight matrix `[F, C / G K]` has. Column (c, k) has the number c K + k; all groups
    /// have the same columns.
    #[serde(default, skip_serializing_if = "Columns::is_all")]
    pub columns: Columns,
    /// Whether a bias is added.
    #[serde(default = "default::yes")]
    pub bias: bool,
    /// The initialisation of the weight.
    #[serde(default = "default::init")]
    pub init: Init,
    /// The initialisation of the bias.
    #[serde(default = "default::zeros")]
    pub bias_init: Init,
}

fn one() -> usize {
    1
}

fn is_one(value: &usize) -> bool {
    *value == 1
}

impl Conv1d {
    /// C, and the places of the windows over the only input.
    fn taps(&self, inputs: &[Shape]) -> Result<(usize, Taps), String> {
        if self.filters == 0 {
            return Err("filters must be at least 1".into());
        }
        self.init.check().and_then(|()| self.bias_init.check())?;
        let (steps, channels) = single_sequence(inputs)?;
        let divides = |all: usize| self.groups > 0 && all.is_multiple_of(self.groups);
        if !(divides(self.filters) && divides(channels)) {
            return Err(format!(
                "groups must divide filters and channels, but {} do not divide {} and {}",
                self.groups,
                plural(self.filters, "filter"),
                plural(channels, "channel")
            ));
        }
        let sizes = [self.kernel, self.stride, self.dilation];
        if sizes.contains(&0) {
            return Err("kernel, stride and dilation must be at least 1".into());
        }
        if sizes.iter().any(|&size| size > LARGEST) {
            return Err(format!("kernel, stride and dilation must be at most {LARGEST}"));
        }
        let taps = Taps::new(steps, self.kernel, self.stride, self.dilation, self.padding)?;
        if self.stride.min(taps.lines) > MOST_PHASES {
            return Err(format!("a stride of {} is too large: it may be {MOST_PHASES}", self.stride));
        }
        // The weight, a sample with its padding, its output, and its column matrix.
        elements(&[channels, taps.lines, taps.dilation])?;
        elements(&[self.filters, taps.output_lines, taps.dilation])?;
        elements(&[self.filters, channels, self.kernel])?;
        elements(&[channels, self.kernel, taps.output_lines, taps.dilation])?;
        self.columns.check(channels / self.groups * self.kernel)?;
        Ok((channels, taps))
    }

    /// The convolution of images that computes it: see [`images`].
    fn shape(&self, channels: usize, taps: &Taps) -> ConvolutionShape {
        let window = Window {
            channels,
            size: (taps.lines, taps.dilation),
            kernel: (self.kernel, 1),
            stride: (self.stride, 1),
            padding: (0, 0),
            output: (taps.output_lines, taps.dilation),
        };
        ConvolutionShape { window, filters: self.filters, groups: self.groups }
    }
}

impl Examples for Conv1d {
    const EXAMPLES: &'static [Example] = &[
        Example { table: r#"{"type": "conv1d", "filters": 6, "kernel": 2}"#, inputs: &[SEQUENCE] },
        Example {
            table: r#"{"type": "conv1d", "filters": 6, "kernel": 3, "padding": "same", "dilation": 2}"#,
            inputs: &[SEQUENCE],
        },
        Example {
            table: r#"{"type": "conv1d", "filters": 6, "kernel": 2, "stride": 2, "padding": 1, "groups": 2,
                       "bias": false}"#,
            inputs: &[SEQUENCE],
        },
        Example {
            table: r#"{"type": "conv1d", "filters": 6, "kernel": 2, "columns": [0, 3, 7, 8]}"#,
            inputs: &[SEQUENCE],
        },
    ];
}

impl Declare for Conv1d {
    fn parts(&self) -> Parts<'_> {
        use StructureKind::{Channels, Filters, Layers, Shapes};
        let matrix = Matrix {
            tensor: WEIGHT,
            groups: self.groups,
            kernel: (self.kernel, 1),
            columns: &self.columns,
            product: Product::Windows(self),
            factors: self,
        };
        Parts { structures: &[Filters, Channels, Shapes, Layers], matrix: Some(matrix), state: None }
    }

    fn adjustable(&mut self) -> Adjustable<'_> {
        Adjustable {
            units: Some(&mut self.filters),
            columns: Some(&mut self.columns),
            ..Adjustable::default()
        }
    }
}

impl Factors for Conv1d {
    /// r basis filters, and filters of one tap that combine them. Omitted columns remain those of the first layer.
    fn pair(&self, rank: usize) -> [LayerSpec; 2] {
        let basis = Conv1d { filters: rank, bias: false, ..self.clone() };
        let expand = Conv1d {
            kernel: 1,
            stride: 1,
            padding: Padding::default(),
            dilation: 1,
            columns: Columns::ALL,
            ..self.clone()
        };
        [LayerSpec::Conv1d(basis), LayerSpec::Conv1d(expand)]
    }
}

impl Windowed for Conv1d {
    fn geometry(&self, inputs: &[Shape]) -> Result<ConvolutionShape, String> {
        let (channels, taps) = self.taps(inputs)?;
        Ok(self.shape(channels, &taps))
    }

    /// A kernel of one dimension has no horizontal part.
    fn separable(&self, _: usize) -> Option<[LayerSpec; 2]> {
        None
    }
}

impl Describe for Conv1d {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (_, taps) = self.taps(inputs)?;
        Ok(Shape::Sequence { steps: taps.outputs, features: self.filters })
    }

    fn parameters(&self, inputs: &[Shape]) -> Result<Vec<ParameterSpec>, String> {
        let (channels, _) = self.taps(inputs)?;
        let channels = channels / self.groups;
        let inputs = self.columns.count(channels * self.kernel);
        // An axis over the channels of a group stands for different channels in each group; all of them stay.
        let reads = |axis: Axis| if self.groups > 1 { Axis::Free } else { axis };
        let (shape, axes) = match self.columns.axis(self.kernel) {
            None => (
                vec![self.filters, channels, self.kernel],
                vec![Axis::Makes(1), reads(Axis::Reads), Axis::Free],
            ),
            Some(places) => (vec![self.filters, inputs], vec![Axis::Makes(1), reads(places)]),
        };
        let weight = ParameterSpec {
            name: WEIGHT,
            shape,
            init: self.init,
            // Multiply-adds per channel: the mean over channels if they do not all have the same columns.
            fan: Fan { inputs, outputs: (self.filters / self.groups * inputs).div_ceil(channels) },
            role: TensorRole::Matrix,
            axes,
        };
        Ok(with_bias(weight, self.bias, self.bias_init))
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::ROUNDED_INPUTS
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        let groups = (self.groups > 1).then_some("its groups must stay of one size");
        Ok(Coupling { keeps_inputs: groups, keeps_output: groups, ..Coupling::new(Units::Own) })
    }

    fn multiply_adds(&self, inputs: &[Shape]) -> Result<u64, String> {
        let (channels, taps) = self.taps(inputs)?;
        let columns = self.columns.count(channels / self.groups * self.kernel);
        Ok(multiply(&[self.filters, columns, taps.outputs]))
    }

    fn build(
        &self,
        inputs: &[Shape],
        execution: Execution,
        buffers: &mut Buffers,
    ) -> Result<Box<dyn Layer>, String> {
        let (channels, taps) = self.taps(inputs)?;
        if self.groups == 1 && self.columns.is_all() {
            let sizes = [self.filters, channels, self.kernel];
            return Ok(Box::new(ByProducts::new(taps, self.stride, sizes, execution, buffers)?));
        }
        let is_depthwise = self.groups == channels && self.filters == channels && self.columns.is_all();
        if is_depthwise && execution.precision == Precision::Float32 {
            return Ok(Box::new(Depthwise::new(taps, self.stride, [channels, self.kernel], buffers)?));
        }
        Ok(Box::new(ByImages::new(self.shape(channels, &taps), taps, &self.columns, execution, buffers)?))
    }
}
