//! PyTorch state dicts to ONNX: files of `torch.save` in the zip format and in the legacy format, of PyTorch before 1.6.
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
mod zip;

#[cfg(test)]
#[path = "../../../tests/support/legacy.rs"]
mod written;

use std::collections::BTreeMap;

pub use minifasnet::Architecture;
pub use tensor::{Elements, Tensor};

use crate::OnnxError;
use crate::proto::ModelProto;
use tensor::invalid_tensor;

/// Reads the tensors of a state dict by their names.
///
/// Nothing in the file is run. The memory that it takes is limited to a small multiple of the file's size.
///
/// # Errors
/// [`OnnxError`]; never panics, whatever the bytes.
pub fn state_dict(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, OnnxError> {
    if bytes.starts_with(&zip::HEADER) {
        zip::state_dict(bytes)
    } else {
        legacy::state_dict(bytes)
    }
}

/// How a state dict holds the tensors of its architecture. Default: three classes, the architecture's own names, or those
/// with the prefix `module.` of PyTorch's `DataParallel`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportOptions {
    /// Number of classes.
    pub classes: usize,
    /// What the name of each tensor begins with; it is taken off there and nowhere else.
    pub prefix: String,
    /// Tensors whose names begin with one of these are left out, such as those of a branch that only training uses.
    pub ignored: Vec<String>,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            classes: minifasnet::CLASSES,
            prefix: String::new(),
            ignored: Vec::new(),
        }
    }
}

impl ImportOptions {
    /// The tensors by the names of the architecture.
    fn renamed(&self, tensors: BTreeMap<String, Tensor>) -> Result<BTreeMap<String, Tensor>, OnnxError> {
        let is_ignored = |name: &str| self.ignored.iter().any(|prefix| name.starts_with(prefix));
        let tensors = tensors.into_iter().filter(|(name, _)| !is_ignored(name));
        let renamed = tensors.map(|(name, tensor)| match name.strip_prefix(&self.prefix) {
            Some(own) => Ok((own.to_owned(), tensor)),
            None => Err(invalid_tensor(
                &name,
                &format!("its name does not begin with '{}'", self.prefix),
            )),
        });
        renamed.collect()
    }
}

/// Imports a state dict of this architecture. The same bytes give the same model.
///
/// Input `input`, `f32` of `[N, 3, 80, 80]`, BGR, 0..255; output `logits`, `f32` of `[N, classes]`; the batch is free. Batch
/// norms, a product and a sum for each channel, are folded into the convolutions and linear layers before them in `f64`.
/// Counters of training steps (`num_batches_tracked`) are ignored.
///
/// # Errors
/// [`OnnxError`]; never panics, whatever the bytes.
pub fn import(bytes: &[u8], architecture: Architecture) -> Result<ModelProto, OnnxError> {
    import_with(bytes, architecture, &ImportOptions::default())
}

/// Imports a state dict, as [`import`] does, that holds its tensors in another way.
///
/// # Errors
/// [`OnnxError`]; never panics, whatever the bytes.
pub fn import_with(
    bytes: &[u8],
    architecture: Architecture,
    options: &ImportOptions,
) -> Result<ModelProto, OnnxError> {
    minifasnet::model(
        options.renamed(state_dict(bytes)?)?,
        architecture,
        options.classes,
    )
}
