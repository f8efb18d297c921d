//! The folder that holds the files of packs.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::manifest::is_plain_name;
use crate::{Manifest, ModelsError};

/// Environment variable that names the store's folder.
pub const ENV_STORE: &str = "LIKENESS_MODELS";

/// The store of a checkout, below its root; `make setup` fills it.
const CHECKOUT_STORE: &str = "models/store";

/// From `target/release/deps/<test>` to the root of a checkout.
const LEVELS_ABOVE_EXECUTABLE: usize = 4;

/// A manifest is text that a person writes.
const MANIFEST_LIMIT: u64 = 1 << 20;

/// Where to look for the store, in this order: the folder given to [`with_folder`](Self::with_folder), the folder named
/// by [`LIKENESS_MODELS`](ENV_STORE), `models/store` in the working directory, `models/store` above the executable. The
/// first two are orders: where one is given, nothing else is tried.
#[derive(Debug, Clone, Default)]
pub struct StoreSearch {
    folder: Option<PathBuf>,
}

impl StoreSearch {
    /// The usual places.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// This folder and no other.
    #[must_use]
    pub fn with_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Finds the store.
    ///
    /// # Errors
    /// [`ModelsError::NoStore`] with every place that was tried.
    pub fn find(&self) -> Result<Store, ModelsError> {
        let variable = || {
            std::env::var_os(ENV_STORE)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        if let Some(folder) = self.folder.clone().or_else(variable) {
            return if folder.is_dir() {
                Ok(Store { folder })
            } else {
                Err(ModelsError::NoStore {
                    looked_for: vec![format!("{}: no such folder", folder.display())],
                })
            };
        }
        let mut looked_for = vec!["--models: not given".to_owned(), format!("{ENV_STORE}: not set")];
        let executable = std::env::current_exe().unwrap_or_default();
        let above = executable
            .ancestors()
            .skip(1)
            .take(LEVELS_ABOVE_EXECUTABLE)
            .map(|f| f.join(CHECKOUT_STORE));
        for folder in std::iter::once(PathBuf::from(CHECKOUT_STORE)).chain(above) {
            if folder.is_dir() {
                return Ok(Store { folder });
            }
            looked_for.push(format!("{}: no such folder", folder.display()));
        }
        Err(ModelsError::NoStore { looked_for })
    }
}

/// A folder with one folder a pack in it: `<store>/<pack>/<file>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    folder: PathBuf,
}

/// A pack whose files were all found and checked.
#[derive(Debug, Clone)]
pub struct Pack {
    manifest: Manifest,
    files: BTreeMap<String, Vec<u8>>,
}

impl Store {
    /// The store in this folder, whether or not it exists.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The manifest of a pack: the one that is part of this crate, or `<store>/<pack>/pack.toml`.
    ///
    /// # Errors
    /// [`ModelsError::UnknownPack`], or what is wrong with the manifest.
    pub fn manifest(&self, pack: &str) -> Result<Manifest, ModelsError> {
        if let Some(builtin) = Manifest::builtin(pack) {
            return builtin;
        }
        let path = self.folder.join(pack).join("pack.toml");
        if !is_plain_name(pack) || !path.is_file() {
            let builtin = Manifest::builtin_names().collect::<Vec<_>>().join(", ");
            return Err(ModelsError::UnknownPack {
                name: pack.to_owned(),
                builtin,
                manifest: path,
            });
        }
        let text = read(&path, MANIFEST_LIMIT)?;
        let manifest = String::from_utf8(text)
            .map_err(|error| ModelsError::Manifest {
                pack: pack.to_owned(),
                reason: error.to_string(),
            })
            .and_then(|text| Manifest::parse(&text))?;
        if manifest.name == pack {
            Ok(manifest)
        } else {
            let reason = format!("{} calls itself '{}'", path.display(), manifest.name);
            Err(ModelsError::Manifest {
                pack: pack.to_owned(),
                reason,
            })
        }
    }

    /// Reads and checks every file of a pack. What is returned are the bytes that were checked, so a file that is
    /// changed afterwards changes nothing.
    ///
    /// # Errors
    /// The first file that is missing, unreadable or not the one that the manifest names.
    pub fn load(&self, pack: &str) -> Result<Pack, ModelsError> {
        let manifest = self.manifest(pack)?;
        let mut files = BTreeMap::new();
        for (name, entry) in &manifest.files {
            let path = self.folder.join(pack).join(name);
            if !path.is_file() {
                return Err(ModelsError::MissingFile {
                    pack: pack.to_owned(),
                    path,
                });
            }
            // One byte more than it may have, so that a longer file is not taken for its beginning.
            let bytes = read(&path, entry.size.saturating_add(1))?;
            let found = hex(&Sha256::digest(&bytes));
            if found != entry.sha256 {
                let found = if bytes.len() as u64 > entry.size {
                    format!("a file of more than its {} bytes", entry.size)
                } else {
                    found
                };
                let expected = entry.sha256.clone();
                return Err(ModelsError::WrongFile {
                    pack: pack.to_owned(),
                    path,
                    expected,
                    found,
                });
            }
            files.insert(name.clone(), bytes);
        }
        Ok(Pack { manifest, files })
    }
}

impl Pack {
    /// What the pack is made of.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes of one of its files.
    ///
    /// # Errors
    /// [`ModelsError::Manifest`] where the pack has no such file.
    pub fn file(&self, name: &str) -> Result<&[u8], ModelsError> {
        self.files
            .get(name)
            .map(Vec::as_slice)
            .ok_or_else(|| ModelsError::Manifest {
                pack: self.manifest.name.clone(),
                reason: format!("{name:?} is not among the files"),
            })
    }
}

pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ModelsError> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|source| ModelsError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
    Ok(bytes)
}

/// The first 8 hexadecimal digits of a text's SHA-256: enough to tell versions apart by accident, not by malice.
pub(crate) fn short_digest(text: &str) -> String {
    let mut digest = hex(&Sha256::digest(text.as_bytes()));
    digest.truncate(8);
    digest
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store with a pack `tiny` of one file, `model.onnx`, that holds "abc".
    fn tiny() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let pack = folder.path().join("tiny");
        std::fs::create_dir(&pack).unwrap();
        // SHA-256 of "abc" is the standard's own example (FIPS 180-2, B.1).
        let manifest = r#"
            format = 1
            name = "tiny"
            version = "1"
            [files."model.onnx"]
            size = 3
            sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            license = "Apache-2.0"
            attribution = "this test"
            [detector]
            adapter = "yunet"
            file = "model.onnx"
            channels = "bgr"
            score_threshold = 0.6
            nms_iou = 0.3
            [embedder]
            adapter = "aligned-crop"
            file = "model.onnx"
            channels = "rgb"
            size = 112
            dimensions = 512
            template = [[0.3, 0.5], [0.7, 0.5], [0.5, 0.7], [0.4, 0.8], [0.6, 0.8]]
            [embedder.calibration]
            people = 3
            genuine_comparisons = 4
            impostor_comparisons = 5
            measured = { from = 0.1, to = 0.5 }
            provenance = { name = "test", method = "by hand", data = "none", date = "2026-11-25" }
            points = [
                { similarity = 0.2, confidence = 0.4, false_match_rate = 1e-3 },
                { similarity = 0.3, confidence = 0.6, false_match_rate = 1e-4 },
            ]
            [[liveness]]
            adapter = "scaled-crop"
            file = "model.onnx"
            channels = "bgr"
            size = 80
            crop_scale = 2.7
            live_class = 1
        "#;
        std::fs::write(pack.join("pack.toml"), manifest).unwrap();
        std::fs::write(pack.join("model.onnx"), b"abc").unwrap();
        let store = Store::at(folder.path());
        (folder, store)
    }

    #[test]
    fn a_whole_pack_is_loaded() {
        let (_folder, store) = tiny();
        let pack = store.load("tiny").unwrap();
        assert_eq!(pack.file("model.onnx").unwrap(), b"abc");
        assert!(pack.file("other.onnx").is_err());
    }

    #[test]
    fn a_wrong_byte_is_an_error_with_file_and_both_checksums() {
        let (folder, store) = tiny();
        std::fs::write(folder.path().join("tiny/model.onnx"), b"abd").unwrap();
        let error = store.load("tiny").unwrap_err().to_string();
        assert!(
            error.contains("model.onnx is not the file of this pack"),
            "{error}"
        );
        assert!(error.contains("expected SHA-256 ba7816bf"), "{error}");
        assert!(error.contains("found a52d159f"), "{error}");
        assert!(error.contains("make setup"), "{error}");
    }

    #[test]
    fn a_longer_or_shorter_file_is_an_error() {
        let (folder, store) = tiny();
        for bytes in [&b"ab"[..], b"abcd", b"abc and a good deal more", b""] {
            std::fs::write(folder.path().join("tiny/model.onnx"), bytes).unwrap();
            assert!(
                matches!(store.load("tiny"), Err(ModelsError::WrongFile { .. })),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn a_missing_file_is_named_and_how_to_get_it_is_said() {
        let (folder, store) = tiny();
        std::fs::remove_file(folder.path().join("tiny/model.onnx")).unwrap();
        let error = store.load("tiny").unwrap_err().to_string();
        assert!(error.contains("model.onnx is missing"), "{error}");
        assert!(error.contains("LIKENESS_MODEL_MIRROR"), "{error}");
    }

    #[test]
    fn an_unknown_pack_is_named_and_names_cannot_leave_the_store() {
        let (_folder, store) = tiny();
        for name in ["gone", "../tiny", "", ".", "a/b"] {
            assert!(
                matches!(store.load(name), Err(ModelsError::UnknownPack { .. })),
                "{name:?}"
            );
        }
    }

    #[test]
    fn a_store_that_was_ordered_and_is_not_there_is_an_error() {
        let error = StoreSearch::new()
            .with_folder("/nowhere/store")
            .find()
            .unwrap_err()
            .to_string();
        assert!(error.contains("/nowhere/store: no such folder"), "{error}");
    }
}
