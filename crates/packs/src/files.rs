//! Files and folders: reading within limits, and writing such that no link diverts a write, no incomplete file appears
//! under its final name, and other users can read the result.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::PackError;
use crate::digest::sha256;

/// Reads at most `limit` bytes of a file.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>, PackError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(PackError::unreadable(path))?;
    Ok(bytes)
}

/// Reads a text of at most `limit` bytes; the inner error is the fault of its contents.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<Result<String, String>, PackError> {
    // One byte more than allowed, so that a longer file is not taken for its beginning.
    let bytes = read(path, limit + 1)?;
    if bytes.len() as u64 > limit {
        return Ok(Err(format!("more than {limit} bytes are too many")));
    }
    Ok(String::from_utf8(bytes).map_err(|error| error.to_string()))
}

/// Reads a file of a pack, whose SHA-256 must be `expected`.
pub(crate) fn read_verified(
    pack: &str,
    path: &Path,
    expected: &str,
    limit: u64,
) -> Result<Vec<u8>, PackError> {
    // One byte more than allowed, so that a longer file is not taken for its beginning.
    let bytes = read(path, limit.saturating_add(1))?;
    let found = sha256(&bytes);
    if found == expected {
        return Ok(bytes);
    }
    Err(PackError::WrongFile {
        pack: pack.to_owned(),
        path: path.to_owned(),
        expected: expected.to_owned(),
        found: if bytes.len() as u64 > limit {
            format!("a file of more than its {limit} bytes")
        } else {
            found
        },
    })
}

/// Whether a file exists. One that cannot be examined, as in a folder that this user may not enter, is an error: fetching
/// it again would not help.
pub(crate) fn exists(path: &Path) -> Result<bool, PackError> {
    use io::ErrorKind as Kind;
    match std::fs::metadata(path) {
        Ok(found) => Ok(found.is_file()),
        Err(error) if matches!(error.kind(), Kind::NotFound | Kind::NotADirectory) => Ok(false),
        Err(error) => Err(PackError::unreadable(path)(error)),
    }
}

#[cfg(feature = "fetch")]
pub(crate) use writing::{create_folder, make_readable, move_into_place, open_own, write_atomically};

#[cfg(feature = "fetch")]
mod writing {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    use crate::PackError;

    /// Opens a file for reading and writing, and creates it if there is none. Anything else in its place is removed:
    /// through a link, another user with write access to the folder could divert the writes.
    pub(crate) fn open_own(path: &Path) -> Result<File, PackError> {
        let open = || match std::fs::symlink_metadata(path) {
            Ok(found) if found.is_file() => {
                let file = File::options().read(true).write(true).open(path)?;
                if is_at(&file, path)? {
                    return Ok(file);
                }
                std::fs::remove_file(path)?;
                create_new(path)
            }
            Ok(_) => {
                std::fs::remove_file(path)?;
                create_new(path)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => create_new(path),
            Err(error) => Err(error),
        };
        open().map_err(PackError::unwritable(path))
    }

    fn create_new(path: &Path) -> io::Result<File> {
        File::options().read(true).write(true).create_new(true).open(path)
    }

    /// Whether an open file is the one at the path, and not the target of a link that was placed there meanwhile.
    #[cfg(unix)]
    fn is_at(file: &File, path: &Path) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt;
        let (open, found) = (file.metadata()?, std::fs::symlink_metadata(path)?);
        Ok((open.dev(), open.ino()) == (found.dev(), found.ino()))
    }

    #[cfg(not(unix))]
    fn is_at(_file: &File, path: &Path) -> io::Result<bool> {
        Ok(std::fs::symlink_metadata(path)?.is_file())
    }

    /// Creates a folder and its parents, readable by all users.
    pub(crate) fn create_folder(path: &Path) -> Result<(), PackError> {
        let missing: Vec<_> = path
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
            .collect();
        for folder in missing.into_iter().rev() {
            let created = std::fs::create_dir(folder).and_then(|()| set_mode(folder, 0o755));
            if let Err(error) = created.or_else(|error| if folder.is_dir() { Ok(()) } else { Err(error) }) {
                return Err(PackError::unwritable(path)(error));
            }
        }
        Ok(())
    }

    /// Writes a file that appears under its name when it is complete. It is collected in `folder`, on the same file
    /// system.
    pub(crate) fn write_atomically(
        folder: &Path,
        path: &Path,
        write: impl FnOnce(&mut File) -> Result<(), PackError>,
    ) -> Result<(), PackError> {
        let failed = |error| PackError::unwritable(path)(error);
        let mut file = tempfile::Builder::new()
            .prefix(".likeness-")
            .tempfile_in(folder)
            .map_err(PackError::unwritable(folder))?;
        write(file.as_file_mut())?;
        make_readable(file.as_file())
            .and_then(|()| file.as_file().sync_all())
            .map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        sync_parent(path).map_err(failed)
    }

    /// Renames a file durably.
    pub(crate) fn move_into_place(from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)?;
        sync_parent(to)
    }

    /// Without this a power failure may lose the name, though the bytes are on the disk.
    fn sync_parent(path: &Path) -> io::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if cfg!(unix) {
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(())
    }

    /// Makes a file readable by all users: the service often runs as another user than the pull.
    #[cfg(unix)]
    pub(crate) fn make_readable(file: &File) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(std::fs::Permissions::from_mode(0o644))
    }

    #[cfg(unix)]
    fn set_mode(folder: &Path, mode: u32) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode))
    }

    #[cfg(not(unix))]
    pub(crate) fn make_readable(_file: &File) -> io::Result<()> {
        Ok(())
    }

    #[cfg(not(unix))]
    fn set_mode(_folder: &Path, _mode: u32) -> io::Result<()> {
        Ok(())
    }
}
