//! How ONNX models are imported from the files that publishers offer.

use likeness_onnx::import::{openvino, pytorch};
use likeness_onnx::{read, write};
use serde::{Deserialize, Deserializer};

use crate::{ImportError, PackError};

/// How an ONNX model is imported from sources, which have their names in the manifest.
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
        /// The network that the weights belong to.
        #[serde(deserialize_with = "architecture")]
        architecture: pytorch::Architecture,
    },
}

fn architecture<'de, D: Deserializer<'de>>(deserializer: D) -> Result<pytorch::Architecture, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse().map_err(serde::de::Error::custom)
}

impl Recipe {
    /// Returns the names of the sources that it reads.
    #[must_use]
    pub fn sources(&self) -> Vec<&str> {
        match self {
            Self::Onnx { file } | Self::Pytorch { file, .. } => vec![file],
            Self::OpenvinoIr { xml, bin } => vec![xml, bin],
        }
    }

    /// Returns the bytes of the ONNX file, always the same for the same sources. `source` returns the bytes of a source by
    /// its name in the manifest.
    ///
    /// # Errors
    /// [`ImportError`]; never panics, whatever the sources are.
    pub fn apply(&self, source: impl Fn(&str) -> Result<Vec<u8>, PackError>) -> Result<Vec<u8>, ImportError> {
        let (file, imported) = match self {
            Self::Onnx { file } => {
                let bytes = source(file)?;
                (file, read(&bytes).map(|_| bytes))
            }
            Self::OpenvinoIr { xml, bin } => {
                let model = openvino::import(&source(xml)?, &source(bin)?);
                (xml, model.map(|model| write(&model)))
            }
            Self::Pytorch { file, architecture } => {
                let model = pytorch::import(&source(file)?, *architecture);
                (file, model.map(|model| write(&model)))
            }
        };
        imported.map_err(|source| ImportError::Invalid {
            file: file.clone(),
            source,
        })
    }
}
