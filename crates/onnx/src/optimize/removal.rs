//! Removes nodes that return their input, and nodes and constants that nothing reads.

use crate::proto::{NodeProto, TensorProto};
use crate::shapes::{Dim, Shapes};

use super::net::Net;

/// Longer constants are not read: one for each channel is never that long.
const MAX_NEUTRAL: usize = 4096;

pub(super) fn no_ops(net: &mut Net) -> usize {
    let shapes = net.shapes();
    let mut places = net.places();
    places.retain(|&place| remove(net, &shapes, place).is_some());
    places.len()
}

fn remove(net: &mut Net, shapes: &Shapes, place: usize) -> Option<()> {
    let node = net.node(place)?;
    // Elements of constants that may have to be read.
    let operands = node.input.iter().filter(|_| is_arithmetic(node));
    let elements = operands.filter_map(|name| net.constant(name)?.elements());
    let elements = elements.fold(0, usize::saturating_add);
    net.spend(elements)?;
    let kept = unchanged_input(net, shapes, net.node(place)?)?.clone();
    net.bypass(place, Some(kept.as_str()).filter(|kept| !kept.is_empty())?)
}

fn is_arithmetic(node: &NodeProto) -> bool {
    node.is_any(&["Add", "Sub", "Mul", "Div"])
}

/// Returns the input that the node returns unchanged.
fn unchanged_input<'n>(net: &Net, shapes: &Shapes, node: &'n NodeProto) -> Option<&'n String> {
    let input = node.input.first()?;
    if !node.is_standard() || node.output.iter().skip(1).any(|output| net.is_read(output)) {
        return None;
    }
    let is_same = match node.op_type.as_str() {
        "Identity" => true,
        // The input that may enable training came with opset 12.
        "Dropout" => node.input(2).is_none_or(|training| is_false(net, training)),
        "Concat" => node.input.len() == 1,
        "Transpose" => {
            let perm = node.ints("perm").filter(|perm| !perm.is_empty())?;
            perm.iter().zip(0..).all(|(&from, to)| from == to)
        }
        "Cast" => {
            let elem_type = shapes.facts(input)?.elem_type;
            elem_type != 0 && node.int("to", 0)? == i64::from(elem_type)
        }
        "Reshape" | "Flatten" => {
            let (before, after) = (shapes.dims(input)?, shapes.dims(node.output.first()?)?);
            before == after && !before.contains(&Dim::Known(0))
        }
        _ if is_arithmetic(node) => return unchanged_operand(net, shapes, node),
        _ => false,
    };
    is_same.then_some(input)
}

fn is_false(net: &Net, constant: &str) -> bool {
    let is_false = |tensor: &TensorProto| tensor.raw_data == [0] || tensor.int32_data == [0];
    let constant = net.constant(constant);
    constant.is_some_and(|tensor| tensor.data_location == 0 && is_false(tensor))
}

/// Returns the operand to which 0 is added, or that is multiplied by 1, and whose shape stays.
fn unchanged_operand<'n>(net: &Net, shapes: &Shapes, node: &'n NodeProto) -> Option<&'n String> {
    let [first, second] = node.input.as_slice() else {
        return None;
    };
    let neutral = u8::from(node.is_any(&["Mul", "Div"]));
    let is_neutral = |constant: &str| {
        net.constant(constant).is_some_and(|tensor| {
            let is_short = (1..=MAX_NEUTRAL).contains(&tensor.elements().unwrap_or(0));
            let is_f32 = |all: Vec<f32>| all.iter().all(|&value| value == f32::from(neutral));
            let is_i64 = |all: Vec<i64>| all.iter().all(|&value| value == i64::from(neutral));
            is_short && (tensor.f32s().is_some_and(is_f32) || tensor.i64s().is_some_and(is_i64))
        })
    };
    let output = shapes.dims(node.output.first()?)?;
    let stays = |value: &str| shapes.dims(value) == Some(output);
    if stays(first) && is_neutral(second) {
        return Some(first);
    }
    let commutes = node.is_any(&["Add", "Mul"]);
    (commutes && stays(second) && is_neutral(first)).then_some(second)
}

pub(super) fn dead_code(net: &mut Net) -> usize {
    let mut changed = 0;
    for place in net.places().into_iter().rev() {
        let is_dead = net.node(place).is_some_and(|node| {
            let mut outputs = node.output.iter().filter(|output| !output.is_empty());
            // Custom operators may have side effects.
            node.is_standard() && outputs.all(|output| !net.is_read(output))
        });
        if is_dead {
            net.remove(place);
            changed += 1;
        }
    }
    let mut constants = std::mem::take(&mut net.constants);
    let before = constants.len();
    constants.retain(|name, _| net.is_read(name));
    changed += before - constants.len();
    net.constants = constants;
    changed
}

#[cfg(test)]
mod tests {
    use super::super::Pass;
    use super::super::tests::{after, constant, model, node, node_with, operators};
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

    #[test]
    fn chains_that_lead_nowhere_go_with_their_constants() {
        let nodes = vec![
            node("Mul", &["x", "c"], "a"),
            node("Relu", &["a"], "b"),
            node("Mul", &["x", "d"], "y"),
        ];
        let constants = vec![constant("c", &[1]), constant("d", &[1]), constant("e", &[1])];
        let (graph, changed) = after(model(4, nodes, constants), Pass::DeadCode);
        assert_eq!((operators(&graph).as_str(), changed), ("Mul", 4));
        assert_eq!(graph.initializer.len(), 1);
    }

    #[test]
    fn operators_of_others_stay() {
        let mut other = node("Log", &["x"], "a");
        other.domain = "com.example".to_owned();
        let nodes = vec![other, node("Relu", &["x"], "y")];
        assert_eq!(after(model(4, nodes, Vec::new()), Pass::DeadCode).1, 0);
    }
}
