//! Why a state dict is not imported.

use super::Architecture;

/// Why a file of PyTorch's is not read, or is not the model that it is said to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PyTorchError {
    /// The file is in the format that PyTorch writes since version 1.6.
    #[error("a PyTorch file in the zip format; only the legacy format, of PyTorch before 1.6, is read")]
    Zip,
    /// The file does not begin as a legacy file does.
    #[error("not a PyTorch file in the legacy format: {0}")]
    NotLegacy(&'static str),
    /// The file asks for something that a state dict does not need: another class or function of Python's, or an
    /// opcode that could run one. It was not run.
    #[error("refused: {what} ({opcode} at byte {at})")]
    Refused {
        /// What was asked for, as `module.name`, or what it was asked of.
        what: String,
        /// Pickle's name for the opcode.
        opcode: &'static str,
        /// Where the opcode is in the file.
        at: usize,
    },
    /// The file ends too early.
    #[error("the file ends at byte {at}, in the middle of {what}")]
    Truncated {
        /// Size of the file.
        at: usize,
        /// What should have been there.
        what: &'static str,
    },
    /// The file is no pickle, or none that makes sense.
    #[error("malformed at byte {at}: {reason}")]
    Malformed {
        /// Where in the file.
        at: usize,
        /// What is wrong.
        reason: String,
    },
    /// The file asks for more than any state dict of the models that are imported here.
    #[error("more than {limit} {what}")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much would have been accepted.
        limit: usize,
    },
    /// The elements of a storage are not there, or not as the file says elsewhere.
    #[error("storage '{key}': {reason}")]
    Storage {
        /// The storage's key.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// What the file holds is no dictionary from names to tensors.
    #[error("no state dict: {0}")]
    NoStateDict(String),
    /// A tensor cannot be had, or cannot be used.
    #[error("tensor '{name}': {reason}")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A tensor of the architecture is not in the state dict.
    #[error("{architecture} needs a tensor '{name}' of shape {expected:?}, which is not there")]
    Missing {
        /// What was to be imported.
        architecture: Architecture,
        /// The tensor's name, without the prefix of `DataParallel`.
        name: String,
        /// Its shape.
        expected: Vec<usize>,
    },
    /// A tensor has another shape than the architecture's.
    #[error("{architecture} needs a tensor '{name}' of shape {expected:?}, found {found:?}")]
    Shape {
        /// What was to be imported.
        architecture: Architecture,
        /// The tensor's name, without the prefix of `DataParallel`.
        name: String,
        /// Its shape in the architecture.
        expected: Vec<usize>,
        /// Its shape in the state dict.
        found: Vec<usize>,
    },
    /// There are tensors that the architecture does not have.
    #[error("{count} tensors that {architecture} does not have, such as {}", names.join(", "))]
    Unexpected {
        /// What was to be imported.
        architecture: Architecture,
        /// The first few names.
        names: Vec<String>,
        /// How many there are.
        count: usize,
    },
    /// The architecture is none that is known.
    #[error("unknown architecture '{0}'; known are minifasnet-v2 and minifasnet-v1se")]
    UnknownArchitecture(String),
}
