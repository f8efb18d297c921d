//! The audit's files: which process writes them, their order, their records, and where they end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use likeness_storage::files::{self as fs_files, FileId, check_in_place, sync_folder_of};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::chain::Checkpoint;

const LOCK: &str = "lock";
const CHECKPOINT: &str = "checkpoint.json";
/// The name of the checkpoint in version 0.1.0 and before. It is read until retention writes the next one.
const FORMER_CHECKPOINT: &str = "anchor.json";
const EXTENSION: &str = "jsonl";
/// Longest record, in bytes: events are far shorter.
pub(super) const MAX_RECORD: usize = 64 << 10;

/// The folder of one instance, which no other process writes to.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) instance: String,
    lock: Mutex<File>,
    checkpoint: Mutex<Option<SealedCheckpoint>>,
}

/// Where a chain begins after retention has removed its first files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SealedCheckpoint {
    #[serde(flatten)]
    pub(super) checkpoint: Checkpoint,
    /// See [`ChainKey::seal`](super::chain::ChainKey::seal).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seal: Option<String>,
}

impl Folder {
    /// Returns the folders in `audit` that no running process has, one after the other.
    pub(super) fn free(audit: &Path) -> io::Result<impl Iterator<Item = io::Result<Self>>> {
        fs_files::create_folder(audit)?;
        let instances = instances(audit)?.into_iter();
        Ok(instances.filter_map(|instance| Self::lock(audit, instance).transpose()))
    }

    pub(super) fn create(audit: &Path) -> io::Result<Self> {
        let instance = Uuid::new_v4().to_string();
        fs_files::create_folder(&audit.join(&instance))?;
        Self::lock(audit, instance)?.ok_or_else(|| io::Error::other("a new folder is locked"))
    }

    fn lock(audit: &Path, instance: String) -> io::Result<Option<Self>> {
        let path = audit.join(&instance);
        let Some(lock) = try_lock(&path)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            checkpoint: Mutex::new(checkpoint(&path)?),
            path,
            instance,
            lock: Mutex::new(lock),
        }))
    }

    /// Fails if the folder was taken away, or its lock, so that another process could take it over.
    pub(super) fn check(&self) -> io::Result<()> {
        check_in_place(&self.lock.lock(), &self.path.join(LOCK), 0)
    }

    /// Restores the folder, its lock and its checkpoint if they were taken away.
    pub(super) fn put_back(&self) -> io::Result<()> {
        if self.check().is_ok() {
            return Ok(());
        }
        fs_files::create_folder(&self.path)?;
        let lock = try_lock(&self.path)?
            .ok_or_else(|| io::Error::other("another process has taken over the folder of the audit"))?;
        *self.lock.lock() = lock;
        match &*self.checkpoint.lock() {
            Some(kept) if checkpoint(&self.path)?.is_none() => write_checkpoint(&self.path, kept),
            _ => Ok(()),
        }
    }

    /// Makes the chain begin after this checkpoint.
    pub(super) fn set_checkpoint(&self, checkpoint: SealedCheckpoint) -> io::Result<()> {
        write_checkpoint(&self.path, &checkpoint)?;
        fs_files::remove(&self.path.join(FORMER_CHECKPOINT))?;
        *self.checkpoint.lock() = Some(checkpoint);
        Ok(())
    }

    /// Returns the number of the last record that retention has removed; 0 if it has removed none.
    pub(super) fn removed(&self) -> u64 {
        let checkpoint = self.checkpoint.lock();
        checkpoint.as_ref().map_or(0, |sealed| sealed.checkpoint.seq)
    }

    /// Truncates a partial last record, as a crash leaves one, and returns the end of the chain.
    pub(super) fn recover(&self) -> io::Result<Checkpoint> {
        for file in files(&self.path)?.iter().rev() {
            let mut file = OpenOptions::new().read(true).write(true).open(file)?;
            let end = last_record_end(&mut file)?;
            if end < file.metadata()?.len() {
                tracing::warn!(
                    instance = self.instance,
                    "truncated a partial audit record: the previous process was killed"
                );
                file.set_len(end)?;
                file.sync_all()?;
            }
            if end > 0 {
                return Ok(Checkpoint::of(&last_record(&mut file, end)?)?);
            }
        }
        Ok(checkpoint(&self.path)?.unwrap_or_default().checkpoint)
    }

    /// Returns the path of the file that begins with this record; its name keeps the order.
    pub(super) fn file(&self, first: u64, day: &str) -> PathBuf {
        self.path.join(name(first, day))
    }
}

pub(super) fn name(first: u64, day: &str) -> String {
    format!("{first:016}-{day}.{EXTENSION}")
}

/// Locks a folder; `None` if another process has locked it.
fn try_lock(folder: &Path) -> io::Result<Option<File>> {
    let lock = fs_files::open_lock(&folder.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Returns the instances with a folder here, sorted.
pub(super) fn instances(audit: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(audit) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?.collect::<io::Result<Vec<_>>>()?,
    };
    let mut names = Vec::new();
    for entry in entries {
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

/// Returns the files of an instance, in order.
pub(super) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut files = paths.collect::<io::Result<Vec<_>>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
    files.sort();
    Ok(files)
}

/// Returns the number of a file's first record, with which its name begins.
pub(super) fn first_record_of(file: &Path) -> Option<u64> {
    file.file_name()?.to_str()?.split('-').next()?.parse().ok()
}

pub(super) fn checkpoint(folder: &Path) -> io::Result<Option<SealedCheckpoint>> {
    for name in [CHECKPOINT, FORMER_CHECKPOINT] {
        match fs::read(folder.join(name)) {
            Ok(bytes) => return Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn write_checkpoint(folder: &Path, checkpoint: &SealedCheckpoint) -> io::Result<()> {
    let path = folder.join(CHECKPOINT);
    fs_files::replace(&path, &serde_json::to_vec(checkpoint)?, true)?;
    // The files before it are removed only when it stays.
    sync_folder_of(&path)
}

/// Opens a file for appending, which only its owner may read; creates it if it does not exist.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = fs_files::private();
    let file = options.create(true).append(true).read(true).open(path)?;
    if file.metadata()?.len() == 0 {
        // The name of a new file must survive a power loss, as its records do.
        sync_folder_of(path)?;
    }
    Ok(file)
}

/// Makes `path` lead to a file with the first `length` bytes of an open one, whatever is there now. Another file there that
/// is not empty is kept as `*.replaced`: it may show how the right one was replaced.
pub(super) fn put_file_back(mut from: File, path: &Path, length: u64) -> io::Result<()> {
    let found = FileId::of_path(path)?;
    if found.is_some() && found == Some(FileId::of_file(&from)?) {
        return from.set_len(length);
    }
    let new = path.with_extension("new");
    let mut options = fs_files::private();
    let mut file = options.create(true).truncate(true).write(true).open(&new)?;
    from.rewind()?;
    io::copy(&mut from.take(length), &mut file)?;
    file.sync_all()?;
    if found.is_some() && fs::metadata(path)?.len() > 0 {
        fs::rename(path, path.with_extension("replaced"))?;
    }
    fs::rename(new, path)?;
    sync_folder_of(path)
}

/// Returns the records of a file from a position on, each with the position behind it. A partial last record is none yet.
pub(super) fn records(
    file: &Path,
    from: u64,
) -> io::Result<impl Iterator<Item = io::Result<(String, u64)>> + use<>> {
    records_of(File::open(file)?, from)
}

pub(super) fn records_of(
    mut file: File,
    from: u64,
) -> io::Result<impl Iterator<Item = io::Result<(String, u64)>> + use<>> {
    file.seek(SeekFrom::Start(from))?;
    let mut reader = BufReader::new(file);
    let mut position = from;
    Ok(std::iter::from_fn(move || {
        let mut bytes = Vec::new();
        let mut limited = (&mut reader).take(MAX_RECORD as u64);
        match limited.read_until(b'\n', &mut bytes) {
            Err(error) => Some(Err(error)),
            Ok(_) if bytes.last() != Some(&b'\n') => {
                (bytes.len() >= MAX_RECORD).then(|| Err(io::Error::other("a record is too long")))
            }
            Ok(length) => {
                position += length as u64;
                bytes.pop();
                let text = String::from_utf8(bytes).map_err(io::Error::other);
                Some(text.map(|text| (text, position)))
            }
        }
    }))
}

/// Returns the position behind the last complete record.
fn last_record_end(file: &mut File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut block = vec![0; MAX_RECORD];
    while end > 0 {
        let length = (end as usize).min(MAX_RECORD);
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

/// Returns the record that ends at this position.
pub(super) fn last_record(file: &mut File, end: u64) -> io::Result<String> {
    let length = end.min(MAX_RECORD as u64);
    file.seek(SeekFrom::Start(end - length))?;
    let mut bytes = vec![0; length as usize];
    file.read_exact(&mut bytes)?;
    bytes.pop();
    let line_end = bytes.iter().rposition(|&byte| byte == b'\n');
    String::from_utf8(bytes.split_off(line_end.map_or(0, |at| at + 1))).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkpoint_of_an_earlier_version_is_read_and_renamed_with_the_next_one() {
        let audit = tempfile::tempdir().unwrap();
        let instance = {
            let folder = Folder::create(audit.path()).unwrap();
            let former = folder.path.join(FORMER_CHECKPOINT);
            std::fs::write(former, r#"{"seq":5,"hash":"aa","seal":"bb"}"#).unwrap();
            folder.instance.clone()
        };
        let folder = Folder::free(audit.path()).unwrap().next().unwrap().unwrap();
        assert_eq!((&folder.instance, folder.removed()), (&instance, 5));
        let read = checkpoint(&folder.path).unwrap().unwrap();
        assert_eq!((&*read.checkpoint.hash, read.seal.as_deref()), ("aa", Some("bb")));
        assert_eq!(folder.recover().unwrap(), read.checkpoint);
        let next = SealedCheckpoint {
            checkpoint: Checkpoint {
                seq: 7,
                hash: "cc".to_owned(),
            },
            seal: None,
        };
        folder.set_checkpoint(next.clone()).unwrap();
        assert!(!folder.path.join(FORMER_CHECKPOINT).exists());
        assert_eq!(checkpoint(&folder.path).unwrap(), Some(next));
    }
}
