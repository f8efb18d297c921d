//! Exporting a pack.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{BLOBS, SUMS_FILE, sums};
use crate::files::{read_verified, write_atomically};
use crate::store::{Located, MANIFEST_FILE, read_model};
use crate::{MAX_COHORT_BYTES, PackError, Store};

/// The result of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Name of the pack.
    pub pack: String,
    /// Its version.
    pub version: String,
    /// Number of models.
    pub models: usize,
    /// Number of sources in the archive that are not models themselves.
    pub sources: usize,
    /// Size of the archive.
    pub bytes: u64,
}

/// A blob to write: its file and the most bytes that it may have.
struct Blob {
    path: PathBuf,
    limit: u64,
}

/// Writes a complete pack into an archive, with those of its sources that are in the model store. The same pack gives the
/// same bytes. The file appears when it is complete.
///
/// # Errors
/// A missing or wrong model of the pack, or why the file cannot be written.
pub fn export(store: &Store, pack: &str, out: &Path) -> Result<Exported, PackError> {
    let located = store.locate(pack)?;
    let manifest = &located.manifest;
    let mut blobs = BTreeMap::new();
    for model in manifest.models.keys() {
        let path = store.model_path(&located, model);
        read_model(&located, model, &path)?;
        let limit = manifest.model_max_bytes(model);
        let sha256 = manifest.model_sha256(model).unwrap_or_default();
        blobs.insert(sha256, Blob { path, limit });
    }
    let models = blobs.len();
    for source in manifest.sources.values() {
        let (sha256, limit) = (source.sha256.as_str(), source.max_bytes());
        if store.holds(sha256, limit) {
            let path = store.blob(sha256);
            blobs.entry(sha256).or_insert(Blob { path, limit });
        }
    }
    let sources = blobs.len() - models;
    if let (Some(reference), Some(path)) = (manifest.cohort(), store.cohort_path(&located)) {
        store.cohort(&located)?;
        let limit = MAX_COHORT_BYTES;
        blobs.insert(reference.sha256.as_str(), Blob { path, limit });
    }
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty());
    write_atomically(folder.unwrap_or(Path::new(".")), out, |file| {
        write(file, out, &located, &blobs)
    })?;
    Ok(Exported {
        pack: manifest.name.clone(),
        version: manifest.version.clone(),
        models: manifest.models.len(),
        sources,
        bytes: std::fs::metadata(out).map_or(0, |metadata| metadata.len()),
    })
}

fn write(
    file: &mut File,
    out: &Path,
    Located { manifest, text, .. }: &Located,
    blobs: &BTreeMap<&str, Blob>,
) -> Result<(), PackError> {
    let failed = |error| PackError::unwritable(out)(error);
    let mut tar = tar::Builder::new(BufWriter::new(file));
    append(&mut tar, MANIFEST_FILE, text.as_bytes()).map_err(failed)?;
    let sums = sums(blobs.keys().copied());
    append(&mut tar, SUMS_FILE, sums.as_bytes()).map_err(failed)?;
    for (sha256, Blob { path, limit }) in blobs {
        let bytes = read_verified(&manifest.name, path, sha256, *limit)?;
        append(&mut tar, &format!("{BLOBS}{sha256}"), &bytes).map_err(failed)?;
    }
    let written = tar.into_inner().and_then(|mut inner| inner.flush());
    written.map_err(failed)
}

/// Appends an entry with nothing in it of this machine, user or day.
fn append(tar: &mut tar::Builder<impl Write>, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    tar.append_data(&mut header, name, bytes)
}
