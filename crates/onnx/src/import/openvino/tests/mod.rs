//! What each operator becomes.

mod refusals;

use super::*;
use crate::proto::{GraphProto, NodeProto, TensorProto, kind};

/// Every operator that is mapped, once or twice.
const XML: &str = include_str!("../../../../tests/samples/every_operator.xml");
const BIN_BYTES: usize = 754;

fn bin() -> Vec<u8> {
    // As f16, all of these are numbers: 0x3c00 is 1.
    [0x00, 0x3c].repeat(BIN_BYTES / 2)
}

fn graph() -> GraphProto {
    import(XML.as_bytes(), &bin()).unwrap().graph.unwrap()
}

fn node(name: &str) -> NodeProto {
    let node = graph().node.into_iter().find(|node| node.name == name);
    node.unwrap_or_else(|| panic!("no node {name}"))
}

fn initializer(name: &str) -> TensorProto {
    let tensor = graph().initializer.into_iter().find(|tensor| tensor.name == name);
    tensor.unwrap_or_else(|| panic!("no initializer {name}"))
}

/// Operator, inputs and attributes, as a person would write them.
fn written(node: &NodeProto) -> String {
    let mut text = format!("{}({})", node.op_type, node.input.join(", "));
    for attribute in &node.attribute {
        match attribute.r#type {
            kind::INT => text += &format!(" {}={}", attribute.name, attribute.i),
            kind::INTS => text += &format!(" {}={:?}", attribute.name, attribute.ints),
            other => panic!("attribute of kind {other}"),
        }
    }
    text
}

#[test]
fn every_operator_becomes_the_documented_one() {
    for (name, expected) in [
        ("scaled", "Mul(picture, scale)"),
        ("shifted", "Add(offset, scaled)"),
        (
            "convolved",
            "Conv(shifted, kernel) kernel_shape=[3, 3] strides=[2, 2] pads=[1, 1, 1, 1] dilations=[1, 1] group=1",
        ),
        ("biased", "Add(convolved, bias)"),
        ("activated", "PRelu(biased, slopes)"),
        (
            "grouped",
            "Conv(activated, group_kernel) kernel_shape=[3, 3] strides=[1, 1] pads=[1, 1, 1, 1] dilations=[1, 1] group=2",
        ),
        ("activated_again", "PRelu(grouped, slope)"),
        (
            "pooled",
            "MaxPool(activated_again) kernel_shape=[2, 2] strides=[2, 2] pads=[0, 0, 0, 0]",
        ),
        (
            "mean",
            "AveragePool(pooled) kernel_shape=[2, 2] strides=[2, 2] pads=[0, 0, 0, 0] count_include_pad=0",
        ),
        ("gate", "Sigmoid(mean)"),
        ("gated", "Mul(pooled, gate)"),
    ] {
        assert_eq!(written(&node(name)), expected, "{name}");
        assert_eq!(node(name).output, [name]);
    }
    assert_eq!(graph().node.len(), 11);
}

#[test]
fn constants_become_f32_in_the_shapes_that_onnx_reads() {
    for (name, dims) in [
        ("scale", &[1, 2, 1, 1][..]),
        ("offset", &[1]),
        ("kernel", &[4, 2, 3, 3]),
        ("bias", &[1, 4, 1, 1]),
        // Along the channels, not along the columns.
        ("slopes", &[4, 1, 1]),
        ("slope", &[1]),
        ("group_kernel", &[6, 2, 3, 3]),
    ] {
        let tensor = initializer(name);
        assert_eq!(tensor.dims, dims, "{name}");
        assert!(tensor.f32s().is_some(), "{name}");
    }
    assert_eq!(graph().initializer.len(), 7);
    assert_eq!(initializer("scale").f32s().unwrap(), [1.0, 1.0]);
    assert_eq!(
        initializer("offset").f32s().unwrap(),
        [f32::from_bits(0x3c00_3c00)]
    );
}

#[test]
fn the_batch_is_free_and_ends_bear_the_names_of_their_layers() {
    let graph = graph();
    let [input] = &graph.input[..] else {
        panic!("{:?}", graph.input)
    };
    let [output] = &graph.output[..] else {
        panic!("{:?}", graph.output)
    };
    assert_eq!(input.name, "picture");
    assert_eq!(input.shape().unwrap(), [None, Some(2), Some(8), Some(8)]);
    assert_eq!(output.name, "gated");
    assert_eq!(output.shape().unwrap(), [None, Some(6), Some(2), Some(2)]);
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let once = || file::write(&import(XML.as_bytes(), &bin()).unwrap());
    assert_eq!(once(), once());
}

#[test]
fn nodes_come_in_an_order_in_which_they_can_be_computed_whatever_the_order_of_the_file() {
    // The layers from the last to the first.
    let (head, rest) = XML.split_once("<layers>").unwrap();
    let (layers, tail) = rest.split_once("</layers>").unwrap();
    let mut layers: Vec<&str> = layers.split_inclusive("</layer>").collect();
    layers.reverse();
    let backwards = format!("{head}<layers>{}</layers>{tail}", layers.concat());
    let graph = import(backwards.as_bytes(), &bin()).unwrap().graph.unwrap();
    assert_eq!(graph.node, self::graph().node);
}
