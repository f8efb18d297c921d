//! The file that lines are appended to. A trait, so that tests have disks that fail as they like.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::private;

pub(super) trait LineFile: Send {
    /// Adds these bytes at the end. Where that fails, some of them may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns when all is on the disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Removes what is beyond this length.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

/// Opens a file, and says how long it is.
pub(super) type Open = Box<dyn Fn(&Path) -> io::Result<(Box<dyn LineFile>, u64)> + Send>;

/// Opens one of the file system, which its owner only may read; makes it where it is not there.
pub(super) fn open(path: &Path) -> io::Result<(Box<dyn LineFile>, u64)> {
    let file = private::options().create(true).append(true).open(path)?;
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
}
