//! Verification of the hash chains.

use std::io;
use std::path::Path;

use likeness_storage::audit::AuditCheckpoint;
use likeness_storage::{Database, StorageError};

use super::chain::{ChainCheckpoint, ChainKey, Checkpoint, Fault, FaultKind};
use super::{folder, shipper};

/// Rows that are read at a time.
const PAGE: i64 = 500;

/// The outcome of a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditReport {
    /// Each chain as far as it is valid.
    pub chains: Vec<ChainEnd>,
    /// The first fault of each chain.
    pub faults: Vec<Fault>,
    /// Expected checkpoints that no chain contains.
    pub missed: Vec<ChainCheckpoint>,
}

/// A chain as far as it is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChainEnd {
    /// Number of verified records.
    pub records: u64,
    /// The last of them. To be kept elsewhere: nothing else shows that records are missing at the end.
    pub end: ChainCheckpoint,
}

/// An error that prevents verification.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The files cannot be read.
    #[error("cannot read the audit files: {0}")]
    Files(#[from] io::Error),
    /// The database cannot be read.
    #[error(transparent)]
    Database(#[from] StorageError),
}

/// A verification in progress.
struct Verification<'a> {
    key: &'a ChainKey,
    expected: &'a [ChainCheckpoint],
    /// Whether a chain contains the expected checkpoint at this index.
    passed: Vec<bool>,
    report: AuditReport,
    /// Whether the current chain is faulty, and the rest of it is skipped.
    is_faulty: bool,
}

impl<'a> Verification<'a> {
    fn new(key: &'a ChainKey, expected: &'a [ChainCheckpoint]) -> Self {
        Self {
            key,
            expected,
            passed: vec![false; expected.len()],
            report: AuditReport::default(),
            is_faulty: false,
        }
    }

    /// Begins the chain of an instance, after a checkpoint if retention has shortened it.
    fn begin(&mut self, instance: &str, checkpoint: Option<(Checkpoint, Option<&str>)>) {
        let unsealed = checkpoint.as_ref().and_then(|(checkpoint, seal)| {
            let is_sealed = self.key.is_sealed(instance, checkpoint, *seal);
            (!is_sealed).then_some(FaultKind::Checkpoint { seq: checkpoint.seq })
        });
        self.report.chains.push(ChainEnd {
            records: 0,
            end: ChainCheckpoint {
                instance: instance.to_owned(),
                checkpoint: checkpoint.map(|(checkpoint, _)| checkpoint).unwrap_or_default(),
            },
        });
        self.is_faulty = false;
        match unsealed {
            Some(kind) => self.fault(kind),
            None => self.pass(),
        }
    }

    /// The instance of the current chain, and the number of its last record.
    fn current(&self) -> Option<&ChainCheckpoint> {
        self.report.chains.last().map(|chain| &chain.end)
    }

    fn seq(&self) -> u64 {
        self.current().map_or(0, |end| end.checkpoint.seq)
    }

    /// Notes which expected checkpoints the current chain is at.
    fn pass(&mut self) {
        let Some(end) = self.report.chains.last().map(|chain| &chain.end) else {
            return;
        };
        for (expected, passed) in self.expected.iter().zip(&mut self.passed) {
            *passed |= expected == end;
        }
    }

    fn fault(&mut self, kind: FaultKind) {
        self.is_faulty = true;
        if let Some(end) = self.report.chains.last().map(|chain| &chain.end) {
            self.report.faults.push(kind.of(&end.instance));
        }
    }

    /// Checks the next record of the current chain, and then what else is to be right about it.
    fn check(&mut self, line: &str, more: impl FnOnce(u64) -> Result<(), FaultKind>) {
        let Some(chain) = self.report.chains.last_mut().filter(|_| !self.is_faulty) else {
            return;
        };
        let ChainCheckpoint { instance, checkpoint } = &mut chain.end;
        let checked = checkpoint.check(self.key, instance, line);
        match checked.and_then(|()| more(checkpoint.seq)) {
            Ok(()) => {
                chain.records += 1;
                self.pass();
            }
            Err(kind) => self.fault(kind),
        }
    }

    /// Ends with the checkpoints that no chain contains: it ends before, it is another one, or retention has removed them.
    fn finish(mut self) -> AuditReport {
        let expected = self.expected.iter().zip(self.passed);
        self.report.missed = expected
            .filter(|(_, passed)| !passed)
            .map(|(checkpoint, _)| checkpoint.clone())
            .collect();
        self.report
    }
}

/// Verifies the files in this folder, see [`audit_folder`](super::audit_folder). Blocks.
///
/// # Errors
/// [`VerifyError::Files`]. Faults of the audit are in the report.
pub fn verify_files(
    audit: &Path,
    key: &ChainKey,
    expected: &[ChainCheckpoint],
) -> Result<AuditReport, VerifyError> {
    let mut verification = Verification::new(key, expected);
    for instance in folder::instances(audit)? {
        let path = audit.join(&instance);
        // Before the files: records that are moved meanwhile are not taken for missing.
        let stored = shipper::last_stored(&path)?;
        let sealed = folder::checkpoint(&path)?;
        let checkpoint = sealed
            .as_ref()
            .map(|it| (it.checkpoint.clone(), it.seal.as_deref()));
        verification.begin(&instance, checkpoint);
        for file in folder::files(&path)? {
            for record in folder::records(&file, 0)? {
                if verification.is_faulty {
                    break;
                }
                match record {
                    Ok((line, _)) => verification.check(&line, |_| Ok(())),
                    Err(error) => {
                        let after = verification.seq();
                        let reason = error.to_string();
                        verification.fault(FaultKind::Unreadable { after, reason });
                    }
                }
            }
        }
        let last = verification.seq();
        if !verification.is_faulty && last < stored {
            verification.fault(FaultKind::FilesEnd { last, stored });
        }
    }
    Ok(verification.finish())
}

/// Verifies the rows of the database: their records, that their columns agree with the records, and that it has all records
/// that the files in this folder were moved to.
///
/// # Errors
/// [`VerifyError`]. Faults of the audit are in the report.
pub async fn verify_database(
    database: &Database,
    key: &ChainKey,
    expected: &[ChainCheckpoint],
    files: &Path,
) -> Result<AuditReport, VerifyError> {
    let mut verification = Verification::new(key, expected);
    // Before the rows: records that are moved meanwhile are not taken for missing.
    let mut moved = Vec::new();
    for instance in folder::instances(files)? {
        let seq = shipper::last_stored(&files.join(&instance))?;
        moved.push((instance, seq));
    }
    let mut checkpoints = database.audit_checkpoints().await?;
    let (mut instance, mut seq) = (String::new(), 0);
    loop {
        let rows = database.audit_after(&instance, seq, PAGE).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            if verification
                .current()
                .is_none_or(|end| end.instance != row.instance)
            {
                let begin = removed(&checkpoints, &row.instance);
                if row.seq != begin + 1 {
                    checkpoints = database.audit_checkpoints().await?;
                    if removed(&checkpoints, &row.instance) > begin {
                        // Retention has removed rows since these were read.
                        break;
                    }
                }
                let found = checkpoints.iter().find(|found| found.instance == row.instance);
                let checkpoint = found.map(|found| {
                    let checkpoint = Checkpoint {
                        seq: u64::try_from(found.seq).unwrap_or(0),
                        hash: found.hash.clone(),
                    };
                    (checkpoint, found.seal.as_deref())
                });
                verification.begin(&row.instance, checkpoint);
            }
            (instance, seq) = (row.instance.clone(), row.seq);
            verification.check(&row.line, |seq| match shipper::audit_row(&row.line) {
                Ok(expected) if expected == row => Ok(()),
                _ => Err(FaultKind::Columns { seq }),
            });
        }
    }
    for (instance, moved) in moved {
        let report = &mut verification.report;
        let chain = report.chains.iter().find(|chain| chain.end.instance == instance);
        let last = chain.map_or_else(
            || u64::try_from(removed(&checkpoints, &instance)).unwrap_or(0),
            |chain| chain.end.checkpoint.seq,
        );
        let is_faulty = report.faults.iter().any(|fault| fault.instance == instance);
        if last < moved && !is_faulty {
            report
                .faults
                .push(FaultKind::DatabaseEnd { last, moved }.of(&instance));
        }
    }
    Ok(verification.finish())
}

/// Returns the number of the last record that retention has removed of an instance; 0 if it has removed none.
fn removed(checkpoints: &[AuditCheckpoint], instance: &str) -> i64 {
    let checkpoint = checkpoints.iter().find(|found| found.instance == instance);
    checkpoint.map_or(0, |checkpoint| checkpoint.seq)
}

/// Calls `each` with every record in the files, instance by instance. Blocks.
///
/// # Errors
/// Those of the files, and of `each`.
pub fn file_records(audit: &Path, mut each: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    for instance in folder::instances(audit)? {
        for file in folder::files(&audit.join(&instance))? {
            for record in folder::records(&file, 0)? {
                each(&record?.0)?;
            }
        }
    }
    Ok(())
}
