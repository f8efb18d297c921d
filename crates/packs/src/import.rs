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
    let (file, imported) = match recipe {
        Recipe::Onnx { file } => {
            let bytes = source(file)?;
            (file, read(&bytes).map(|_| bytes))
        }
        Recipe::OpenvinoIr { xml, bin } => {
            let model = openvino::import(&source(xml)?, &source(bin)?);
            (xml, model.map(|model| write(&model)))
        }
        Recipe::Pytorch { file, architecture } => {
            let model = pytorch::import(&source(file)?, *architecture);
            (file, model.map(|model| write(&model)))
        }
    };
    imported.map_err(|source| ImportError::Invalid {
        file: file.clone(),
        source,
    })
}
