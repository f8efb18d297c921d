//! The results of an unfinished evaluation in a file, so that the next run resumes where the last one was killed.
//!
//! The file is JSON lines. The first is a header with the content, the face that counts and the engine's setup; a journal
//! of another header is refused. Each further line is the result for one image:
//!
//! ```text
//! {"content":"embeddings","face":"largest","journal":2,"likeness":"0.1.0","pack":"open-1 1 (…)",…}
//! {"image":"<16 bytes>","status":"ok","values":"<little-endian f32>","check":"<8 bytes>"}
//! ```
//!
//! Bytes are hexadecimal, so that values return bit by bit. A line is appended with one write; the first one that is cut off
//! or corrupt and all after it are truncated, and those images are measured again.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::error::{EvaluationError, Result, Status};
use crate::report::{FaceChoice, Setup};

/// What the binary journals of earlier versions begin with.
const BINARY_FORMAT: &[u8] = b"likeness journal 1\n";

/// Bytes of the longest line that is read: an embedding of 65,536 numbers takes 512 KiB, of 256 numbers 2 KiB.
const LONGEST_LINE: u64 = 1 << 20;

/// The pack name of an engine whose models all come from the embedder.
const CUSTOM_PACK: &str = "custom";

/// An image's path, size and time of change, hashed: the journal names no file, and so no person.
pub(crate) type Key = [u8; 16];

/// The numbers measured on an image, or why there are none.
pub(crate) type Measured = Result<Vec<f32>, Status>;

/// What a journal holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalContent {
    /// Embeddings of the face that counts, for matching.
    Embeddings(FaceChoice),
    /// Liveness scores.
    Scores,
}

impl JournalContent {
    /// Returns the name of the file in the folder of the results.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Embeddings(_) => "embeddings.partial",
            Self::Scores => "scores.partial",
        }
    }
}

/// A file of intermediate results, written only on request: embeddings are biometric data.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// The offset of each image's line, by key.
    lines: Vec<(Key, u64)>,
    /// The offset of the next line.
    end: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(with = "hex")]
    image: Key,
    status: Status,
    #[serde(with = "hex")]
    values: Vec<u8>,
    #[serde(with = "hex")]
    check: [u8; 8],
}

impl Journal {
    /// Opens the journal of a folder, or creates one that only its owner can read. Fails with [`EvaluationError::Journal`]
    /// for one of another setup or an earlier format, one that another process writes to, and another file of that name.
    pub fn open(folder: &Path, content: JournalContent, setup: &Setup) -> Result<Self> {
        let path = folder.join(content.file_name());
        let refuse = |reason: &str| EvaluationError::Journal {
            path: path.clone(),
            reason: reason.to_owned(),
        };
        if setup.pack == CUSTOM_PACK {
            return Err(refuse(
                "cannot resume with custom models: results of one cannot be told from those of another",
            ));
        }
        let failed = || EvaluationError::file(&path);
        let file = open_private(&path).map_err(failed())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(refuse(
                    "another evaluation is writing to this journal: wait for it, or choose another folder with --out",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(failed()(error)),
        }
        let header = header(content, setup);
        let mut reader = BufReader::new(&file);
        let mut first = next_line(&mut reader).map_err(failed())?;
        let found = serde_json::from_slice::<Value>(&first).ok();
        if !first.ends_with(b"\n") || found.as_ref() != Some(&header) {
            let begin = format!("{header}\n").into_bytes();
            // A process that was killed in the middle of the header has left a part of it.
            if !begin.starts_with(&first) {
                return Err(refuse(&mismatch(&first, found.as_ref(), &header)));
            }
            file.set_len(0)
                .and_then(|()| (&file).seek(SeekFrom::Start(0)))
                .and_then(|_| (&file).write_all(&begin))
                .map_err(failed())?;
            first = begin;
        }
        let (mut lines, mut end) = (Vec::new(), first.len() as u64);
        while let line = next_line(&mut reader).map_err(failed())?
            && let Some((key, _)) = parse(&line)
        {
            lines.push((key, end));
            end += line.len() as u64;
        }
        drop(reader);
        let restricted = file.set_len(end).and_then(|()| restrict(&file));
        restricted.map_err(failed())?;
        // Stable, so that the first of several lines of an image stays.
        lines.sort();
        lines.dedup_by_key(|(key, _)| *key);
        let state = Mutex::new(State { file, lines, end });
        Ok(Self { path, state })
    }

    /// Deletes the file, once the reports are written.
    pub fn delete(self) -> Result<()> {
        std::fs::remove_file(&self.path).map_err(EvaluationError::file(&self.path))
    }

    /// Returns the result of an image.
    pub(crate) fn get(&self, key: &Key) -> Result<Option<Measured>> {
        let mut state = self.state.lock();
        let Ok(index) = state.lines.binary_search_by(|(other, _)| other.cmp(key)) else {
            return Ok(None);
        };
        let offset = state.lines.get(index).map_or(0, |(_, offset)| *offset);
        let line = state.file.seek(SeekFrom::Start(offset));
        let line = line.and_then(|_| next_line(&mut BufReader::new(&state.file)));
        let line = line.map_err(EvaluationError::file(&self.path))?;
        Ok(parse(&line).map(|(_, measured)| measured))
    }

    /// Appends the result of an image, unless the next run may find another: a missing file may be there by then.
    pub(crate) fn add(&self, key: &Key, measured: &Measured) -> Result<()> {
        let (status, values) = match measured {
            Ok(values) => (Status::Ok, values.as_slice()),
            Err(status) if status.is_failure_to_acquire() => (*status, &[][..]),
            Err(_) => return Ok(()),
        };
        let values: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let line = Line {
            image: *key,
            status,
            check: checksum(key, status, &values),
            values,
        };
        let line = format!("{}\n", json!(line));
        if line.len() as u64 > LONGEST_LINE {
            // It would not be read again.
            return Ok(());
        }
        let mut state = self.state.lock();
        let end = state.end;
        let written = state.file.seek(SeekFrom::Start(end));
        written
            .and_then(|_| state.file.write_all(line.as_bytes()))
            .map_err(EvaluationError::file(&self.path))?;
        state.end += line.len() as u64;
        Ok(())
    }
}

/// Returns the key of an image: a changed file has another one. `None` where there is no such file.
pub(crate) fn key(path: &Path) -> Option<Key> {
    let metadata = std::fs::metadata(path).ok()?;
    let modified = metadata.modified().ok()?;
    let (before, since) = match modified.duration_since(UNIX_EPOCH) {
        Ok(since) => (0u8, since),
        Err(error) => (1, error.duration()),
    };
    // The same for every way to write the path.
    let path = std::fs::canonicalize(path).ok()?;
    let hash = Sha256::new()
        .chain_update(metadata.len().to_le_bytes())
        .chain_update([before])
        .chain_update(since.as_nanos().to_le_bytes())
        .chain_update(path.as_os_str().as_encoded_bytes());
    hash.finalize().first_chunk().copied()
}

fn checksum(key: &Key, status: Status, values: &[u8]) -> [u8; 8] {
    let hash = Sha256::new().chain_update(key).chain_update(status.to_string());
    let digest = hash.chain_update(values).finalize();
    digest.first_chunk().copied().unwrap_or_default()
}

/// Opens or creates a file that only its owner can read.
fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // Through a link, embeddings would go to a place where they are not expected, and stay there.
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::other("not a regular file"));
    }
    options.open(path)
}

/// Restores the permissions of a file that may have been copied with others.
fn restrict(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let _ = file;
    Ok(())
}

fn header(content: JournalContent, setup: &Setup) -> Value {
    let mut header = json!(setup);
    header["journal"] = json!(2);
    match content {
        JournalContent::Embeddings(face) => {
            header["content"] = json!("embeddings");
            header["face"] = json!(face);
        }
        JournalContent::Scores => header["content"] = json!("scores"),
    }
    header
}

/// Reads a line with its end, or what there is of it.
fn next_line(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    reader.take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    Ok(line)
}

/// Returns the content of a line; `None` where it is cut off or corrupt.
fn parse(line: &[u8]) -> Option<(Key, Measured)> {
    let line: Line = serde_json::from_slice(line.strip_suffix(b"\n")?).ok()?;
    if line.check != checksum(&line.image, line.status, &line.values) {
        return None;
    }
    let (values, rest) = line.values.as_chunks::<4>();
    let values: Vec<f32> = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let usable = rest.is_empty() && values.iter().all(|value| value.is_finite());
    match line.status {
        Status::Ok if usable && !values.is_empty() => Some((line.image, Ok(values))),
        status if status.is_failure_to_acquire() && line.values.is_empty() => Some((line.image, Err(status))),
        _ => None,
    }
}

/// Returns why a file with another first line cannot be resumed, and what to do.
fn mismatch(first: &[u8], found: Option<&Value>, wanted: &Value) -> String {
    if first.starts_with(BINARY_FORMAT) {
        return "written by an earlier version of Likeness in a format that is no longer read: delete it to start over"
            .to_owned();
    }
    let (Some(Value::Object(found)), Value::Object(wanted)) = (found, wanted) else {
        return "not a journal of an evaluation, or its header is corrupt: delete or move it, or choose another folder with \
                --out"
            .to_owned();
    };
    let text = |value: Option<&Value>| value.map_or_else(|| "absent".to_owned(), Value::to_string);
    let names: BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
    let pairs = names
        .into_iter()
        .map(|name| (name, found.get(name), wanted.get(name)));
    let differences = pairs.filter(|(_, was, is)| was != is);
    let differences: Vec<String> = differences
        .map(|(name, was, is)| format!("{name} was {}, is now {}", text(was), text(is)))
        .collect();
    let differences = differences.join("; ");
    format!(
        "started with another setup ({differences}): resume with that one, or delete the file to start over"
    )
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

    fn refused(folder: &Path) -> String {
        let error = open(folder).unwrap_err();
        assert!(matches!(error, EvaluationError::Journal { .. }), "{error}");
        error.to_string()
    }

    fn key_of(number: u8) -> Key {
        [number; 16]
    }

    /// Returns a folder with a journal of three images, and the journal's bytes.
    fn written() -> (tempfile::TempDir, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path()).unwrap();
        journal.add(&key_of(9), &Ok(vec![0.25, -0.5])).unwrap();
        journal.add(&key_of(3), &Err(Status::NoFace)).unwrap();
        journal.add(&key_of(5), &Err(Status::BadImage)).unwrap();
        journal.add(&key_of(6), &Err(Status::Missing)).unwrap();
        drop(journal);
        let bytes = std::fs::read(path_of(&folder)).unwrap();
        (folder, bytes)
    }

    fn path_of(folder: &tempfile::TempDir) -> PathBuf {
        folder.path().join("embeddings.partial")
    }

    /// Returns the number of images with a result.
    fn images(journal: &Journal) -> usize {
        journal.state.lock().lines.len()
    }

    fn results(journal: &Journal) -> [Option<Measured>; 4] {
        [9, 3, 5, 6].map(|number| journal.get(&key_of(number)).unwrap())
    }

    #[test]
    fn the_file_is_json_lines_after_a_header() {
        let (_, bytes) = written();
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!((lines.len(), text.ends_with('\n')), (4, true));
        assert_eq!(lines[0]["journal"], 2);
        assert_eq!(lines[0]["face"], "largest");
        assert_eq!(lines[0]["pack"], "open-1 1");
        assert_eq!(lines[1]["image"], "09".repeat(16));
        assert_eq!(lines[1]["values"], "0000803e000000bf");
        assert_eq!(lines[3]["status"], "bad_picture");
    }

    #[test]
    fn results_return_and_more_are_appended() {
        let (folder, bytes) = written();
        let journal = open(folder.path()).unwrap();
        let expected = [
            Some(Ok(vec![0.25, -0.5])),
            Some(Err(Status::NoFace)),
            Some(Err(Status::BadImage)),
            // This may be there next time.
            None,
        ];
        assert_eq!((results(&journal), images(&journal)), (expected.clone(), 3));
        journal.add(&key_of(1), &Ok(vec![1.0])).unwrap();
        drop(journal);
        assert!(std::fs::read(path_of(&folder)).unwrap().starts_with(&bytes));
        let journal = open(folder.path()).unwrap();
        assert_eq!((results(&journal), images(&journal)), (expected, 4));
        assert_eq!(journal.get(&key_of(1)).unwrap(), Some(Ok(vec![1.0])));
        journal.delete().unwrap();
        assert!(!path_of(&folder).exists());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, _) = written();
        let mode = || std::fs::metadata(path_of(&folder)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(path_of(&folder), std::fs::Permissions::from_mode(0o644)).unwrap();
        open(folder.path()).unwrap();
        assert_eq!(mode(), 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed_and_other_files_keep_their_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        std::fs::write(&elsewhere, b"").unwrap();
        let path = path_of(&folder);
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert!(matches!(open(folder.path()), Err(EvaluationError::File { .. })));
        assert_eq!(std::fs::read(&elsewhere).unwrap(), b"");

        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"my notes").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(open(folder.path()).is_err());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let content = std::fs::read(&path).unwrap();
        assert_eq!((mode, content), (0o644, b"my notes".to_vec()));
    }

    #[test]
    fn custom_models_cannot_be_resumed() {
        let folder = tempfile::tempdir().unwrap();
        let custom = Setup {
            pack: CUSTOM_PACK.to_owned(),
            ..setup()
        };
        let opened = Journal::open(folder.path(), CONTENT, &custom);
        assert!(matches!(opened, Err(EvaluationError::Journal { .. })));
    }

    #[test]
    fn two_evaluations_do_not_write_to_one_journal() {
        let (folder, _) = written();
        let first = open(folder.path()).unwrap();
        let error = refused(folder.path());
        assert!(
            error.contains("another evaluation is writing to this journal"),
            "{error}"
        );
        drop(first);
        open(folder.path()).unwrap();
    }

    #[test]
    fn wherever_it_is_cut_off_the_whole_lines_stay() {
        let (folder, bytes) = written();
        let mut whole = Vec::new();
        for length in 0..=bytes.len() {
            std::fs::write(path_of(&folder), &bytes[..length]).unwrap();
            let journal = open(folder.path()).unwrap();
            whole.push(images(&journal));
            // What is added afterwards is intact.
            journal.add(&key_of(1), &Ok(vec![1.0])).unwrap();
            drop(journal);
            let journal = open(folder.path()).unwrap();
            assert_eq!(images(&journal), whole[length] + 1);
            assert_eq!(journal.get(&key_of(1)).unwrap(), Some(Ok(vec![1.0])));
        }
        assert!(whole.is_sorted());
        whole.dedup();
        assert_eq!(whole, [0, 1, 2, 3]);
    }

    #[test]
    fn a_corrupt_line_and_all_after_it_are_truncated() {
        let (folder, bytes) = written();
        let ends: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at] == b'\n').collect();
        // Every byte of the second line.
        for at in ends[1] + 1..=ends[2] {
            let mut corrupt = bytes.clone();
            corrupt[at] ^= 1;
            std::fs::write(path_of(&folder), &corrupt).unwrap();
            assert_eq!(images(&open(folder.path()).unwrap()), 1, "{at}");
            assert_eq!(std::fs::read(path_of(&folder)).unwrap(), bytes[..=ends[1]]);
        }
    }

    #[test]
    fn lines_with_a_right_checksum_and_wrong_content_are_not_used() {
        let (folder, bytes) = written();
        let nan = f32::NAN.to_le_bytes();
        let infinite = f32::INFINITY.to_le_bytes();
        for (status, values) in [
            (Status::Ok, &[][..]),
            (Status::Ok, &[1, 2, 3]),
            (Status::Ok, &nan),
            (Status::Ok, &infinite),
            (Status::NoFace, &[0; 4]),
            (Status::Missing, &[]),
        ] {
            let line = json!(Line {
                image: key_of(1),
                status,
                values: values.to_vec(),
                check: checksum(&key_of(1), status, values),
            });
            let all = [&bytes[..], format!("{line}\n").as_bytes()].concat();
            std::fs::write(path_of(&folder), all).unwrap();
            let journal = open(folder.path()).unwrap();
            assert_eq!(images(&journal), 3, "{line}");
            assert_eq!(journal.get(&key_of(1)).unwrap(), None);
        }
    }

    #[test]
    fn a_journal_of_another_setup_is_refused_with_the_differences() {
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
            "pack was \"open-1 1\", is now \"mine 7\"",
            "onnx_runtime was \"1.32.0\", is now \"1.24.0\"",
            "delete the file to start over",
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("provider"), "{error}");
        let centre = JournalContent::Embeddings(FaceChoice::Centre);
        let error = Journal::open(folder.path(), centre, &setup())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("face was \"largest\", is now \"centre\""),
            "{error}"
        );
        // It is left as it was.
        assert_eq!(images(&open(folder.path()).unwrap()), 3);
    }

    #[test]
    fn another_file_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let binary = [BINARY_FORMAT, &[2, 0, 0, 0], b"{}"].concat();
        for (bytes, expected) in [
            (&binary[..], "earlier version"),
            (b"somebody's notes", "not a journal"),
            (b"somebody's notes\n", "not a journal"),
            (b"[]\n", "not a journal"),
            (b"{}", "started with another setup"),
        ] {
            std::fs::write(path_of(&folder), bytes).unwrap();
            let error = refused(folder.path());
            assert!(error.contains(expected), "{error}");
            assert_eq!(std::fs::read(path_of(&folder)).unwrap(), bytes);
        }
    }

    #[test]
    fn a_changed_image_has_another_key() {
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

    proptest! {
        #[test]
        fn hostile_bytes_are_refused_or_truncated(
            whole in any::<bool>(),
            hostile in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let (folder, bytes) = written();
            let begin = if whole { &bytes[..] } else { &[] };
            std::fs::write(path_of(&folder), [begin, &hostile].concat()).unwrap();
            match open(folder.path()) {
                Ok(journal) => prop_assert_eq!(images(&journal), if whole { 3 } else { 0 }),
                Err(error) => {
                    let refused = !whole && matches!(error, EvaluationError::Journal { .. });
                    prop_assert!(refused, "{}", error);
                }
            }
        }
    }
}
