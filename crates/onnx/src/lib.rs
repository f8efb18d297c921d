//! ONNX files as data: reading and writing within bounds, importing models from their publishers' formats, optimizing
//! graphs for ONNX Runtime and inspecting them. Runs no model.

mod file;
pub mod import;
pub mod inspect;
pub mod optimize;
pub mod proto;
pub mod quote;
mod shapes;

pub use file::{IR_VERSION, OPSET, OnnxError, model, read, write};
pub use inspect::{Inspection, inspect};
