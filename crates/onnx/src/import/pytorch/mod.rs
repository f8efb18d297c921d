//! PyTorch state dicts in the legacy format to ONNX.
//!
//! A state dict is a dictionary from names to tensors, in Python's pickle format. A pickle is a program, and Python runs
//! what it names; here it can make tensors, dictionaries, tuples, lists, numbers, texts, truth values and `None`, and
//! whatever else it asks for is refused by name. A state dict says nothing of what is computed with its tensors: the
//! [`Architecture`]s that can be imported are written down here.
//!
//! ```no_run
//! use likeness_onnx::import::pytorch::{Architecture, import};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let published = std::fs::read("2.7_80x80_MiniFASNetV2.pth")?;
//! let model = import(&published, Architecture::MiniFasNetV2)?;
//! std::fs::write("minifasnet_v2.onnx", likeness_onnx::write(&model))?;
//! # Ok(())
//! # }
//! ```

mod cursor;
mod error;
mod layers;
mod legacy;
mod minifasnet;
mod opcode;
mod pickle;
mod tensor;
mod value;

#[cfg(test)]
#[path = "../../../tests/support/legacy.rs"]
mod written;

use std::collections::BTreeMap;

pub use error::PyTorchError;
pub use minifasnet::Architecture;
pub use tensor::{Elements, Tensor};

use crate::proto::ModelProto;

/// Reads a state dict: its tensors by name, as the file names them.
///
/// Nothing of the file is run. What it takes of memory is bounded by a small multiple of the file's size.
///
/// # Errors
/// [`PyTorchError`]; never panics, whatever the bytes.
pub fn state_dict(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, PyTorchError> {
    legacy::state_dict(bytes)
}

/// Makes an ONNX model of a state dict of this architecture. The same bytes give the same model.
///
/// Input `input`, `f32` of `[N, 3, 80, 80]`, BGR, 0..255; output `logits`, `f32` of `[N, 3]`; the batch is free. Batch norms are folded
/// into the convolutions and linear layers before them, see [`Architecture`]. The tensors' names may bear the prefix
/// `module.` of PyTorch's `DataParallel`; counters of training steps (`num_batches_tracked`) are passed over.
///
/// # Errors
/// [`PyTorchError`]; never panics, whatever the bytes.
pub fn import(bytes: &[u8], architecture: Architecture) -> Result<ModelProto, PyTorchError> {
    minifasnet::model(state_dict(bytes)?, architecture)
}
