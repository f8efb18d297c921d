//! Writing to the model store. Whatever ends the process, no file has other bytes than its name says: they are collected in
//! `partial/`, hashed as they are written, and renamed when their checksum is right. No link diverts a write.

use std::fs::{File, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Store;
use crate::PackError;

/// The exclusive right to write to a model store. The kernel holds the lock, so it ends with the process.
#[derive(Debug)]
pub(crate) struct Lock<'a> {
    store: &'a Store,
    #[allow(dead_code, reason = "closing it unlocks")]
    file: File,
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        // A folder with incomplete files in it stays.
        let _ = std::fs::remove_dir(self.store.partials());
    }
}

/// A file that is being collected.
pub(crate) struct Partial {
    sha256: String,
    path: PathBuf,
    blob: PathBuf,
    file: File,
    hasher: Sha256,
    /// Bytes so far.
    pub(crate) length: u64,
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.length == 0 {
            // Nothing to resume. After `finish` the file is gone, and removing it fails harmlessly.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Partial {
    /// Whether the bytes so far are the whole file.
    pub(crate) fn is_whole(&self) -> bool {
        self.found() == self.sha256
    }

    fn found(&self) -> String {
        format!("{:x}", self.hasher.clone().finalize())
    }

    /// Discards the bytes so far.
    pub(crate) fn restart(&mut self) -> Result<(), PackError> {
        if self.length > 0 {
            let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
            emptied.map_err(PackError::unwritable(&self.path))?;
        }
        self.hasher = Sha256::new();
        self.length = 0;
        Ok(())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        let written = self.file.write_all(bytes);
        written.map_err(PackError::unwritable(&self.path))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Gives the file its name if its bytes are the expected ones; otherwise deletes it and returns their SHA-256.
    pub(crate) fn finish(self) -> Result<Result<(), String>, PackError> {
        let found = self.found();
        if found != self.sha256 {
            std::fs::remove_file(&self.path).map_err(PackError::unwritable(&self.path))?;
            return Ok(Err(found));
        }
        make_readable(&self.file).map_err(PackError::unwritable(&self.path))?;
        std::fs::rename(&self.path, &self.blob)
            .and_then(|()| sync_parent(&self.blob))
            .map_err(PackError::unwritable(&self.blob))?;
        Ok(Ok(()))
    }
}

impl Store {
    /// Locks the model store for writing, and creates it if there is none. `wait`: whether to wait for another process.
    pub(crate) fn lock(&self, wait: impl FnOnce() -> bool) -> Result<Lock<'_>, PackError> {
        create_folder(&self.folder)?;
        let path = self.folder.join("lock");
        let file = open_own(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if wait() => {
                file.lock().map_err(PackError::unwritable(&path))?;
            }
            Err(TryLockError::WouldBlock) => return Err(PackError::StoreBusy { lock: path }),
            Err(TryLockError::Error(error)) => return Err(PackError::unwritable(&path)(error)),
        }
        create_folder(&self.blobs())?;
        create_folder(&self.partials())?;
        Ok(Lock { store: self, file })
    }

    fn partials(&self) -> PathBuf {
        self.folder.join("partial")
    }

    /// Opens a file to collect, with its bytes from an earlier attempt unless they are more than `limit`.
    pub(crate) fn resume(&self, sha256: &str, limit: u64) -> Result<Partial, PackError> {
        let path = self.partials().join(sha256);
        let file = open_own(&path)?;
        let length = file.metadata().map_err(PackError::unwritable(&path))?.len();
        let usable = if length > limit { 0 } else { length };
        let mut hasher = Sha256::new();
        let read = io::copy(&mut (&file).take(usable), &mut hasher).map_err(PackError::unwritable(&path))?;
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

    /// Opens a file to collect from its beginning.
    pub(crate) fn begin(&self, sha256: &str) -> Result<Partial, PackError> {
        let mut partial = self.resume(sha256, 0)?;
        partial.restart()?;
        Ok(partial)
    }

    /// Stores bytes if they are the expected ones; otherwise returns their SHA-256.
    pub(crate) fn put(&self, sha256: &str, bytes: &[u8]) -> Result<Result<(), String>, PackError> {
        let mut partial = self.begin(sha256)?;
        partial.write(bytes)?;
        partial.finish()
    }

    /// Deletes a blob.
    pub(crate) fn remove(&self, sha256: &str) -> Result<(), PackError> {
        let path = self.blob(sha256);
        std::fs::remove_file(&path).map_err(PackError::unwritable(&path))
    }

    /// Installs a manifest, in place of one with the same name. The last step of a pull: an installed pack is complete.
    pub(crate) fn install(&self, name: &str, manifest: &str) -> Result<(), PackError> {
        let path = self.manifest_path(name);
        create_folder(&self.folder.join("packs").join(name))?;
        write_atomically(&self.partials(), &path, |file| {
            file.write_all(manifest.as_bytes())
                .map_err(PackError::unwritable(&path))
        })
    }

    /// Whether the model store has this file with the right bytes.
    pub(crate) fn holds(&self, sha256: &str, limit: u64) -> bool {
        let path = self.blob(sha256);
        let mut hasher = Sha256::new();
        let mut hash = |file: File| io::copy(&mut file.take(limit.saturating_add(1)), &mut hasher);
        // Not a pipe, which would block.
        path.is_file()
            && File::open(&path)
                .and_then(&mut hash)
                .is_ok_and(|length| length <= limit)
            && format!("{:x}", hasher.finalize()) == sha256
    }
}

/// Opens a file for reading and writing, and creates it if there is none. Anything else in its place is removed: through
/// a link, another user with write access to the folder could divert the writes.
fn open_own(path: &Path) -> Result<File, PackError> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    // A link that is placed there meanwhile is not followed.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NOFOLLOW.bits() as i32);
    #[cfg(windows)]
    std::os::windows::fs::OpenOptionsExt::custom_flags(&mut options, FILE_FLAG_OPEN_REPARSE_POINT);
    let is_other = std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file());
    let removed = if is_other {
        std::fs::remove_file(path)
    } else {
        Ok(())
    };
    removed
        .and_then(|()| options.open(path))
        .map_err(PackError::unwritable(path))
}

#[cfg(windows)]
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;

/// Creates a folder and its parents, readable by all users.
pub(crate) fn create_folder(path: &Path) -> Result<(), PackError> {
    let missing: Vec<_> = path
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
        .collect();
    for folder in missing.into_iter().rev() {
        let permit = |permissions| std::fs::set_permissions(folder, permissions);
        match std::fs::create_dir(folder).and_then(|()| permit_all(permit, 0o755)) {
            Err(error) if !folder.is_dir() => return Err(PackError::unwritable(path)(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Writes a file that appears under its name when it is complete. It is collected in `folder`, on the same file system.
pub(crate) fn write_atomically(
    folder: &Path,
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<(), PackError>,
) -> Result<(), PackError> {
    let mut file = tempfile::Builder::new()
        .prefix(".likeness-")
        .tempfile_in(folder)
        .map_err(PackError::unwritable(folder))?;
    write(file.as_file_mut())?;
    make_readable(file.as_file())
        .and_then(|()| Ok(file.persist(path)?))
        .and_then(|_| sync_parent(path))
        .map_err(PackError::unwritable(path))
}

/// Without this a power failure may lose a file's new name, though the bytes are on the disk.
fn sync_parent(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if cfg!(unix) {
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// Makes a complete file readable by all users, as the service often runs as another user than the pull, and durable.
fn make_readable(file: &File) -> io::Result<()> {
    permit_all(|permissions| file.set_permissions(permissions), 0o644)?;
    file.sync_all()
}

#[cfg_attr(not(unix), allow(unused_variables))]
fn permit_all(permit: impl FnOnce(Permissions) -> io::Result<()>, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    permit(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    Ok(())
}
