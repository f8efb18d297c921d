//! The ONNX node of each operator, and the shape of its output.

use super::constants::{Constant, Initializers};
use super::ir::{Label, Layer};
use crate::OnnxError;
use crate::proto::{AttributeProto, NodeProto};

/// Images and feature maps: batch, channels, rows, columns.
pub(super) type Shape = [u64; 4];

/// A value on an edge.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    /// Of the `.bin`.
    Constant(Constant<'a>),
    /// Computed from the input.
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

/// Returns the node for a layer that computes something, and the shape of its output.
pub(super) fn node<'a>(
    layer: &Layer,
    operands: &[Value<'a>],
    initializers: &mut Initializers,
) -> Result<(NodeProto, Shape), OnnxError> {
    match (layer.operator(), operands) {
        ("Add" | "Multiply", [left, right]) => elementwise(layer, [left, right], initializers),
        ("Convolution" | "GroupConvolution", [Value::Tensor(data), Value::Constant(kernel)]) => {
            convolution(layer, data, kernel, initializers)
        }
        ("PReLU", [Value::Tensor(data), Value::Constant(slope)]) => prelu(layer, data, slope, initializers),
        ("AvgPool" | "MaxPool", [Value::Tensor(data)]) => pool(layer, data),
        ("Sigmoid", [Value::Tensor(data)]) => {
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
    operands: [&Value<'_>; 2],
    initializers: &mut Initializers,
) -> Result<(NodeProto, Shape), OnnxError> {
    layer.default_only("auto_broadcast", "numpy")?;
    let label = &layer.label;
    let mut names = Vec::new();
    let mut shape = [1; 4];
    for value in operands {
        let (name, dims) = match value {
            Value::Tensor(tensor) => (tensor.name.to_owned(), tensor.shape),
            Value::Constant(constant) => {
                let shape = || format!("a constant of shape {:?}", constant.dims);
                let dims = of_four(constant.dims).ok_or_else(|| label.unsupported(shape()))?;
                (initializers.name(constant, constant.dims)?, dims)
            }
        };
        // The batch is 1 in all tensors; were it more in a constant, it would not be free.
        for (wide, dim) in shape.iter_mut().zip(dims) {
            match (*wide, dim) {
                (1, _) => *wide = dim,
                (a, b) if b == 1 || a == b => {}
                (a, b) => return Err(label.invalid(format!("dimensions of {a} and {b} do not go together"))),
            }
        }
        names.push(name);
    }
    if operands
        .iter()
        .all(|operand| matches!(operand, Value::Constant(_)))
    {
        return Err(label.unsupported("computing with constants only"));
    }
    if shape[0] != 1 {
        return Err(label.unsupported("a constant for each image of the batch"));
    }
    let op_type = if layer.operator() == "Add" { "Add" } else { "Mul" };
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
    data: &Tensor<'_>,
    kernel: &Constant<'_>,
    initializers: &mut Initializers,
) -> Result<(NodeProto, Shape), OnnxError> {
    let window = Window::of(layer)?;
    let dilations = layer.pair("dilations", 1)?;
    let label = &layer.label;
    let [_, channels, height, width] = data.shape;
    // OpenVINO: [groups,] channels made (of a group), channels read (of a group), rows, columns.
    let [groups, of_group, read, rows, columns] = match (layer.operator(), kernel.dims) {
        ("GroupConvolution", &[groups, made, read, rows, columns]) => [groups, made, read, rows, columns],
        ("Convolution", &[made, read, rows, columns]) => [1, made, read, rows, columns],
        _ => return Err(label.unsupported(format!("a kernel of shape {:?}", kernel.dims))),
    };
    if groups * read != channels {
        let shape = kernel.dims;
        return Err(label.invalid(format!(
            "its kernel of shape {shape:?} does not fit {channels} channels"
        )));
    }
    let made_channels = groups * of_group;
    let kernel_name = initializers.name(kernel, &[made_channels, read, rows, columns])?;
    let [height, width] = window.output(label, [height, width], [rows, columns], dilations)?;
    let mut attributes = window.attributes([rows, columns]);
    attributes.push(AttributeProto::ints("dilations", &signed(&dilations)));
    attributes.push(AttributeProto::int("group", groups.cast_signed()));
    let node = made(layer, "Conv", &[data.name, &kernel_name], attributes);
    Ok((node, [1, made_channels, height, width]))
}

fn prelu(
    layer: &Layer,
    data: &Tensor<'_>,
    slope: &Constant<'_>,
    initializers: &mut Initializers,
) -> Result<(NodeProto, Shape), OnnxError> {
    // OpenVINO lines a slope of one dimension up with the channels, ONNX with the columns.
    let dims = match slope.dims {
        [1] => vec![1],
        &[slopes] if slopes == data.shape[1] => vec![slopes, 1, 1],
        other => return Err(layer.label.unsupported(format!("a slope of shape {other:?}"))),
    };
    let slope = initializers.name(slope, &dims)?;
    Ok((made(layer, "PRelu", &[data.name, &slope], Vec::new()), data.shape))
}

fn pool(layer: &Layer, data: &Tensor<'_>) -> Result<(NodeProto, Shape), OnnxError> {
    let kernel = layer.pair("kernel", 1)?;
    let window = Window::of(layer)?;
    layer.default_only("rounding_type", "floor")?;
    let mut attributes = window.attributes(kernel);
    let op_type = if layer.operator() == "AvgPool" {
        layer.only("exclude-pad", "true")?;
        attributes.push(AttributeProto::int("count_include_pad", 0));
        "AveragePool"
    } else {
        "MaxPool"
    };
    let label = &layer.label;
    let mut pads = window.begin.iter().chain(&window.end).zip(kernel.iter().cycle());
    if pads.any(|(pad, side)| pad >= side) {
        return Err(label.unsupported("a padding as large as the kernel"));
    }
    let [_, channels, height, width] = data.shape;
    let [height, width] = window.output(label, [height, width], kernel, [1, 1])?;
    let node = made(layer, op_type, &[data.name], attributes);
    Ok((node, [1, channels, height, width]))
}

/// How a kernel moves over a map. Pairs are rows, columns.
struct Window {
    strides: [u64; 2],
    begin: [u64; 2],
    end: [u64; 2],
}

impl Window {
    fn of(layer: &Layer) -> Result<Self, OnnxError> {
        layer.default_only("auto_pad", "explicit")?;
        Ok(Self {
            strides: layer.pair("strides", 1)?,
            begin: layer.pair("pads_begin", 0)?,
            end: layer.pair("pads_end", 0)?,
        })
    }

    /// How many places the kernel has. No number is large enough for an overflow.
    fn output(
        &self,
        label: &Label,
        input: [u64; 2],
        kernel: [u64; 2],
        dilations: [u64; 2],
    ) -> Result<[u64; 2], OnnxError> {
        let side = |axis: usize| {
            let reach = (kernel[axis] - 1) * dilations[axis] + 1;
            let free = (input[axis] + self.begin[axis] + self.end[axis]).checked_sub(reach);
            let free = free.ok_or_else(|| label.invalid("its kernel is larger than what it reads"))?;
            Ok(free / self.strides[axis] + 1)
        };
        Ok([side(0)?, side(1)?])
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
