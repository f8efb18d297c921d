//! Files that ask for as much as can be asked for in few bytes.

use likeness_onnx::{
    self as onnx, proto::AttributeProto, proto::GraphProto, proto::ModelProto, proto::NodeProto,
};

use crate::target::Input;

/// IRs near and beyond the importer's limits, and XML that is made to be expensive.
pub(crate) fn irs() -> Vec<Input> {
    let port = |precision: &str| format!("<port id=\"0\" precision=\"{precision}\"><dim>1</dim></port>");
    let layers =
        |count: usize, layer: &dyn Fn(usize) -> String| -> String { (0..count).map(layer).collect() };
    let constant = |id: usize| {
        format!(
            "<layer id=\"{id}\" name=\"{id}\" type=\"Const\" version=\"opset1\"><data element_type=\"f16\" shape=\"1\" \
             offset=\"0\" size=\"2\"/><output>{}</output></layer>",
            port("FP16")
        )
    };
    // Lists of one element have room for more.
    let bare = |id: usize| {
        format!(
            "<layer id=\"{id}\" name=\"{id}\" type=\"Add\" version=\"opset1\"><data a=\"\"/><input>{0}</input>\
             <output>{0}</output></layer>",
            port("FP32")
        )
    };
    let edges = "<edge from-layer=\"0\" from-port=\"0\" to-layer=\"1\" to-port=\"0\"/>";
    let net = |layers: &str, edges: &str| {
        format!("<net version=\"11\"><layers>{layers}</layers><edges>{edges}</edges></net>")
    };
    let attributes: String = (0..100_000).map(|number| format!(" a{number}=\"\"")).collect();
    let mut floods: Vec<Input> = [
        net(&layers(20_000, &constant), ""),
        net(&layers(20_000, &bare), ""),
        net(&layers(1, &bare), &edges.repeat(40_000)),
        net(&constant(0), &edges.repeat(100_000)),
        net(&"<layer ".repeat(100_000), ""),
        net(&format!("<layer{attributes}/>"), ""),
        net(&format!("<layer><rt_info{attributes}/></layer>"), ""),
        net(&"<rt_info>".repeat(300_000), ""),
        format!("<net version=\"11\">{}</net>", "<rt_info/>".repeat(300_000)),
        format!("<net version=\"{}\"/>", "&lt;".repeat(300_000)),
        "<!---->".repeat(200_000),
        "<".repeat(1 << 20),
        " ".repeat(33 << 20),
    ]
    .map(|xml| vec![xml.into_bytes(), vec![0; 2]])
    .into();
    floods.extend([4, 5].map(one_constant_many_times));
    floods.extend([1000, 50_000].map(long_name_read_often));
    floods
}

/// A constant that is the whole `.bin`, converted and added this many times.
fn one_constant_many_times(times: usize) -> Input {
    const SIDE: usize = 1024;
    let port = |id: usize, precision: &str| {
        format!(
            "<port id=\"{id}\" precision=\"{precision}\"><dim>1</dim><dim>1</dim><dim>{SIDE}</dim><dim>{SIDE}</dim></port>"
        )
    };
    let layer = |id: usize, kind: &str, data: &str, inputs: &str, output: &str| {
        format!(
            "<layer id=\"{id}\" name=\"{id}\" type=\"{kind}\" version=\"opset1\">{data}<input>{inputs}</input>\
             <output>{output}</output></layer>"
        )
    };
    let edge = |from: usize, to: usize, port: usize| {
        format!("<edge from-layer=\"{from}\" from-port=\"0\" to-layer=\"{to}\" to-port=\"{port}\"/>")
    };
    let shape = format!("shape=\"1,1,{SIDE},{SIDE}\"");
    let mut layers = layer(
        0,
        "Parameter",
        &format!("<data {shape} element_type=\"f32\"/>"),
        "",
        &port(0, "FP32"),
    );
    let size = 2 * SIDE * SIDE;
    let data = format!("<data element_type=\"f16\" {shape} offset=\"0\" size=\"{size}\"/>");
    layers += &layer(1, "Const", &data, "", &port(0, "FP16"));
    let (mut edges, mut sum) = (String::new(), 0);
    for number in 0..times {
        let (convert, add) = (2 + 2 * number, 3 + 2 * number);
        let data = "<data destination_type=\"f32\"/>";
        layers += &layer(convert, "Convert", data, &port(1, "FP16"), &port(0, "FP32"));
        let inputs = port(1, "FP32") + &port(2, "FP32");
        layers += &layer(add, "Add", "", &inputs, &port(0, "FP32"));
        edges += &(edge(1, convert, 1) + &edge(sum, add, 1) + &edge(convert, add, 2));
        sum = add;
    }
    layers += &layer(sum + 1, "Result", "", &port(1, "FP32"), "");
    edges += &edge(sum, sum + 1, 1);
    let xml = format!("<net version=\"11\"><layers>{layers}</layers><edges>{edges}</edges></net>");
    vec![xml.into_bytes(), vec![0; size]]
}

/// Models of more messages than bytes should buy.
pub(crate) fn onnx() -> Vec<Input> {
    let graph = |graph: GraphProto| {
        onnx::write(&ModelProto {
            graph: Some(graph),
            ..ModelProto::default()
        })
    };
    let nodes = |count: usize| {
        graph(GraphProto {
            node: vec![NodeProto::default(); count],
            ..GraphProto::default()
        })
    };
    let attributes = NodeProto {
        attribute: vec![AttributeProto::default(); 14_000],
        ..NodeProto::default()
    };
    let numbers = AttributeProto::ints("i", &vec![1; 1 << 20]);
    [
        // The reader's limit is about here.
        nodes(10_000),
        nodes(20_000),
        nodes(25_000),
        nodes(1 << 20),
        graph(GraphProto {
            node: vec![attributes],
            ..GraphProto::default()
        }),
        graph(GraphProto {
            node: vec![NodeProto::new("Op", &[], &[], vec![numbers])],
            ..GraphProto::default()
        }),
        graph(GraphProto {
            quantization_annotation: vec![Vec::new(); 1 << 20],
            ..GraphProto::default()
        }),
    ]
    .map(|model| vec![model])
    .into()
}

/// An input whose name has this many bytes, which thousands of layers read: each of their nodes repeats it.
fn long_name_read_often(bytes: usize) -> Input {
    const READERS: usize = 9000;
    let port = |id: usize| {
        let dims = "<dim>1</dim>".repeat(4);
        format!("<port id=\"{id}\" precision=\"FP32\">{dims}</port>")
    };
    let name = "n".repeat(bytes);
    let mut layers = format!(
        "<layer id=\"0\" name=\"{name}\" type=\"Parameter\" version=\"opset1\"><data shape=\"1,1,1,1\" \
         element_type=\"f32\"/><output>{}</output></layer>",
        port(0)
    );
    let mut edges = String::new();
    for id in 1..=READERS {
        layers += &format!(
            "<layer id=\"{id}\" name=\"{id}\" type=\"Sigmoid\" version=\"opset1\"><input>{}</input><output>{}</output>\
             </layer>",
            port(0),
            port(1)
        );
        edges += &format!("<edge from-layer=\"0\" from-port=\"0\" to-layer=\"{id}\" to-port=\"0\"/>");
    }
    let end = READERS + 1;
    layers += &format!(
        "<layer id=\"{end}\" name=\"end\" type=\"Result\" version=\"opset1\"><input>{}</input></layer>",
        port(0)
    );
    edges += &format!("<edge from-layer=\"1\" from-port=\"1\" to-layer=\"{end}\" to-port=\"0\"/>");
    let xml = format!("<net version=\"11\"><layers>{layers}</layers><edges>{edges}</edges></net>");
    vec![xml.into_bytes(), Vec::new()]
}
