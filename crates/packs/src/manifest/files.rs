//! Where the files of a pack come from, and what is made of them.

use serde::{Deserialize, Deserializer};

use likeness_onnx::import::pytorch::Architecture;

/// Largest file that is taken where a manifest states no size: protobuf ends at 2 GiB, and so does ONNX in one file.
pub const MAX_FILE_BYTES: u64 = (1 << 31) - 1;

/// A file as its publisher offers it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SourceFile {
    /// Addresses that it can be had from, tried in this order; may be empty where it lies beside the manifest or comes
    /// from a mirror.
    #[serde(default)]
    pub urls: Vec<String>,
    /// Size in bytes, where it is known; a file of another size is refused.
    #[serde(default)]
    pub size: Option<u64>,
    /// SHA-256 of the bytes, 64 hexadecimal digits in lower case.
    pub sha256: String,
    /// SPDX identifier of the licence, or its name.
    pub license: String,
    /// Who made it.
    pub attribution: String,
}

impl SourceFile {
    /// The most bytes that it can have.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.size.unwrap_or(MAX_FILE_BYTES)
    }
}

/// An ONNX model of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ModelFile {
    /// How it is made from the sources.
    pub import: Recipe,
    /// Size of the ONNX file in bytes; that of the source where it is taken as it is.
    #[serde(default)]
    pub size: Option<u64>,
    /// SHA-256 of the ONNX file; that of the source where it is taken as it is.
    #[serde(default)]
    pub sha256: Option<String>,
}

/// How an ONNX model is made from sources, which are named as in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Recipe {
    /// An ONNX file as it is.
    Onnx {
        /// The source.
        file: String,
    },
    /// OpenVINO IR, version 11.
    OpenvinoIr {
        /// The source with the graph.
        xml: String,
        /// The source with the weights.
        bin: String,
    },
    /// A PyTorch state dict in the legacy format.
    Pytorch {
        /// The source.
        file: String,
        /// What the weights are for.
        #[serde(deserialize_with = "architecture")]
        architecture: Architecture,
    },
}

fn architecture<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Architecture, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse().map_err(serde::de::Error::custom)
}

impl Recipe {
    /// The sources that it takes.
    #[must_use]
    pub fn sources(&self) -> Vec<&str> {
        match self {
            Self::Onnx { file } | Self::Pytorch { file, .. } => vec![file],
            Self::OpenvinoIr { xml, bin } => vec![xml, bin],
        }
    }
}
