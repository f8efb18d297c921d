//! ONNX files: reading, within bounds, and writing, always to the same bytes.

mod budget;

use prost::Message;

use crate::proto::{GraphProto, ModelProto, OperatorSetIdProto};

/// The version of ONNX's operators that models made here ask for; every supported ONNX Runtime has it.
pub const OPSET: i64 = 17;
/// The version of the format that goes with it (ONNX 1.12).
pub const IR_VERSION: i64 = 8;

/// Why bytes are no usable ONNX file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The bytes are no protobuf message of ONNX's.
    #[error("not an ONNX file: {0}")]
    Malformed(String),
    /// Reading it would take much more memory than the file has bytes.
    #[error("an ONNX file of {bytes} bytes that would take more than {limit} bytes of memory to read")]
    Bloated {
        /// Size of the file.
        bytes: usize,
        /// What it may take.
        limit: usize,
    },
    /// There is a message, but no graph in it.
    #[error("an ONNX file without a graph")]
    NoGraph,
}

/// Reads an ONNX file. What it takes of memory is bounded by a multiple of its size.
///
/// # Errors
/// [`OnnxError`]; never panics, whatever the bytes.
pub fn read(bytes: &[u8]) -> Result<ModelProto, OnnxError> {
    budget::check(bytes)?;
    let model = ModelProto::decode(bytes).map_err(|error| OnnxError::Malformed(error.to_string()))?;
    if model.graph.is_some() {
        Ok(model)
    } else {
        Err(OnnxError::NoGraph)
    }
}

/// The bytes of an ONNX file; the same model gives the same bytes.
#[must_use]
pub fn write(model: &ModelProto) -> Vec<u8> {
    model.encode_to_vec()
}

/// A model of ONNX's own operators around a graph.
#[must_use]
pub fn model(graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: IR_VERSION,
        producer_name: "likeness".to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: OPSET,
        }],
        ..ModelProto::default()
    }
}
