//! The audit's files: who may write them, in which order they are, and where they end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use likeness_storage::check_in_place;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::chain::Head;
use super::line_file::sync_folder_of;
use crate::private;

const LOCK: &str = "lock";
const ANCHOR: &str = "anchor.json";
const EXTENSION: &str = "jsonl";
/// Longest line, in bytes: events are far shorter.
pub(super) const MAX_LINE: usize = 64 << 10;

/// The folder of one instance, which nobody else writes to.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    instance: String,
    /// Held for as long as this lives.
    lock: Mutex<File>,
    /// What [`ANCHOR`] says.
    anchor: Mutex<Option<Anchor>>,
}

/// Where a chain begins whose earlier files were removed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Anchor {
    /// The last line that was removed.
    #[serde(flatten)]
    pub(super) before: Head,
    /// See [`ChainKey::seal`](super::chain::ChainKey::seal).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seal: Option<String>,
}

impl Folder {
    /// Those in `audit` that no living process has, one after the other.
    pub(super) fn free(audit: &Path) -> io::Result<impl Iterator<Item = io::Result<Self>>> {
        private::make_folder(audit)?;
        let locked = instances(audit)?
            .into_iter()
            .map(|instance| Self::lock(audit, instance).transpose());
        Ok(locked.flatten())
    }

    /// A new one.
    pub(super) fn create(audit: &Path) -> io::Result<Self> {
        let instance = Uuid::new_v4().to_string();
        private::make_folder(&audit.join(&instance))?;
        Self::lock(audit, instance)?.ok_or_else(|| io::Error::other("a new folder is locked"))
    }

    fn lock(audit: &Path, instance: String) -> io::Result<Option<Self>> {
        let path = audit.join(&instance);
        let Some(lock) = try_lock(&path)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            anchor: Mutex::new(anchor(&path)?),
            path,
            instance,
            lock: Mutex::new(lock),
        }))
    }

    /// Fails where the folder was taken away, or its lock was, so that another process could take it up.
    pub(super) fn check(&self) -> io::Result<()> {
        check_in_place(&self.lock.lock(), &self.path.join(LOCK), 0)
    }

    /// Makes the folder, its lock and its anchor again where they were taken away.
    pub(super) fn put_back(&self) -> io::Result<()> {
        if self.check().is_ok() {
            return Ok(());
        }
        private::make_folder(&self.path)?;
        let lock = try_lock(&self.path)?
            .ok_or_else(|| io::Error::other("another process has taken up the audit's folder"))?;
        *self.lock.lock() = lock;
        match &*self.anchor.lock() {
            Some(kept) if anchor(&self.path)?.is_none() => write_anchor(&self.path, kept),
            _ => Ok(()),
        }
    }

    /// Says that the chain begins after this line.
    pub(super) fn set_anchor(&self, anchor: Anchor) -> io::Result<()> {
        write_anchor(&self.path, &anchor)?;
        *self.anchor.lock() = Some(anchor);
        Ok(())
    }

    /// The number of the last line that retention has removed; 0 where it has removed none.
    pub(super) fn anchored(&self) -> u64 {
        self.anchor.lock().as_ref().map_or(0, |anchor| anchor.before.seq)
    }

    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Cuts a last line that is not whole, as a crash leaves one; and says where the chain ends.
    pub(super) fn recover(&self) -> io::Result<Head> {
        for file in files(&self.path)?.iter().rev() {
            let mut file = OpenOptions::new().read(true).write(true).open(file)?;
            let end = last_line_end(&mut file)?;
            if end < file.metadata()?.len() {
                tracing::warn!(
                    instance = self.instance,
                    "the last line of the audit was not whole and is cut: the process before was killed"
                );
                file.set_len(end)?;
                file.sync_all()?;
            }
            if end == 0 {
                continue;
            }
            let text = last_line(&mut file, end)?;
            return Ok(Head::of(&text)?);
        }
        Ok(anchor(&self.path)?
            .map(|anchor| anchor.before)
            .unwrap_or_default())
    }

    /// The file that begins with this line; its name keeps the order.
    pub(super) fn file(&self, first: u64, day: &str) -> PathBuf {
        self.path.join(name(first, day))
    }
}

/// The name of the file that begins with this line.
pub(super) fn name(first: u64, day: &str) -> String {
    format!("{first:016}-{day}.{EXTENSION}")
}

/// The lock of this folder, `None` where another process holds it.
fn try_lock(folder: &Path) -> io::Result<Option<File>> {
    let lock = private::open_lock(&folder.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// The instances that have written here, sorted.
pub(super) fn instances(audit: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    let entries = match fs::read_dir(audit) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string()
            && Uuid::try_parse(&name).is_ok()
            && entry.file_type()?.is_dir()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The files of an instance, in order.
pub(super) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION))
        .collect();
    files.sort();
    Ok(files)
}

/// The number of a file's first line, which its name begins with.
pub(super) fn first_line_of(file: &Path) -> Option<u64> {
    file.file_name()?.to_str()?.split('-').next()?.parse().ok()
}

pub(super) fn anchor(folder: &Path) -> io::Result<Option<Anchor>> {
    match fs::read(folder.join(ANCHOR)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write_anchor(folder: &Path, anchor: &Anchor) -> io::Result<()> {
    let path = folder.join(ANCHOR);
    private::replace(&path, &serde_json::to_vec(anchor)?, true)?;
    // The files before it go only after it is there to stay.
    sync_folder_of(&path)
}

/// The lines of a file from a place on, each with the place behind it. A last line that is not whole is none yet.
pub(super) fn lines(
    file: &Path,
    from: u64,
) -> io::Result<impl Iterator<Item = io::Result<(String, u64)>> + use<>> {
    let mut file = File::open(file)?;
    file.seek(SeekFrom::Start(from))?;
    Ok(lines_of(file, from))
}

/// The lines of an open file from where it is read, likewise.
pub(super) fn lines_of(file: File, from: u64) -> impl Iterator<Item = io::Result<(String, u64)>> + use<> {
    let mut reader = BufReader::new(file);
    let mut place = from;
    std::iter::from_fn(move || {
        let mut bytes = Vec::new();
        let read = (&mut reader).take(MAX_LINE as u64).read_until(b'\n', &mut bytes);
        match read {
            Err(error) => Some(Err(error)),
            Ok(_) if bytes.last() != Some(&b'\n') => {
                (bytes.len() >= MAX_LINE).then(|| Err(io::Error::other("a line is too long")))
            }
            Ok(length) => {
                place += length as u64;
                bytes.pop();
                Some(
                    String::from_utf8(bytes)
                        .map(|line| (line, place))
                        .map_err(io::Error::other),
                )
            }
        }
    })
}

/// The place behind the last line that is whole.
fn last_line_end(file: &mut File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut block = vec![0; MAX_LINE];
    while end > 0 {
        let length = (end as usize).min(MAX_LINE);
        let start = end - length as u64;
        file.seek(SeekFrom::Start(start))?;
        let block = &mut block[..length];
        file.read_exact(block)?;
        if let Some(at) = block.iter().rposition(|&byte| byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// The line that ends there.
pub(super) fn last_line(file: &mut File, end: u64) -> io::Result<String> {
    let length = end.min(MAX_LINE as u64);
    file.seek(SeekFrom::Start(end - length))?;
    let mut bytes = vec![0; length as usize];
    file.read_exact(&mut bytes)?;
    bytes.pop();
    let begin = bytes
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    String::from_utf8(bytes.split_off(begin)).map_err(io::Error::other)
}
