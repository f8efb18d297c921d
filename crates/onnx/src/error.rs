//! The error of this crate.

/// Why a file is not read or not imported. The file's publisher, or the author of the pack that names it, must act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The file has another format or version than expected.
    #[error("{0}")]
    Format(String),
    /// The file ends too early.
    #[error("the file ends at byte {at}, in the middle of {what}")]
    Truncated {
        /// Size of the file.
        at: usize,
        /// The incomplete part.
        what: &'static str,
    },
    /// The file breaks the rules of its format.
    #[error("malformed at byte {at}: {reason}")]
    Malformed {
        /// Where in the file.
        at: usize,
        /// The fault.
        reason: String,
    },
    /// The file has, or takes, more of something than any real one.
    #[error("more than {limit} {what}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The most that is accepted.
        limit: usize,
    },
    /// The file has an operator, attribute or type that the importer does not know.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// A pickle names a class or function of Python that no state dict needs, or an opcode that could run one. It was not
    /// run.
    #[error("refused: {what} ({opcode} at byte {at})")]
    Refused {
        /// The class or function as `module.name`, or the kind of value that the opcode was applied to.
        what: String,
        /// Pickle's name for the opcode.
        opcode: &'static str,
        /// Where the opcode is in the file.
        at: usize,
    },
    /// The file contradicts itself.
    #[error("{0}")]
    Invalid(String),
    /// A state dict does not fit its architecture.
    #[error(
        "{architecture} needs a tensor '{name}' of shape {expected:?}, {}",
        .found.as_ref().map_or_else(|| "which is missing".to_owned(), |found| format!("found {found:?}"))
    )]
    Tensor {
        /// The architecture.
        architecture: &'static str,
        /// The tensor's name, without the prefix of `DataParallel`.
        name: String,
        /// Its shape in the architecture.
        expected: Vec<usize>,
        /// Its shape in the state dict; `None` if it is missing.
        found: Option<Vec<usize>>,
    },
    /// There is no optimization pass of this name.
    #[error("unknown optimization pass '{name}'; known passes are {known}")]
    UnknownPass {
        /// The name.
        name: String,
        /// The known passes.
        known: String,
    },
}
