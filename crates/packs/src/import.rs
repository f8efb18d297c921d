//! From the files that publishers offer to ONNX: the same input always gives the same bytes.

use likeness_onnx::import::{openvino, pytorch};
use likeness_onnx::{self as onnx, OnnxError};

use crate::{PackError, Recipe};

/// Why no model could be made of its sources.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A source cannot be read.
    #[error(transparent)]
    Source(#[from] PackError),
    /// The source should be ONNX and is not.
    #[error("{file}: {fault}")]
    Onnx {
        /// The source.
        file: String,
        /// What is wrong with it.
        fault: OnnxError,
    },
    /// The source should be OpenVINO IR and cannot be imported.
    #[error("{file}: {fault}")]
    OpenVino {
        /// The source with the graph.
        file: String,
        /// What is wrong with it.
        fault: openvino::OpenVinoError,
    },
    /// The source should be a PyTorch state dict and cannot be imported.
    #[error("{file}: {fault}")]
    PyTorch {
        /// The source.
        file: String,
        /// What is wrong with it.
        fault: pytorch::PyTorchError,
    },
}

/// Makes the bytes of an ONNX file as a recipe says. `source` gives the bytes of a source by the name that it has in the
/// manifest.
///
/// # Errors
/// [`ImportError`]; never panics, whatever the sources are.
pub fn import(
    recipe: &Recipe,
    source: impl Fn(&str) -> Result<Vec<u8>, PackError>,
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
        Recipe::OpenvinoIr { xml, bin } => match openvino::import(&source(xml)?, &source(bin)?) {
            Ok(model) => Ok(onnx::write(&model)),
            Err(fault) => Err(ImportError::OpenVino {
                file: xml.clone(),
                fault,
            }),
        },
        Recipe::Pytorch { file, architecture } => match pytorch::import(&source(file)?, *architecture) {
            Ok(model) => Ok(onnx::write(&model)),
            Err(fault) => Err(ImportError::PyTorch {
                file: file.clone(),
                fault,
            }),
        },
    }
}
