//! The ONNX graph of a whole model, layer by layer: the node of each operator, and the shape of its output.

use super::constants::{Constant, Initializers};
use super::ir::{ElementType, Label, Layer, Net};
use super::links::Links;
use crate::OnnxError;
use crate::proto::{AttributeProto, GraphProto, NodeProto, ValueInfoProto};

/// Images and feature maps: batch, channels, rows, columns.
type Shape = [u64; 4];

/// A value on an edge.
#[derive(Clone, Copy)]
enum Value<'a> {
    /// Of the `.bin`.
    Constant(Constant<'a>),
    /// Computed from the input.
    Tensor(Tensor<'a>),
}

impl Value<'_> {
    /// The type of the elements, if it is a constant.
    fn constant_of(&self) -> Option<ElementType> {
        match self {
            Self::Constant(constant) => Some(constant.element),
            Self::Tensor(_) => None,
        }
    }
}

/// A tensor with the batch as its first dimension.
#[derive(Clone, Copy)]
struct Tensor<'a> {
    /// Its name in the ONNX graph.
    name: &'a str,
    /// For a batch of one.
    shape: Shape,
}

type Output<'a> = Result<Value<'a>, OnnxError>;

/// The graph so far.
struct Conversion<'a> {
    bin: &'a [u8],
    initializers: Initializers,
    nodes: Vec<NodeProto>,
    input: Option<ValueInfoProto>,
    output: Option<ValueInfoProto>,
}

/// Returns the graph of a model.
pub(super) fn convert(net: &Net, links: &Links, bin: &[u8]) -> Result<GraphProto, OnnxError> {
    let mut conversion = Conversion {
        bin,
        initializers: Initializers::of(bin),
        nodes: Vec::new(),
        input: None,
        output: None,
    };
    let mut values: Vec<Option<Value<'_>>> = vec![None; net.layers.len()];
    for &place in &links.order {
        let sources = links.sources[place].iter();
        let operands: Vec<Value<'_>> = sources.filter_map(|&source| values[source]).collect();
        values[place] = conversion.layer(&net.layers[place], &operands)?;
    }
    let missing = |what: &str| OnnxError::Invalid(format!("there is no {what}"));
    Ok(GraphProto {
        node: conversion.nodes,
        name: "main".to_owned(),
        initializer: conversion.initializers.into_vec(),
        input: vec![conversion.input.ok_or_else(|| missing("Parameter"))?],
        output: vec![conversion.output.ok_or_else(|| missing("Result"))?],
        ..GraphProto::default()
    })
}

impl<'a> Conversion<'a> {
    /// Returns the value of a layer; a Result has none.
    fn layer(&mut self, layer: &'a Layer, operands: &[Value<'a>]) -> Result<Option<Value<'a>>, OnnxError> {
        match layer.operator() {
            "Parameter" => self.parameter(layer, operands).map(Some),
            "Const" if operands.is_empty() => Ok(Some(Value::Constant(Constant::of(layer, self.bin)?))),
            "Convert" => decompressed(layer, operands).map(Some),
            "Result" => self.result(layer, operands).map(|()| None),
            _ => self.computed(layer, operands).map(Some),
        }
    }

    fn parameter(&mut self, layer: &'a Layer, operands: &[Value<'a>]) -> Output<'a> {
        let label = &layer.label;
        if self.input.is_some() {
            return Err(label.unsupported("a second Parameter"));
        }
        layer.only("element_type", ElementType::F32.name())?;
        let dims = layer.numbers("shape", 1)?;
        match Shape::try_from(dims.as_slice()) {
            Ok(shape) if shape[0] == 1 && operands.is_empty() => {
                self.input = Some(value_info(&label.name, shape));
                tensor(layer, shape)
            }
            _ => Err(label.unsupported(format!("shape {dims:?}"))),
        }
    }

    fn result(&mut self, layer: &'a Layer, operands: &[Value<'a>]) -> Result<(), OnnxError> {
        let label = &layer.label;
        if self.output.is_some() {
            return Err(label.unsupported("a second Result"));
        }
        match operands {
            _ if !layer.outputs.is_empty() => Err(label.unsupported("a Result with an output")),
            [Value::Tensor(tensor)] if self.nodes.iter().any(|node| node.name == tensor.name) => {
                self.output = Some(value_info(tensor.name, tensor.shape));
                Ok(())
            }
            _ => Err(label.unsupported("a Result of what is not computed")),
        }
    }

    /// Returns the output of a layer that computes something.
    fn computed(&mut self, layer: &'a Layer, operands: &[Value<'a>]) -> Output<'a> {
        // A Convert makes f32 of a constant before it is read.
        if operands
            .iter()
            .any(|operand| operand.constant_of() == Some(ElementType::F16))
        {
            return Err(layer.label.unsupported("computing with f16"));
        }
        match (layer.operator(), operands) {
            ("Add" | "Multiply", [left, right]) => self.elementwise(layer, [left, right]),
            ("Convolution" | "GroupConvolution", [Value::Tensor(data), Value::Constant(kernel)]) => {
                self.convolution(layer, data, kernel)
            }
            ("PReLU", [Value::Tensor(data), Value::Constant(slope)]) => self.prelu(layer, data, slope),
            ("AvgPool" | "MaxPool", [Value::Tensor(data)]) => self.pool(layer, data),
            ("Sigmoid", [Value::Tensor(data)]) => {
                self.made(layer, "Sigmoid", &[data.name], Vec::new(), data.shape)
            }
            _ => {
                let (count, constants) = (
                    operands.len(),
                    operands.iter().filter_map(Value::constant_of).count(),
                );
                let what = format!("reading {count} values of which {constants} are constants");
                Err(layer.label.unsupported(what))
            }
        }
    }

    /// Adds the node of a layer.
    fn made(
        &mut self,
        layer: &'a Layer,
        op_type: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
        shape: Shape,
    ) -> Output<'a> {
        let node = NodeProto::new(op_type, inputs, &[&layer.label.name], attributes);
        self.nodes.push(node);
        tensor(layer, shape)
    }

    fn elementwise(&mut self, layer: &'a Layer, operands: [&Value<'_>; 2]) -> Output<'a> {
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
                    (self.initializers.name(constant, constant.dims)?, dims)
                }
            };
            // The batch is 1 in all tensors; were it more in a constant, it would not be free.
            for (wide, dim) in shape.iter_mut().zip(dims) {
                match (*wide, dim) {
                    (1, _) => *wide = dim,
                    (a, b) if b == 1 || a == b => {}
                    (a, b) => {
                        return Err(label.invalid(format!("dimensions of {a} and {b} do not go together")));
                    }
                }
            }
            names.push(name);
        }
        if operands.iter().all(|operand| operand.constant_of().is_some()) {
            return Err(label.unsupported("computing with constants only"));
        }
        if shape[0] != 1 {
            return Err(label.unsupported("a constant for each image of the batch"));
        }
        let op_type = if layer.operator() == "Add" { "Add" } else { "Mul" };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.made(layer, op_type, &names, Vec::new(), shape)
    }

    fn convolution(&mut self, layer: &'a Layer, data: &Tensor<'_>, kernel: &Constant<'_>) -> Output<'a> {
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
            let fault = format!(
                "its kernel of shape {:?} does not fit {channels} channels",
                kernel.dims
            );
            return Err(label.invalid(fault));
        }
        let made_channels = groups * of_group;
        let dims = [made_channels, read, rows, columns];
        let kernel_name = self.initializers.name(kernel, &dims)?;
        let [height, width] = window.output(label, [height, width], [rows, columns], dilations)?;
        let mut attributes = window.attributes([rows, columns]);
        attributes.push(AttributeProto::ints("dilations", &signed(&dilations)));
        attributes.push(AttributeProto::int("group", groups.cast_signed()));
        let shape = [1, made_channels, height, width];
        self.made(layer, "Conv", &[data.name, &kernel_name], attributes, shape)
    }

    fn prelu(&mut self, layer: &'a Layer, data: &Tensor<'_>, slope: &Constant<'_>) -> Output<'a> {
        // OpenVINO lines a slope of one dimension up with the channels, ONNX with the columns.
        let dims = match slope.dims {
            [1] => vec![1],
            &[slopes] if slopes == data.shape[1] => vec![slopes, 1, 1],
            other => return Err(layer.label.unsupported(format!("a slope of shape {other:?}"))),
        };
        let slope = self.initializers.name(slope, &dims)?;
        self.made(layer, "PRelu", &[data.name, &slope], Vec::new(), data.shape)
    }

    fn pool(&mut self, layer: &'a Layer, data: &Tensor<'_>) -> Output<'a> {
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
        self.made(
            layer,
            op_type,
            &[data.name],
            attributes,
            [1, channels, height, width],
        )
    }
}

/// NumPy's reading of a shape of fewer dimensions.
fn of_four(dims: &[u64]) -> Option<Shape> {
    let missing = 4usize.checked_sub(dims.len())?;
    let mut shape = [1; 4];
    shape[missing..].copy_from_slice(dims);
    Some(shape)
}

fn value_info(name: &str, shape: Shape) -> ValueInfoProto {
    let [_, channels, rows, columns] = shape.map(u64::cast_signed);
    ValueInfoProto::of_f32(name, &[None, Some(channels), Some(rows), Some(columns)])
}

/// Returns the output of a layer, which has to be of the shape of its only output port.
fn tensor(layer: &Layer, shape: Shape) -> Output<'_> {
    let Label { name, .. } = &layer.label;
    let fault = match layer.outputs.as_slice() {
        [port] if port.element == ElementType::F32 && port.dims == shape => {
            return Ok(Value::Tensor(Tensor { name, shape }));
        }
        [port] => {
            let port = port.described();
            format!("it makes f32 {shape:?}, and its output port says {port}")
        }
        ports => {
            let what = format!("having {} output ports", ports.len());
            return Err(layer.label.unsupported(what));
        }
    };
    Err(layer.label.invalid(fault))
}

/// Returns the output of the Convert after a constant of `f16`: files store constants in half the bytes, and operators
/// compute with `f32`.
fn decompressed<'a>(layer: &'a Layer, operands: &[Value<'a>]) -> Output<'a> {
    let label = &layer.label;
    layer.only("destination_type", ElementType::F32.name())?;
    let [Value::Constant(constant)] = operands else {
        return Err(label.unsupported("converting anything but a constant"));
    };
    if constant.element != ElementType::F16 {
        return Err(label.unsupported("converting from f32"));
    }
    let element = ElementType::F32;
    match layer.outputs.as_slice() {
        [port] if port.element == element && port.dims == constant.dims => {
            let constant = Constant {
                label,
                element,
                ..*constant
            };
            Ok(Value::Constant(constant))
        }
        _ => Err(label.invalid("its output is not f32 of the shape of the constant")),
    }
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
