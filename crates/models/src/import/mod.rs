//! From the files that publishers offer to ONNX: the same input always gives the same bytes.

pub mod openvino;
pub mod pytorch;
