//! The store: files by the SHA-256 of their bytes, and the manifests of packs that are not built in.
//!
//! ```text
//! <store>/blobs/sha256/<64 digits>     files whose bytes have this SHA-256: sources and the ONNX made of them
//! <store>/packs/<name>/pack.toml       manifests of installed packs
//! <store>/partial/<64 digits>          what has arrived of a file that is still being fetched
//! <store>/lock                         held by the process that writes to the store
//! ```

#[cfg(feature = "fetch")]
mod files;
#[cfg(feature = "fetch")]
mod lock;
mod packs;
mod search;
#[cfg(feature = "fetch")]
mod write;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

#[cfg(feature = "fetch")]
pub(crate) use files::write_whole;
#[cfg(feature = "fetch")]
pub(crate) use lock::Lock;
pub use packs::{PackPlace, PackStatus};
pub use search::{ENV_STORE, StoreSearch};
#[cfg(feature = "fetch")]
pub(crate) use write::Partial;
#[cfg(feature = "fetch")]
pub use write::StoreError;

use crate::manifest::{is_plain_name, is_sha256};
use crate::rewrite::{self, Passes};
use crate::{Manifest, ModelsError};

/// A manifest is text that a person writes.
pub(crate) const MANIFEST_LIMIT: u64 = 1 << 20;

/// Name of a manifest's file.
pub(crate) const MANIFEST_FILE: &str = "pack.toml";

/// A folder with the files of packs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    folder: PathBuf,
}

/// A pack whose models were all found and checked.
#[derive(Debug, Clone)]
pub struct Pack {
    manifest: Manifest,
    models: BTreeMap<String, Arc<Vec<u8>>>,
}

/// A manifest and the folder that it lies in; files beside it belong to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Located {
    pub(crate) manifest: Manifest,
    /// The manifest as it was written.
    #[cfg_attr(not(feature = "fetch"), allow(dead_code))]
    pub(crate) text: String,
    pub(crate) folder: Option<PathBuf>,
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

    /// Where the file with this SHA-256 is, or would be. What is no SHA-256 leads to no file.
    #[must_use]
    pub fn blob(&self, sha256: &str) -> PathBuf {
        let name = if is_sha256(sha256) { sha256 } else { "none" };
        self.blobs().join(name)
    }

    fn blobs(&self) -> PathBuf {
        self.folder.join("blobs").join("sha256")
    }

    /// Where the manifest of an installed pack is, or would be.
    pub(crate) fn manifest_path(&self, pack: &str) -> PathBuf {
        self.folder.join("packs").join(pack).join(MANIFEST_FILE)
    }

    /// The manifest of a pack: one that is part of this crate, by its name; one that is installed in the store, by its
    /// name; or the one in a file, by a path with a separator in it, to the file or to its folder.
    ///
    /// A pack that is built in is always the one that is built in: what is in the store cannot replace it.
    ///
    /// # Errors
    /// [`ModelsError::UnknownPack`], or what is wrong with the manifest.
    pub fn manifest(&self, pack: &str) -> Result<Manifest, ModelsError> {
        self.locate(pack).map(|located| located.manifest)
    }

    pub(crate) fn locate(&self, pack: &str) -> Result<Located, ModelsError> {
        if let Some(builtin) = Manifest::builtin(pack) {
            return Ok(Located {
                manifest: builtin?,
                text: Manifest::builtin_text(pack).unwrap_or_default().to_owned(),
                folder: None,
            });
        }
        let is_path = pack.contains(['/', '\\']);
        let path = if is_path {
            let path = PathBuf::from(pack);
            if path.is_dir() {
                path.join(MANIFEST_FILE)
            } else {
                path
            }
        } else {
            self.manifest_path(pack)
        };
        if !(is_path || is_plain_name(pack)) || !is_there(&path)? {
            let builtin = Manifest::builtin_names().collect::<Vec<_>>().join(", ");
            return Err(ModelsError::UnknownPack {
                name: pack.to_owned(),
                builtin,
                manifest: path,
            });
        }
        let wrong = |reason: String| ModelsError::Manifest {
            pack: path.display().to_string(),
            reason,
        };
        // One byte more than it may have, so that a longer file is not taken for its beginning.
        let text = read(&path, MANIFEST_LIMIT + 1)?;
        if text.len() as u64 > MANIFEST_LIMIT {
            return Err(wrong(format!(
                "more than {MANIFEST_LIMIT} bytes are too many for a manifest"
            )));
        }
        let text = String::from_utf8(text).map_err(|error| wrong(error.to_string()))?;
        let manifest = Manifest::parse(&text).map_err(|error| match error {
            ModelsError::Manifest { reason, .. } => wrong(reason),
            other => other,
        })?;
        if !is_path && manifest.name != pack {
            let reason = format!("{} calls itself '{}'", path.display(), manifest.name);
            return Err(ModelsError::Manifest {
                pack: pack.to_owned(),
                reason,
            });
        }
        if is_path && Manifest::builtin(&manifest.name).is_some() {
            let reason = format!(
                "{} bears the name of a built-in pack: give it another",
                path.display()
            );
            return Err(ModelsError::Manifest {
                pack: manifest.name,
                reason,
            });
        }
        Ok(Located {
            manifest,
            text,
            folder: path.parent().map(Path::to_owned),
        })
    }

    /// Reads and checks every model of a pack, from the store or from beside its manifest. What is returned are the bytes
    /// that were checked, so a file that is changed afterwards changes nothing.
    ///
    /// # Errors
    /// The first model that is missing, unreadable or not the one that the manifest names.
    pub fn load(&self, pack: &str) -> Result<Pack, ModelsError> {
        let located = self.locate(pack)?;
        let mut models = BTreeMap::new();
        for name in located.manifest.models.keys() {
            let path = self.model_path(&located, name);
            if !is_there(&path)? {
                return Err(ModelsError::MissingFile {
                    pack: located.manifest.name.clone(),
                    file: name.clone(),
                    path,
                });
            }
            models.insert(name.clone(), Arc::new(self.check_model(&located, name, &path)?));
        }
        let manifest = located.manifest;
        Ok(Pack { manifest, models })
    }
}

impl Pack {
    /// What the pack is made of.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The pack with its models rewritten into what ONNX Runtime runs faster, see [`crate::rewrite`]. What they compute
    /// is the same but for rounding. Models that were rewritten before in this process are not rewritten again.
    #[must_use]
    pub fn rewritten(mut self, passes: &Passes) -> Self {
        for (name, onnx) in &mut self.models {
            let sha256 = self.manifest.model_sha256(name).unwrap_or_default();
            *onnx = rewrite::cached(sha256, onnx, passes);
        }
        self
    }

    /// The bytes of one of its ONNX models.
    ///
    /// # Errors
    /// [`ModelsError::Manifest`] where the pack has no such model.
    pub fn model(&self, name: &str) -> Result<&[u8], ModelsError> {
        self.models
            .get(name)
            .map(|onnx| onnx.as_slice())
            .ok_or_else(|| ModelsError::Manifest {
                pack: self.manifest.name.clone(),
                reason: format!("{name:?} is not among the models"),
            })
    }
}

/// Why a file is not the one that was expected.
pub(crate) enum FileFault {
    Unreadable(ModelsError),
    Wrong {
        path: PathBuf,
        expected: String,
        found: String,
    },
}

impl FileFault {
    pub(crate) fn of_pack(self, pack: &str) -> ModelsError {
        match self {
            Self::Unreadable(error) => error,
            Self::Wrong {
                path,
                expected,
                found,
            } => ModelsError::WrongFile {
                pack: pack.to_owned(),
                path,
                expected,
                found,
            },
        }
    }
}

/// The bytes of a file, where they are those that were expected.
pub(crate) fn read_checked(path: &Path, sha256: &str, limit: u64) -> Result<Vec<u8>, FileFault> {
    // One byte more than it may have, so that a longer file is not taken for its beginning.
    let bytes = read(path, limit.saturating_add(1)).map_err(FileFault::Unreadable)?;
    let found = hex(&Sha256::digest(&bytes));
    if found == sha256 {
        return Ok(bytes);
    }
    let found = if bytes.len() as u64 > limit {
        format!("a file of more than its {limit} bytes")
    } else {
        found
    };
    Err(FileFault::Wrong {
        path: path.to_owned(),
        expected: sha256.to_owned(),
        found,
    })
}

/// Whether there is a file. One that cannot be looked at, as in a folder that this user may not enter, is an error: it is
/// not had by fetching it again.
fn is_there(path: &Path) -> Result<bool, ModelsError> {
    use std::io::ErrorKind as Kind;
    match std::fs::metadata(path) {
        Ok(found) => Ok(found.is_file()),
        Err(error) if matches!(error.kind(), Kind::NotFound | Kind::NotADirectory) => Ok(false),
        Err(source) => Err(ModelsError::Unreadable {
            path: path.to_owned(),
            source,
        }),
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

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store with a pack `tiny` of one file, `model.onnx`, that holds "abc".
    fn tiny() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let pack = folder.path().join("packs/tiny");
        std::fs::create_dir_all(&pack).unwrap();
        // SHA-256 of "abc" is the standard's own example (FIPS 180-2, B.1).
        let manifest = r#"
            format = 2
            name = "tiny"
            version = "1"
            commercial_use = true
            [sources."model.onnx"]
            size = 3
            sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            license = "Apache-2.0"
            attribution = "this test"
            [models.model]
            import = { from = "onnx", file = "model.onnx" }
            [[detector]]
            adapter = "yunet"
            model = "model"
            input = { channels = "bgr" }
            score_threshold = 0.6
            nms_iou = 0.3
            [[embedder]]
            adapter = "aligned-crop"
            model = "model"
            input = { channels = "rgb" }
            size = 112
            dimensions = 512
            template = [[0.3, 0.5], [0.7, 0.5], [0.5, 0.7], [0.4, 0.8], [0.6, 0.8]]
            [[liveness]]
            adapter = "scaled-crop"
            model = "model"
            input = { channels = "bgr" }
            size = 80
            crop_scale = 2.7
            classes = 3
            live_class = 1
            [calibration.match]
            people = 3
            genuine_comparisons = 4
            impostor_comparisons = 5
            measured = { from = 0.1, to = 0.5 }
            provenance = { name = "test", method = "by hand", data = "none", date = "2026-11-25" }
            points = [
                { similarity = 0.2, confidence = 0.4, false_match_rate = 1e-3 },
                { similarity = 0.3, confidence = 0.6, false_match_rate = 1e-4 },
            ]
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
        assert_eq!(pack.model("model").unwrap(), b"abc");
        assert!(pack.model("other").is_err());
    }

    #[test]
    fn a_wrong_byte_is_an_error_with_file_and_both_checksums() {
        let (folder, store) = tiny();
        std::fs::write(folder.path().join("packs/tiny/model.onnx"), b"abd").unwrap();
        let error = store.load("tiny").unwrap_err().to_string();
        assert!(
            error.contains("model.onnx is not the file of this pack"),
            "{error}"
        );
        assert!(error.contains("expected SHA-256 ba7816bf"), "{error}");
        assert!(error.contains("found a52d159f"), "{error}");
        assert!(error.contains("likeness models pull"), "{error}");
    }

    #[test]
    fn a_longer_or_shorter_file_is_an_error() {
        let (folder, store) = tiny();
        for bytes in [&b"ab"[..], b"abcd", b"abc and a good deal more", b""] {
            std::fs::write(folder.path().join("packs/tiny/model.onnx"), bytes).unwrap();
            assert!(
                matches!(store.load("tiny"), Err(ModelsError::WrongFile { .. })),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn a_missing_file_is_named_and_how_to_get_it_is_said() {
        let (folder, store) = tiny();
        std::fs::remove_file(folder.path().join("packs/tiny/model.onnx")).unwrap();
        let error = store.load("tiny").unwrap_err().to_string();
        assert!(error.contains("model 'model' is missing"), "{error}");
        assert!(error.contains("LIKENESS_MODEL_MIRROR"), "{error}");
    }

    /// A link that leads to itself: what it holds cannot be looked at, not even by root.
    #[cfg(unix)]
    #[test]
    fn a_file_that_cannot_be_looked_at_is_not_missing() {
        let (folder, store) = tiny();
        for name in ["model.onnx", "pack.toml"] {
            let path = folder.path().join("packs/tiny").join(name);
            std::fs::remove_file(&path).unwrap();
            let blob = store.blob("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
            let path = if name == "model.onnx" { blob } else { path };
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(&path, &path).unwrap();
            let error = store.load("tiny").unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("cannot read {}", path.display())),
                "{error}"
            );
        }
    }

    #[test]
    fn a_manifest_is_not_taken_for_its_beginning() {
        let (folder, store) = tiny();
        let path = folder.path().join("packs/tiny/pack.toml");
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push('#');
        text.extend(std::iter::repeat_n('x', MANIFEST_LIMIT as usize - text.len()));
        std::fs::write(&path, &text).unwrap();
        assert!(store.load("tiny").is_ok());
        std::fs::write(&path, text + "\n[calibration]\n").unwrap();
        let error = store.load("tiny").unwrap_err().to_string();
        assert!(error.contains("more than 1048576 bytes are too many"), "{error}");
    }

    #[test]
    fn what_is_wrong_with_a_manifest_is_told_with_its_file() {
        let (folder, store) = tiny();
        let path = folder.path().join("packs/tiny/pack.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        for (text, expected) in [
            (
                text.replace("format = 2", "format = 3"),
                "format 3 is not supported",
            ),
            (text.replace("format = 2", "format = "), "TOML parse error"),
        ] {
            std::fs::write(&path, text).unwrap();
            for name in ["tiny".to_owned(), path.display().to_string()] {
                let error = store.load(&name).unwrap_err().to_string();
                let start = format!("model pack '{}': ", path.display());
                assert!(error.starts_with(&start) && error.contains(expected), "{error}");
            }
        }
    }

    #[test]
    fn an_unknown_pack_is_named_and_names_cannot_leave_the_store() {
        let (_folder, store) = tiny();
        for name in ["gone", "../tiny", "", ".", "a/b", "packs/tiny"] {
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
