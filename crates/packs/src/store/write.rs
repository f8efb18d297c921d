//! Writing to the store so that whatever ends the process, at any moment, leaves no file that is not what its name says:
//! bytes are gathered in `partial/`, hashed as they are written, and take their place by a rename.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::files::{create_folder, make_readable, move_into_place, open_own, write_whole};
use super::{MANIFEST_FILE, Store, hex};

/// Read and hashed at a time.
const CHUNK: usize = 1 << 16;

/// Why the store cannot be written to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk, or what this user may use of it, is full.
    #[error(
        "no room for {}: {source}; make room and pull again, which goes on with what has already arrived",
        path.display()
    )]
    Full {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The store may not be written to.
    #[error(
        "cannot write {}: {source}; pull as a user who may write there, or to another store with --models DIR or \
         LIKENESS_MODELS=DIR",
        path.display()
    )]
    ReadOnly {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Anything else that the system says.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Somebody else is writing to the store.
    #[error("another process is pulling into this store (it holds {}); wait for it, or pull again later", lock.display())]
    Busy {
        /// The file that is locked.
        lock: PathBuf,
    },
}

impl StoreError {
    /// For `map_err`: what happened to this path.
    pub(crate) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        let path = path.to_owned();
        move |source| match source.kind() {
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => Self::Full { path, source },
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => Self::ReadOnly { path, source },
            _ => Self::Io { path, source },
        }
    }
}

/// How the bytes that were gathered differ from what was expected.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WrongDigest {
    pub(crate) found: String,
}

/// A file that is being gathered.
pub(crate) struct Partial {
    sha256: String,
    path: PathBuf,
    blob: PathBuf,
    file: File,
    hasher: Sha256,
    length: u64,
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.length == 0 {
            // Nothing to go on from. After `finish` there is no such file, which is as well.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Partial {
    /// How many bytes there are.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Whether the bytes so far are the whole file.
    pub(crate) fn is_whole(&self) -> bool {
        self.found() == self.sha256
    }

    fn found(&self) -> String {
        hex(&self.hasher.clone().finalize())
    }

    /// Forgets what there is.
    pub(crate) fn restart(&mut self) -> Result<(), StoreError> {
        use std::io::Seek;
        if self.length > 0 {
            (self.file.set_len(0).and_then(|()| self.file.rewind())).map_err(StoreError::at(&self.path))?;
        }
        self.hasher = Sha256::new();
        self.length = 0;
        Ok(())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(StoreError::at(&self.path))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Gives the file its place, where its bytes are what was expected; deletes it where they are not.
    pub(crate) fn finish(self) -> Result<Result<(), WrongDigest>, StoreError> {
        let found = self.found();
        if found != self.sha256 {
            std::fs::remove_file(&self.path).map_err(StoreError::at(&self.path))?;
            return Ok(Err(WrongDigest { found }));
        }
        make_readable(&self.file)
            .and_then(|()| self.file.sync_all())
            .map_err(StoreError::at(&self.path))?;
        move_into_place(&self.path, &self.blob).map_err(StoreError::at(&self.blob))?;
        Ok(Ok(()))
    }
}

impl Store {
    /// Makes the folders that are written to.
    pub(crate) fn create(&self) -> Result<(), StoreError> {
        for folder in [self.blobs(), self.partials()] {
            create_folder(&folder).map_err(StoreError::at(&folder))?;
        }
        Ok(())
    }

    fn partials(&self) -> PathBuf {
        self.folder.join("partial")
    }

    /// A file to gather, with what is there of it from before, unless that is more than `limit` bytes.
    pub(crate) fn resume(&self, sha256: &str, limit: u64) -> Result<Partial, StoreError> {
        let path = self.partials().join(sha256);
        let failed = |source| StoreError::at(&path)(source);
        let file = open_own(&path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let usable = if length > limit { 0 } else { length };
        let mut hasher = Sha256::new();
        let read = hash((&file).take(usable), &mut hasher).map_err(failed)?;
        let mut partial = Partial {
            sha256: sha256.to_owned(),
            blob: self.blob(sha256),
            path,
            file,
            hasher,
            length,
        };
        if read != length {
            partial.restart()?;
        }
        Ok(partial)
    }

    /// A file to gather from its beginning.
    pub(crate) fn begin(&self, sha256: &str) -> Result<Partial, StoreError> {
        let mut partial = self.resume(sha256, 0)?;
        partial.restart()?;
        Ok(partial)
    }

    /// Stores bytes, where they are what was expected.
    pub(crate) fn put(&self, sha256: &str, bytes: &[u8]) -> Result<Result<(), WrongDigest>, StoreError> {
        let mut partial = self.begin(sha256)?;
        partial.write(bytes)?;
        partial.finish()
    }

    /// Deletes a blob.
    pub(crate) fn remove(&self, sha256: &str) -> Result<(), StoreError> {
        let path = self.blob(sha256);
        std::fs::remove_file(&path).map_err(StoreError::at(&path))
    }

    /// Installs a manifest, in place of one of the same name. To be called last: a pack that can be named is whole.
    pub(crate) fn install(&self, name: &str, manifest: &str) -> Result<(), StoreError> {
        let gathered = self.partials().join(format!("{name}.{MANIFEST_FILE}"));
        let path = self.manifest_path(name);
        let folder = path.parent().unwrap_or(&self.folder);
        create_folder(folder).map_err(StoreError::at(folder))?;
        write_whole(&gathered, &path, |file| file.write_all(manifest.as_bytes()))
            .map_err(|(path, source)| StoreError::at(&path)(source))
    }

    /// Removes the folder of unfinished files where there is none.
    pub(super) fn tidy(&self) {
        // It is left where something is in it, and it hurts nobody.
        let _ = std::fs::remove_dir(self.partials());
    }

    /// Whether the store has this file, with the right bytes.
    pub(crate) fn holds(&self, sha256: &str, limit: u64) -> bool {
        let path = self.blob(sha256);
        // Not a pipe, which nobody may ever write to.
        if !path.is_file() {
            return false;
        }
        let mut hasher = Sha256::new();
        let read = File::open(&path).and_then(|file| hash(file.take(limit.saturating_add(1)), &mut hasher));
        read.is_ok_and(|length| length <= limit) && hex(&hasher.finalize()) == sha256
    }
}

/// Hashes what can be read, and says how much that was.
fn hash(mut from: impl Read, hasher: &mut Sha256) -> std::io::Result<u64> {
    let mut chunk = vec![0; CHUNK];
    let mut length = 0;
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return Ok(length),
            Ok(read) => {
                hasher.update(&chunk[..read]);
                length += read as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
