//! What is fuzzed.

use std::collections::BTreeSet;
use std::path::Path;

use likeness_models::import::openvino;
use likeness_models::onnx::{self, proto::ModelProto};
use likeness_testing::Failed;

use crate::floods;
use crate::seeds::{self, Input};

/// Looks at what was made of an accepted input, and says what is wrong with it. What it takes of memory is not judged.
pub(crate) type Check = Box<dyn FnOnce() -> Result<(), String>>;

/// A reader.
pub(crate) struct Target {
    /// For messages and for the numbers of the inputs.
    pub(crate) name: &'static str,
    /// Reads an input; `None` where it is refused.
    pub(crate) read: fn(&[Vec<u8>]) -> Option<Check>,
    /// How many bytes of memory an input of this many bytes may take, in all and with what was made of it.
    pub(crate) bound: fn(usize) -> usize,
    /// Seeds that are always there.
    pub(crate) small: fn() -> Vec<Input>,
    /// Seeds made of the real files in this folder.
    pub(crate) real: fn(&Path) -> Result<Vec<Input>, Failed>,
    /// Files that ask for as much as can be asked for in few bytes, given as they are.
    pub(crate) floods: fn() -> Vec<Input>,
}

/// Every reader, one entry each.
pub(crate) const ALL: &[Target] = &[
    Target {
        name: "openvino",
        read: import_openvino,
        // Constants may cover the .bin four times, and are twice as long as f32; layers take about four times their text.
        bound: |bytes| (64 << 10) + 9 * bytes,
        small: seeds::small_irs,
        real: seeds::real_irs,
        floods: floods::irs,
    },
    Target {
        name: "onnx",
        read: read_onnx,
        // The reader's own limit is on what is kept; a list that grows takes up to three times that for a moment.
        bound: |bytes| 3 * ((4 << 20) + 16 * bytes),
        small: seeds::small_onnx,
        real: seeds::real_onnx,
        floods: floods::onnx,
    },
];

fn import_openvino(input: &[Vec<u8>]) -> Option<Check> {
    let [xml, bin] = input else { return None };
    let model = openvino::import(xml, bin).ok()?;
    Some(Box::new(move || {
        connected(&model)?;
        rereads(&model)
    }))
}

fn read_onnx(input: &[Vec<u8>]) -> Option<Check> {
    let [bytes] = input else { return None };
    let model = onnx::read(bytes).ok()?;
    Some(Box::new(move || rereads(&model)))
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
