//! Files that only their owner may read, and files that must stay in place while they are open.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Identity of a file: device and inode on Unix, a `same-file` handle elsewhere. It stays unique while the file is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileId(Identity);

#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = std::sync::Arc<same_file::Handle>;

impl FileId {
    /// Returns the identity of the file at `path`, `None` if there is none. On Unix the file is not opened: closing it
    /// would release SQLite's locks on it in this process (<https://www.sqlite.org/howtocorrupt.html>, 2.2).
    pub fn of_path(path: &Path) -> io::Result<Option<Self>> {
        #[cfg(unix)]
        let found = fs::metadata(path).map(|metadata| identity(&metadata));
        #[cfg(not(unix))]
        let found = same_file::Handle::from_path(path).map(std::sync::Arc::new);
        match found {
            Ok(identity) => Ok(Some(Self(identity))),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// Returns the identity of an open file.
    pub fn of_file(file: &File) -> io::Result<Self> {
        #[cfg(unix)]
        let identity = identity(&file.metadata()?);
        #[cfg(not(unix))]
        let identity = std::sync::Arc::new(same_file::Handle::from_file(file.try_clone()?)?);
        Ok(Self(identity))
    }
}

#[cfg(unix)]
fn identity(metadata: &fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

fn is_unlinked(file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    #[cfg(unix)]
    let links = std::os::unix::fs::MetadataExt::nlink(&metadata);
    #[cfg(not(unix))]
    let links = u64::from(metadata.is_file());
    Ok(links == 0)
}

/// Checks that `path` still leads to this open file, and that the file still has at least `length` bytes. The error's message
/// says which file was removed, moved, replaced or truncated.
pub fn check_in_place(file: &File, path: &Path, length: u64) -> io::Result<()> {
    let what = match FileId::of_path(path)? {
        None => "removed or moved",
        Some(found) if found != FileId::of_file(file)? || is_unlinked(file)? => "replaced",
        Some(_) if file.metadata()?.len() < length => "truncated",
        Some(_) => return Ok(()),
    };
    let path = path.display();
    Err(io::Error::other(format!("{path} was {what} while in use")))
}

/// Creates a folder that only its owner may read, and those above it, unless they exist.
pub fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Returns the options to create a file that only its owner may read and write.
#[must_use]
pub fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Opens a lock file, and creates it if it does not exist.
pub fn open_lock(path: &Path) -> io::Result<File> {
    private().create(true).truncate(false).write(true).open(path)
}

/// Replaces a whole file atomically; after an error the old content stays. `synced`: the new content survives a power loss
/// too. It is first written to a file with the extension `new`: random names would pile up when the process is killed again
/// and again.
pub fn replace(path: &Path, bytes: &[u8], synced: bool) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = private().create(true).truncate(true).write(true).open(&new)?;
    file.write_all(bytes)?;
    if synced {
        file.sync_all()?;
    }
    fs::rename(new, path)
}

/// Removes a file unless it does not exist.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the names in the folder of `path` survive a power loss. Does nothing on systems that cannot.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) && !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Appends `suffix` to the name of a file.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
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
