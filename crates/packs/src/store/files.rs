//! Files and folders, made so that nothing is written elsewhere than where it should be, and that others can read them.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Opens a file to read and write it, and makes it where there is none. What lies in its place and is no plain file is
/// removed: by a link, whoever may write to the folder could have the process write anywhere.
pub(super) fn open_own(path: &Path) -> io::Result<File> {
    match std::fs::symlink_metadata(path) {
        Ok(there) if there.is_file() => {
            let file = File::options().read(true).write(true).open(path)?;
            if lies_at(&file, path)? {
                return Ok(file);
            }
            std::fs::remove_file(path)?;
        }
        Ok(_) => std::fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    File::options().read(true).write(true).create_new(true).open(path)
}

/// Whether an open file is the one at the path itself, and not one that a link leads to which was put there meanwhile.
#[cfg(unix)]
fn lies_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (open, there) = (file.metadata()?, std::fs::symlink_metadata(path)?);
    Ok((open.dev(), open.ino()) == (there.dev(), there.ino()))
}

#[cfg(not(unix))]
fn lies_at(_file: &File, path: &Path) -> io::Result<bool> {
    Ok(std::fs::symlink_metadata(path)?.is_file())
}

/// Makes a folder, and those that it lies in, where there are none.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    let create = || match std::fs::create_dir(path) {
        Ok(()) => open_to_others(path),
        Err(_) if path.is_dir() => Ok(()),
        Err(error) => Err(error),
    };
    match create() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            create_folder(parent.ok_or(error)?)?;
            create()
        }
        ended => ended,
    }
}

/// Writes a file under another name and then gives it its own. An error comes with the path that it is about.
pub(crate) fn write_whole(
    gathered: &Path,
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), (PathBuf, io::Error)> {
    let written = remove_any(gathered)
        .and_then(|()| File::options().write(true).create_new(true).open(gathered))
        .and_then(|mut file| {
            write(&mut file)?;
            make_readable(&file)?;
            file.sync_all()
        })
        .map_err(|source| (gathered.to_owned(), source))
        .and_then(|()| move_into_place(gathered, path).map_err(|source| (path.to_owned(), source)));
    if written.is_err() {
        // What is left of it is of no use; the first error is the one to tell.
        let _ = std::fs::remove_file(gathered);
    }
    written
}

fn remove_any(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Gives a file its name, for good.
pub(super) fn move_into_place(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    sync_folder(folder.unwrap_or(Path::new(".")))
}

/// Without this a name may be lost with the power, though the bytes are on the disk.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// The service often runs as another user than the pull.
#[cfg(unix)]
pub(super) fn make_readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
pub(super) fn make_readable(_file: &File) -> io::Result<()> {
    Ok(())
}

/// As [`make_readable`].
#[cfg(unix)]
fn open_to_others(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn open_to_others(_folder: &Path) -> io::Result<()> {
    Ok(())
}
