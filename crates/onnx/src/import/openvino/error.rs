//! Why an IR is not imported.

use std::fmt;

use crate::quote::quotable;

/// What is wrong with an OpenVINO IR, or with what it asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenVinoError {
    /// The `.xml` is no XML, or has something that no IR has.
    #[error("not an OpenVINO IR: {reason}, at byte {at} of the .xml")]
    Malformed {
        /// Where, in bytes from the beginning.
        at: u64,
        /// What is wrong.
        reason: String,
    },
    /// Another version of the format.
    #[error("OpenVINO IR of version {found}: only version 11 is supported")]
    Version {
        /// What the file says.
        found: String,
    },
    /// More of something than any real model of the supported operators has.
    #[error("an OpenVINO IR with more than {limit} {what}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The most that is accepted.
        limit: usize,
    },
    /// Something is wrong with the graph as a whole.
    #[error("OpenVINO IR: {reason}")]
    Graph {
        /// What is wrong.
        reason: String,
    },
    /// A layer asks for something that is not mapped to ONNX.
    #[error("OpenVINO IR: {layer}: {what} is not supported")]
    Unsupported {
        /// Which layer.
        layer: LayerLabel,
        /// The operator, the attribute with its value, the precision.
        what: String,
    },
    /// A layer contradicts itself, its neighbours, or the `.bin`.
    #[error("OpenVINO IR: {layer}: {reason}")]
    Layer {
        /// Which layer.
        layer: LayerLabel,
        /// What is wrong.
        reason: String,
    },
}

/// How messages name a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerLabel {
    /// Its `id`.
    pub id: u32,
    /// Its `name`.
    pub name: String,
    /// Its `type`.
    pub kind: String,
}

impl fmt::Display for LayerLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "layer {} {} ({})",
            self.id,
            quoted(&self.name),
            quotable(&self.kind)
        )
    }
}

impl LayerLabel {
    pub(super) fn unsupported(&self, what: impl Into<String>) -> OpenVinoError {
        OpenVinoError::Unsupported {
            layer: self.clone(),
            what: what.into(),
        }
    }

    pub(super) fn wrong(&self, reason: impl Into<String>) -> OpenVinoError {
        OpenVinoError::Layer {
            layer: self.clone(),
            reason: reason.into(),
        }
    }
}

/// A text of the file in quotation marks.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", quotable(text))
}
