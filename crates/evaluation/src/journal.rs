//! What an evaluation has computed so far, in a file, so that one that was killed goes on where it was.
//!
//! The file is a line that says what it is, a header that binds it to what it was computed with, and a record for each
//! picture:
//!
//! ```text
//! magic    "likeness journal 1\n"
//! header   length (u32), then as many bytes of JSON: the content, the face that counts, the setup
//! records  length (u32), checksum of the payload (8 bytes), payload
//! payload  key (16 bytes), status (u8), numbers (4 bytes each)
//! ```
//!
//! All numbers are little-endian. A record is appended with one write, which survives a killed process though not always a
//! power cut; whatever is damaged or cut off, and all that follows it, is dropped and computed anew.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{EvaluationError, FaceChoice, Setup, Status};

const MAGIC: &[u8] = b"likeness journal 1\n";

/// No header is near as long.
const LONGEST_HEADER: u32 = 64 * 1024;

/// Key and status: a record without numbers.
const SHORTEST_PAYLOAD: usize = 17;

/// An embedding has 256 numbers, or a few times as many with somebody's own model.
const LONGEST_PAYLOAD: usize = SHORTEST_PAYLOAD + 4 * 65_536;

/// Length and checksum.
const PREFIX: usize = 12;

/// A picture's path, size and time of change, hashed: whoever finds a journal does not read the names of people in it.
pub(crate) type Key = [u8; 16];

/// What a journal holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalContent {
    /// The embedding of the face that counts: for matching.
    Embeddings(FaceChoice),
    /// Liveness scores.
    Scores,
}

impl JournalContent {
    /// Name of the file in the folder of the results.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Embeddings(_) => "embeddings.partial",
            Self::Scores => "scores.partial",
        }
    }
}

/// A file with what was computed so far. It is written only where somebody asks for it: embeddings are biometric data.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// Where each picture's record is, by key.
    found: Vec<(Key, u64)>,
    /// Where the next record goes.
    end: u64,
}

/// A record as it was written: what became of the picture, and the numbers where it was used.
pub(crate) type Kept = Result<Vec<f32>, Status>;

/// What an engine whose models are all the embedder's own says of its pack.
const CUSTOM_PACK: &str = "custom";

impl Journal {
    /// Opens the journal of a folder, or begins one, readable by nobody else.
    ///
    /// # Errors
    /// [`EvaluationError::Journal`] where there is one of another setup or another process writes to it, or a file that is
    /// none; [`EvaluationError::File`] where it cannot be read or written.
    pub fn open(folder: &Path, content: JournalContent, setup: &Setup) -> Result<Self, EvaluationError> {
        let path = folder.join(content.file_name());
        if setup.pack == CUSTOM_PACK {
            return Err(EvaluationError::Journal {
                path,
                reason: "models that are no pack's cannot be told apart, so nothing of theirs is kept"
                    .to_owned(),
            });
        }
        let mut file = private(&path).map_err(EvaluationError::file(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(EvaluationError::Journal {
                    path,
                    reason:
                        "another evaluation is writing to it: wait for it, or name another folder with --out"
                            .to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(EvaluationError::file(&path)(error)),
        }
        let wanted = header(content, setup);
        match read(&mut file, &wanted) {
            Ok((found, end)) => {
                make_private(&file).map_err(EvaluationError::file(&path))?;
                let state = State { file, found, end };
                Ok(Self {
                    path,
                    state: Mutex::new(state),
                })
            }
            Err(Fault::File(error)) => Err(EvaluationError::file(&path)(error)),
            Err(Fault::Content(reason)) => Err(EvaluationError::Journal { path, reason }),
        }
    }

    /// How many pictures it has.
    #[must_use]
    pub fn pictures(&self) -> usize {
        self.lock().found.len()
    }

    /// Deletes the file: the results are there, and nobody needs the embeddings any more.
    ///
    /// # Errors
    /// [`EvaluationError::File`] where that fails.
    pub fn delete(self) -> Result<(), EvaluationError> {
        std::fs::remove_file(&self.path).map_err(EvaluationError::file(&self.path))
    }

    /// What was computed of a picture, where that is still so.
    pub(crate) fn get(&self, key: &Key) -> Result<Option<Kept>, EvaluationError> {
        let mut state = self.lock();
        let Ok(place) = state.found.binary_search_by(|(other, _)| other.cmp(key)) else {
            return Ok(None);
        };
        let offset = state.found.get(place).map_or(0, |(_, offset)| *offset);
        let record = state
            .file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| read_record(&mut state.file))
            .map_err(EvaluationError::file(&self.path))?;
        Ok(record.and_then(|payload| kept(&payload)))
    }

    /// Adds a picture.
    pub(crate) fn add(&self, key: &Key, status: Status, numbers: &[f32]) -> Result<(), EvaluationError> {
        let Some(code) = code(status) else { return Ok(()) };
        let mut payload = Vec::with_capacity(SHORTEST_PAYLOAD + 4 * numbers.len());
        payload.extend_from_slice(key);
        payload.push(code);
        payload.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        if payload.len() > LONGEST_PAYLOAD {
            // It would not be read again.
            return Ok(());
        }
        let mut record = Vec::with_capacity(PREFIX + payload.len());
        record.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        record.extend_from_slice(&checksum(&payload));
        record.extend_from_slice(&payload);

        let mut state = self.lock();
        let end = state.end;
        state
            .file
            .seek(SeekFrom::Start(end))
            .and_then(|_| state.file.write_all(&record))
            .map_err(EvaluationError::file(&self.path))?;
        state.end += record.len() as u64;
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a picture's record is found by: a picture that was changed is another one. `None` where there is no such file; that
/// is found out again in any case.
pub(crate) fn key(path: &Path) -> Option<Key> {
    let metadata = std::fs::metadata(path).ok()?;
    let modified = metadata.modified().ok()?;
    let (before, since) = match modified.duration_since(UNIX_EPOCH) {
        Ok(since) => (0u8, since),
        Err(error) => (1, error.duration()),
    };
    // However the folder was named.
    let path = std::fs::canonicalize(path).ok()?;
    let mut hash = Sha256::new();
    hash.update(metadata.len().to_le_bytes());
    hash.update([before]);
    hash.update(since.as_nanos().to_le_bytes());
    hash.update(path.as_os_str().as_encoded_bytes());
    hash.finalize().first_chunk().copied()
}

fn checksum(payload: &[u8]) -> [u8; 8] {
    let mut short = [0; 8];
    for (to, from) in short.iter_mut().zip(Sha256::digest(payload)) {
        *to = from;
    }
    short
}

/// What need not be done again. A file that was not there may be there next time.
fn code(status: Status) -> Option<u8> {
    match status {
        Status::Ok => Some(0),
        Status::NoFace => Some(1),
        Status::BadPicture => Some(2),
        Status::Missing | Status::Unreadable => None,
    }
}

fn kept(payload: &[u8]) -> Option<Kept> {
    let (status, numbers) = payload.get(16..)?.split_first()?;
    let (numbers, rest) = numbers.as_chunks::<4>();
    match status {
        0 if rest.is_empty() && !numbers.is_empty() => {
            let numbers: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            numbers
                .iter()
                .all(|number| number.is_finite())
                .then_some(Ok(numbers))
        }
        1 if numbers.is_empty() && rest.is_empty() => Some(Err(Status::NoFace)),
        2 if numbers.is_empty() && rest.is_empty() => Some(Err(Status::BadPicture)),
        _ => None,
    }
}

/// Opens or makes a file that only its owner can read.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    // Through a link embeddings would go where nobody looks for them, and stay there.
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::other("it is there and no file"));
    }
    options.open(path)
}

/// It may have been copied here with other rights.
fn make_private(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

fn header(content: JournalContent, setup: &Setup) -> Map<String, Value> {
    let mut header = match serde_json::to_value(setup) {
        Ok(Value::Object(setup)) => setup,
        // A setup is a struct of strings.
        _ => Map::new(),
    };
    match content {
        JournalContent::Embeddings(face) => {
            header.insert("content".to_owned(), json!("embeddings"));
            header.insert("face".to_owned(), json!(face));
        }
        JournalContent::Scores => {
            header.insert("content".to_owned(), json!("scores"));
        }
    }
    header
}

enum Fault {
    File(io::Error),
    Content(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

/// Checks a journal's header, or writes one where the file ends before it does, and finds every sound record.
fn read(file: &mut File, wanted: &Map<String, Value>) -> Result<(Vec<(Key, u64)>, u64), Fault> {
    let mut reader = BufReader::new(&*file);
    let text = serde_json::to_vec(wanted).map_err(io::Error::from)?;
    let mut beginning = MAGIC.to_vec();
    beginning.extend_from_slice(&(text.len() as u32).to_le_bytes());
    beginning.extend_from_slice(&text);

    let mut magic = Vec::new();
    reader.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic)?;
    if !MAGIC.starts_with(&magic) {
        return Err(Fault::Content(
            "this is no journal of an evaluation: move it away, or name another folder with --out".to_owned(),
        ));
    }
    let there = match read_header(&mut reader)? {
        Some(there) if magic.len() == MAGIC.len() => there,
        // Killed before the header was complete: there is no record yet.
        _ => {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&beginning)?;
            return Ok((Vec::new(), beginning.len() as u64));
        }
    };
    let there: Map<String, Value> = serde_json::from_slice(&there).map_err(|_| {
        Fault::Content("its header is damaged: delete it, and the evaluation begins anew".to_owned())
    })?;
    if let Some(reason) = differences(&there, wanted) {
        return Err(Fault::Content(reason));
    }
    let mut found = Vec::new();
    let mut end = reader.stream_position()?;
    while let Some(payload) = read_record(&mut reader)? {
        if let (Some(key), Some(_)) = (payload.first_chunk(), kept(&payload)) {
            found.push((*key, end));
        }
        end += (PREFIX + payload.len()) as u64;
    }
    file.set_len(end)?;
    // Stable, so of two records of a picture the first stays; they are the same.
    found.sort();
    found.dedup_by_key(|(key, _)| *key);
    Ok((found, end))
}

/// `None` where the file ends before the header does.
fn read_header(from: &mut impl Read) -> Result<Option<Vec<u8>>, Fault> {
    let mut length = [0; 4];
    if !fill(from, &mut length)? {
        return Ok(None);
    }
    let length = u32::from_le_bytes(length);
    if length > LONGEST_HEADER {
        return Err(Fault::Content(
            "its header is damaged: delete it, and the evaluation begins anew".to_owned(),
        ));
    }
    let mut text = vec![0; length as usize];
    Ok(fill(from, &mut text)?.then_some(text))
}

/// The payload of the next record; `None` where there is none that is whole.
fn read_record(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut prefix = [0; PREFIX];
    if !fill(from, &mut prefix)? {
        return Ok(None);
    }
    let Some((length, expected)) = prefix.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*length) as usize;
    if !(SHORTEST_PAYLOAD..=LONGEST_PAYLOAD).contains(&length) {
        return Ok(None);
    }
    let mut payload = vec![0; length];
    if !fill(from, &mut payload)? || checksum(&payload) != expected {
        return Ok(None);
    }
    Ok(Some(payload))
}

/// Whether there were enough bytes.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// What to say where a journal was written with something else.
fn differences(there: &Map<String, Value>, wanted: &Map<String, Value>) -> Option<String> {
    let text = |value: Option<&Value>| match value {
        Some(Value::String(text)) => format!("{text:?}"),
        Some(other) => other.to_string(),
        None => "absent".to_owned(),
    };
    let mut names: Vec<&String> = there.keys().chain(wanted.keys()).collect();
    names.sort();
    names.dedup();
    let differing: Vec<String> = names
        .into_iter()
        .filter(|name| there.get(*name) != wanted.get(*name))
        .map(|name| {
            format!(
                "{name} was {}, now it is {}",
                text(there.get(name)),
                text(wanted.get(name))
            )
        })
        .collect();
    (!differing.is_empty()).then(|| {
        format!(
            "it was begun with something else ({}): go on with what it was begun with, or delete it to begin anew",
            differing.join("; ")
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn setup() -> Setup {
        Setup {
            likeness: "1.2.3".to_owned(),
            pack: "open-1 1".to_owned(),
            match_calibration: "something".to_owned(),
            liveness_calibration: "none".to_owned(),
            provider: "cpu".to_owned(),
            onnx_runtime: "1.32.0".to_owned(),
        }
    }

    const CONTENT: JournalContent = JournalContent::Embeddings(FaceChoice::Largest);

    fn open(folder: &Path) -> Result<Journal, EvaluationError> {
        Journal::open(folder, CONTENT, &setup())
    }

    fn key_of(number: u8) -> Key {
        [number; 16]
    }

    /// A folder with a journal of three pictures, and its bytes.
    fn written() -> (tempfile::TempDir, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path()).unwrap();
        journal.add(&key_of(9), Status::Ok, &[0.25, -0.5]).unwrap();
        journal.add(&key_of(3), Status::NoFace, &[]).unwrap();
        journal.add(&key_of(5), Status::BadPicture, &[]).unwrap();
        // This may be otherwise next time.
        journal.add(&key_of(6), Status::Missing, &[]).unwrap();
        drop(journal);
        let bytes = std::fs::read(folder.path().join(CONTENT.file_name())).unwrap();
        (folder, bytes)
    }

    fn kept_by(journal: &Journal) -> [Option<Kept>; 4] {
        [9, 3, 5, 6].map(|number| journal.get(&key_of(number)).unwrap())
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_followed_and_another_file_keeps_its_rights() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        std::fs::write(&elsewhere, b"").unwrap();
        let path = folder.path().join(CONTENT.file_name());
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert!(matches!(open(folder.path()), Err(EvaluationError::File { .. })));
        assert_eq!(std::fs::read(&elsewhere).unwrap(), b"");

        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"my notes").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(open(folder.path()).is_err());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode, std::fs::read(&path).unwrap()),
            (0o644, b"my notes".to_vec())
        );
    }

    #[test]
    fn nothing_is_kept_of_models_without_a_pack() {
        let folder = tempfile::tempdir().unwrap();
        let custom = Setup {
            pack: CUSTOM_PACK.to_owned(),
            ..setup()
        };
        let opened = Journal::open(folder.path(), CONTENT, &custom);
        assert!(matches!(opened, Err(EvaluationError::Journal { .. })));
    }

    #[test]
    fn what_was_added_is_found_again() {
        let (folder, bytes) = written();
        let journal = open(folder.path()).unwrap();
        let embedding: Kept = Ok(vec![0.25, -0.5]);
        let expected = [
            Some(embedding),
            Some(Err(Status::NoFace)),
            Some(Err(Status::BadPicture)),
            None,
        ];
        assert_eq!((kept_by(&journal), journal.pictures()), (expected.clone(), 3));
        // More is appended, after what was read.
        journal.add(&key_of(1), Status::Ok, &[1.0]).unwrap();
        drop(journal);
        assert!(
            std::fs::read(folder.path().join("embeddings.partial"))
                .unwrap()
                .starts_with(&bytes)
        );
        let journal = open(folder.path()).unwrap();
        assert_eq!((kept_by(&journal), journal.pictures()), (expected, 4));
        assert_eq!(journal.get(&key_of(1)).unwrap(), Some(Ok(vec![1.0])));
        journal.delete().unwrap();
        assert!(!folder.path().join("embeddings.partial").exists());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, _) = written();
        let path = folder.path().join("embeddings.partial");
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        open(folder.path()).unwrap();
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn two_evaluations_do_not_write_to_one_journal() {
        let (folder, _) = written();
        let first = open(folder.path()).unwrap();
        let error = open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("another evaluation is writing to it"), "{error}");
        drop(first);
        open(folder.path()).unwrap();
    }

    #[test]
    fn wherever_it_is_cut_off_the_whole_records_stay() {
        let (folder, bytes) = written();
        let path = folder.path().join("embeddings.partial");
        let mut pictures = Vec::new();
        for length in 0..=bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let journal = open(folder.path()).unwrap();
            pictures.push(journal.pictures());
            // What is added afterwards is sound.
            journal.add(&key_of(1), Status::Ok, &[1.0]).unwrap();
            drop(journal);
            let journal = open(folder.path()).unwrap();
            assert_eq!(journal.pictures(), pictures[length] + 1);
            assert_eq!(journal.get(&key_of(1)).unwrap(), Some(Ok(vec![1.0])));
        }
        assert!(pictures.is_sorted());
        pictures.dedup();
        assert_eq!(pictures, [0, 1, 2, 3]);
    }

    #[test]
    fn a_damaged_record_and_all_after_it_are_dropped() {
        let (folder, bytes) = written();
        let path = folder.path().join("embeddings.partial");
        let header =
            MAGIC.len() + 4 + u32::from_le_bytes(bytes[MAGIC.len()..][..4].try_into().unwrap()) as usize;
        // Every byte of the second record: length, checksum, key and status.
        let second = header + PREFIX + SHORTEST_PAYLOAD + 8;
        for place in second..second + PREFIX + SHORTEST_PAYLOAD {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x80;
            std::fs::write(&path, &damaged).unwrap();
            assert_eq!(open(folder.path()).unwrap().pictures(), 1, "{place}");
        }
    }

    #[test]
    fn what_differs_is_told_and_what_to_do() {
        let (folder, _) = written();
        let other = Setup {
            pack: "mine 7".to_owned(),
            onnx_runtime: "1.24.0".to_owned(),
            ..setup()
        };
        let error = Journal::open(folder.path(), CONTENT, &other)
            .unwrap_err()
            .to_string();
        for part in [
            "embeddings.partial",
            "pack was \"open-1 1\", now it is \"mine 7\"",
            "onnx_runtime was \"1.32.0\", now it is \"1.24.0\"",
            "delete it to begin anew",
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("provider"), "{error}");
        let centre = JournalContent::Embeddings(FaceChoice::Centre);
        let error = Journal::open(folder.path(), centre, &setup())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("face was \"largest\", now it is \"centre\""),
            "{error}"
        );
        // It is left as it was.
        assert_eq!(open(folder.path()).unwrap().pictures(), 3);
    }

    #[test]
    fn a_file_that_is_no_journal_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("embeddings.partial");
        let mut long = MAGIC.to_vec();
        long.extend_from_slice(&u32::MAX.to_le_bytes());
        let mut no_json = MAGIC.to_vec();
        no_json.extend_from_slice(&2u32.to_le_bytes());
        no_json.extend_from_slice(b"[]");
        for (bytes, expected) in [
            (b"somebody's notes".to_vec(), "no journal"),
            (long, "its header is damaged"),
            (no_json, "its header is damaged"),
        ] {
            std::fs::write(&path, &bytes).unwrap();
            let error = open(folder.path()).unwrap_err();
            assert!(matches!(error, EvaluationError::Journal { .. }));
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
    }

    #[test]
    fn a_changed_picture_has_another_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        assert_eq!(key(&path), None);
        std::fs::write(&path, b"one").unwrap();
        let first = key(&path).unwrap();
        assert_eq!(key(&folder.path().join("./a.jpg")), Some(first));
        let file = File::options().write(true).open(&path).unwrap();
        let time = file.metadata().unwrap().modified().unwrap();
        // As long, but later.
        file.set_modified(time + std::time::Duration::from_nanos(1_000))
            .unwrap();
        assert_ne!(key(&path), Some(first));
        // At the same time, but longer.
        std::fs::write(&path, b"three").unwrap();
        file.set_modified(time).unwrap();
        assert_ne!(key(&path), Some(first));
        std::fs::write(&path, b"two").unwrap();
        file.set_modified(time).unwrap();
        assert_eq!(key(&path), Some(first));
    }

    /// Records whose checksums are right and whose content is not.
    fn record(payload: &[u8]) -> Vec<u8> {
        let mut record = (payload.len() as u32).to_le_bytes().to_vec();
        record.extend_from_slice(&checksum(payload));
        record.extend_from_slice(payload);
        record
    }

    #[test]
    fn sound_records_of_nonsense_are_not_used() {
        let (folder, bytes) = written();
        let path = folder.path().join("embeddings.partial");
        let payload = |status: u8, rest: &[u8]| [&key_of(1)[..], &[status], rest].concat();
        for nonsense in [
            payload(0, &[]),
            payload(0, &[1, 2, 3]),
            payload(0, &f32::NAN.to_le_bytes()),
            payload(0, &f32::INFINITY.to_le_bytes()),
            payload(1, &[0; 4]),
            payload(7, &[]),
        ] {
            let all = [&bytes[..], &record(&nonsense), &record(&payload(1, &[]))].concat();
            std::fs::write(&path, all).unwrap();
            let journal = open(folder.path()).unwrap();
            // The next one is.
            assert_eq!(journal.pictures(), 4);
            assert_eq!(journal.get(&key_of(1)).unwrap(), Some(Err(Status::NoFace)));
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_an_error_or_nothing(
            prefix in 0usize..4,
            hostile in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let (folder, bytes) = written();
            let path = folder.path().join("embeddings.partial");
            let begin = [0, MAGIC.len(), MAGIC.len() + 4, bytes.len()][prefix];
            let all = [&bytes[..begin], &hostile].concat();
            std::fs::write(&path, all).unwrap();
            match open(folder.path()) {
                Ok(journal) => prop_assert!(journal.pictures() <= 3),
                Err(error) => {
                    let refused = matches!(error, EvaluationError::Journal { .. });
                    prop_assert!(refused, "{}", error);
                }
            }
        }
    }
}
