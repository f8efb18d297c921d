//! Verification of the hash chains.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use likeness_storage::Database;

use super::chain::{ChainCheckpoint, ChainKey, Checkpoint, Fault, FaultKind};
use super::folder::{self, SealedCheckpoint};
use super::row::audit_row;
use super::shipper::{self, RecordsError};

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

impl AuditReport {
    fn new(expected: &[ChainCheckpoint]) -> Self {
        Self {
            missed: expected.to_vec(),
            ..Self::default()
        }
    }

    /// Begins the chain of an instance, after a checkpoint if retention has shortened it.
    fn begin(&mut self, key: &ChainKey, instance: &str, sealed: Option<SealedCheckpoint>) {
        let is_sealed = |it: &SealedCheckpoint| key.is_sealed(instance, &it.checkpoint, it.seal.as_deref());
        let unsealed = sealed.as_ref().filter(|sealed| !is_sealed(sealed));
        let fault = unsealed.map(|it| FaultKind::Checkpoint {
            seq: it.checkpoint.seq,
        });
        self.chains.push(ChainEnd {
            records: 0,
            end: ChainCheckpoint {
                instance: instance.to_owned(),
                checkpoint: sealed.unwrap_or_default().checkpoint,
            },
        });
        self.note(fault.map_or(Ok(()), Err));
    }

    /// Notes that the current chain is faulty, or else which expected checkpoints it is at.
    fn note(&mut self, checked: Result<(), FaultKind>) {
        let Some(ChainEnd { end, .. }) = self.chains.last() else {
            return;
        };
        match checked {
            Ok(()) => self.missed.retain(|expected| expected != end),
            Err(kind) => self.faults.push(kind.of(&end.instance)),
        }
    }

    /// Checks the next record of the current chain, unless that is faulty, and then what else is to be right about it.
    fn check(&mut self, key: &ChainKey, line: &str, more: impl FnOnce(u64) -> Result<(), FaultKind>) {
        let Some(chain) = self.chains.last_mut() else {
            return;
        };
        let ChainCheckpoint { instance, checkpoint } = &mut chain.end;
        if self.faults.last().is_none_or(|fault| fault.instance != *instance) {
            let checked = checkpoint.check(key, instance, line);
            let checked = checked.and_then(|()| more(checkpoint.seq));
            chain.records += u64::from(checked.is_ok());
            self.note(checked);
        }
    }

    fn is_faulty(&self, instance: &str) -> bool {
        self.faults.iter().any(|fault| fault.instance == instance)
    }

    fn last(&self, instance: &str) -> Option<u64> {
        let chain = self.chains.iter().rfind(|chain| chain.end.instance == instance);
        chain.map(|chain| chain.end.checkpoint.seq)
    }
}

/// Verifies the files in this folder, see [`audit_folder`](super::audit_folder). Faults are in the report. Blocks.
pub fn verify_files(
    audit: &Path,
    key: &ChainKey,
    expected: &[ChainCheckpoint],
) -> Result<AuditReport, RecordsError> {
    let mut report = AuditReport::new(expected);
    for instance in folder::instances(audit)? {
        let path = audit.join(&instance);
        // Before the files: records that are moved meanwhile are not taken for missing.
        let stored = shipper::last_stored(&path)?;
        report.begin(key, &instance, folder::checkpoint(&path)?);
        for file in folder::files(&path)? {
            for record in folder::records(&file, 0)? {
                if report.is_faulty(&instance) {
                    break;
                }
                match record {
                    Ok((line, _)) => report.check(key, &line, |_| Ok(())),
                    Err(error) => report.note(Err(FaultKind::Unreadable {
                        after: report.last(&instance).unwrap_or(0),
                        reason: error.to_string(),
                    })),
                }
            }
        }
        let last = report.last(&instance).unwrap_or(0);
        if !report.is_faulty(&instance) && last < stored {
            report.note(Err(FaultKind::FilesEnd { last, stored }));
        }
    }
    Ok(report)
}

/// Verifies the rows of the database: their records, their columns, and that it has all records that the files in this folder
/// were moved to. Faults are in the report.
pub async fn verify_database(
    database: &Database,
    key: &ChainKey,
    expected: &[ChainCheckpoint],
    files: &Path,
) -> Result<AuditReport, RecordsError> {
    let mut report = AuditReport::new(expected);
    // Before the rows: records that are moved meanwhile are not taken for missing.
    let mut moved = Vec::new();
    for instance in folder::instances(files)? {
        let seq = shipper::last_stored(&files.join(&instance))?;
        moved.push((instance, seq));
    }
    let mut checkpoints = checkpoints(database).await?;
    let removed = |checkpoints: &HashMap<String, SealedCheckpoint>, instance: &str| {
        checkpoints
            .get(instance)
            .map_or(0, |sealed| sealed.checkpoint.seq)
    };
    // A row of no instance, or with a number that no record has, is read too, and is a fault.
    let (mut instance, mut seq) = (String::new(), i64::MIN);
    loop {
        let rows = database.audit_after(&instance, seq, PAGE).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            if report.last(&row.instance).is_none() {
                let begin = removed(&checkpoints, &row.instance);
                if u64::try_from(row.seq).unwrap_or(0) != begin + 1 {
                    checkpoints = self::checkpoints(database).await?;
                    if removed(&checkpoints, &row.instance) > begin {
                        // Retention has removed rows since these were read.
                        break;
                    }
                }
                report.begin(key, &row.instance, checkpoints.get(&row.instance).cloned());
            }
            (instance, seq) = (row.instance.clone(), row.seq);
            report.check(key, &row.line, |seq| match audit_row(&row.line) {
                Ok(expected) if expected == row => Ok(()),
                _ => Err(FaultKind::Columns { seq }),
            });
        }
    }
    for (instance, moved) in moved {
        let last = report.last(&instance);
        let last = last.unwrap_or_else(|| removed(&checkpoints, &instance));
        if last < moved && !report.is_faulty(&instance) {
            let fault = FaultKind::DatabaseEnd { last, moved };
            report.faults.push(fault.of(&instance));
        }
    }
    Ok(report)
}

/// Returns where the chain of each instance begins, of those that retention has shortened.
async fn checkpoints(database: &Database) -> Result<HashMap<String, SealedCheckpoint>, RecordsError> {
    let found = database.audit_checkpoints().await?.into_iter().map(|found| {
        let checkpoint = Checkpoint {
            seq: u64::try_from(found.seq).unwrap_or(0),
            hash: found.hash,
        };
        let seal = found.seal;
        (found.instance, SealedCheckpoint { checkpoint, seal })
    });
    Ok(found.collect())
}

/// Calls `each` with every record in the files, instance by instance, up to the first error. Blocks.
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
