//! The results of a batch: a CSV file to which a line is appended for each pair, in the order of the list.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord, Terminator, WriterBuilder};
use likeness::decision::Outcome;

use super::pairs::{Pair, Pairs, cell};
use crate::cli::Failure;

/// The columns. The first four name the pair.
const COLUMNS: [&str; 12] = [
    "id",
    "selfie",
    "photo",
    "profile",
    "outcome",
    "face_match",
    "liveness",
    "codes",
    "error",
    "message",
    "request_id",
    "engine",
];

/// Most bytes of a line that is read: a row of the list, quoted, with a message.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

/// Most characters of a text that is not from the list.
const MAX_TEXT: usize = 1_000;

/// Most different codes that are counted: a service may return any.
const MAX_CODES: usize = 64;

/// The result of a pair.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Judged {
    pub(crate) verdict: Result<Decided, Refused>,
    /// The id that a service gave the request; empty without one.
    pub(crate) request_id: String,
}

/// A pair that was verified.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decided {
    pub(crate) outcome: Outcome,
    /// Match confidence, 0..=1; 0 where it could not be computed, as in a response.
    pub(crate) face_match: f64,
    /// Liveness score, likewise.
    pub(crate) liveness: f64,
    /// The codes of the decision lines, in their order.
    pub(crate) codes: Vec<String>,
}

/// A pair that could not be verified.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refused {
    /// The error code, as of the HTTP API.
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Judged {
    /// Returns the result of a pair that could not be verified.
    pub(crate) fn refused(code: &str, message: impl Into<String>) -> Self {
        Self {
            verdict: Err(Refused {
                code: code.to_owned(),
                message: message.into(),
            }),
            request_id: String::new(),
        }
    }

    /// Returns the line of the pair.
    pub(crate) fn line(&self, pair: &Pair, engine: &str) -> Result<Vec<u8>, Failure> {
        let mut cells: Vec<String> = pair.cells().into();
        match &self.verdict {
            Ok(decided) => cells.extend([
                decided.outcome.as_str().to_owned(),
                // Always with a decimal point, as in a response.
                format!("{:?}", decided.face_match),
                format!("{:?}", decided.liveness),
                brief(&decided.codes.join(" ")),
                String::new(),
                String::new(),
            ]),
            Err(refused) => {
                cells.push(ERROR.to_owned());
                cells.extend([(); 3].map(|()| String::new()));
                cells.extend([brief(&refused.code), brief(&refused.message)]);
            }
        }
        cells.extend([brief(&self.request_id), engine.to_owned()]);
        written(&cells)
    }
}

/// Text of another program as a cell: its length is bounded, so that each line can be read again.
pub(crate) fn brief(text: &str) -> String {
    cell(&text.chars().take(MAX_TEXT).collect::<String>())
}

/// The outcome of a pair that could not be verified.
const ERROR: &str = "error";

fn written(cells: &[impl AsRef<[u8]>]) -> Result<Vec<u8>, Failure> {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::Any(b'\n'))
        .from_writer(Vec::new());
    writer.write_record(cells)?;
    Ok(writer.into_inner().map_err(|error| error.to_string())?)
}

/// The counts of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// By outcome: `pass`, `warning`, `review`, `reject`, `error`.
    outcomes: BTreeMap<String, u64>,
    /// By the codes of decision lines and of errors.
    codes: BTreeMap<String, u64>,
}

impl Counts {
    pub(crate) fn of(&self, outcome: &str) -> u64 {
        self.outcomes.get(outcome).copied().unwrap_or(0)
    }

    pub(crate) fn errors(&self) -> u64 {
        self.of(ERROR)
    }

    pub(crate) fn total(&self) -> u64 {
        self.outcomes.values().sum()
    }

    /// Returns the codes with their counts, the most frequent first.
    pub(crate) fn codes(&self) -> Vec<(&str, u64)> {
        let mut codes: Vec<_> = self
            .codes
            .iter()
            .map(|(code, count)| (code.as_str(), *count))
            .collect();
        codes.sort_by_key(|(code, count)| (std::cmp::Reverse(*count), *code));
        codes
    }

    pub(crate) fn add(&mut self, outcome: &str, codes: &str) {
        *self.outcomes.entry(outcome.to_owned()).or_default() += 1;
        for code in codes.split(' ').filter(|code| !code.is_empty()) {
            if self.codes.contains_key(code) || self.codes.len() < MAX_CODES {
                *self.codes.entry(code.to_owned()).or_default() += 1;
            }
        }
    }

    pub(crate) fn add_judged(&mut self, judged: &Judged) {
        match &judged.verdict {
            Ok(decided) => self.add(decided.outcome.as_str(), &decided.codes.join(" ")),
            Err(refused) => self.add(ERROR, &refused.code),
        }
    }
}

/// The file. Another batch cannot open it at the same time.
#[derive(Debug)]
pub(crate) struct Results {
    path: PathBuf,
    file: File,
}

impl Results {
    /// Opens the file, or creates it with a header.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let place = path.display();
        // Opening a pipe would wait for its reader.
        if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            return Err(format!("cannot write {place}: it is not a file").into());
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| format!("cannot write {place}: {error}"))?;
        match file.try_lock() {
            // A file system without locks has none to conflict with.
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(format!("{place}: another batch is writing to it").into());
            }
        }
        let path = path.to_owned();
        Ok(Self { path, file })
    }

    /// Reads the results of an earlier run, takes as many pairs from the list, and leaves the file at its end. A last line that
    /// is not complete is removed.
    pub(crate) fn resume(&mut self, pairs: &mut Pairs, engine: &str) -> Result<Counts, Failure> {
        let mut counts = Counts::default();
        let mut whole = 0_u64;
        let mut reader = BufReader::new(&self.file);
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            let length = reader
                .by_ref()
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut line)?;
            if line.last() != Some(&b'\n') {
                if length as u64 == MAX_LINE_BYTES {
                    return Err(self.foreign(number, "it is too long"));
                }
                if number == 1 && !header()?.starts_with(&line) {
                    return Err(self.foreign(number, "it has other columns"));
                }
                break;
            }
            let record = parsed(&line).ok_or_else(|| self.foreign(number, "it has other columns"))?;
            if number == 1 {
                if record != *COLUMNS.as_slice() {
                    return Err(self.foreign(number, "it has other columns"));
                }
            } else {
                self.check(number, &record, pairs.next().transpose()?.as_ref(), engine)?;
                let text = |column| record.get(column).unwrap_or_default();
                counts.add(text(4), &format!("{} {}", text(7), text(8)));
            }
            whole += length as u64;
        }
        self.file.set_len(whole)?;
        self.file.seek(SeekFrom::Start(whole))?;
        if whole == 0 {
            self.append(&header()?)?;
        }
        Ok(counts)
    }

    /// Checks that a line is the result for a pair by this engine.
    fn check(
        &self,
        number: u64,
        record: &StringRecord,
        pair: Option<&Pair>,
        engine: &str,
    ) -> Result<(), Failure> {
        let Some(pair) = pair else {
            return Err(self.foreign(number, "the list has no such pair"));
        };
        if record.iter().take(4).ne(pair.cells().iter()) {
            let found = record.iter().take(4).collect::<Vec<_>>().join(",");
            let expected = pair.cells().join(",");
            return Err(self.foreign(
                number,
                &format!("it is the result for {found}, and the list has {expected} there"),
            ));
        }
        let by = record.get(11).unwrap_or_default();
        if by != engine {
            return Err(self.foreign(
                number,
                &format!("it is by the engine {by}, and this one is {engine}"),
            ));
        }
        Ok(())
    }

    fn foreign(&self, number: u64, reason: &str) -> Failure {
        format!(
            "cannot resume {}: line {number} is of another batch: {reason}; name another file with --out, or delete this one",
            self.path.display()
        )
        .into()
    }

    /// Appends a line with one write.
    pub(crate) fn append(&mut self, line: &[u8]) -> Result<(), Failure> {
        let place = self.path.display();
        Ok(self
            .file
            .write_all(line)
            .map_err(|error| format!("cannot write {place}: {error}"))?)
    }
}

fn header() -> Result<Vec<u8>, Failure> {
    written(&COLUMNS)
}

/// Reads a line of as many cells as there are columns.
fn parsed(line: &[u8]) -> Option<StringRecord> {
    let mut reader = ReaderBuilder::new().has_headers(false).from_reader(line);
    let mut record = StringRecord::new();
    let is_there = reader.read_record(&mut record).ok()?;
    (is_there && record.len() == COLUMNS.len()).then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGINE: &str = "open-2 1 abcd";

    fn decided() -> Judged {
        Judged {
            verdict: Ok(Decided {
                outcome: Outcome::Review,
                face_match: 0.4803,
                liveness: 1.0,
                codes: vec!["FAILED_FACE_MATCH".to_owned(), "SAME_IMAGE".to_owned()],
            }),
            request_id: String::new(),
        }
    }

    /// A list of three pairs and results for the first two.
    fn half_done() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (list, out) = (folder.path().join("pairs.csv"), folder.path().join("out.csv"));
        std::fs::write(&list, "selfie,photo,id\na,b,=x\nc,\"d,e\",y\nf,g,z\n").unwrap();
        let mut pairs = Pairs::open(&list).unwrap();
        let mut results = Results::open(&out).unwrap();
        assert_eq!(results.resume(&mut pairs, ENGINE).unwrap(), Counts::default());
        for judged in [decided(), Judged::refused("CORRUPT_IMAGE", "=2\n3")] {
            let pair = pairs.next().unwrap().unwrap();
            results.append(&judged.line(&pair, ENGINE).unwrap()).unwrap();
        }
        (folder, list, out)
    }

    fn resume(list: &Path, out: &Path, engine: &str) -> Result<(Counts, Option<Pair>), String> {
        let mut pairs = Pairs::open(list).unwrap();
        let counts = Results::open(out)
            .unwrap()
            .resume(&mut pairs, engine)
            .map_err(|error| error.to_string())?;
        Ok((counts, pairs.next().transpose().unwrap()))
    }

    #[test]
    fn a_line_has_scores_codes_outcome_and_error() {
        let (_folder, _, out) = half_done();
        assert_eq!(
            std::fs::read_to_string(out).unwrap(),
            "id,selfie,photo,profile,outcome,face_match,liveness,codes,error,message,request_id,engine\n\
             '=x,a,b,,review,0.4803,1.0,FAILED_FACE_MATCH SAME_IMAGE,,,,open-2 1 abcd\n\
             y,c,\"d,e\",,error,,,,CORRUPT_IMAGE,'=2 3,,open-2 1 abcd\n"
        );
    }

    #[test]
    fn a_run_resumes_after_the_last_complete_line() {
        let (_folder, list, out) = half_done();
        let whole = std::fs::read(&out).unwrap();
        let second = whole.iter().rposition(|byte| *byte == b'y').unwrap();
        // Torn within the second result: it is done again.
        for cut in [second, whole.len() - 1, second + 5] {
            std::fs::write(&out, &whole[..cut]).unwrap();
            let (counts, next) = resume(&list, &out, ENGINE).unwrap();
            assert_eq!((counts.total(), next.unwrap().id.as_str()), (1, "y"), "{cut}");
        }
        std::fs::write(&out, &whole).unwrap();
        let (counts, next) = resume(&list, &out, ENGINE).unwrap();
        assert_eq!((counts.of("review"), counts.errors()), (1, 1));
        assert_eq!(counts.codes()[0], ("CORRUPT_IMAGE", 1));
        assert_eq!(next.unwrap().id, "z");
        assert_eq!(std::fs::read(&out).unwrap(), whole);
        // Torn within the header.
        std::fs::write(&out, &whole[..10]).unwrap();
        let (counts, next) = resume(&list, &out, ENGINE).unwrap();
        assert_eq!((counts.total(), next.unwrap().id.as_str()), (0, "=x"));
    }

    #[test]
    fn results_of_another_batch_are_not_touched() {
        let (_folder, list, out) = half_done();
        let error = resume(&list, &out, "open-1 1 0123").unwrap_err();
        assert!(
            error.contains("by the engine open-2 1 abcd, and this one is open-1 1 0123"),
            "{error}"
        );
        std::fs::write(&list, "selfie,photo,id\na,b,=x\n").unwrap();
        let error = resume(&list, &out, ENGINE).unwrap_err();
        assert!(
            error.contains("line 3") && error.contains("the list has no such pair"),
            "{error}"
        );
        std::fs::write(&list, "selfie,photo,id\na,other,=x\n").unwrap();
        let error = resume(&list, &out, ENGINE).unwrap_err();
        assert!(
            error.contains("line 2") && error.contains("the list has '=x,a,other, there"),
            "{error}"
        );
        let foreign = "some,other\nfile,1\n";
        for text in [foreign, "a note", &"x".repeat(3_000)] {
            std::fs::write(&out, text).unwrap();
            let error = resume(&list, &out, ENGINE).unwrap_err();
            assert!(error.contains("line 1 is of another batch"), "{error}");
            assert_eq!(std::fs::read_to_string(&out).unwrap(), text);
        }
    }

    #[test]
    fn a_line_is_bounded_whatever_a_service_says() {
        let judged = Judged::refused("CODE", "\"".repeat(1 << 20));
        let line = judged.line(&Pair::default(), ENGINE).unwrap();
        assert!(line.len() < 3_000);
        assert_eq!(parsed(&line).unwrap().get(9).unwrap().len(), MAX_TEXT);
    }

    #[test]
    fn two_batches_cannot_write_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out.csv");
        let _first = Results::open(&out).unwrap();
        let error = Results::open(&out).unwrap_err().to_string();
        assert!(error.contains("another batch is writing"), "{error}");
    }
}
