//! Disks with faults, and captured logs.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard};

use tracing_subscriber::fmt::MakeWriter;

use crate::audit::writer::{Disk, RealDisk};

/// The faults of a disk.
#[derive(Debug, Default)]
pub(in crate::audit) struct Faults {
    /// Appending fails after so many bytes.
    pub(in crate::audit) append: Option<usize>,
    pub(in crate::audit) sync: bool,
    pub(in crate::audit) truncate: bool,
}

/// The file system, with faults. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(in crate::audit) struct FaultyDisk(Arc<Mutex<Faults>>);

impl FaultyDisk {
    pub(in crate::audit) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.0.lock().unwrap()
    }

    pub(in crate::audit) fn repair(&self) {
        *self.faults() = Faults::default();
    }
}

fn check(fails: bool) -> io::Result<()> {
    if fails {
        return Err(io::Error::other("it does not respond"));
    }
    Ok(())
}

impl Disk for FaultyDisk {
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        let room = self.faults().append;
        match room {
            None => RealDisk.append(file, bytes),
            Some(room) => {
                RealDisk.append(file, &bytes[..room.min(bytes.len())])?;
                Err(io::Error::other("it is full"))
            }
        }
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        check(self.faults().sync)?;
        RealDisk.sync(file)
    }

    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        check(self.faults().truncate)?;
        RealDisk.truncate(file, length)
    }
}

/// The log of this thread.
#[derive(Debug, Clone, Default)]
pub(in crate::audit) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Captures the log until the guard is dropped.
    pub(in crate::audit) fn capture(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    /// Returns the lines that contain this.
    pub(in crate::audit) fn lines_with(&self, said: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .filter(|line| line.contains(said))
            .map(ToOwned::to_owned)
            .collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
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
