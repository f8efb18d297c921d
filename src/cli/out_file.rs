//! Files that commands write at their end.

use std::convert::Infallible;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::{Failure, say};

/// A file to write, at the end of work that may take hours.
#[derive(Debug, Clone)]
pub(crate) struct OutFile(PathBuf);

/// Takes an argument for the path of a file to write.
pub(crate) fn out_file(path: &str) -> Result<OutFile, Infallible> {
    Ok(OutFile(path.into()))
}

impl OutFile {
    /// Checks the path, before the work.
    pub(crate) fn check_folder(&self) -> Result<(), Failure> {
        let reason = match self.folder() {
            _ if self.0.is_dir() => "it is a folder".to_owned(),
            folder if folder.is_dir() => return Ok(()),
            folder => format!("no such folder: {}", folder.display()),
        };
        Err(format!("cannot write {}: {reason}", self.0.display()).into())
    }

    fn folder(&self) -> &Path {
        match self.0.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// Replaces the file in one step, so that a reader sees the old or the new one.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let new = new_file().make_in(self.folder(), |path| File::create_new(path));
        self.replace(bytes, new)
    }

    /// Replaces the file in one step by one that only its owner can read.
    pub(crate) fn write_private(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.replace(bytes, new_file().tempfile_in(self.folder()))
    }

    fn replace(&self, bytes: &[u8], new: std::io::Result<NamedTempFile>) -> Result<(), Failure> {
        new.and_then(|mut file| {
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            Ok(file.persist(&self.0)?)
        })
        .map_err(|error| format!("cannot write {}: {error}", self.0.display()))?;
        say(format_args!("wrote {}", self.0.display()))
    }
}

fn new_file() -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder.prefix(".likeness-");
    builder
}
