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
    /// A PyTorch state dict.
    Pytorch {
        /// The source.
        file: String,
        /// The network that the weights belong to.
        #[serde(deserialize_with = "architecture")]
        architecture: pytorch::Architecture,
        /// Number of classes; that of the architecture's publisher where none is stated.
        #[serde(default)]
        classes: Option<usize>,
        /// What the tensors' names begin with; taken off there and nowhere else.
        #[serde(default)]
        prefix: String,
        /// Tensors whose names begin with one of these are left out.
        #[serde(default)]
        ignore: Vec<String>,
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
            Self::Pytorch {
                file,
                architecture,
                classes,
                prefix,
                ignore,
            } => {
                let mut options = pytorch::ImportOptions::default();
                options.classes = classes.unwrap_or(options.classes);
                options.prefix.clone_from(prefix);
                options.ignored.clone_from(ignore);
                let model = pytorch::import_with(&source(file)?, *architecture, &options);
                (file, model.map(|model| write(&model)))
            }
        };
        imported.map_err(|source| ImportError::Invalid {
            file: file.clone(),
            source,
        })
    }
}
