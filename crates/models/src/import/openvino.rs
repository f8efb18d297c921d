//! OpenVINO IR, version 11, to ONNX.
