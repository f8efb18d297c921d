//! Whether an open file is still the one that its path leads to.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Identity of a file: device and inode on Unix, what `same-file` compares elsewhere. It stays unique for as long as the
/// file is open somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileId(Identity);

#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = std::sync::Arc<same_file::Handle>;

impl FileId {
    /// Returns the identity of the file at `path`, `None` where there is none. On Unix the file is not opened: closing it
    /// again would take SQLite's locks away from the rest of the process
    /// (<https://www.sqlite.org/howtocorrupt.html>, 2.2).
    ///
    /// # Errors
    /// The path cannot be looked up.
    pub fn of_path(path: &Path) -> io::Result<Option<Self>> {
        match identity_at(path) {
            Ok(identity) => Ok(Some(Self(identity))),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the identity of an open file.
    ///
    /// # Errors
    /// Those of the file.
    pub fn of_file(file: &File) -> io::Result<Self> {
        identity_of(file).map(Self)
    }
}

/// Checks that `path` still leads to this open file, and that the file still has at least `length` bytes.
///
/// # Errors
/// The message says which file was removed, moved, replaced or truncated.
pub fn check_in_place(file: &File, path: &Path, length: u64) -> io::Result<()> {
    let taken = |what: &str| {
        Err(io::Error::other(format!(
            "{} was {what} while in use",
            path.display()
        )))
    };
    match FileId::of_path(path)? {
        None => return taken("removed or moved"),
        Some(found) if found != FileId::of_file(file)? || is_unlinked(file)? => return taken("replaced"),
        Some(_) => {}
    }
    if file.metadata()?.len() < length {
        return taken("truncated");
    }
    Ok(())
}

#[cfg(unix)]
fn identity(metadata: &fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(unix)]
fn identity_at(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(|metadata| identity(&metadata))
}

#[cfg(unix)]
fn identity_of(file: &File) -> io::Result<Identity> {
    file.metadata().map(|metadata| identity(&metadata))
}

#[cfg(unix)]
fn is_unlinked(file: &File) -> io::Result<bool> {
    Ok(std::os::unix::fs::MetadataExt::nlink(&file.metadata()?) == 0)
}

#[cfg(not(unix))]
fn identity_at(path: &Path) -> io::Result<Identity> {
    same_file::Handle::from_path(path).map(std::sync::Arc::new)
}

#[cfg(not(unix))]
fn identity_of(file: &File) -> io::Result<Identity> {
    same_file::Handle::from_file(file.try_clone()?).map(std::sync::Arc::new)
}

#[cfg(not(unix))]
fn is_unlinked(_: &File) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An open file with ten bytes, and its path in a folder of its own.
    fn open_file() -> (tempfile::TempDir, std::path::PathBuf, File) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inner/file");
        fs::create_dir(folder.path().join("inner")).unwrap();
        fs::write(&path, "0123456789").unwrap();
        let file = fs::OpenOptions::new()
            .append(true)
            .read(true)
            .open(&path)
            .unwrap();
        (folder, path, file)
    }

    #[test]
    fn a_file_at_its_path_with_all_its_bytes_is_in_place() {
        let (_folder, path, file) = open_file();
        check_in_place(&file, &path, 10).unwrap();
        fs::hard_link(&path, path.with_extension("second")).unwrap();
        check_in_place(&file, &path, 10).unwrap();
    }

    #[test]
    fn a_file_that_was_taken_away_is_named_with_what_happened() {
        type Act = fn(&Path);
        let cases: [(&str, Act); 7] = [
            ("removed or moved", |path| fs::remove_file(path).unwrap()),
            ("removed or moved", |path| {
                fs::rename(path, path.with_extension("1")).unwrap();
            }),
            ("removed or moved", |path| {
                fs::remove_dir_all(path.parent().unwrap()).unwrap();
            }),
            ("removed or moved", |path| {
                let folder = path.parent().unwrap();
                fs::rename(folder, folder.with_extension("old")).unwrap();
            }),
            ("replaced", |path| {
                fs::rename(path, path.with_extension("1")).unwrap();
                fs::write(path, "0123456789").unwrap();
            }),
            ("replaced", |path| {
                let copy = path.with_extension("copy");
                fs::copy(path, &copy).unwrap();
                fs::rename(copy, path).unwrap();
            }),
            // Opened for writing and emptied, as `copytruncate` of logrotate does.
            ("truncated", |path| fs::write(path, "").unwrap()),
        ];
        for (said, act) in cases {
            let (_folder, path, file) = open_file();
            act(&path);
            let error = check_in_place(&file, &path, 10).unwrap_err().to_string();
            assert!(error.contains(&format!("file was {said}")), "{error}");
        }
    }

    #[test]
    fn a_moved_file_that_is_put_back_is_in_place_again() {
        let (_folder, path, file) = open_file();
        let aside = path.with_extension("1");
        fs::rename(&path, &aside).unwrap();
        fs::rename(&aside, &path).unwrap();
        check_in_place(&file, &path, 10).unwrap();
    }
}
