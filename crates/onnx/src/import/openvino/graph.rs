//! The ONNX graph of a whole model, layer by layer.

use super::constants::{Constant, Initializers};
use super::ir::{ElementType, Layer, Net};
use super::links::Links;
use super::operators::{self, Shape, Tensor, Value};
use crate::OnnxError;
use crate::proto::{GraphProto, NodeProto, ValueInfoProto};

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
            _ => {
                // A Convert makes f32 of a constant before it is read.
                let is_f16 = |operand: &Value<'_>| matches!(operand, Value::Constant(constant) if constant.element == ElementType::F16);
                if operands.iter().any(is_f16) {
                    return Err(layer.label.unsupported("computing with f16"));
                }
                let (node, shape) = operators::node(layer, operands, &mut self.initializers)?;
                self.nodes.push(node);
                tensor(layer, shape).map(Some)
            }
        }
    }

    fn parameter(&mut self, layer: &'a Layer, operands: &[Value<'a>]) -> Result<Value<'a>, OnnxError> {
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
}

fn value_info(name: &str, shape: Shape) -> ValueInfoProto {
    let [_, channels, rows, columns] = shape.map(u64::cast_signed);
    ValueInfoProto::of_f32(name, &[None, Some(channels), Some(rows), Some(columns)])
}

/// Returns the output of a layer, which has to be of the shape of its only output port.
fn tensor(layer: &Layer, shape: Shape) -> Result<Value<'_>, OnnxError> {
    match layer.outputs.as_slice() {
        [port] if port.element == ElementType::F32 && port.dims == shape => Ok(Value::Tensor(Tensor {
            name: &layer.label.name,
            shape,
        })),
        [port] => Err(layer.label.invalid(format!(
            "it makes f32 {shape:?}, and its output port says {} {:?}",
            port.element.name(),
            port.dims
        ))),
        ports => Err(layer
            .label
            .unsupported(format!("having {} output ports", ports.len()))),
    }
}

/// Returns the output of the Convert after a constant of `f16`: files store constants in half the bytes, and operators
/// compute with `f32`.
fn decompressed<'a>(layer: &'a Layer, operands: &[Value<'a>]) -> Result<Value<'a>, OnnxError> {
    let label = &layer.label;
    layer.only("destination_type", ElementType::F32.name())?;
    let [Value::Constant(constant)] = operands else {
        return Err(label.unsupported("converting anything but a constant"));
    };
    if constant.element != ElementType::F16 {
        return Err(label.unsupported("converting from f32"));
    }
    match layer.outputs.as_slice() {
        [port] if port.element == ElementType::F32 && port.dims == constant.dims => {
            let element = ElementType::F32;
            Ok(Value::Constant(Constant {
                label,
                element,
                ..*constant
            }))
        }
        _ => Err(label.invalid("its output is not f32 of the shape of the constant")),
    }
}
