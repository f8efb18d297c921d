//! Nodes that hand on what they are given are taken out.

use crate::onnx::proto::{NodeProto, attribute};
use crate::shapes::{Dim, Shapes};

use super::layer;
use super::net::Net;

const CANDIDATES: [&str; 11] = [
    "Identity",
    "Dropout",
    "Transpose",
    "Cast",
    "Reshape",
    "Flatten",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Concat",
];

pub(super) fn run(net: &mut Net) -> usize {
    let shapes = layer::shapes(net);
    let mut changed = 0;
    for place in net.places_of(&CANDIDATES) {
        let kept = net
            .node(place)
            .and_then(|node| handed_on(net, &shapes, node))
            .cloned();
        if kept.is_some_and(|input| !input.is_empty() && net.bypass(place, &input)) {
            changed += 1;
        }
    }
    changed
}

/// The input that is the node's first and only output as well.
fn handed_on<'n>(net: &Net, shapes: &Shapes, node: &'n NodeProto) -> Option<&'n String> {
    let input = node.input.first()?;
    if node.output.iter().skip(1).any(|output| net.is_read(output)) {
        return None;
    }
    let is_same = match node.op_type.as_str() {
        "Identity" => true,
        "Dropout" => is_inference(net, node),
        "Concat" => node.input.len() == 1,
        "Transpose" => {
            let perm = attribute::ints(node, "perm")?;
            perm.iter().zip(0..).all(|(&from, to)| from == to)
        }
        "Cast" => {
            let elem_type = shapes.facts(input)?.elem_type;
            elem_type != 0 && attribute::int(node, "to", 0)? == i64::from(elem_type)
        }
        "Reshape" | "Flatten" => {
            let (before, after) = (shapes.dims(input)?, shapes.dims(node.output.first()?)?);
            before == after && !before.contains(&Dim::Known(0))
        }
        "Add" | "Sub" | "Mul" | "Div" => return unchanged_operand(net, shapes, node),
        _ => false,
    };
    is_same.then_some(input)
}

/// Whether nothing is dropped. The input that may say otherwise came with opset 12.
fn is_inference(net: &Net, node: &NodeProto) -> bool {
    match node.input.get(2).filter(|name| !name.is_empty()) {
        None => true,
        Some(training) => net.constant(training).is_some_and(|tensor| {
            let is_false = tensor.raw_data == [0] || tensor.int32_data == [0];
            tensor.data_location == 0 && is_false
        }),
    }
}

/// The operand to which 0 is added, or that is multiplied by 1, and whose shape stays.
fn unchanged_operand<'n>(net: &Net, shapes: &Shapes, node: &'n NodeProto) -> Option<&'n String> {
    let [first, second] = node.input.as_slice() else {
        return None;
    };
    let commutes = matches!(node.op_type.as_str(), "Add" | "Mul");
    let neutral = if matches!(node.op_type.as_str(), "Add" | "Sub") {
        0
    } else {
        1
    };
    let is_neutral = |constant: &str| {
        net.constant(constant).is_some_and(|tensor| {
            let of_f32 = || {
                tensor
                    .f32s()
                    .is_some_and(|all| all.iter().all(|&value| value == neutral as f32))
            };
            let of_i64 = || {
                tensor
                    .i64s()
                    .is_some_and(|all| all.iter().all(|&value| value == neutral))
            };
            !tensor.is_empty() && (of_f32() || of_i64())
        })
    };
    let output = shapes.dims(node.output.first()?)?;
    let stays = |value: &str| shapes.dims(value) == Some(output);
    if stays(first) && is_neutral(second) {
        Some(first)
    } else if commutes && stays(second) && is_neutral(first) {
        Some(second)
    } else {
        None
    }
}
