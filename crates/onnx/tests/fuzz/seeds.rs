//! Files that inputs are made of. Where there are weights, few are left, so that mutations hit the structure.

use std::path::Path;

use likeness_onnx::import::openvino;
use likeness_onnx::{
    self as onnx, proto::AttributeProto, proto::GraphProto, proto::NodeProto, proto::TensorProto,
};
use likeness_testing::{Failed, published};

use crate::target::Input;

/// Every operator that is imported.
const EVERY_OPERATOR: &str = include_str!("../samples/every_operator.xml");

/// Bytes of a constant that are kept.
const KEPT: usize = 32;

/// The sample with every operator, and its first layers.
pub(crate) fn small_irs() -> Vec<Input> {
    let bin: Vec<u8> = (0..754u32).map(|byte| (byte * 37 % 64) as u8).collect();
    let mut irs = vec![vec![EVERY_OPERATOR.as_bytes().to_vec(), bin.clone()]];
    irs.extend([4, 10, 13, 18, 20].map(|layers| vec![first_layers(EVERY_OPERATOR, layers), bin.clone()]));
    irs
}

/// The IRs in the folder: the smaller one whole, and the first layers of both.
pub(crate) fn real_irs(shared: &Path) -> Result<Vec<Input>, Failed> {
    let mut irs = Vec::new();
    for (name, whole) in [
        ("landmarks-regression-retail-0009", true),
        ("face-reidentification-retail-0095", false),
    ] {
        let xml = std::fs::read_to_string(shared.join(format!("upstream/{name}.xml")))?;
        let bin = std::fs::read(shared.join(format!("upstream/{name}.bin")))?;
        if whole {
            irs.push(vec![xml.clone().into_bytes(), bin.clone()]);
        }
        for layers in [13, 40, 90] {
            let cut = first_layers(&xml, layers);
            let read = bytes_read(&cut);
            irs.push(vec![cut, bin[..read.min(bin.len())].to_vec()]);
        }
    }
    Ok(irs)
}

/// Where the last constant of an IR ends in the `.bin`.
fn bytes_read(xml: &[u8]) -> usize {
    let text = String::from_utf8_lossy(xml);
    let ends = text.split("offset=\"").skip(1).filter_map(|rest| {
        let mut values = rest.split('"');
        let offset: usize = values.next()?.parse().ok()?;
        let size: usize = values.nth(1)?.parse().ok()?;
        Some(offset + size)
    });
    ends.max().unwrap_or(0)
}

/// An IR with its first layers only, at most this many, and a Result of what the last of them makes.
fn first_layers(xml: &str, layers: usize) -> Vec<u8> {
    let mut kept: Vec<&str> = xml.split_inclusive("</layer>").take(layers).collect();
    let is_constant = |layer: &&str| {
        ["\"Const\"", "\"Convert\""]
            .iter()
            .any(|kind| layer.contains(kind))
    };
    while kept.last().is_some_and(is_constant) {
        kept.pop();
    }
    let (last, result) = (kept.len().saturating_sub(1), kept.len());
    let output = kept.last().and_then(|layer| layer.split_once("<output>"));
    let port = output
        .and_then(|(_, rest)| rest.split_once("</output>"))
        .map_or("", |(port, _)| port);
    let id = port.split('"').nth(1).unwrap_or_default();
    let mut text = kept.concat();
    text += &format!(
        "<layer id=\"{result}\" name=\"end\" type=\"Result\" version=\"opset1\"><input>{port}</input></layer>"
    );
    text += "</layers><edges>";
    let edges = xml.split_once("<edges>").map_or("", |(_, edges)| edges);
    for edge in edges
        .split_inclusive("/>")
        .take_while(|edge| edge.contains("<edge "))
    {
        let layer = |end: &str| -> Option<usize> {
            let (_, rest) = edge.split_once(end)?;
            rest.split('"').nth(1)?.parse().ok()
        };
        if layer("from-layer").is_some_and(|from| from < result)
            && layer("to-layer").is_some_and(|to| to < result)
        {
            text += edge;
        }
    }
    text +=
        &format!("<edge from-layer=\"{last}\" from-port=\"{id}\" to-layer=\"{result}\" to-port=\"{id}\"/>");
    text += "</edges></net>";
    text.into_bytes()
}

/// Models of a node or two, and what the importer makes of the sample.
pub(crate) fn small_onnx() -> Vec<Input> {
    let nodes = [
        NodeProto::new(
            "Conv",
            &["x", "w"],
            &["y"],
            vec![
                AttributeProto::ints("pads", &[1, 1, 1, 1]),
                AttributeProto::int("group", 2),
            ],
        ),
        NodeProto::new(
            "LeakyRelu",
            &["y"],
            &["z"],
            vec![AttributeProto::float("alpha", 0.25)],
        ),
    ];
    let graph = GraphProto {
        node: nodes.to_vec(),
        initializer: vec![
            TensorProto::of_f32("w", &[2, 1, 1, 1], &[1.0, -2.0]),
            TensorProto::of_i64("shape", &[2], &[1, -1]),
            TensorProto {
                name: "listed".to_owned(),
                dims: vec![3],
                data_type: 1,
                float_data: vec![1.0, 2.0, 3.0],
                int32_data: vec![-1, 300],
                int64_data: vec![-1, 1 << 40],
                ..TensorProto::default()
            },
        ],
        ..GraphProto::default()
    };
    let inner = NodeProto {
        attribute: vec![AttributeProto {
            name: "then_branch".to_owned(),
            g: Some(graph.clone()),
            r#type: 5,
            ..AttributeProto::default()
        }],
        ..NodeProto::new("If", &["c"], &["r"], Vec::new())
    };
    let nested = GraphProto {
        node: vec![inner],
        ..GraphProto::default()
    };
    let mut models: Vec<Input> = [graph, nested]
        .map(|graph| vec![onnx::write(&onnx::model(graph))])
        .into();
    let imported = small_irs()
        .iter()
        .filter_map(|ir| openvino::import(&ir[0], &ir[1]).ok())
        .collect::<Vec<_>>();
    models.extend(imported.iter().map(|model| vec![onnx::write(model)]));
    models
}

/// The ONNX files in the folder with constants of a few bytes.
pub(crate) fn real_onnx(shared: &Path) -> Result<Vec<Input>, Failed> {
    let mut models = Vec::new();
    for name in [
        "yunet_n",
        "minifasnet_v2",
        "minifasnet_v1se",
        "face-reidentification-retail-0095",
    ] {
        let mut model = onnx::read(&published(shared, name)?)?;
        if let Some(graph) = &mut model.graph {
            for tensor in &mut graph.initializer {
                tensor.raw_data.truncate(KEPT);
                tensor.float_data.truncate(KEPT / 4);
            }
        }
        models.push(vec![onnx::write(&model)]);
    }
    Ok(models)
}
