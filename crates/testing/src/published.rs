//! The models of the default pack, imported from their publishers' files among the test data.

use std::path::Path;

use likeness_packs::{DEFAULT_PACK, Manifest, PackError};

use crate::Failed;

/// Returns the ONNX that the default pack's recipe makes of the files in `<shared>/upstream`, for a model by its name in
/// the manifest. Reads neither the store nor the reference conversions.
///
/// # Errors
/// No such model or file, or one that cannot be imported.
pub fn published(shared: &Path, model: &str) -> Result<Vec<u8>, Failed> {
    let manifest = Manifest::builtin(DEFAULT_PACK).ok_or("no default pack")??;
    let entry = manifest
        .models
        .get(model)
        .ok_or_else(|| format!("the default pack has no {model}"))?;
    let read = |name: &str| {
        let path = shared.join("upstream").join(name);
        std::fs::read(&path).map_err(|source| PackError::Unreadable { path, source })
    };
    Ok(entry.import.apply(read)?)
}
