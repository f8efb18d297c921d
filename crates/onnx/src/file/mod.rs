//! Reading ONNX files within memory limits, and writing them, always to the same bytes.

mod budget;

use prost::Message;

use crate::OnnxError;
use crate::proto::{GraphProto, ModelProto, OperatorSetIdProto};

/// The version of ONNX's operators in imported models; every supported ONNX Runtime has it.
pub const OPSET: i64 = 17;
/// The version of the format of imported models (ONNX 1.12).
pub const IR_VERSION: i64 = 8;

/// Reads an ONNX file. The memory that it takes is limited to a multiple of its size.
///
/// # Errors
/// [`OnnxError`]; never panics, whatever the bytes.
pub fn read(bytes: &[u8]) -> Result<ModelProto, OnnxError> {
    budget::check(bytes)?;
    let model = ModelProto::decode(bytes).map_err(|error| not_onnx(&error.to_string()))?;
    if model.graph.is_none() {
        return Err(not_onnx("it has no graph"));
    }
    Ok(model)
}

fn not_onnx(reason: &str) -> OnnxError {
    OnnxError::Format(format!("not an ONNX file: {reason}"))
}

/// Returns the bytes of an ONNX file; the same model gives the same bytes.
#[must_use]
pub fn write(model: &ModelProto) -> Vec<u8> {
    model.encode_to_vec()
}

/// Returns a model of ONNX's own operators with this graph.
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
