//! What is fuzzed.

use std::collections::BTreeSet;
use std::path::Path;

use likeness_models::import::openvino;
use likeness_models::onnx::{self, proto::ModelProto};
use likeness_testing::Failed;

use crate::seeds::{self, Input};

/// A reader.
pub(crate) struct Target {
    /// For messages and for the numbers of the inputs.
    pub(crate) name: &'static str,
    /// Seeds that are always there.
    pub(crate) small: fn() -> Vec<Input>,
    /// Seeds made of the real files in this folder.
    pub(crate) real: fn(&Path) -> Result<Vec<Input>, Failed>,
    /// Reads an input; whether it was accepted, or what is wrong with what was made of it.
    pub(crate) run: fn(&[Vec<u8>]) -> Result<bool, String>,
    /// How many bytes of memory an input of this many bytes may take, all in all.
    pub(crate) bound: fn(usize) -> usize,
}

/// Every reader, one entry each.
pub(crate) const ALL: &[Target] = &[
    Target {
        name: "openvino",
        small: seeds::small_irs,
        real: seeds::real_irs,
        run: import_openvino,
        bound: |bytes| (1 << 20) + 24 * bytes,
    },
    Target {
        name: "onnx",
        small: seeds::small_onnx,
        real: seeds::real_onnx,
        run: read_onnx,
        // Reading is bounded by 4 MiB and 16 times the file; a list that grows is held twice, and writing makes another.
        bound: |bytes| (8 << 20) + 40 * bytes,
    },
];

fn import_openvino(input: &[Vec<u8>]) -> Result<bool, String> {
    let [xml, bin] = input else {
        return Err("an IR is two files".to_owned());
    };
    let Ok(model) = openvino::import(xml, bin) else {
        return Ok(false);
    };
    connected(&model)?;
    rereads(&model)?;
    Ok(true)
}

fn read_onnx(input: &[Vec<u8>]) -> Result<bool, String> {
    let [bytes] = input else {
        return Err("an ONNX model is one file".to_owned());
    };
    let Ok(model) = onnx::read(bytes) else {
        return Ok(false);
    };
    rereads(&model)?;
    Ok(true)
}

/// Whether a model is the same, written, after it is read again.
fn rereads(model: &ModelProto) -> Result<(), String> {
    let written = onnx::write(model);
    let again = onnx::read(&written).map_err(|error| format!("what was written is not read: {error}"))?;
    if onnx::write(&again) == written {
        Ok(())
    } else {
        Err("reading what was written changes it".to_owned())
    }
}

/// Whether each node of an imported model reads what is there before it, each name is made once, and each constant has as
/// many elements as its shape says.
fn connected(model: &ModelProto) -> Result<(), String> {
    let graph = model.graph.as_ref().ok_or("no graph")?;
    let mut known = BTreeSet::new();
    for tensor in &graph.initializer {
        if tensor.f32s().is_none() {
            return Err(format!("{:?} is no tensor", tensor.name));
        }
    }
    let ends = graph.input.iter().map(|input| &input.name);
    for name in ends.chain(graph.initializer.iter().map(|tensor| &tensor.name)) {
        if name.is_empty() || !known.insert(name) {
            return Err(format!("{name:?} is made twice, or no name"));
        }
    }
    for node in &graph.node {
        if let Some(name) = node.input.iter().find(|name| !known.contains(name)) {
            return Err(format!("{name:?} is read before it is made"));
        }
        for name in &node.output {
            if name.is_empty() || !known.insert(name) {
                return Err(format!("{name:?} is made twice, or no name"));
            }
        }
    }
    match graph.output.iter().find(|output| !known.contains(&output.name)) {
        Some(output) => Err(format!("the output {:?} is not made", output.name)),
        None => Ok(()),
    }
}
