//! Small graphs for the tests of the passes.

use crate::file;
use crate::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};

use super::{Pass, Passes, optimize};

/// A model that reads `x` of `[batch, channels, 8, 8]` and puts out `y`.
pub(super) fn model(channels: i64, nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> ModelProto {
    let dims = [None, Some(channels), Some(8), Some(8)];
    file::model(GraphProto {
        node: nodes,
        name: "test".to_owned(),
        initializer: constants,
        input: vec![ValueInfoProto::of_f32("x", &dims)],
        output: vec![ValueInfoProto {
            name: "y".to_owned(),
            ..ValueInfoProto::default()
        }],
        ..GraphProto::default()
    })
}

pub(super) fn node(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto::new(op_type, inputs, &[output], Vec::new())
}

pub(super) fn node_with(
    op_type: &str,
    inputs: &[&str],
    output: &str,
    with: Vec<AttributeProto>,
) -> NodeProto {
    NodeProto::new(op_type, inputs, &[output], with)
}

/// A constant of 0.5, 1.5, 2.5 and so on.
pub(super) fn constant(name: &str, dims: &[i64]) -> TensorProto {
    let len: i64 = dims.iter().product();
    let values: Vec<f32> = (0..len).map(|index| index as f32 + 0.5).collect();
    TensorProto::of_f32(name, dims, &values)
}

/// What one pass makes of the model, and in how many places.
pub(super) fn after(mut model: ModelProto, pass: Pass) -> (GraphProto, usize) {
    let untouched = model.clone();
    assert_eq!(
        optimize(&mut model.clone(), &Passes::all().without(pass)).count(pass),
        0
    );
    let report = optimize(&mut model, &Passes::none().with(pass));
    assert_eq!(report.skipped(), None);
    if report.total() == 0 {
        assert_eq!(model, untouched, "changed, but not counted");
    }
    (model.graph.unwrap(), report.count(pass))
}

/// The operators of a graph in order, with a space between.
pub(super) fn operators(graph: &GraphProto) -> String {
    let names: Vec<&str> = graph.node.iter().map(|node| node.op_type.as_str()).collect();
    names.join(" ")
}

/// The values of the constant that is the input of this number of the node that makes `output`.
pub(super) fn values(graph: &GraphProto, output: &str, input: usize) -> Vec<f32> {
    let node = graph.node.iter().find(|node| node.output[0] == output).unwrap();
    graph.constants()[node.input[input].as_str()].f32s().unwrap()
}

#[test]
fn passes_are_listed_in_their_order() {
    let places: Vec<usize> = Pass::all().map(|pass| pass as usize).collect();
    assert!(places.into_iter().eq(0..Pass::all().count()));
}
