//! What is refused, and with which words.

use super::super::import;
use super::{XML, bin};

/// The message for the sample with its first `from` replaced.
fn refusal(from: &str, to: &str) -> String {
    assert!(XML.contains(from), "{from}");
    match import(XML.replacen(from, to, 1).as_bytes(), &bin()) {
        Ok(_) => panic!("{to:?} instead of {from:?} is accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_not_mapped_is_refused_by_the_name_of_its_layer() {
    for (from, to, message) in [
        (
            r#"type="Sigmoid""#,
            r#"type="Tanh""#,
            "OpenVINO IR: layer 20 'gate' (Tanh): operator 'Tanh' is not supported",
        ),
        (
            r#"type="MaxPool" version="opset1""#,
            r#"type="MaxPool" version="opset8""#,
            "OpenVINO IR: layer 18 'pooled' (MaxPool): operation set 'opset8' is not supported",
        ),
        (
            r#"auto_pad="explicit""#,
            r#"auto_pad="same_upper""#,
            "OpenVINO IR: layer 7 'convolved' (Convolution): auto_pad 'same_upper' is not supported",
        ),
        (
            r#"rounding_type="floor""#,
            r#"rounding_type="ceil""#,
            "OpenVINO IR: layer 18 'pooled' (MaxPool): rounding_type 'ceil' is not supported",
        ),
        (
            r#"exclude-pad="true""#,
            r#"exclude-pad="false""#,
            "OpenVINO IR: layer 19 'mean' (AvgPool): exclude-pad 'false' is not supported",
        ),
        (
            r#"auto_broadcast="numpy""#,
            r#"auto_broadcast="none""#,
            "OpenVINO IR: layer 3 'scaled' (Multiply): auto_broadcast 'none' is not supported",
        ),
        (
            r#"auto_broadcast="numpy""#,
            r#"auto_broadcast="numpy" saturate="yes""#,
            "OpenVINO IR: layer 3 'scaled' (Multiply): attribute 'saturate' is not supported",
        ),
        (
            r#"strides="2, 2""#,
            r#"strides="2, 2, 2""#,
            "OpenVINO IR: layer 7 'convolved' (Convolution): strides [2, 2, 2] is not supported",
        ),
        (
            r#"strides="2, 2""#,
            r#"strides="0, 2""#,
            "OpenVINO IR: layer 7 'convolved' (Convolution): strides '0, 2' is not supported",
        ),
        (
            r#"element_type="f16" shape="1, 2, 1, 1""#,
            r#"element_type="i64" shape="1, 2, 1, 1""#,
            "OpenVINO IR: layer 1 'scale_compressed' (Const): element_type 'i64' is not supported",
        ),
        (
            r#"precision="FP16""#,
            r#"precision="I64""#,
            "OpenVINO IR: layer 1 'scale_compressed' (Const): precision 'I64' of port 0 is not supported",
        ),
        (
            r#"destination_type="f32""#,
            r#"destination_type="i8""#,
            "OpenVINO IR: layer 2 'scale' (Convert): destination_type 'i8' is not supported",
        ),
        (
            r#"shape="1,2,8,8""#,
            r#"shape="2,2,8,8""#,
            "OpenVINO IR: layer 0 'picture' (Parameter): shape [2, 2, 8, 8] is not supported",
        ),
        (
            r#"shape="1,2,8,8" element_type="f32""#,
            r#"shape="1,2,8,8" element_type="u8""#,
            "OpenVINO IR: layer 0 'picture' (Parameter): element_type 'u8' is not supported",
        ),
        (
            r#"kernel="2, 2""#,
            r#"pads_begin="2, 0" kernel="2, 2""#,
            "not an OpenVINO IR: ",
        ),
        (
            r#"pads_begin="0, 0""#,
            r#"pads_begin="2, 0""#,
            "OpenVINO IR: layer 18 'pooled' (MaxPool): a padding as large as the kernel is not supported",
        ),
        (
            "<output>",
            "<blobs/><output>",
            "OpenVINO IR: layer 0 'picture' (Parameter): element 'blobs' is not supported",
        ),
        (
            r#"version="11""#,
            r#"version="10""#,
            "OpenVINO IR of version '10': only version 11 is supported",
        ),
        (
            r#" version="11""#,
            "",
            "OpenVINO IR of version none: only version 11 is supported",
        ),
    ] {
        let found = refusal(from, to);
        assert!(found.starts_with(message), "{to}: {found}");
    }
}

#[test]
fn what_contradicts_itself_is_refused_by_the_name_of_its_layer() {
    for (from, to, message) in [
        (
            r#"offset="4""#,
            r#"offset="751""#,
            "OpenVINO IR: layer 4 'offset' (Const): it lies outside of the .bin: 4 bytes at 751 of 754",
        ),
        (
            r#"offset="4""#,
            r#"offset="18446744073709551615""#,
            "OpenVINO IR: layer 4 'offset' (Const): it lies outside of the .bin: 4 bytes at 18446744073709551615 of 754",
        ),
        (
            r#"offset="4""#,
            r#"offset="-4""#,
            "OpenVINO IR: layer 4 'offset' (Const): its offset is '-4' and no number",
        ),
        (
            r#"size="288""#,
            r#"size="286""#,
            "OpenVINO IR: layer 6 'kernel' (Const): its size of 286 bytes is not the one of f32 [4, 2, 3, 3]",
        ),
        (
            r#"<layer id="4""#,
            r#"<layer id="3""#,
            "OpenVINO IR: layer 3 'offset' (Const): another layer has the same id",
        ),
        (
            r#"name="offset""#,
            r#"name="scaled""#,
            "OpenVINO IR: layer 4 'scaled' (Const): another layer has the same name",
        ),
        (
            r#"name="offset""#,
            r#"name="""#,
            "OpenVINO IR: layer 4 '' (Const): it has no name",
        ),
        (
            "    <edge from-layer=\"1\" from-port=\"0\" to-layer=\"2\" to-port=\"0\" />\n",
            "",
            "OpenVINO IR: layer 2 'scale' (Convert): no edge leads to port 0",
        ),
        (
            r#"<edge from-layer="1" from-port="0""#,
            r#"<edge from-layer="1" from-port="7""#,
            "OpenVINO IR: the edge from port 7 of layer 1 to port 0 of layer 2 dangles: there is no output port 7 of \
             layer 1",
        ),
        (
            r#"<edge from-layer="1" from-port="0" to-layer="2""#,
            r#"<edge from-layer="1" from-port="0" to-layer="99""#,
            "OpenVINO IR: the edge from port 0 of layer 1 to port 0 of layer 99 dangles: there is no input port 0 of \
             layer 99",
        ),
        (
            "<edges>",
            "<edges><edge from-layer=\"1\" from-port=\"0\" to-layer=\"2\" to-port=\"0\" />",
            "OpenVINO IR: layer 2 'scale' (Convert): two edges lead to port 0",
        ),
        (
            r#"<edge from-layer="3" from-port="2""#,
            r#"<edge from-layer="5" from-port="2""#,
            "OpenVINO IR: layer 5 'shifted' (Add): it reads, directly or not, from a cycle",
        ),
        (
            r#"<edge from-layer="3" from-port="2""#,
            r#"<edge from-layer="7" from-port="2""#,
            "OpenVINO IR: layer 5 'shifted' (Add): port 1 expects f32 [1, 2, 8, 8], and layer 7 'convolved' \
             (Convolution) makes f32 [1, 4, 4, 4]",
        ),
        (
            r#"strides="2, 2""#,
            r#"strides="1, 2""#,
            "OpenVINO IR: layer 7 'convolved' (Convolution): it makes f32 [1, 4, 8, 4], and its output port says f32 \
             [1, 4, 4, 4]",
        ),
        (
            r#"dilations="1, 1""#,
            r#"dilations="9, 9""#,
            "OpenVINO IR: layer 7 'convolved' (Convolution): its kernel is larger than what it reads",
        ),
        (
            r#"id="1" precision"#,
            r#"id="0" precision"#,
            "OpenVINO IR: the edge from port 1 of layer 2 ",
        ),
        (
            r#"type="Parameter""#,
            r#"type="Sigmoid""#,
            "OpenVINO IR: layer 0 'picture' (Sigmoid): reading 0 values of which 0 are \
             constants is not supported",
        ),
        (
            r#"type="Result""#,
            r#"type="Sigmoid""#,
            "OpenVINO IR: layer 22 'result' (Sigmoid): having 0 output ports is not supported",
        ),
    ] {
        let found = refusal(from, to);
        assert!(found.starts_with(message), "{to}: {found}");
    }
}

#[test]
fn what_the_batch_depends_on_is_refused() {
    // A constant with two pictures; everything else agrees with it.
    let two = |text: &str| {
        text.replacen(
            "shape=\"1\" offset=\"4\" size=\"4\"",
            "shape=\"2,1,1,1\" offset=\"4\" size=\"8\"",
            1,
        )
        .replace(
            "precision=\"FP32\"><dim>1</dim></port>",
            "precision=\"FP32\"><dim>2</dim><dim>1</dim><dim>1</dim><dim>1</dim></port>",
        )
    };
    let message = import(two(XML).as_bytes(), &bin()).unwrap_err().to_string();
    assert_eq!(
        message,
        "OpenVINO IR: layer 5 'shifted' (Add): a constant for each picture of the batch is not supported"
    );
}

#[test]
fn xml_that_expands_or_floods_is_refused() {
    let import = |xml: &str| import(xml.as_bytes(), &bin()).unwrap_err().to_string();
    let doctype = XML.replacen("<net", "<!DOCTYPE net [<!ENTITY a \"b\">]><net", 1);
    assert!(import(&doctype).contains("a document type declaration"));
    let reference = XML.replacen(r#"name="scaled""#, r#"name="&lol;""#, 1);
    assert!(
        import(&reference).starts_with("not an OpenVINO IR: "),
        "{}",
        import(&reference)
    );
    let nested = XML.replacen("<rt_info>", &"<rt_info>".repeat(100), 1);
    assert!(import(&nested).contains("nested too deeply"));
    let attributes: String = (0..100).map(|number| format!(" a{number}=\"\"")).collect();
    let attributes = XML.replacen("<data", &format!("<data{attributes}"), 1);
    assert!(import(&attributes).contains("too many attributes"));
    let long = XML.replacen(r#"name="scaled""#, &format!("name=\"{}\"", "x".repeat(10_000)), 1);
    assert!(import(&long).contains("an attribute that is too long"));
    let edges = "<edge from-layer=\"1\" from-port=\"0\" to-layer=\"2\" to-port=\"0\"/>".repeat(50_000);
    let edges = XML.replacen("<edges>", &format!("<edges>{edges}"), 1);
    assert_eq!(import(&edges), "an OpenVINO IR with more than 40000 edges");
    for cut in (0..XML.trim_end().len()).step_by(7) {
        assert!(
            super::super::import(&XML.as_bytes()[..cut], &bin()).is_err(),
            "cut at {cut}"
        );
    }
}

#[test]
fn constants_that_share_bytes_do_not_multiply_them() {
    // Each of these reads the whole file as its own.
    let (mut layers, mut edges) = (String::new(), String::new());
    let shape = "<dim>1</dim><dim>2</dim><dim>8</dim><dim>8</dim>";
    let mut before = (3, 2);
    for number in 0..8 {
        let (constant, add) = (100 + 2 * number, 101 + 2 * number);
        layers += &format!(
            "<layer id=\"{constant}\" name=\"c{number}\" type=\"Const\" version=\"opset1\">\
             <data element_type=\"f32\" shape=\"1,2,8,8\" offset=\"0\" size=\"512\"/>\
             <output><port id=\"0\" precision=\"FP32\">{shape}</port></output></layer>\
             <layer id=\"{add}\" name=\"a{number}\" type=\"Add\" version=\"opset1\"><input>\
             <port id=\"0\" precision=\"FP32\">{shape}</port><port id=\"1\" precision=\"FP32\">{shape}</port></input>\
             <output><port id=\"2\" precision=\"FP32\">{shape}</port></output></layer>"
        );
        edges += &format!(
            "<edge from-layer=\"{}\" from-port=\"{}\" to-layer=\"{add}\" to-port=\"0\"/>\
             <edge from-layer=\"{constant}\" from-port=\"0\" to-layer=\"{add}\" to-port=\"1\"/>",
            before.0, before.1
        );
        before = (add, 2);
    }
    let xml = XML
        .replacen("</layers>", &format!("{layers}</layers>"), 1)
        .replacen("</edges>", &format!("{edges}</edges>"), 1);
    assert_eq!(
        import(xml.as_bytes(), &bin()).unwrap_err().to_string(),
        "an OpenVINO IR with more than 4 bytes of constants for each byte of the .bin"
    );
}

#[test]
fn what_a_message_repeats_of_the_file_is_short_and_printable() {
    let message = refusal(
        r#"type="Sigmoid""#,
        &format!("type=\"\u{1b}[31m{}\"", "x".repeat(500)),
    );
    assert!(message.len() < 400, "{message}");
    assert!(!message.contains('\u{1b}'), "{message}");
}
