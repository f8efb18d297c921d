//! Rewriting graphs into what ONNX Runtime runs faster.
