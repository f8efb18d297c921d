//! What each operator becomes in ONNX, and the shape that it makes.

use super::OpenVinoError;
use super::constants::{Constant, Initializers};
use super::error::{LayerLabel, quoted};
use super::ir::Layer;
use super::settings::{Settings, natural, positive};
use crate::proto::{AttributeProto, NodeProto};

/// Pictures and what is made of them: batch, channels, rows, columns.
pub(super) type Shape = [u64; 4];

/// The operators that are mapped, by the names of OpenVINO's operation sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Parameter,
    Const,
    Convert,
    Add,
    Multiply,
    Convolution,
    GroupConvolution,
    PRelu,
    AvgPool,
    MaxPool,
    Sigmoid,
    Result,
}

impl Operator {
    /// By the type and the operation set of a layer.
    pub(super) fn of(label: &LayerLabel, opset: &str) -> Result<Self, OpenVinoError> {
        let operator = match label.kind.as_str() {
            "Parameter" => Self::Parameter,
            "Const" => Self::Const,
            "Convert" => Self::Convert,
            "Add" => Self::Add,
            "Multiply" => Self::Multiply,
            "Convolution" => Self::Convolution,
            "GroupConvolution" => Self::GroupConvolution,
            "PReLU" => Self::PRelu,
            "AvgPool" => Self::AvgPool,
            "MaxPool" => Self::MaxPool,
            "Sigmoid" => Self::Sigmoid,
            "Result" => Self::Result,
            other => return Err(label.unsupported(format!("operator {}", quoted(other)))),
        };
        if opset != "opset1" {
            return Err(label.unsupported(format!("operation set {}", quoted(opset))));
        }
        Ok(operator)
    }
}

/// What flows along an edge.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    /// Weights.
    Constant(Constant<'a>),
    /// What depends on the input.
    Tensor(Tensor<'a>),
}

/// A tensor with the batch as its first dimension.
#[derive(Clone, Copy)]
pub(super) struct Tensor<'a> {
    /// Its name in the ONNX graph.
    pub(super) name: &'a str,
    /// For a batch of one.
    pub(super) shape: Shape,
}

/// The node for a layer that computes something, and the shape of what it makes.
pub(super) fn node<'a>(
    layer: &Layer,
    settings: &mut Settings,
    operands: &[Value<'a>],
    initializers: &mut Initializers,
) -> Result<(NodeProto, Shape), OpenVinoError> {
    match (layer.operator, operands) {
        (Operator::Add | Operator::Multiply, [left, right]) => {
            elementwise(layer, settings, left, right, initializers)
        }
        (
            Operator::Convolution | Operator::GroupConvolution,
            [Value::Tensor(data), Value::Constant(kernel)],
        ) => convolution(layer, settings, data, kernel, initializers),
        (Operator::PRelu, [Value::Tensor(data), Value::Constant(slope)]) => {
            prelu(layer, data, slope, initializers)
        }
        (Operator::AvgPool | Operator::MaxPool, [Value::Tensor(data)]) => pool(layer, settings, data),
        (Operator::Sigmoid, [Value::Tensor(data)]) => {
            Ok((made(layer, "Sigmoid", &[data.name], Vec::new()), data.shape))
        }
        _ => {
            let is_constant = |operand: &&Value<'_>| matches!(operand, Value::Constant(_));
            Err(layer.label.unsupported(format!(
                "reading {} values of which {} are constants",
                operands.len(),
                operands.iter().filter(is_constant).count()
            )))
        }
    }
}

fn made(layer: &Layer, op_type: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> NodeProto {
    NodeProto::new(op_type, inputs, &[&layer.label.name], attributes)
}

fn elementwise(
    layer: &Layer,
    settings: &mut Settings,
    left: &Value<'_>,
    right: &Value<'_>,
    initializers: &mut Initializers,
) -> Result<(NodeProto, Shape), OpenVinoError> {
    settings.default_only(&layer.label, "auto_broadcast", "numpy")?;
    let label = &layer.label;
    let mut names = Vec::new();
    let mut shape = [1; 4];
    for value in [left, right] {
        let (name, dims) = match value {
            Value::Tensor(tensor) => (tensor.name.to_owned(), tensor.shape),
            Value::Constant(constant) => {
                let dims = of_four(constant.dims)
                    .ok_or_else(|| label.unsupported(format!("a constant of shape {:?}", constant.dims)))?;
                (initializers.name(constant, constant.dims)?, dims)
            }
        };
        // The batch is 1 in all tensors; were it more in a constant, it would not be free.
        for (wide, dim) in shape.iter_mut().zip(dims) {
            match (*wide, dim) {
                (1, _) => *wide = dim,
                (_, 1) => {}
                (a, b) if a == b => {}
                (a, b) => return Err(label.wrong(format!("dimensions of {a} and {b} do not go together"))),
            }
        }
        names.push(name);
    }
    if !matches!((left, right), (Value::Tensor(_), _) | (_, Value::Tensor(_))) {
        return Err(label.unsupported("computing with constants only"));
    }
    if shape[0] != 1 {
        return Err(label.unsupported("a constant for each picture of the batch"));
    }
    let op_type = if layer.operator == Operator::Add {
        "Add"
    } else {
        "Mul"
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Ok((made(layer, op_type, &names, Vec::new()), shape))
}

/// NumPy's reading of a shape of fewer dimensions.
fn of_four(dims: &[u64]) -> Option<Shape> {
    let missing = 4usize.checked_sub(dims.len())?;
    let mut shape = [1; 4];
    shape[missing..].copy_from_slice(dims);
    Some(shape)
}

fn convolution(
    layer: &Layer,
    settings: &mut Settings,
    data: &Tensor<'_>,
    kernel: &Constant<'_>,
    initializers: &mut Initializers,
) -> Result<(NodeProto, Shape), OpenVinoError> {
    let window = Window::take(&layer.label, settings)?;
    let dilations = settings.pair(&layer.label, "dilations", positive)?;
    let label = &layer.label;
    let [_, channels, height, width] = data.shape;
    // OpenVINO: [groups,] channels made (of a group), channels read (of a group), rows, columns.
    let (groups, [of_group, read, rows, columns]) = match (layer.operator, kernel.dims) {
        (Operator::GroupConvolution, &[groups, made, read, rows, columns]) => {
            (groups, [made, read, rows, columns])
        }
        (Operator::Convolution, &[made, read, rows, columns]) => (1, [made, read, rows, columns]),
        _ => return Err(label.unsupported(format!("a kernel of shape {:?}", kernel.dims))),
    };
    if groups * read != channels {
        return Err(label.wrong(format!(
            "its kernel of shape {:?} does not fit {channels} channels",
            kernel.dims
        )));
    }
    let made_channels = groups * of_group;
    let kernel_name = initializers.name(kernel, &[made_channels, read, rows, columns])?;
    let size = window
        .output([height, width], [rows, columns], dilations)
        .ok_or_else(|| too_wide(label))?;
    let mut attributes = window.attributes([rows, columns]);
    attributes.push(AttributeProto::ints("dilations", &signed(&dilations)));
    attributes.push(AttributeProto::int("group", groups.cast_signed()));
    let node = made(layer, "Conv", &[data.name, &kernel_name], attributes);
    Ok((node, [1, made_channels, size[0], size[1]]))
}

fn prelu(
    layer: &Layer,
    data: &Tensor<'_>,
    slope: &Constant<'_>,
    initializers: &mut Initializers,
) -> Result<(NodeProto, Shape), OpenVinoError> {
    // OpenVINO lines a slope of one dimension up with the channels, ONNX with the columns.
    let dims = match slope.dims {
        [1] => vec![1],
        &[slopes] if slopes == data.shape[1] => vec![slopes, 1, 1],
        other => return Err(layer.label.unsupported(format!("a slope of shape {other:?}"))),
    };
    let slope = initializers.name(slope, &dims)?;
    Ok((made(layer, "PRelu", &[data.name, &slope], Vec::new()), data.shape))
}

fn pool(
    layer: &Layer,
    settings: &mut Settings,
    data: &Tensor<'_>,
) -> Result<(NodeProto, Shape), OpenVinoError> {
    let kernel = settings.pair(&layer.label, "kernel", positive)?;
    let window = Window::take(&layer.label, settings)?;
    settings.default_only(&layer.label, "rounding_type", "floor")?;
    let mut attributes = window.attributes(kernel);
    let op_type = if layer.operator == Operator::AvgPool {
        settings.only(&layer.label, "exclude-pad", "true")?;
        attributes.push(AttributeProto::int("count_include_pad", 0));
        "AveragePool"
    } else {
        "MaxPool"
    };
    let label = &layer.label;
    if window
        .begin
        .iter()
        .chain(&window.end)
        .zip(kernel.iter().cycle())
        .any(|(pad, side)| pad >= side)
    {
        return Err(label.unsupported("a padding as large as the kernel"));
    }
    let [_, channels, height, width] = data.shape;
    let size = window
        .output([height, width], kernel, [1, 1])
        .ok_or_else(|| too_wide(label))?;
    Ok((
        made(layer, op_type, &[data.name], attributes),
        [1, channels, size[0], size[1]],
    ))
}

fn too_wide(label: &LayerLabel) -> OpenVinoError {
    label.wrong("its kernel is larger than what it reads")
}

/// How a kernel moves over a picture. Pairs are rows, columns.
struct Window {
    strides: [u64; 2],
    begin: [u64; 2],
    end: [u64; 2],
}

impl Window {
    fn take(label: &LayerLabel, settings: &mut Settings) -> Result<Self, OpenVinoError> {
        settings.default_only(label, "auto_pad", "explicit")?;
        Ok(Self {
            strides: settings.pair(label, "strides", positive)?,
            begin: settings.pair(label, "pads_begin", natural)?,
            end: settings.pair(label, "pads_end", natural)?,
        })
    }

    /// How many places the kernel has; `None` where it has none. No number is large enough for an overflow.
    fn output(&self, input: [u64; 2], kernel: [u64; 2], dilations: [u64; 2]) -> Option<[u64; 2]> {
        let side = |axis: usize| {
            let reach = (kernel[axis] - 1) * dilations[axis] + 1;
            let free = (input[axis] + self.begin[axis] + self.end[axis]).checked_sub(reach)?;
            Some(free / self.strides[axis] + 1)
        };
        Some([side(0)?, side(1)?])
    }

    fn attributes(&self, kernel: [u64; 2]) -> Vec<AttributeProto> {
        vec![
            AttributeProto::ints("kernel_shape", &signed(&kernel)),
            AttributeProto::ints("strides", &signed(&self.strides)),
            AttributeProto::ints("pads", &signed(&[self.begin, self.end].concat())),
        ]
    }
}

fn signed(numbers: &[u64]) -> Vec<i64> {
    numbers.iter().map(|number| number.cast_signed()).collect()
}
