//! Disks that fail as tests like, and what was logged of it.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tracing_subscriber::fmt::MakeWriter;

use super::line_file::{self, LineFile, Open};

/// What fails.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Writing, after so many bytes.
    pub(super) append: Option<usize>,
    pub(super) sync: bool,
    pub(super) cut: bool,
}

/// Real files, with faults. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<Mutex<Faults>>);

struct FaultyFile {
    file: Box<dyn LineFile>,
    disk: Disk,
}

impl Disk {
    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.0.lock()
    }

    pub(super) fn repair(&self) {
        *self.faults() = Faults::default();
    }

    pub(super) fn open(&self) -> Open {
        let disk = self.clone();
        Box::new(move |path: &Path| {
            let (file, length) = line_file::open(path)?;
            let disk = disk.clone();
            Ok((Box::new(FaultyFile { file, disk }), length))
        })
    }
}

impl LineFile for FaultyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let room = self.disk.faults().append;
        match room {
            None => self.file.append(bytes),
            Some(room) => {
                self.file.append(&bytes[..room.min(bytes.len())])?;
                Err(io::Error::other("it is full"))
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.disk.faults().sync {
            return Err(io::Error::other("it does not answer"));
        }
        self.file.sync()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        if self.disk.faults().cut {
            return Err(io::Error::other("it does not answer"));
        }
        self.file.cut(length)
    }

    fn check(&self, path: &Path, length: u64) -> io::Result<()> {
        self.file.check(path, length)
    }

    fn reader(&self) -> io::Result<std::fs::File> {
        self.file.reader()
    }
}

/// What was logged on this thread.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Logs go here until what is returned is dropped.
    pub(super) fn capture(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    /// The lines that say this.
    pub(super) fn lines_with(&self, said: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().clone()).unwrap();
        text.lines()
            .filter(|line| line.contains(said))
            .map(ToOwned::to_owned)
            .collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
