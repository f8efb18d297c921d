//! Models from the files that publishers offer. The same input always gives the same bytes.

use likeness_onnx::import::{openvino, pytorch};
use likeness_onnx::{read, write};

use crate::{ImportError, PackError, Recipe};

/// Returns the bytes of the ONNX file that a recipe makes. `source` returns the bytes of a source by its name in the
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
            read(&bytes).map_err(|fault| ImportError::Onnx(file.clone(), fault))?;
            Ok(bytes)
        }
        Recipe::OpenvinoIr { xml, bin } => openvino::import(&source(xml)?, &source(bin)?)
            .map(|model| write(&model))
            .map_err(|fault| ImportError::OpenVino(xml.clone(), fault)),
        Recipe::Pytorch { file, architecture } => pytorch::import(&source(file)?, *architecture)
            .map(|model| write(&model))
            .map_err(|fault| ImportError::PyTorch(file.clone(), fault)),
    }
}
