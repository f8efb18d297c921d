//! Files and folders that nobody but their owner may read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Makes the folder, and those above it, where they are not there.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// How such a file is opened. Whether to write, and whether to make it, is still to be said.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// A file that is there to be locked; made where it is not.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    options().create(true).truncate(false).write(true).open(path)
}

/// Puts a whole file in place of the one before. `synced`: so that it survives a power loss too.
pub(crate) fn replace(path: &Path, bytes: &[u8], synced: bool) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = options().create(true).truncate(true).write(true).open(&new)?;
    file.write_all(bytes)?;
    if synced {
        file.sync_all()?;
    }
    fs::rename(new, path)
}
