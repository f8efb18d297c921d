//! Nodes that hand on what they are given are taken out.

use crate::proto::{NodeProto, TensorProto, attribute};
use crate::shapes::{Dim, Shapes};

use super::layer;
use super::net::Net;

/// Longer constants are not looked through for what they are: one for each channel is never that long.
const MAX_NEUTRAL: usize = 4096;

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
        if !net.spend(elements(net, place)) {
            continue;
        }
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

/// Elements of constants that may have to be gone over.
fn elements(net: &Net, place: usize) -> usize {
    let node = net.node(place).filter(|node| node.input.len() == 2);
    let inputs = node.map(|node| node.input.as_slice()).unwrap_or_default();
    let constants = inputs.iter().filter_map(|name| net.constant(name));
    constants
        .filter_map(TensorProto::len)
        .fold(0, usize::saturating_add)
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
            let perm = attribute::ints(node, "perm").filter(|perm| !perm.is_empty())?;
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
            let is_looked_at = tensor.len().is_some_and(|len| (1..=MAX_NEUTRAL).contains(&len));
            is_looked_at && (of_f32() || of_i64())
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

#[cfg(test)]
mod tests {
    use super::super::Pass;
    use super::super::testing::{after, constant, model, node, node_with, operators};
    use crate::proto::{AttributeProto, NodeProto, TensorProto};

    /// What is left of relu, the node from `a` to `b`, and relu.
    fn between(middle: NodeProto) -> String {
        let constants = vec![
            TensorProto::of_f32("zero", &[], &[0.0]),
            TensorProto::of_f32("ones", &[4, 1, 1], &[1.0; 4]),
            TensorProto::of_f32("wide", &[1, 1, 4, 1, 1], &[1.0; 4]),
            TensorProto::of_i64("same", &[4], &[0, 4, 8, -1]),
            TensorProto::of_i64("other", &[4], &[0, 8, 4, -1]),
            constant("c", &[1]),
        ];
        let nodes = vec![node("Relu", &["x"], "a"), middle, node("Relu", &["b"], "y")];
        operators(&after(model(4, nodes, constants), Pass::NoOps).0)
    }

    #[test]
    fn what_changes_nothing_goes() {
        let ints = AttributeProto::ints;
        for middle in [
            node("Identity", &["a"], "b"),
            node("Dropout", &["a"], "b"),
            node("Add", &["zero", "a"], "b"),
            node("Sub", &["a", "zero"], "b"),
            node("Mul", &["a", "ones"], "b"),
            node("Div", &["a", "ones"], "b"),
            node("Reshape", &["a", "same"], "b"),
            node_with("Transpose", &["a"], "b", vec![ints("perm", &[0, 1, 2, 3])]),
            node_with("Cast", &["a"], "b", vec![AttributeProto::int("to", 1)]),
        ] {
            assert_eq!(between(middle.clone()), "Relu Relu", "{middle:?}");
        }
    }

    #[test]
    fn what_changes_something_stays() {
        let ints = AttributeProto::ints;
        for middle in [
            node("Add", &["c", "a"], "b"),
            node("Sub", &["zero", "a"], "b"),
            node("Div", &["ones", "a"], "b"),
            node("Mul", &["a", "wide"], "b"),
            node("Reshape", &["a", "other"], "b"),
            node("Transpose", &["a"], "b"),
            node_with("Transpose", &["a"], "b", vec![ints("perm", &[0, 1, 3, 2])]),
            node_with("Transpose", &["a"], "b", vec![ints("perm", &[])]),
            node_with("Cast", &["a"], "b", vec![AttributeProto::int("to", 10)]),
        ] {
            let operators = between(middle.clone());
            assert_eq!(operators.split(' ').count(), 3, "{middle:?}");
        }
    }

    #[test]
    fn inputs_and_outputs_keep_their_names() {
        let nodes = vec![node("Relu", &["x"], "a"), node("Identity", &["a"], "y")];
        let (graph, _) = after(model(4, nodes, Vec::new()), Pass::NoOps);
        assert_eq!(
            (operators(&graph).as_str(), graph.node[0].output[0].as_str()),
            ("Relu", "y")
        );
        let (graph, changed) = after(
            model(4, vec![node("Identity", &["x"], "y")], Vec::new()),
            Pass::NoOps,
        );
        assert_eq!((operators(&graph).as_str(), changed), ("Identity", 0));
    }

    #[test]
    fn a_long_name_is_not_repeated_for_thousands_of_readers() {
        let long = "n".repeat(10_000);
        let mut nodes = vec![node("Relu", &["x"], &long), node("Identity", &[&long], "a")];
        nodes.extend((0..2000).map(|number| node("Relu", &["a"], &format!("r{number}"))));
        nodes.push(node("Relu", &["r1999"], "y"));
        assert_eq!(after(model(4, nodes, Vec::new()), Pass::NoOps).1, 0);
    }

    #[test]
    fn values_that_a_subgraph_reads_keep_their_names() {
        let inner = crate::proto::GraphProto {
            node: vec![node("Relu", &["b"], "inner")],
            ..Default::default()
        };
        let branch = AttributeProto {
            name: "then_branch".to_owned(),
            g: Some(inner),
            r#type: crate::proto::kind::GRAPH,
            ..AttributeProto::default()
        };
        let nodes = vec![
            node("Relu", &["x"], "a"),
            node("Identity", &["a"], "b"),
            node_with("If", &["a"], "y", vec![branch]),
        ];
        let (graph, _) = after(model(4, nodes, Vec::new()), Pass::NoOps);
        assert_eq!(graph.node[0].output[0], "b");
        assert_eq!(graph.node[1].input[0], "b");
    }
}
