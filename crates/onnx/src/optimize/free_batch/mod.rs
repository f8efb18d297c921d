//! Frees a batch that the file fixes at 1, as exporters fix it, so that several images can be computed in one run.
//!
//! It is proved on the graph that each image of a larger batch gives what it gives by itself: from the input on, every value
//! that depends on it has the batch at one known axis, and no operator on the way mixes the values along it
//! (`rules.rs`). Then only shapes that are written as constants have to follow. One operator that is not known, or one value of
//! which it is not certain where the batch is, and the model stays as it is.

mod rules;

use std::collections::HashMap;

use crate::proto::{DimensionValue, TensorProto, ValueInfoProto, data_type};

use super::net::Net;
use rules::{Held, Rules};

/// Name of the dimension that is freed.
const BATCH: &str = "batch";

pub(super) fn run(net: &mut Net) -> usize {
    let plan = single_input(net).and_then(|input| plan(net, input));
    let Some((input, shapes)) = plan else {
        return 0;
    };
    for (place, to) in shapes {
        let base = net
            .node(place)
            .and_then(|node| node.output.first().cloned())
            .unwrap_or_default();
        let name = net.fresh(&base, "shape");
        net.set_constant(TensorProto::of_i64(&name, &[to.len() as i64], &to));
        net.set_input(place, 1, name);
    }
    free(&mut net.rest.input[input]);
    net.rest.output.iter_mut().for_each(free);
    // Sizes of values in between: they state a batch of 1, and nothing needs them.
    net.rest.value_info.clear();
    1
}

/// The place of the one input, if it is of `f32` and has a batch of 1.
fn single_input(net: &Net) -> Option<usize> {
    let inputs = net.rest.input.iter().enumerate();
    let mut needed = inputs.filter(|(_, input)| !net.constants.contains_key(&input.name));
    let (place, input) = needed.next()?;
    let tensor = input.tensor()?;
    let dims = &tensor.shape.as_ref()?.dim;
    let is_single = matches!(dims.first()?.value, Some(DimensionValue::Fixed(1)));
    let is_image = dims.len() == 4 && tensor.elem_type == data_type::FLOAT;
    (needed.next().is_none() && is_single && is_image).then_some(place)
}

/// Nodes whose constant shape has to change, with the new one.
type Reshapes = Vec<(usize, Vec<i64>)>;

/// Where the batch is in every value; `None` where that is not certain.
fn plan(net: &Net, input: usize) -> Option<(usize, Reshapes)> {
    let mut inputs = net.rest.input.clone();
    free(&mut inputs[input]);
    let shapes = net.shapes_of(&inputs);
    let name = inputs[input].name.clone();
    let batch = *shapes.dims(&name)?.first()?;
    let mut held = HashMap::from([(name, Held::Batch { axis: 0, rank: 4 })]);
    let mut reshapes = Vec::new();
    for place in net.places() {
        let node = net.node(place)?;
        let rules = Rules {
            net,
            node,
            shapes: &shapes,
            batch,
            held: &held,
        };
        let made = rules.outputs()?;
        if let Some(shape) = made.shape {
            reshapes.push((place, shape));
        }
        held.extend(node.output.iter().cloned().zip(made.outputs));
    }
    let is_first =
        |output: &ValueInfoProto| matches!(held.get(&output.name), Some(Held::Batch { axis: 0, .. }));
    net.rest.output.iter().all(is_first).then_some((input, reshapes))
}

/// Frees the batch of an input or output that states one of 1.
fn free(value: &mut ValueInfoProto) {
    let tensor = value.r#type.as_mut().and_then(|of| of.tensor_type.as_mut());
    let first = tensor.and_then(|tensor| tensor.shape.as_mut()?.dim.first_mut());
    if let Some(first) = first.filter(|dim| dim.value == Some(DimensionValue::Fixed(1))) {
        first.value = Some(DimensionValue::Named(BATCH.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pass;
    use super::super::tests::{after, constant, node, node_with};
    use crate::file;
    use crate::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};

    /// A model of `x` of `[1, 4, 8, 8]` that puts out `y`, which it declares as `[1, 8]`.
    fn single(nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> ModelProto {
        file::model(GraphProto {
            node: nodes,
            initializer: constants,
            input: vec![ValueInfoProto::of_f32("x", &[Some(1), Some(4), Some(8), Some(8)])],
            output: vec![ValueInfoProto::of_f32("y", &[Some(1), Some(8)])],
            ..GraphProto::default()
        })
    }

    fn is_freed(nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> bool {
        let (graph, changes) = after(single(nodes, constants), Pass::FreeBatch);
        let shapes = [&graph.input[0], &graph.output[0]].map(|value| value.shape().unwrap()[0]);
        assert_eq!(
            shapes,
            if changes == 1 {
                [None, None]
            } else {
                [Some(1), Some(1)]
            }
        );
        changes == 1
    }

    fn ints(name: &str, values: &[i64]) -> TensorProto {
        TensorProto::of_i64(name, &[values.len() as i64], values)
    }

    fn axis(axis: i64) -> Vec<AttributeProto> {
        vec![AttributeProto::int("axis", axis)]
    }

    #[test]
    fn a_reshape_follows_the_batch() {
        let nodes = vec![
            node("Relu", &["x"], "a"),
            node("Reshape", &["a", "to"], "b"),
            node("Relu", &["b"], "y"),
        ];
        for (to, expected) in [
            ([1, 4, -1], Some([0, 4, -1])),
            ([1, 64, 4], Some([0, 64, 4])),
            ([0, -1, 4], Some([0, -1, 4])),
            ([-1, 4, 64], Some([-1, 4, 64])),
            // The batch in the second place, or in one with other sizes.
            ([4, 1, 64], None),
            ([-1, 4, 16], None),
            ([2, 2, -1], None),
        ] {
            let mut model = single(nodes.clone(), vec![ints("to", &to)]);
            let of_a = ValueInfoProto::of_f32("a", &[Some(1), Some(4), Some(8), Some(8)]);
            model.graph.as_mut().unwrap().value_info = vec![of_a];
            let (graph, changes) = after(model, Pass::FreeBatch);
            assert_eq!(changes == 1, expected.is_some(), "{to:?}");
            let shape = graph.constants()[graph.node[1].input[1].as_str()].i64s().unwrap();
            assert_eq!(shape, expected.unwrap_or(to), "{to:?}");
            assert_eq!(graph.value_info.is_empty(), expected.is_some());
        }
    }

    #[test]
    fn a_network_that_keeps_images_apart_is_freed() {
        // Attention: a turn, a product of two values of the batch, a softmax, a product with weights, a mean.
        let nodes = vec![
            node("Conv", &["x", "kernel"], "maps"),
            node("Reshape", &["maps", "to"], "tokens"),
            node_with(
                "Transpose",
                &["tokens"],
                "turned",
                vec![AttributeProto::ints("perm", &[0, 2, 1])],
            ),
            node("MatMul", &["tokens", "turned"], "products"),
            node_with("Softmax", &["products"], "shares", axis(-1)),
            node("MatMul", &["shares", "tokens"], "mixed"),
            node("Add", &["mixed", "position"], "placed"),
            node_with(
                "ReduceMean",
                &["placed"],
                "means",
                vec![
                    AttributeProto::ints("axes", &[-1]),
                    AttributeProto::int("keepdims", 0),
                ],
            ),
            node("MatMul", &["means", "weights"], "y"),
        ];
        let constants = vec![
            constant("kernel", &[4, 4, 1, 1]),
            ints("to", &[1, 4, 64]),
            constant("position", &[1, 4, 64]),
            constant("weights", &[4, 8]),
        ];
        assert!(is_freed(nodes.clone(), constants.clone()));
        // A position for each image of a batch would be for another one.
        let mut of_two = constants;
        of_two[2] = constant("position", &[2, 4, 64]);
        assert!(!is_freed(nodes, of_two));
    }

    #[test]
    fn sizes_that_are_computed_follow_by_themselves() {
        let nodes = vec![
            node("Relu", &["x"], "a"),
            node("Shape", &["a"], "shape"),
            node("Gather", &["shape", "second"], "channels"),
            node("Slice", &["a", "none", "channels", "second"], "b"),
            node("Expand", &["one", "shape"], "spread"),
            node("Mul", &["b", "spread"], "c"),
            node("Gather", &["shape", "first"], "batch"),
            node_with("Concat", &["batch", "rest"], "to", axis(0)),
            node("Reshape", &["c", "to"], "y"),
        ];
        let constants = vec![
            ints("first", &[0]),
            ints("second", &[1]),
            ints("none", &[0]),
            ints("rest", &[-1]),
            constant("one", &[1, 1, 1]),
        ];
        assert!(is_freed(nodes, constants));
    }

    #[test]
    fn what_mixes_images_or_is_not_known_stays_as_it_is() {
        let along = |values: &[i64]| vec![AttributeProto::ints("axes", values)];
        for (what, nodes) in [
            ("a mean over all", vec![node("ReduceMean", &["x"], "y")]),
            (
                "a mean",
                vec![node_with("ReduceMean", &["x"], "y", along(&[0, 2]))],
            ),
            ("a softmax", vec![node_with("Softmax", &["x"], "y", axis(0))]),
            ("a row", vec![node_with("Concat", &["x", "x"], "y", axis(-4))]),
            ("a turn that puts it last", vec![node("Transpose", &["x"], "y")]),
            ("another operator", vec![node("Einsum", &["x"], "y")]),
            ("a squeeze", vec![node("Squeeze", &["x"], "y")]),
            (
                "means of the batch",
                vec![node_with(
                    "BatchNormalization",
                    &["x", "w", "w", "w", "w"],
                    "y",
                    vec![AttributeProto::int("training_mode", 1)],
                )],
            ),
            ("slopes", vec![node("PRelu", &["of_two", "x"], "y")]),
            ("a cut", vec![node("Slice", &["x", "none", "none", "none"], "y")]),
            ("an output without it", vec![node("Relu", &["w"], "y")]),
            ("rows of weights", vec![node("Add", &["x", "of_two"], "y")]),
            ("two in one", vec![node_with("Flatten", &["x"], "y", axis(2))]),
        ] {
            let constants = vec![
                ints("none", &[0]),
                constant("w", &[4]),
                constant("of_two", &[2, 1, 1, 1]),
            ];
            assert!(!is_freed(nodes, constants), "{what}");
        }
        let normalised = node("BatchNormalization", &["x", "w", "w", "w", "w"], "y");
        assert!(is_freed(vec![normalised], vec![constant("w", &[4])]));
        assert!(is_freed(
            vec![node_with("Flatten", &["x"], "y", axis(1))],
            Vec::new()
        ));
    }

    #[test]
    fn a_free_batch_and_one_of_two_stay_as_they_are() {
        for batch in [None, Some(2)] {
            let mut model = single(vec![node("Relu", &["x"], "y")], Vec::new());
            model.graph.as_mut().unwrap().input[0] =
                ValueInfoProto::of_f32("x", &[batch, Some(4), Some(8), Some(8)]);
            assert_eq!(after(model, Pass::FreeBatch).1, 0);
        }
    }
}
