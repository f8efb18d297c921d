//! PyTorch state dicts in the legacy format to ONNX.
//!
//! A state dict is a dictionary from names to tensors, in Python's pickle format. A pickle is a program that can name any
//! class or function of Python; this reader makes tensors, dictionaries, tuples, lists, numbers, texts, booleans and
//! `None`, and refuses everything else by its name. A state dict does not describe the network, so the importer knows the
//! supported [`Architecture`]s.

mod cursor;
mod legacy;
mod minifasnet;
mod pickle;
mod tensor;
mod value;

#[cfg(test)]
#[path = "../../../tests/support/legacy.rs"]
mod written;

pub use legacy::state_dict;
pub use minifasnet::Architecture;
pub use tensor::{Elements, Tensor};

use crate::OnnxError;
use crate::proto::ModelProto;

/// Imports a state dict of this architecture. The same bytes give the same model.
///
/// Input `input`, `f32` of `[N, 3, 80, 80]`, BGR, 0..255; output `logits`, `f32` of `[N, 3]`; the batch is free. Batch
/// norms, a product and a sum for each channel, are folded into the convolutions and linear layers before them in `f64`. The
/// tensors' names may bear the prefix `module.` of PyTorch's `DataParallel`; counters of training steps
/// (`num_batches_tracked`) are passed over.
///
/// # Errors
/// [`OnnxError`]; never panics, whatever the bytes.
pub fn import(bytes: &[u8], architecture: Architecture) -> Result<ModelProto, OnnxError> {
    minifasnet::model(state_dict(bytes)?, architecture)
}
