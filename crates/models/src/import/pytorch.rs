//! PyTorch state dicts in the legacy format to ONNX.
