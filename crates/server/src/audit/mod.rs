//! The audit: a line for every verification that is asked for, in files that hold on to each other, and from there in the
//! storage.
//!
//! The files are the truth. An event goes through a bounded channel to one thread, which appends it to the file of this
//! service's own folder; only then is the request answered, or a bounded time later where the disk is slow. A task moves
//! the lines into the storage. Where that is not there, they wait in the files.

mod chain;
mod event;
#[cfg(test)]
mod fakes;
mod folder;
mod line_file;
mod recent;
mod room;
mod shipper;
mod state;
#[cfg(test)]
mod tests;
mod verify;
mod waiting;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use likeness_api::{ApiError, ErrorCode};
use likeness_engine::EngineLabels;
use likeness_storage::Database;
use serde::Serialize;
use tokio::time::{Instant, timeout};

use crate::config::{AuditConfig, AuditMode};
use crate::floods::{Floods, PAUSE, WINDOW};
use crate::locked::locked;
use crate::looks::pauses;
use crate::record::Record;
use crate::refusal_lines::is_bounded;
use event::{Note, Verification};
use folder::Folder;
use shipper::{Retention, Shipper};
use state::{Gauges, State};
use waiting::{Subject, Wait, Waiting};
use writer::{Event, Message, Settings, Writer};

pub use chain::{ChainKey, Fault, Head};
pub use room::{NearlyFull, nearly_full};
pub use verify::{AuditReport, ChainEnd, NotedHead, VerifyError, file_lines, verify_files, verify_storage};

/// Events between requests and the writer.
const QUEUE: usize = 8_192;
/// Records of unauthenticated requests in a second, the one that sums up included.
const UNAUTHENTICATED: u32 = 1;
/// Records in a second of the requests of one app that are refused for one reason, likewise.
const REFUSED: u32 = 20;
/// How long the queue must not have been full before the log says so: an outage is told of twice, not again and again.
const QUIET: Duration = Duration::from_secs(10);
/// Time between two looks at the room on the disk.
const ROOM_PAUSE: Duration = Duration::from_secs(60);
/// How long the end of the service waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(5);

/// The folder of the audit in the storage's.
#[must_use]
pub fn audit_folder(storage: &Path) -> PathBuf {
    storage.join("audit")
}

/// Why there is no audit. The operator must act.
#[derive(Debug, thiserror::Error)]
#[error("the audit cannot be written to {path}: {source}", path = path.display())]
pub struct AuditError {
    path: PathBuf,
    source: io::Error,
}

/// Records what becomes of verifications. Clones are the same.
#[derive(Clone)]
pub(crate) struct Audit {
    inner: Arc<Inner>,
}

struct Inner {
    messages: SyncSender<Message>,
    state: Arc<State>,
    shipper: Shipper,
    wait: Duration,
    required: bool,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Refused requests that have no record of their own.
    floods: Floods<Refused>,
    config: AuditConfig,
    path: PathBuf,
}

/// What refused requests have in common that are recorded together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Refused {
    error: Option<ErrorCode>,
    status: u16,
    app: Option<String>,
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audit")
            .field("state", &self.inner.state)
            .finish_non_exhaustive()
    }
}

/// An event that is being written, and whose answer waits for that. Where it is dropped, the client went away.
pub(crate) enum Pending {
    /// It is on its way.
    Event(Wait),
    /// It is not to be recorded.
    Nothing,
    /// It is lost. The answer may go out nevertheless, or not.
    Lost {
        /// Whether it may.
        goes: bool,
    },
}

impl Audit {
    /// Opens the files; `None` where there is to be no audit.
    pub(crate) fn open(
        config: &AuditConfig,
        storage: &Path,
        database: Database,
    ) -> Result<Option<Self>, AuditError> {
        if !config.enabled {
            return Ok(None);
        }
        let path = audit_folder(storage);
        Self::start(config, &path, database)
            .map(Some)
            .map_err(|source| AuditError { path, source })
    }

    fn start(config: &AuditConfig, path: &Path, database: Database) -> io::Result<Self> {
        let (folder, head) = take_up(path)?;
        let (folder, state) = (Arc::new(folder), Arc::new(State::default()));
        let days = |days: u32| Duration::from_secs(u64::from(days) * 86_400);
        let retention = Retention {
            rows: config.retention_days.map(days),
            files: config.file_days.or(config.retention_days).map(days),
        };
        let key = ChainKey::new(config.chain_key.clone());
        let shipper = Shipper::new(
            Arc::clone(&folder),
            Arc::clone(&state),
            database,
            retention,
            key.clone(),
            head.seq,
        )?;
        let required = config.mode == AuditMode::Required;
        let settings = Settings {
            key,
            sync: config.sync,
            required,
            rotate_bytes: config.rotate_mib.saturating_mul(1 << 20),
            max_spool: config.max_spool_mib.saturating_mul(1 << 20),
            quiet: QUIET,
            open: Box::new(line_file::open),
        };
        let writer = Writer::new(folder, Arc::clone(&state), settings, head)?;
        let (messages, received) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("likeness-audit".to_owned())
            .spawn(move || writer.run(&received))?;
        Ok(Self {
            inner: Arc::new(Inner {
                messages,
                state,
                shipper,
                wait: Duration::from_millis(config.wait_ms),
                required,
                writer: Mutex::new(Some(thread)),
                floods: Floods::new(),
                config: config.clone(),
                path: path.to_owned(),
            }),
        })
    }

    /// Whether verifications must not be begun, since they could not be recorded.
    pub(crate) fn refuses(&self) -> bool {
        let state = &self.inner.state;
        self.inner.required
            && [&state.is_failing, &state.is_full, &state.is_database_taken]
                .iter()
                .any(|reason| reason.load(Ordering::Relaxed))
    }

    /// Hands a record to the writer, whose answer waits.
    pub(crate) fn submit(&self, record: &Record) -> Pending {
        if !self.is_wanted(record) {
            return Pending::Nothing;
        }
        // Of what is refused anyway there is nothing to hold back.
        let is_held = self.inner.required && record.status < 400;
        let subject = Subject {
            request_id: record.meta.id.to_string(),
            app: record.facts.app.clone(),
        };
        let (waiting, wait) = waiting::wait(subject, is_held);
        if self.send(&Verification::of(record), Some(waiting)) {
            Pending::Event(wait)
        } else {
            Pending::Lost { goes: !is_held }
        }
    }

    /// Hands a record to the writer, for whose answer nobody waits.
    pub(crate) fn record(&self, record: &Record) {
        if self.is_wanted(record) {
            self.send(&Verification::of(record), None);
        }
    }

    fn is_wanted(&self, record: &Record) -> bool {
        record.facts.endpoint.is_some() && self.has_record_of_its_own(record)
    }

    /// A flood of refused requests must not fill the disk: they are counted, and recorded together.
    fn has_record_of_its_own(&self, record: &Record) -> bool {
        let facts = &record.facts;
        let error = facts.error.as_ref().map(ApiError::code);
        let most = match &facts.app {
            None => UNAUTHENTICATED,
            Some(_) if error.is_some_and(is_bounded) => REFUSED,
            Some(_) => return true,
        };
        let refused = Refused {
            error,
            status: record.status,
            app: facts.app.clone(),
        };
        self.inner.floods.admit(refused, most)
    }

    /// One record for each reason for which requests were refused, for at least so long, that have none of their own.
    fn sum_up(&self, age: Duration) {
        for left_out in self.inner.floods.end_windows(age) {
            self.note(&Note::skipped(&left_out.reason, left_out.count));
        }
    }

    /// Waits until it is in the file, for as long as an answer may. Whether the answer may go out.
    pub(crate) async fn wait(&self, pending: Pending) -> bool {
        match pending {
            Pending::Event(wait) => wait.within(self.inner.wait).await,
            Pending::Nothing => true,
            Pending::Lost { goes } => goes,
        }
    }

    /// Records that the service has begun.
    pub(crate) fn started(&self, info: &EngineLabels) {
        self.note(&Note::new("start").with_models(info));
    }

    fn note(&self, note: &Note<'_>) {
        self.send(note, None);
    }

    /// Whether there was room for it.
    fn send(&self, event: &impl Serialize, waiting: Option<Waiting>) -> bool {
        let state = &self.inner.state;
        let event = serde_json::value::to_raw_value(event).map(|text| Event { text, waiting });
        let sent = event.is_ok_and(|event| self.inner.messages.try_send(Message::Event(event)).is_ok());
        if !sent {
            state.lost.fetch_add(1, Ordering::Relaxed);
            state.is_full.store(true, Ordering::Relaxed);
            if !state.is_overflow_told.swap(true, Ordering::Relaxed) {
                let consequence = if self.inner.required {
                    "verifications are refused until it can"
                } else {
                    "verifications go on, and what comes is lost"
                };
                tracing::error!(
                    waiting = QUEUE,
                    consequence,
                    "the audit cannot be written fast enough: its queue is full"
                );
            }
        }
        sent
    }

    /// Moves lines into the storage, and sums up refused requests each second, for as long as it is polled.
    pub(crate) async fn keep_up(&self) {
        let summing_up = async {
            let mut ticks = pauses(Instant::now() + PAUSE, PAUSE);
            loop {
                ticks.tick().await;
                self.sum_up(WINDOW);
            }
        };
        tokio::join!(self.inner.shipper.keep_up(), summing_up, self.watch_room());
    }

    /// Warns where the disk becomes nearly full and no record is ever removed.
    async fn watch_room(&self) {
        let mut watch = room::Watch::default();
        let mut ticks = pauses(Instant::now(), ROOM_PAUSE);
        loop {
            ticks.tick().await;
            let (config, path) = (self.inner.config.clone(), self.inner.path.clone());
            let found = tokio::task::spawn_blocking(move || nearly_full(&config, &path)).await;
            watch.tell(found.ok().flatten().as_ref());
        }
    }

    /// Records that the service ends, and writes and moves what there is.
    pub(crate) async fn end(&self) {
        self.sum_up(Duration::ZERO);
        self.note(&Note::new("stop"));
        let audit = self.clone();
        let written = tokio::task::spawn_blocking(move || {
            // Waits where the queue is full: nothing else comes.
            let _ = audit.inner.messages.send(Message::Stop);
            let writer = locked(&audit.inner.writer).take();
            writer.map(JoinHandle::join)
        });
        if timeout(LAST_LINES, written).await.is_err() {
            tracing::error!("the last lines of the audit could not be written in time");
        }
        if timeout(LAST_LINES, self.inner.shipper.ship_last()).await.is_err() {
            tracing::warn!("the last lines of the audit wait in its files: the storage does not take them");
        }
    }

    pub(crate) fn gauges(&self) -> impl crate::metrics::AuditGauges + 'static {
        Gauges(Arc::clone(&self.inner.state))
    }
}

/// A chain that nobody goes on with and that can be gone on with, or a new one; and its end.
fn take_up(path: &Path) -> io::Result<(Folder, Head)> {
    for folder in Folder::free(path)? {
        let folder = folder?;
        match folder.recover() {
            Ok(head) if shipper::last_stored(folder.path())? <= head.seq => return Ok((folder, head)),
            // A power loss took lines that the storage had got. Their numbers must not be given again.
            Ok(_) => tracing::error!(
                folder = %folder.path().display(),
                "the files of the audit end before what the storage has of them: a new chain is begun beside them"
            ),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => tracing::error!(
                %error, folder = %folder.path().display(),
                "the end of the audit is damaged: a new chain is begun beside it; see `likeness audit verify`"
            ),
            Err(error) => return Err(error),
        }
    }
    Ok((Folder::create(path)?, Head::default()))
}
