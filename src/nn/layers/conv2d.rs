//! Two-dimensional convolution (cross-correlation, as in Caffe and PyTorch).
//!
//! Letters: F filters, C channels, G groups, R S kernel; images `[C, H, W, N]`.

use serde::{Deserialize, Serialize};

use super::Columns;
use super::linear::with_bias;
use super::window::window;
use super::{Example, Examples, IMAGE, single_image};
use crate::coupling::{Axis, Coupling, Units};
use crate::declare::{Adjustable, Declare, Factors, Matrix, Parts, Product, Windowed};
use crate::init::{Fan, Init};
use crate::layer::{
    BIAS, Backward, BackwardReads, Describe, Forward, Layer, ParameterSpec, TensorRole, WEIGHT,
};
use crate::size::{elements, multiply};
use crate::spec::{Pair, default};
use crate::{Execution, LayerSpec, Shape, StructureKind};
use ternflock_base::text::plural;
use ternflock_tensor::{Buffers, Convolution, ConvolutionShape};

/// Convolution: weight `[F, C / G, R, S]`, or `[F, K]` if it has only K of the columns; bias `[F]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// F.
    pub filters: usize,
    /// R and S.
    pub kernel: Pair,
    /// Stride of the window.
    #[serde(default = "default::one")]
    pub stride: Pair,
    /// Zero padding around the image.
    #[serde(default = "default::zero")]
    pub padding: Pair,
    /// G: the number of groups of filters and channels. A filter sees only the channels of its own group.
    #[serde(default = "default::one_group", skip_serializing_if = "default::is_one_group")]
    pub groups: usize,
    /// The columns that the weight matrix `[F, C / G R S]` has. Column (c, r, s) has the number (c R + r) S +
    /// s; all groups have the same columns.
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

/// The maximum number of input pixel phases relative to the outputs: the gradient of the input takes one pass per phase.
pub(super) const MOST_PHASES: usize = 1 << 16;

impl Conv2d {
    fn shape(&self, inputs: &[Shape]) -> Result<ConvolutionShape, String> {
        if self.filters == 0 {
            return Err("filters must be at least 1".into());
        }
        self.init.check().and_then(|()| self.bias_init.check())?;
        let image = single_image(inputs)?;
        let divides = |whole: usize| self.groups > 0 && whole.is_multiple_of(self.groups);
        if !(divides(self.filters) && divides(image.0)) {
            return Err(format!(
                "groups must divide filters and channels, but {} do not divide {} and {}",
                self.groups,
                plural(self.filters, "filter"),
                plural(image.0, "channel")
            ));
        }
        let window = window(image, self.kernel.get(), self.stride.get(), self.padding.get(), false)?;
        let (rows, columns) = window.kernel;
        // The weight, the image with its padding, and the column matrix of one sample.
        let padded =
            [(image.1, window.padding.0), (image.2, window.padding.1)].map(|(side, pad)| side + 2 * pad);
        elements(&[window.channels, padded[0], padded[1]])?;
        elements(&[self.filters, window.channels, rows, columns])?;
        let phases = window.stride.0.min(image.1) * window.stride.1.min(image.2);
        if phases > MOST_PHASES {
            let (rows, columns) = window.stride;
            return Err(format!(
                "a stride of {rows}x{columns} is too large: their product may be {MOST_PHASES}"
            ));
        }
        self.columns.check(window.channels / self.groups * rows * columns)?;
        elements(&[window.channels, rows, columns, window.output.0, window.output.1])?;
        Ok(ConvolutionShape { window, filters: self.filters, groups: self.groups })
    }
}

impl Examples for Conv2d {
    const EXAMPLES: &'static [Example] = &[
        Example { table: r#"{"type": "conv2d", "filters": 6, "kernel": [3, 2]}"#, inputs: &[IMAGE] },
        Example {
            table: r#"{"type": "conv2d", "filters": 6, "kernel": 3, "groups": 2, "bias": false}"#,
            inputs: &[IMAGE],
        },
        Example {
            table: r#"{"type": "conv2d", "filters": 6, "kernel": 2, "columns": [0, 3, 7, 8]}"#,
            inputs: &[IMAGE],
        },
    ];
}

impl Declare for Conv2d {
    fn parts(&self) -> Parts<'_> {
        use StructureKind::{Channels, Filters, Filters2d, Layers, Shapes};
        let matrix = Matrix {
            tensor: WEIGHT,
            groups: self.groups,
            kernel: self.kernel.get(),
            columns: &self.columns,
            product: Product::Windows(self),
            factors: self,
        };
        let structures = &[Filters, Channels, Shapes, Filters2d, Layers];
        Parts { structures, matrix: Some(matrix), state: None }
    }

    fn adjustable(&mut self) -> Adjustable<'_> {
        Adjustable {
            units: Some(&mut self.filters),
            columns: Some(&mut self.columns),
            ..Adjustable::default()
        }
    }
}

impl Factors for Conv2d {
    /// r basis filters, and 1x1 filters that combine them. Omitted columns remain those of the first layer.
    fn pair(&self, rank: usize) -> [LayerSpec; 2] {
        let basis = Conv2d { filters: rank, bias: false, ..self.clone() };
        let (kernel, stride, padding) = (Pair::Both(1), Pair::Both(1), Pair::Both(0));
        let expand = Conv2d { kernel, stride, padding, columns: Columns::ALL, ..self.clone() };
        [LayerSpec::Conv2d(basis), LayerSpec::Conv2d(expand)]
    }
}

impl Windowed for Conv2d {
    fn geometry(&self, inputs: &[Shape]) -> Result<ConvolutionShape, String> {
        self.shape(inputs)
    }

    fn separable(&self, rank: usize) -> Option<[LayerSpec; 2]> {
        let (rows, columns) = self.kernel.get();
        let ((down, across), (above, beside)) = (self.stride.get(), self.padding.get());
        let vertical = Conv2d {
            filters: rank,
            kernel: Pair::Each(rows, 1),
            stride: Pair::Each(down, 1),
            padding: Pair::Each(above, 0),
            bias: false,
            ..self.clone()
        };
        let horizontal = Conv2d {
            kernel: Pair::Each(1, columns),
            stride: Pair::Each(1, across),
            padding: Pair::Each(0, beside),
            ..self.clone()
        };
        Some([LayerSpec::Conv2d(vertical), LayerSpec::Conv2d(horizontal)])
    }
}

impl Describe for Conv2d {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (height, width) = self.shape(inputs)?.window.output;
        Ok(Shape::Image { channels: self.filters, height, width })
    }

    fn parameters(&self, inputs: &[Shape]) -> Result<Vec<ParameterSpec>, String> {
        let window = self.shape(inputs)?.window;
        let (rows, columns) = window.kernel;
        let channels = window.channels / self.groups;
        let inputs = self.columns.count(channels * rows * columns);
        // An axis over the channels of a group stands for different channels in each group; all of them stay.
        let reads = |axis: Axis| if self.groups > 1 { Axis::Free } else { axis };
        let (shape, axes) = match self.columns.axis(rows * columns) {
            None => (
                vec![self.filters, channels, rows, columns],
                vec![Axis::Makes(1), reads(Axis::Reads), Axis::Free, Axis::Free],
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
        let window = self.shape(inputs)?.window;
        Ok(multiply(&[self.filters, self.columns.count(window.rows() / self.groups), window.positions()]))
    }

    fn build(
        &self,
        inputs: &[Shape],
        execution: Execution,
        buffers: &mut Buffers,
    ) -> Result<Box<dyn Layer>, String> {
        let shape = self.shape(inputs)?;
        let Execution { batch, precision } = execution;
        let convolution = Convolution::new(shape, self.columns.list(), batch, precision, buffers)?;
        Ok(Box::new(Filters { convolution }))
    }
}

struct Filters {
    convolution: Convolution,
}

impl Layer for Filters {
    fn forward(&mut self, pass: Forward<'_>) {
        let (weight, bias) = (pass.parameters.get(WEIGHT), pass.parameters.find(BIAS));
        self.convolution.forward(pass.batch, pass.x.get(0), weight, bias, pass.y);
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let (weight, bias) = pass.gradients.weight_and_bias();
        self.convolution.weight_gradient(pass.batch, pass.x.get(0), pass.dy, weight, bias);
        if let Some(dx) = pass.dx.get(0) {
            self.convolution.data_gradient(pass.batch, pass.parameters.get(WEIGHT), pass.dy, dx);
        }
    }
}
