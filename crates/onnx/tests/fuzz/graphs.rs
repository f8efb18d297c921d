//! Models to rewrite and to look into: seeds and floods.

use std::path::Path;

use likeness_onnx::{
    self as onnx, proto::AttributeProto, proto::GraphProto, proto::NodeProto, proto::TensorProto,
    proto::ValueInfoProto,
};
use likeness_testing::{Failed, published};

use crate::seeds;
use crate::small as rewriting;
use crate::target::Input;

/// The seeds of the reader, and the models on which the passes are tested: each pass has something to do in one.
pub(crate) fn small() -> Vec<Input> {
    let models = rewriting::all()
        .into_iter()
        .map(|small| vec![onnx::write(&small.model)]);
    seeds::small_onnx()
        .into_iter()
        .chain(models)
        .chain([computed()])
        .collect()
}

/// Shapes that nodes compute, constants in nodes, and nodes that hand on what they are given.
fn computed() -> Input {
    let tensor = AttributeProto {
        name: "value".to_owned(),
        t: Some(TensorProto::of_f32("", &[3, 1, 1], &[0.5, 1.5, 2.5])),
        r#type: 4,
        ..AttributeProto::default()
    };
    let node = |op_type, inputs: &[&str], output| NodeProto::new(op_type, inputs, &[output], Vec::new());
    vec![write(
        vec![
            NodeProto::new("Constant", &[], &["c"], vec![tensor]),
            node("Mul", &["x", "c"], "a"),
            node("Identity", &["a"], "b"),
            node("Add", &["b", "zero"], "d"),
            node("Shape", &["d"], "shape"),
            NodeProto::new(
                "Gather",
                &["shape", "first"],
                &["batch"],
                vec![AttributeProto::int("axis", 0)],
            ),
            NodeProto::new(
                "Concat",
                &["batch", "rest"],
                &["to"],
                vec![AttributeProto::int("axis", 0)],
            ),
            node("Reshape", &["d", "to"], "y"),
        ],
        vec![
            TensorProto::of_f32("zero", &[1], &[0.0]),
            TensorProto::of_i64("first", &[1], &[0]),
            TensorProto::of_i64("rest", &[1], &[-1]),
        ],
        "y",
    )]
}

/// A model that reads `x` of `[batch, 3, 16, 16]`.
fn write(node: Vec<NodeProto>, initializer: Vec<TensorProto>, output: &str) -> Vec<u8> {
    onnx::write(&onnx::model(GraphProto {
        node,
        initializer,
        input: vec![ValueInfoProto::of_f32("x", &[None, Some(3), Some(16), Some(16)])],
        output: vec![ValueInfoProto {
            name: output.to_owned(),
            ..ValueInfoProto::default()
        }],
        ..GraphProto::default()
    }))
}

/// The real models with few weights, in which little can be rewritten, and two of them whole.
pub(crate) fn real(shared: &Path) -> Result<Vec<Input>, Failed> {
    let mut models = seeds::real_onnx(shared)?;
    for name in ["yunet_n", "minifasnet_v1se"] {
        models.push(vec![published(shared, name)?]);
    }
    Ok(models)
}

fn node(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto::new(op_type, inputs, &[output], Vec::new())
}

fn scalar(name: &str, value: f32) -> TensorProto {
    TensorProto::of_f32(name, &[], &[value])
}

fn named(start: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{start}{number}")).collect()
}

/// Models in which much would come of little.
pub(crate) fn floods() -> Vec<Input> {
    const MANY: usize = 5000;
    let long = "n".repeat(20_000);
    let results = named("y", MANY);
    let last = results.last().cloned().unwrap_or_default();

    // What a long name would replace.
    let mut handed_on = vec![node("Relu", &["x"], &long), node("Identity", &[&long], "a")];
    handed_on.extend(results.iter().map(|result| node("Relu", &["a"], result)));
    let same: Vec<TensorProto> = [&long]
        .into_iter()
        .chain(&named("c", MANY))
        .map(|name| scalar(name, 2.0))
        .collect();
    let adds = results
        .iter()
        .zip(&same[1..])
        .map(|(result, constant)| node("Add", &["x", &constant.name], result));

    // A chain behind a convolution of many channels, each link of which asks for a bias of its own.
    let chain = |constants: Vec<TensorProto>| {
        let channels = 1 << 16;
        let mut nodes = vec![node("Conv", &["x", "w"], "start")];
        let mut from = "start";
        for result in &results {
            nodes.push(node("Add", &[from, "one"], result));
            from = result;
        }
        let weights = TensorProto::of_f32("w", &[channels, 3, 1, 1], &vec![1.0; 3 << 16]);
        let all = [vec![weights, scalar("one", 1.0)], constants].concat();
        write(nodes, all, &last)
    };
    let claims = TensorProto {
        name: "claims".to_owned(),
        dims: vec![1 << 40],
        data_type: 1,
        ..TensorProto::default()
    };

    let slopes: Vec<f32> = (0..4096).map(|slope| slope as f32).collect();
    let slope = TensorProto::of_f32("slope", &[4096, 1, 1], &slopes);
    let prelus: Vec<NodeProto> = results
        .iter()
        .map(|result| node("PRelu", &["x", "slope"], result))
        .collect();

    let two_slopes = TensorProto::of_f32("slope", &[2, 1, 1], &[-2.0, 2.0]);

    // One node that reads thousands of constants that are the same.
    let constants = named("c", MANY);
    let inputs: Vec<&str> = constants.iter().map(String::as_str).collect();
    let wide = node("Concat", &inputs, "y");
    let of_wide = constants.iter().map(|name| scalar(name, 1.0)).collect();

    let line = |op_type: &str| {
        let mut from = "x";
        let mut nodes = Vec::new();
        for result in &results {
            nodes.push(node(op_type, &[from], result));
            from = result;
        }
        write(nodes, Vec::new(), &last)
    };
    let many_inputs = onnx::write(&onnx::model(GraphProto {
        node: results
            .iter()
            .zip(&constants)
            .map(|(result, constant)| node("Mul", &[constant, constant], result))
            .collect(),
        initializer: constants.iter().map(|name| scalar(name, 1.0)).collect(),
        input: named("x", MANY)
            .iter()
            .map(|name| ValueInfoProto::of_f32(name, &[]))
            .collect(),
        ..GraphProto::default()
    }));
    let mut floods = read_by_all();
    floods.extend([
        write(handed_on, Vec::new(), &last),
        write(adds.collect(), same.clone(), &last),
        chain(Vec::new()),
        chain(vec![claims]),
        write(prelus.clone(), vec![slope], &last),
        write(prelus, vec![two_slopes], &last),
        write(vec![wide], of_wide, "y"),
        many_inputs,
    ]);
    floods.extend(["Identity", "Relu", "GlobalAveragePool"].map(line));
    let floods = floods.into_iter().map(|model| vec![model]);
    floods.chain(crate::floods::onnx()).collect()
}

/// One value or constant that all nodes read, each of which asks who else does.
fn read_by_all() -> Vec<Vec<u8>> {
    const ALL: usize = 30_000;
    let results = named("y", ALL);
    let of_all = |op_type: &str, inputs: &[&str]| -> Vec<NodeProto> {
        results
            .iter()
            .map(|result| node(op_type, inputs, result))
            .collect()
    };
    let last = results.last().cloned().unwrap_or_default();
    let weights = TensorProto::of_f32("w", &[1, 3, 1, 1], &[0.5; 3]);
    let conv = node("Conv", &["x", "w"], "a");

    let sums = [vec![conv.clone()], of_all("Add", &["a", "one"])].concat();
    let sums = write(sums, vec![weights.clone(), scalar("one", 1.0)], &last);
    let convs = write(of_all("Conv", &["x", "w"]), vec![weights], &last);

    let many_dims = TensorProto::of_f32("slope", &vec![1; 200_000], &[2.0]);
    let slopes = write(of_all("PRelu", &["x", "slope"]), vec![many_dims], &last);

    // Outputs that a value would have to be called by, which are too long for that.
    let long: Vec<String> = results
        .iter()
        .map(|name| format!("{name}{}", "n".repeat(150)))
        .collect();
    let nodes = long.iter().map(|result| node("Identity", &["a"], result));
    let outputs = onnx::write(&onnx::model(GraphProto {
        node: [node("Relu", &["x"], "a")].into_iter().chain(nodes).collect(),
        input: vec![ValueInfoProto::of_f32("x", &[None, Some(3), Some(8), Some(8)])],
        output: long
            .iter()
            .map(|name| ValueInfoProto {
                name: name.clone(),
                ..ValueInfoProto::default()
            })
            .collect(),
        ..GraphProto::default()
    }));
    vec![sums, convs, slopes, outputs]
}
