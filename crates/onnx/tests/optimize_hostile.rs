//! Invalid models are optimized without a panic, and without growing.

#![allow(missing_docs)]

use likeness_onnx as onnx;
use likeness_onnx::inspect;
use likeness_onnx::optimize::{Passes, optimize};
use likeness_onnx::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use proptest::prelude::*;

const OPERATORS: [&str; 32] = [
    "Conv",
    "Conv",
    "Conv",
    "PRelu",
    "PRelu",
    "BatchNormalization",
    "Add",
    "Mul",
    "Sub",
    "Div",
    "Relu",
    "Identity",
    "Dropout",
    "Reshape",
    "Transpose",
    "Cast",
    "Constant",
    "Shape",
    "Gather",
    "Unsqueeze",
    "Squeeze",
    "Concat",
    "AveragePool",
    "GlobalAveragePool",
    "ReduceMean",
    "Gemm",
    "MatMul",
    "Flatten",
    "Resize",
    "MaxPool",
    "Clip",
    "Unknown",
];

const ATTRIBUTES: [&str; 18] = [
    "group",
    "axis",
    "axes",
    "perm",
    "to",
    "pads",
    "strides",
    "dilations",
    "kernel_shape",
    "epsilon",
    "beta",
    "transA",
    "transB",
    "keepdims",
    "allowzero",
    "value_ints",
    "value_int",
    "ceil_mode",
];

const SIZES: [i64; 12] = [0, 1, 1, 2, 3, 13, 13, 16, -1, i64::MIN, i64::MAX, 1 << 33];

fn name() -> impl Strategy<Value = String> {
    (0..14u8).prop_map(|index| {
        if index == 13 {
            String::new()
        } else {
            format!("v{index}")
        }
    })
}

fn sizes() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(prop::sample::select(&SIZES[..]), 0..6)
}

fn attribute() -> impl Strategy<Value = AttributeProto> {
    let name = prop::sample::select(&ATTRIBUTES[..]);
    (name, prop::sample::select(&SIZES[..]), sizes(), 0..3u8).prop_map(|(name, int, ints, kind)| match kind {
        0 => AttributeProto::int(name, int),
        1 => AttributeProto::ints(name, &ints),
        _ => AttributeProto::float(name, int as f32),
    })
}

fn node() -> impl Strategy<Value = NodeProto> {
    (
        prop::sample::select(&OPERATORS[..]),
        prop::collection::vec(name(), 0..5),
        prop::collection::vec(name(), 0..3),
        prop::collection::vec(attribute(), 0..4),
    )
        .prop_map(|(op_type, input, output, attribute)| NodeProto {
            op_type: op_type.to_owned(),
            input,
            output,
            attribute,
            ..NodeProto::default()
        })
}

/// As its shape says where that is small, otherwise a few elements.
fn tensor() -> impl Strategy<Value = TensorProto> {
    (name(), sizes(), any::<bool>()).prop_map(|(name, dims, whole)| {
        let mut tensor = TensorProto {
            name,
            dims,
            ..TensorProto::default()
        };
        let len = tensor.elements().filter(|&len| len < 4096).unwrap_or(7);
        if whole {
            tensor = TensorProto::of_f32(&tensor.name, &tensor.dims, &vec![0.5; len]);
        } else {
            tensor = TensorProto::of_i64(&tensor.name, &tensor.dims, &vec![-1; len]);
        }
        tensor
    })
}

fn graph() -> impl Strategy<Value = GraphProto> {
    (
        prop::collection::vec(node(), 0..12),
        prop::collection::vec(tensor(), 0..6),
        prop::collection::vec((name(), sizes()), 0..3),
        prop::collection::vec(name(), 0..3),
    )
        .prop_map(|(node, initializer, inputs, outputs)| GraphProto {
            node,
            initializer,
            input: inputs
                .iter()
                .map(|(name, dims)| {
                    let dims: Vec<Option<i64>> = dims.iter().copied().map(Some).collect();
                    ValueInfoProto::of_f32(name, &dims)
                })
                .collect(),
            output: outputs
                .into_iter()
                .map(|name| ValueInfoProto {
                    name,
                    ..ValueInfoProto::default()
                })
                .collect(),
            ..GraphProto::default()
        })
}

/// Gives every value one name and one maker, so that the graph is gone into.
fn in_order(mut graph: GraphProto) -> GraphProto {
    let mut made: Vec<String> = Vec::new();
    graph.initializer.retain(|tensor| {
        let is_new = !tensor.name.is_empty() && !made.contains(&tensor.name);
        made.push(tensor.name.clone());
        is_new
    });
    for (index, input) in graph.input.iter_mut().enumerate() {
        input.name = format!("input{index}");
        made.push(input.name.clone());
    }
    made.retain(|name| !name.is_empty());
    for (index, node) in graph.node.iter_mut().enumerate() {
        for (nth, input) in node.input.iter_mut().enumerate() {
            if !made.contains(input) {
                *input = made
                    .get((index * 7 + nth * 3) % made.len().max(1))
                    .cloned()
                    .unwrap_or_default();
            }
        }
        for (nth, output) in node.output.iter_mut().enumerate() {
            *output = format!("n{index}_{nth}");
            made.push(output.clone());
        }
    }
    for output in &mut graph.output {
        output.name = made.last().cloned().unwrap_or_default();
    }
    graph
}

fn survives(graph: GraphProto) {
    let mut model: ModelProto = onnx::model(graph);
    let before = onnx::write(&model).len();
    let nodes = model.graph.as_ref().map_or(0, |graph| graph.node.len());
    let _ = inspect(&onnx::write(&model)).map(|inspection| inspection.to_string());
    optimize(&mut model, &Passes::all());
    let after = onnx::write(&model).len();
    assert!(
        after <= before * 3 + nodes * 1024,
        "{before} bytes have become {after}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_graph_is_survived(graph in graph()) {
        survives(graph);
    }

    #[test]
    fn graphs_in_order_are_survived_and_stay_in_order(graph in graph()) {
        let graph = in_order(graph);
        let mut model = onnx::model(graph.clone());
        let report = optimize(&mut model, &Passes::all());
        prop_assert!(report.skipped().is_none() || graph.output.iter().any(|output| output.name.is_empty()));
        if report.skipped().is_none() {
            let again = optimize(&mut model, &Passes::none());
            prop_assert!(again.skipped().is_none(), "{:?}", again);
        }
        survives(graph);
    }
}
