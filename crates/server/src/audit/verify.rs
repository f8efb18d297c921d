//! Whether an audit is whole.

use std::io;
use std::path::Path;

use likeness_storage::audit::AuditCheckpoint;
use likeness_storage::{Database, StorageError};

use super::chain::{ChainKey, Fault, Head};
use super::{folder, shipper};

/// Rows that are read at a time.
const PAGE: i64 = 500;

/// What was checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditReport {
    /// The end of each chain, with the number of lines that were checked.
    pub chains: Vec<ChainEnd>,
    /// What is wrong, the first of each chain.
    pub faults: Vec<Fault>,
    /// Noted heads that no chain has passed.
    pub missed: Vec<NotedHead>,
}

/// The end of a chain as far as it is right.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChainEnd {
    /// Which service wrote it.
    pub instance: String,
    /// Lines that were checked and are right.
    pub lines: u64,
    /// The last of them. To be noted down elsewhere: that lines are missing at the end shows by nothing else.
    pub head: Head,
}

/// An end of a chain that was noted down earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotedHead {
    /// Which chain.
    pub instance: String,
    /// What was its end then.
    pub head: Head,
}

/// Heads that were noted down, and which of them the chains have passed with the same hash.
struct Noted<'a> {
    heads: &'a [NotedHead],
    passed: Vec<bool>,
}

impl<'a> Noted<'a> {
    fn new(heads: &'a [NotedHead]) -> Self {
        Self {
            heads,
            passed: vec![false; heads.len()],
        }
    }

    /// A chain is here now.
    fn pass(&mut self, instance: &str, head: &Head) {
        for (noted, passed) in self.heads.iter().zip(&mut self.passed) {
            *passed |= noted.instance == instance && noted.head == *head;
        }
    }

    /// Those that no chain has passed: it ends before, or it is another one, or retention has removed that line.
    fn missed(self) -> Vec<NotedHead> {
        let heads = self.heads.iter().zip(self.passed);
        heads
            .filter(|(_, passed)| !passed)
            .map(|(head, _)| head.clone())
            .collect()
    }
}

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The files cannot be read.
    #[error("the audit's files cannot be read: {0}")]
    Files(#[from] io::Error),
    /// The storage cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Checks the files in this folder, see [`audit_folder`](super::audit_folder). Blocks.
///
/// # Errors
/// [`VerifyError::Files`]. What is wrong with the audit is in the report.
pub fn verify_files(audit: &Path, key: &ChainKey, noted: &[NotedHead]) -> Result<AuditReport, VerifyError> {
    let mut noted = Noted::new(noted);
    let mut report = AuditReport::default();
    for instance in folder::instances(audit)? {
        let path = audit.join(&instance);
        // Before the files: what is moved meanwhile is not taken for missing.
        let stored = shipper::last_stored(&path)?;
        let anchor = folder::anchor(&path)?;
        let unsealed = anchor
            .as_ref()
            .and_then(|anchor| unsealed(key, &instance, &anchor.before, anchor.seal.as_deref()));
        let mut head = anchor.map(|anchor| anchor.before).unwrap_or_default();
        if let Some(fault) = unsealed {
            report.faults.push(fault);
            report.chains.push(ChainEnd {
                instance,
                lines: 0,
                head,
            });
            continue;
        }
        noted.pass(&instance, &head);
        let (mut lines, faults) = (0, report.faults.len());
        'files: for file in folder::files(&path)? {
            for line in folder::lines(&file, 0)? {
                let checked = line
                    .map_err(|error| Fault::Unreadable {
                        instance: instance.clone(),
                        after: head.seq,
                        reason: error.to_string(),
                    })
                    .and_then(|(text, _)| head.check(key, &instance, &text).map(drop));
                if let Err(fault) = checked {
                    report.faults.push(fault);
                    break 'files;
                }
                noted.pass(&instance, &head);
                lines += 1;
            }
        }
        if report.faults.len() == faults && head.seq < stored {
            report.faults.push(Fault::End {
                instance: instance.clone(),
                last: head.seq,
                stored,
            });
        }
        report.chains.push(ChainEnd {
            instance,
            lines,
            head,
        });
    }
    report.missed = noted.missed();
    Ok(report)
}

/// Checks the rows of the storage: their lines, that their columns say what the lines say, and that what the files in this
/// folder were moved to is there.
///
/// # Errors
/// [`VerifyError`]. What is wrong with the audit is in the report.
pub async fn verify_storage(
    database: &Database,
    key: &ChainKey,
    noted: &[NotedHead],
    files: &Path,
) -> Result<AuditReport, VerifyError> {
    let mut noted = Noted::new(noted);
    // Before the rows: what is moved meanwhile is not taken for missing.
    let moved = moved(files)?;
    let mut anchors = database.audit_checkpoints().await?;
    let mut report = AuditReport::default();
    let (mut instance, mut seq) = (String::new(), 0);
    // Whether the rest of the chain is passed over, since it is wrong before.
    let mut is_broken = false;
    let mut broken = Vec::new();
    loop {
        let rows = database.audit_after(&instance, seq, PAGE).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            if report
                .chains
                .last()
                .is_none_or(|chain| chain.instance != row.instance)
            {
                let begin = anchored(&anchors, &row.instance);
                if row.seq != begin + 1 {
                    anchors = database.audit_checkpoints().await?;
                    if anchored(&anchors, &row.instance) > begin {
                        // Retention has removed rows since these were read.
                        break;
                    }
                }
                let anchor = anchors.iter().find(|anchor| anchor.instance == row.instance);
                let head = anchor.map_or_else(Head::default, |anchor| Head {
                    seq: u64::try_from(anchor.seq).unwrap_or(0),
                    hash: anchor.hash.clone(),
                });
                let seal = anchor.and_then(|anchor| anchor.seal.as_deref());
                let fault = anchor.and_then(|_| unsealed(key, &row.instance, &head, seal));
                is_broken = fault.is_some();
                if is_broken {
                    broken.push(row.instance.clone());
                } else {
                    noted.pass(&row.instance, &head);
                }
                report.faults.extend(fault);
                report.chains.push(ChainEnd {
                    instance: row.instance.clone(),
                    lines: 0,
                    head,
                });
            }
            (instance, seq) = (row.instance.clone(), row.seq);
            let Some(chain) = report.chains.last_mut().filter(|_| !is_broken) else {
                continue;
            };
            let checked = chain.head.check(key, &row.instance, &row.line).map(drop);
            let checked = checked.and_then(|()| match shipper::row(row.line.clone()) {
                Ok(said) if said == row => Ok(()),
                _ => Err(Fault::Columns {
                    instance: row.instance.clone(),
                    seq: chain.head.seq,
                }),
            });
            match checked {
                Ok(()) => {
                    noted.pass(&row.instance, &chain.head);
                    chain.lines += 1;
                }
                Err(fault) => {
                    is_broken = true;
                    broken.push(row.instance);
                    report.faults.push(fault);
                }
            }
        }
    }
    for (instance, moved) in moved {
        let chain = report.chains.iter().find(|chain| chain.instance == instance);
        let last = chain.map_or_else(
            || u64::try_from(anchored(&anchors, &instance)).unwrap_or(0),
            |chain| chain.head.seq,
        );
        if last < moved && !broken.contains(&instance) {
            report.faults.push(Fault::StorageEnd {
                instance,
                last,
                moved,
            });
        }
    }
    report.missed = noted.missed();
    Ok(report)
}

/// Number of the last line that was moved into the storage, of each instance with files here.
fn moved(files: &Path) -> io::Result<Vec<(String, u64)>> {
    let instances = folder::instances(files)?.into_iter();
    instances
        .map(|instance| shipper::last_stored(&files.join(&instance)).map(|seq| (instance, seq)))
        .collect()
}

/// Number of the last line that retention has removed of an instance; 0 where it has removed none.
fn anchored(anchors: &[AuditCheckpoint], instance: &str) -> i64 {
    let anchor = anchors.iter().find(|anchor| anchor.instance == instance);
    anchor.map_or(0, |anchor| anchor.seq)
}

/// What is wrong with where a chain is said to begin.
fn unsealed(key: &ChainKey, instance: &str, before: &Head, seal: Option<&str>) -> Option<Fault> {
    (!key.is_sealed(instance, before, seal)).then(|| Fault::Anchor {
        instance: instance.to_owned(),
        seq: before.seq,
    })
}

/// Gives every line of the files to `each`, instance by instance. Blocks.
///
/// # Errors
/// Those of the files, and of `each`.
pub fn file_lines(audit: &Path, mut each: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    for instance in folder::instances(audit)? {
        for file in folder::files(&audit.join(&instance))? {
            for line in folder::lines(&file, 0)? {
                each(&line?.0)?;
            }
        }
    }
    Ok(())
}
