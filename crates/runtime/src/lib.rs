//! ONNX Runtime for Likeness: finding the library, sessions and their pool.
