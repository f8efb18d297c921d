//! The file that lines are appended to. A trait, so that tests have disks that fail as they like.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use likeness_storage::files::{FileId, check_in_place};

use crate::private;

pub(super) trait LineFile: Send {
    /// Adds these bytes at the end. Where that fails, some of them may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns when all is on the disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Removes what is beyond this length.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// Fails where `path` does not lead to this file any more, or the file has fewer bytes than `length`.
    fn check(&self, path: &Path, length: u64) -> io::Result<()>;
    /// Another handle of this file, at its beginning. It reads a file that was removed, too.
    fn reader(&self) -> io::Result<File>;
}

/// Opens a file, and says how long it is.
pub(super) type Open = Box<dyn Fn(&Path) -> io::Result<(Box<dyn LineFile>, u64)> + Send>;

/// Opens one of the file system, which its owner only may read; makes it where it is not there.
pub(super) fn open(path: &Path) -> io::Result<(Box<dyn LineFile>, u64)> {
    let file = private::options()
        .create(true)
        .append(true)
        .read(true)
        .open(path)?;
    let length = file.metadata()?.len();
    if length == 0 {
        sync_folder_of(path)?;
    }
    Ok((Box::new(file), length))
}

/// Has the name of a new file survive a power loss, as its lines do.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

impl LineFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn check(&self, path: &Path, length: u64) -> io::Result<()> {
        check_in_place(self, path, length)
    }

    fn reader(&self) -> io::Result<File> {
        let mut reader = self.try_clone()?;
        reader.rewind()?;
        Ok(reader)
    }
}

/// Has `path` lead to a file with the first `length` bytes of an open one, whatever leads there now. Another file there
/// that is not empty is kept as `*.replaced`: it may show who has replaced the right one.
pub(super) fn put_back(from: &File, path: &Path, length: u64) -> io::Result<()> {
    let found = FileId::of_path(path)?;
    if found.is_some() && found == Some(FileId::of_file(from)?) {
        return from.set_len(length);
    }
    let new = path.with_extension("new");
    let mut file = private::options()
        .create(true)
        .truncate(true)
        .write(true)
        .open(&new)?;
    io::copy(&mut from.take(length), &mut file)?;
    file.sync_all()?;
    if found.is_some() && fs::metadata(path)?.len() > 0 {
        fs::rename(path, path.with_extension("replaced"))?;
    }
    fs::rename(new, path)?;
    sync_folder_of(path)
}
