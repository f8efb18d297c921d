//! What must be true of what was made of an accepted input.

use std::collections::BTreeSet;

use likeness_onnx::{self as onnx, proto::GraphProto, proto::ModelProto};

/// Whether a model is the same, written, after it is read again.
pub(crate) fn rereads(model: &ModelProto) -> Result<(), String> {
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
pub(crate) fn connected(model: &ModelProto) -> Result<(), String> {
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

/// Whether each node reads what is there before it.
pub(crate) fn is_in_order(graph: &GraphProto) -> bool {
    let inputs = graph.input.iter().map(|input| input.name.as_str());
    let constants = graph.initializer.iter().map(|tensor| tensor.name.as_str());
    let mut known: BTreeSet<&str> = inputs.chain(constants).chain([""]).collect();
    graph.node.iter().all(|node| {
        let reads_known = node.input.iter().all(|name| known.contains(name.as_str()));
        known.extend(node.output.iter().map(String::as_str));
        reads_known
    })
}
