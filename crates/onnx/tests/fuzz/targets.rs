//! The readers that are fuzzed.

use likeness_onnx::import::openvino;
use likeness_onnx::import::pytorch::{self, Architecture, Elements, Tensor};
use likeness_onnx::inspect;
use likeness_onnx::optimize::{Passes, Report, optimize};
use likeness_onnx::{self as onnx, proto::ModelProto};

use crate::checks::{connected, is_in_order, rereads};
use crate::target::{Check, Target};
use crate::{floods, graphs, pickles, seeds};

/// Every reader, one entry each.
pub(crate) const ALL: &[Target] = &[
    Target {
        name: "openvino",
        read: import_openvino,
        // Constants may cover the .bin four times, and are twice as long as f32; layers take about four times their text.
        bound: |bytes| (64 << 10) + 9 * bytes,
        small: seeds::small_irs,
        real: Some(seeds::real_irs),
        floods: floods::irs,
    },
    Target {
        name: "onnx",
        read: read_onnx,
        // The reader's own limit is on what is kept; a list that grows takes up to three times that for a moment.
        bound: |bytes| 3 * ((4 << 20) + 16 * bytes),
        small: seeds::small_onnx,
        real: Some(seeds::real_onnx),
        floods: floods::onnx,
    },
    Target {
        name: "pytorch",
        read: import_pytorch,
        // All that the opcodes of a pickle can make takes less than the first part. Tensors may take the file twice.
        bound: |bytes| (3 << 20) + 3 * bytes,
        small: pickles::small,
        real: Some(pickles::real),
        floods: pickles::floods,
    },
    Target {
        name: "rewrite",
        read: rewrite_onnx,
        // What the reader may take, see above, is there meanwhile no more. What it keeps is a third of that, and with the
        // tables of names and readers, new names, and constants that grow, it takes up to four times as much.
        bound: |bytes| 4 * ((4 << 20) + 16 * bytes),
        small: graphs::small,
        real: Some(graphs::real),
        floods: graphs::floods,
    },
    Target {
        name: "inspect",
        read: inspect_onnx,
        // It rewrites.
        bound: |bytes| 4 * ((4 << 20) + 16 * bytes),
        small: graphs::small,
        real: Some(graphs::real),
        floods: graphs::floods,
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

fn import_pytorch(input: &[Vec<u8>]) -> Option<Check> {
    let [bytes] = input else { return None };
    let tensors = pytorch::state_dict(bytes).ok()?;
    let whole = tensors.values().all(is_whole);
    drop(tensors);
    let import = |architecture| pytorch::import(bytes, architecture).ok();
    // No state dict is that of both.
    let model = import(Architecture::MiniFasNetV2).or_else(|| import(Architecture::MiniFasNetV1Se));
    Some(Box::new(move || {
        if !whole {
            return Err("a tensor has more or fewer elements than its shape says".to_owned());
        }
        model.map_or(Ok(()), |model| connected(&model).and_then(|()| rereads(&model)))
    }))
}

/// Whether a tensor has as many elements as its shape says.
fn is_whole(tensor: &Tensor) -> bool {
    let elements = match &tensor.elements {
        Elements::F32(elements) => elements.len(),
        Elements::I64(elements) => elements.len(),
    };
    let sizes = tensor.shape.iter();
    tensor.shape.contains(&0) && elements == 0
        || sizes.copied().try_fold(1, usize::checked_mul) == Some(elements)
}

fn rewrite_onnx(input: &[Vec<u8>]) -> Option<Check> {
    let [bytes] = input else { return None };
    let mut model = onnx::read(bytes).ok()?;
    let report = optimize(&mut model, &Passes::all());
    let bytes = bytes.clone();
    Some(Box::new(move || rewritten(&bytes, &model, report)))
}

/// Whether a rewritten model keeps what rewriting must not change.
fn rewritten(bytes: &[u8], model: &ModelProto, report: Report) -> Result<(), String> {
    rereads(model)?;
    let mut original = onnx::read(bytes).map_err(|error| error.to_string())?;
    let written = onnx::write(model);
    let (Some(before), Some(after)) = (&original.graph, &model.graph) else {
        return Err("there is no graph".to_owned());
    };
    if before.input != after.input || before.output != after.output {
        return Err(format!("other inputs or outputs: {report}"));
    }
    if is_in_order(before) && !is_in_order(after) {
        return Err(format!("a node reads what is not there before it: {report}"));
    }
    // The nodes that take the place of one are a few, of names like its own.
    let most = 3 * bytes.len() + 1024 * (1 + before.node.len());
    if written.len() > most {
        return Err(format!(
            "{} bytes have become {}: {report}",
            bytes.len(),
            written.len()
        ));
    }
    if report.left_alone().is_some() && onnx::write(&original) != written {
        return Err(format!("it is changed and said to be left alone: {report}"));
    }
    let again = optimize(&mut original, &Passes::all());
    if again != report || onnx::write(&original) != written {
        return Err(format!(
            "another time it is rewritten otherwise: {report}; {again}"
        ));
    }
    Ok(())
}

fn inspect_onnx(input: &[Vec<u8>]) -> Option<Check> {
    let [bytes] = input else { return None };
    let inspection = inspect(bytes).ok()?;
    let text = inspection.to_string();
    let bytes = bytes.clone();
    Some(Box::new(move || {
        let graph = onnx::read(&bytes).ok().and_then(|model| model.graph);
        let nodes = graph.map_or(0, |graph| graph.node.len());
        if inspection.operators.values().sum::<usize>() != nodes {
            return Err(format!(
                "it has {nodes} nodes, and is said to have others: {text}"
            ));
        }
        Ok(())
    }))
}
