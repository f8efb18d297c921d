//! From the files that publishers offer to ONNX: the same input always gives the same bytes.

pub mod openvino;
pub mod pytorch;

use crate::onnx::{self, OnnxError};
use crate::{ModelsError, Recipe};

/// Why no model could be made of its sources.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A source cannot be read.
    #[error(transparent)]
    Source(#[from] ModelsError),
    /// The source should be ONNX and is not.
    #[error("{file}: {fault}")]
    Onnx {
        /// The source.
        file: String,
        /// What is wrong with it.
        fault: OnnxError,
    },
    /// There is no importer for the format yet.
    #[error("importing {format} is not supported yet")]
    Unsupported {
        /// What the sources are.
        format: &'static str,
    },
}

/// Makes the bytes of an ONNX file as a recipe says. `source` gives the bytes of a source by the name that it has in the
/// manifest.
///
/// # Errors
/// [`ImportError`]; never panics, whatever the sources are.
pub fn import(
    recipe: &Recipe,
    source: impl Fn(&str) -> Result<Vec<u8>, ModelsError>,
) -> Result<Vec<u8>, ImportError> {
    match recipe {
        Recipe::Onnx { file } => {
            let bytes = source(file)?;
            match onnx::read(&bytes) {
                Ok(_) => Ok(bytes),
                Err(fault) => Err(ImportError::Onnx {
                    file: file.clone(),
                    fault,
                }),
            }
        }
        Recipe::OpenvinoIr { .. } => Err(ImportError::Unsupported {
            format: "OpenVINO IR",
        }),
        Recipe::Pytorch { .. } => Err(ImportError::Unsupported {
            format: "a PyTorch state dict",
        }),
    }
}
