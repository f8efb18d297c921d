//! The audit log: a record of every verification in files with a hash chain, from which a task moves them into the database.

mod chain;
mod csv_export;
mod event;
mod folder;
mod place;
mod room;
mod row;
mod search;
mod shipper;
mod state;
mod statistics;
#[cfg(test)]
mod tests;
mod verify;
mod waiting;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use likeness_engine::EngineLabels;
use likeness_storage::{Database, now};
use parking_lot::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use crate::config::AuditConfig;
use crate::periodic::ticks;
use crate::sampling::{INTERVAL, Sampler, WINDOW, is_sampled};
use event::{Event, Refused};
use folder::Folder;
use shipper::Shipper;
use state::SharedState;
use waiting::{Subject, Wait, Waiting};
use writer::{Message, Queued, RealDisk, Writer};

pub use chain::{ChainCheckpoint, ChainKey, Checkpoint, Fault, FaultKind, InvalidCheckpoint};
pub use csv_export::{csv_cells, csv_columns, disarmed};
pub(crate) use event::{ConsoleAction, ImageFacts, Verification};
pub(crate) use place::{Link, RecordInChain, record_in_chain};
pub use room::{NearlyFull, nearly_full};
pub use row::{audit_row, searchable};
pub use shipper::RecordsError;
pub(crate) use statistics::{BINS, OutcomeCounts, RecordedDecisions, Statistics};
pub use verify::{AuditReport, ChainEnd, file_records, verify_database, verify_files};
pub(crate) use waiting::CLIENT_GONE;

/// Events between requests and the writer.
const QUEUE: usize = 8_192;
/// Records of unauthenticated requests in a second, the summary included.
const UNAUTHENTICATED: u32 = 1;
/// Records in a second of the requests of one app that are refused for one reason, likewise.
const REFUSED: u32 = 20;
const SPACE_INTERVAL: Duration = Duration::from_secs(60);
/// How long a graceful shutdown waits for the last records.
const LAST_RECORDS: Duration = Duration::from_secs(5);

/// Returns the folder of the audit log in the data folder.
#[must_use]
pub fn audit_folder(storage: &Path) -> PathBuf {
    storage.join("audit")
}

/// The audit cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the audit to {path}: {source}", path = path.display())]
pub struct AuditError {
    path: PathBuf,
    source: io::Error,
}

/// Records verifications. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Audit {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    messages: SyncSender<Message>,
    state: SharedState,
    shipper: Shipper,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Refused requests that have no record of their own.
    sampler: Sampler<Refused>,
    config: AuditConfig,
    path: PathBuf,
}

impl Audit {
    /// Opens the files; `None` if the audit is disabled.
    pub(crate) fn open(
        config: &AuditConfig,
        storage: &Path,
        database: Database,
    ) -> Result<Option<Self>, AuditError> {
        let path = audit_folder(storage);
        let audit = config.enabled.then(|| Self::start(config, &path, database));
        audit.transpose().map_err(|source| AuditError { path, source })
    }

    fn start(config: &AuditConfig, path: &Path, database: Database) -> io::Result<Self> {
        let (folder, end) = take_over(path)?;
        let (folder, state) = (Arc::new(folder), SharedState::default());
        let shipper = Shipper::new(Arc::clone(&folder), Arc::clone(&state), database, config, end.seq)?;
        let writer = Writer::new(folder, Arc::clone(&state), config, Box::new(RealDisk), end)?;
        let (messages, received) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("likeness-audit".to_owned())
            .spawn(move || writer.run(&received))?;
        Ok(Self {
            inner: Arc::new(Inner {
                messages,
                state,
                shipper,
                writer: Mutex::new(Some(thread)),
                sampler: Sampler::new(),
                config: config.clone(),
                path: path.to_owned(),
            }),
        })
    }

    /// Returns whether to refuse verifications, since they could not be recorded.
    pub(crate) fn refuses(&self) -> bool {
        self.inner.config.is_required() && {
            let state = self.inner.state.lock();
            state.is_failing || state.is_full || state.is_database_taken
        }
    }

    /// Sends an event to the writer, for which its response waits. Dropped, the result says that the client has gone.
    pub(crate) fn submit(&self, verification: &Verification<'_>) -> Wait {
        let is_recorded = self.has_record_of_its_own(verification);
        // A refusal need not be held back.
        let is_held = is_recorded && self.inner.config.is_required() && verification.status < 400;
        let subject = Subject {
            request_id: verification.request_id.clone(),
            app: verification.app.map(ToOwned::to_owned),
        };
        let (waiting, wait) = waiting::wait(subject, is_held);
        if is_recorded {
            self.send(&Event::Verification(verification), Some(waiting));
        }
        wait
    }

    /// Sends an event to the writer, for which no response waits.
    pub(crate) fn record(&self, verification: &Verification<'_>) {
        if self.has_record_of_its_own(verification) {
            self.send(&Event::Verification(verification), None);
        }
    }

    /// Only verifications are recorded, and of a flood of refused requests only some: the sampler counts the others.
    fn has_record_of_its_own(&self, verification: &Verification<'_>) -> bool {
        let (error, status) = (verification.error, verification.status);
        let most = match verification.app {
            _ if verification.endpoint.is_none() => return false,
            // An operator has logged in for it.
            None if verification.source.is_some() => return true,
            None => UNAUTHENTICATED,
            Some(_) if error.is_some_and(is_sampled) => REFUSED,
            Some(_) => return true,
        };
        let app = verification.app.map(ToOwned::to_owned);
        self.inner.sampler.admit(Refused { error, status, app }, most)
    }

    /// Records, for each reason and at least so much time, the number of refused requests without a record of their own.
    fn record_skipped(&self, age: Duration) {
        for skipped in self.inner.sampler.end_windows(age) {
            let (lost, refused) = (skipped.count, skipped.key);
            self.send(&Event::Skipped { lost, refused }, None);
        }
    }

    /// Waits until the event is in the file, as long as a response may. Returns whether the response may be sent.
    pub(crate) async fn wait(&self, pending: Wait) -> bool {
        let most = Duration::from_millis(self.inner.config.wait_ms);
        pending.within(most).await
    }

    /// Records that the service has started.
    pub(crate) fn started(&self, info: &EngineLabels) {
        let event = Event::Start {
            pack: &info.pack,
            pack_version: &info.pack_version,
            pack_digest: &info.pack_digest,
            provider: &info.provider,
        };
        self.send(&event, None);
    }

    /// Records what was done in the console.
    pub(crate) fn console(&self, action: &ConsoleAction<'_>) {
        self.send(&Event::Console(action), None);
    }

    /// Sends an event to the writer. If the queue has no room for it, it is lost.
    fn send(&self, event: &Event<'_>, waiting: Option<Waiting>) {
        let message = event.json().map(|text| Some(Queued { text, waiting }));
        if message.is_ok_and(|message| self.inner.messages.try_send(message).is_ok()) {
            return;
        }
        let was_logged = {
            let mut state = self.inner.state.lock();
            state.lost += 1;
            state.is_full = true;
            std::mem::replace(&mut state.is_overflow_logged, true)
        };
        if !was_logged {
            let consequence = if self.inner.config.is_required() {
                "refusing requests (audit.mode = required)"
            } else {
                "requests continue; new records are lost (audit.mode = best-effort)"
            };
            tracing::error!(
                waiting = QUEUE,
                consequence,
                "audit queue is full: cannot write fast enough"
            );
        }
    }

    /// Moves records into the database, makes older ones searchable, and records skipped requests each second, as long as it is
    /// polled.
    pub(crate) async fn keep_up(&self) {
        let recording_skipped = async {
            let mut ticks = ticks(Instant::now() + INTERVAL, INTERVAL);
            loop {
                ticks.tick().await;
                self.record_skipped(WINDOW);
            }
        };
        let shipping = self.inner.shipper.keep_up();
        let searchable = search::keep_up(self.inner.shipper.database());
        tokio::join!(shipping, recording_skipped, self.watch_space(), searchable);
    }

    /// Warns when the disk becomes nearly full and records are kept for ever.
    async fn watch_space(&self) {
        let mut is_logged = false;
        let mut ticks = ticks(Instant::now(), SPACE_INTERVAL);
        loop {
            ticks.tick().await;
            let (config, path) = (self.inner.config.clone(), self.inner.path.clone());
            let found = spawn_blocking(move || nearly_full(&config, &path)).await;
            room::log(found.ok().flatten().as_ref(), &mut is_logged);
        }
    }

    /// Records that the service stops, and writes and moves the last records.
    pub(crate) async fn end(&self) {
        self.record_skipped(Duration::ZERO);
        self.send(&Event::Stop, None);
        let audit = self.clone();
        let written = spawn_blocking(move || {
            // Waits if the queue is full: no other event comes.
            let _ = audit.inner.messages.send(None);
            let writer = audit.inner.writer.lock().take();
            writer.map(JoinHandle::join)
        });
        if timeout(LAST_RECORDS, written).await.is_err() {
            tracing::error!("cannot write the last audit records in time");
        }
        let shipped = timeout(LAST_RECORDS, self.inner.shipper.ship_last());
        if shipped.await.is_err() {
            tracing::warn!("the last audit records wait in the spool: database unavailable");
        }
    }

    /// Returns the age of the oldest record that is not in the database; 0 if all are.
    pub(crate) fn lag(&self) -> Duration {
        self.inner.state.lock().lag(now())
    }

    pub(crate) fn pending(&self) -> u64 {
        let state = self.inner.state.lock();
        state.pending() + state.queued as u64
    }

    pub(crate) fn lost(&self) -> u64 {
        self.inner.state.lock().lost
    }
}

/// Takes over a chain that no process continues and that can be continued, or begins one. Returns its end too.
fn take_over(path: &Path) -> io::Result<(Folder, Checkpoint)> {
    for folder in Folder::free(path)? {
        let folder = folder?;
        match folder.recover() {
            Ok(end) if shipper::last_stored(&folder.path)? <= end.seq => return Ok((folder, end)),
            // A power loss took records that the database has. Their numbers must not be used again.
            Ok(_) => tracing::error!(
                folder = %folder.path.display(),
                "audit files end before the records in the database; beginning a new chain beside them"
            ),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => tracing::error!(
                %error, folder = %folder.path.display(),
                "the end of the audit files is damaged; beginning a new chain beside them; see `likeness audit verify`"
            ),
            Err(error) => return Err(error),
        }
    }
    Ok((Folder::create(path)?, Checkpoint::default()))
}
