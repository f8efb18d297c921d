//! Exporting.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{ArchiveError, BLOBS, SUMS_FILE, sums};
use crate::store::{MANIFEST_FILE, read_checked, write_whole};
use crate::{Manifest, Store};

/// What an export wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Name of the pack.
    pub pack: String,
    /// Its version.
    pub version: String,
    /// Number of models.
    pub models: usize,
    /// Number of sources that are no models themselves; those that the store has.
    pub sources: usize,
    /// Size of the archive.
    pub bytes: u64,
}

/// A blob to write: where it is and how many bytes it may have.
struct Blob {
    path: PathBuf,
    limit: u64,
}

/// Writes a pack that is whole into an archive, with those of its sources that the store has. The same pack gives the
/// same bytes. The file appears when it is complete.
///
/// # Errors
/// What is missing or wrong of the pack's models, or why the file cannot be written.
pub fn export(store: &Store, pack: &str, out: &Path) -> Result<Exported, ArchiveError> {
    let located = store.locate(pack)?;
    let manifest = &located.manifest;
    let mut blobs = BTreeMap::new();
    for model in manifest.models.keys() {
        let path = store.model_path(&located, model);
        store.check_model(&located, model, &path)?;
        let limit = manifest.model_max_bytes(model);
        blobs.insert(
            manifest.model_sha256(model).unwrap_or_default(),
            Blob { path, limit },
        );
    }
    let models = blobs.len();
    for source in manifest.sources.values() {
        let (sha256, limit) = (source.sha256.as_str(), source.max_bytes());
        if store.holds(sha256, limit) {
            let path = store.blob(sha256);
            blobs.entry(sha256).or_insert(Blob { path, limit });
        }
    }
    let mut result = Ok(());
    let written = write_whole(&gathered(out), out, |file| {
        result = write(BufWriter::new(&mut *file), manifest, &located.text, &blobs);
        match &mut result {
            // The caller of this removes the unfinished file by it; the reason itself is in `result`.
            Err(_) => Err(std::io::Error::other("unfinished")),
            Ok(()) => Ok(()),
        }
    });
    result.map_err(|failure| failure.of_file(out))?;
    written.map_err(|(path, source)| ArchiveError::Unwritable { path, source })?;
    let bytes = std::fs::metadata(out).map_or(0, |metadata| metadata.len());
    Ok(Exported {
        pack: manifest.name.clone(),
        version: manifest.version.clone(),
        models: manifest.models.len(),
        sources: blobs.len() - models,
        bytes,
    })
}

/// What went wrong while the archive was written.
enum Failure {
    Models(crate::PackError),
    Write(std::io::Error),
}

impl Failure {
    fn of_file(self, path: &Path) -> ArchiveError {
        match self {
            Self::Models(error) => error.into(),
            Self::Write(source) => ArchiveError::Unwritable {
                path: path.to_owned(),
                source,
            },
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Write(error)
    }
}

fn write(
    out: BufWriter<&mut File>,
    manifest: &Manifest,
    text: &str,
    blobs: &BTreeMap<&str, Blob>,
) -> Result<(), Failure> {
    let mut tar = tar::Builder::new(out);
    append(&mut tar, MANIFEST_FILE, text.as_bytes())?;
    append(&mut tar, SUMS_FILE, sums(blobs.keys().copied()).as_bytes())?;
    for (sha256, Blob { path, limit }) in blobs {
        let bytes = read_checked(path, sha256, *limit)
            .map_err(|fault| Failure::Models(fault.of_pack(&manifest.name)))?;
        append(&mut tar, &format!("{BLOBS}{sha256}"), &bytes)?;
    }
    tar.into_inner()?.flush()?;
    Ok(())
}

/// An entry with nothing in it of this machine, this user or this day.
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

/// The name that the archive has while it is written: in the same folder, since a rename does not leave a file system.
fn gathered(out: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(out.file_name().unwrap_or_default());
    name.push(".partial");
    out.with_file_name(name)
}
