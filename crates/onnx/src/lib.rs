//! ONNX files as data: reading and writing within limits, importing models from the formats of publishers, optimizing
//! graphs for ONNX Runtime and inspecting them. Runs no model.
//!
//! ```no_run
//! use likeness_onnx::{inspect, optimize::{Passes, optimize_bytes}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let published = std::fs::read("model.onnx")?;
//! println!("{}", inspect(&published)?);
//! let (optimized, report) = optimize_bytes(&published, &Passes::all())?;
//! println!("{report}");
//! std::fs::write("optimized.onnx", optimized)?;
//! # Ok(())
//! # }
//! ```
//!
//! Errors, options and results are `#[non_exhaustive]`; protobuf messages are not, since callers construct them.

mod error;
mod file;
/// Importers of the formats of publishers. The same input always gives the same model.
pub mod import {
    pub mod onnx;
    pub mod openvino;
    pub mod pytorch;
}
pub mod inspect;
pub mod optimize;
pub mod proto;
pub mod quote;
mod shapes;

pub use error::OnnxError;
pub use file::{IR_VERSION, OPSET, model, read, write};
pub use inspect::{Inspection, inspect};
