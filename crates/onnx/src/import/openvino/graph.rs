//! The ONNX graph of a whole model, layer by layer.

use super::OpenVinoError;
use super::constants::{Bin, Initializers};
use super::error::quoted;
use super::ir::{ElementType, Layer, Net};
use super::links::Links;
use super::operators::{self, Operator, Shape, Tensor, Value};
use super::settings::{Settings, positive};
use crate::proto::{GraphProto, NodeProto, ValueInfoProto};

/// What has been made of the layers so far.
struct Conversion<'a> {
    bin: Bin<'a>,
    initializers: Initializers,
    nodes: Vec<NodeProto>,
    input: Option<ValueInfoProto>,
    output: Option<ValueInfoProto>,
}

/// The graph of a model whose layers have these settings.
pub(super) fn convert(
    net: &Net,
    mut settings: Vec<Settings>,
    links: &Links,
    bin: &[u8],
) -> Result<GraphProto, OpenVinoError> {
    let bin = Bin(bin);
    let mut conversion = Conversion {
        initializers: Initializers::of(&bin),
        bin,
        nodes: Vec::new(),
        input: None,
        output: None,
    };
    let mut values: Vec<Option<Value<'_>>> = vec![None; net.layers.len()];
    for &place in &links.order {
        let (layer, settings) = (&net.layers[place], &mut settings[place]);
        let operands: Vec<Value<'_>> = links.sources[place]
            .iter()
            .filter_map(|&source| values[source])
            .collect();
        values[place] = conversion.layer(layer, settings, &operands)?;
        settings.finish(&layer.label)?;
    }
    let missing = |what: &str| OpenVinoError::Graph {
        reason: format!("there is no {what}"),
    };
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
    /// What a layer makes; nothing is made by a Result.
    fn layer(
        &mut self,
        layer: &'a Layer,
        settings: &mut Settings,
        operands: &[Value<'a>],
    ) -> Result<Option<Value<'a>>, OpenVinoError> {
        match layer.operator {
            Operator::Parameter => self.parameter(layer, settings, operands).map(Some),
            Operator::Const if operands.is_empty() => self
                .bin
                .constant(layer, settings)
                .map(|constant| Some(Value::Constant(constant))),
            Operator::Convert => decompressed(layer, settings, operands).map(Some),
            Operator::Result => self.result(layer, operands).map(|()| None),
            _ => {
                let all_f32 = operands.iter().all(|operand| match operand {
                    // Its Convert has made f32 of it.
                    Value::Constant(constant) => constant.element == ElementType::F32,
                    Value::Tensor(_) => true,
                });
                if !all_f32 {
                    return Err(layer.label.unsupported("computing with f16"));
                }
                let (node, shape) = operators::node(layer, settings, operands, &mut self.initializers)?;
                self.nodes.push(node);
                tensor(layer, shape).map(Some)
            }
        }
    }

    fn parameter(
        &mut self,
        layer: &'a Layer,
        settings: &mut Settings,
        operands: &[Value<'a>],
    ) -> Result<Value<'a>, OpenVinoError> {
        let label = &layer.label;
        if self.input.is_some() {
            return Err(label.unsupported("a second Parameter"));
        }
        let element = settings.required(label, "element_type")?;
        if element != ElementType::F32.name() {
            return Err(label.unsupported(format!("element_type {}", quoted(&element))));
        }
        let dims = settings.numbers(label, "shape", positive)?;
        match Shape::try_from(dims.as_slice()) {
            Ok(shape) if shape[0] == 1 && operands.is_empty() => {
                self.input = Some(value_info(&label.name, shape));
                tensor(layer, shape)
            }
            _ => Err(label.unsupported(format!("shape {dims:?}"))),
        }
    }

    fn result(&mut self, layer: &'a Layer, operands: &[Value<'a>]) -> Result<(), OpenVinoError> {
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

/// The tensor that a layer makes, which has to be what its only output port says.
fn tensor(layer: &Layer, shape: Shape) -> Result<Value<'_>, OpenVinoError> {
    match layer.outputs.as_slice() {
        [port] if port.element == ElementType::F32 && port.dims == shape => Ok(Value::Tensor(Tensor {
            name: &layer.label.name,
            shape,
        })),
        [port] => Err(layer.label.wrong(format!(
            "it makes f32 {shape:?}, and its output port says {} {:?}",
            port.element.name(),
            port.dims
        ))),
        ports => Err(layer
            .label
            .unsupported(format!("having {} output ports", ports.len()))),
    }
}

/// What the Convert behind a constant of `f16` makes. The file may hold constants in half the bytes; they are computed
/// with as `f32`.
fn decompressed<'a>(
    layer: &'a Layer,
    settings: &mut Settings,
    operands: &[Value<'a>],
) -> Result<Value<'a>, OpenVinoError> {
    let label = &layer.label;
    settings.only(label, "destination_type", ElementType::F32.name())?;
    let [Value::Constant(constant)] = operands else {
        return Err(label.unsupported("converting anything but a constant"));
    };
    if constant.element != ElementType::F16 {
        return Err(label.unsupported("converting from f32"));
    }
    match layer.outputs.as_slice() {
        [port] if port.element == ElementType::F32 && port.dims == constant.dims => {
            Ok(Value::Constant(constant.decompressed(label)))
        }
        _ => Err(label.wrong("its output is not f32 of the shape of the constant")),
    }
}
