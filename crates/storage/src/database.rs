//! The handle of a database.

use std::convert::Infallible;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use futures_core::future::BoxFuture;
use sqlx::any::{Any, AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::migrate::MigrateError;
use sqlx::pool::PoolConnection;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, ConnectOptions, Connection as _, Executor};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::files::{DatabaseFiles, REMOVED, make_file};
use crate::health::Counts;
use crate::migrations::{migrator, newest};
use crate::{Health, Operation, Place, Settings, StorageError};

/// What statements run on.
pub type Connection = AnyConnection;

/// Connections to an SQLite file: readers do not wait for each other nor for the one that writes.
const SQLITE_CONNECTIONS: u32 = 4;

/// How long an unused connection to a server is kept: less than what firewalls commonly forget one after.
const IDLE: Duration = Duration::from_secs(300);

/// The longest that the tables may take to be brought up to date, waiting for another replica that does so included.
const MIGRATION_TIME: Duration = Duration::from_secs(120);

/// Pause between two looks whether it is this process's turn to migrate an SQLite file.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Which of the databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In a file or in memory; used by this machine only.
    Sqlite,
    /// A server, which several replicas may share.
    Postgres,
}

/// An open database. Clones share its connections.
///
/// Every call ends within [`Settings::timeout`] of being made, whatever the network does; a connection whose call failed by
/// no fault of its caller, or was given up, is closed. A PostgreSQL server is told as well (`statement_timeout`), so that it gives up what nobody waits for.
///
/// SQLite is used with a write-ahead log and `synchronous=NORMAL`: what was committed survives the end of the process,
/// however it ends. A power loss or a crash of the operating system may lose the commits of the last moments, never
/// anything older, and never damages the file.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    pool: RwLock<AnyPool>,
    options: AnyConnectOptions,
    settings: Settings,
    /// Of an SQLite database in a file, once it is open.
    files: OnceLock<DatabaseFiles>,
    kind: Kind,
    name: String,
    timeout: Duration,
    keeps_connection: bool,
    /// Of an SQLite file: stays open for as long as this does. The last one that is closed takes the files beside the
    /// database with it, and while the disk is full no other could be opened again, not even to read.
    keeper: Mutex<Option<AnyConnection>>,
    counts: Counts,
}

/// A connection for one call. It goes back to the others where it is sound, and is closed otherwise: whoever got it next
/// would wait for the answer of a call that was given up, or be in the transaction of one that failed. SQLite itself ends
/// a transaction for want of room (<https://www.sqlite.org/lang_transaction.html>, 3), and sqlx would count it as open for
/// ever.
struct Lease {
    connection: PoolConnection<Any>,
    is_sound: bool,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.is_sound {
            self.connection.close_on_drop();
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.inner.name).finish()
    }
}

impl Database {
    /// Opens the database and brings its tables up to date. Several processes may do so at the same time: one does the
    /// work, the others wait for it.
    ///
    /// # Errors
    /// [`StorageError`]; it is not tried again, see [`StorageError::is_transient`].
    pub async fn open(settings: &Settings) -> Result<Self, StorageError> {
        install_default_drivers();
        let name = settings.place.name();
        if let Place::File(path) = &settings.place {
            make_file(path)?;
        }
        let options = AnyConnectOptions::from_url(&settings.place.url()?).map_err(|_| StorageError::Url {
            reason: "it cannot be read".to_owned(),
        })?;
        let kind = match &settings.place {
            Place::Server(_) => Kind::Postgres,
            Place::File(_) | Place::Memory => Kind::Sqlite,
        };
        let database = Self {
            inner: Arc::new(Inner {
                pool: RwLock::new(pool_options(settings, kind).connect_lazy_with(options.clone())),
                options,
                settings: settings.clone(),
                files: OnceLock::new(),
                kind,
                name,
                timeout: settings.timeout,
                keeps_connection: matches!(settings.place, Place::Memory),
                keeper: Mutex::new(None),
                counts: Counts::default(),
            }),
        };
        let turn = match &settings.place {
            Place::File(path) => Some(migration_turn(path).await?),
            Place::Memory | Place::Server(_) => None,
        };
        database.migrate().await?;
        if let Place::File(path) = &settings.place {
            let files = DatabaseFiles::of(path).map_err(|source| StorageError::Folder {
                path: path.clone(),
                source,
            })?;
            // It is new.
            let _ = database.inner.files.set(files);
        }
        drop(turn);
        Ok(database)
    }

    /// Which of the databases it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// What messages call it: the file, or user, host, port and database. Never a password.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The longest that a call takes.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.inner.timeout
    }

    /// How it has done since it was opened.
    #[must_use]
    pub fn health(&self) -> Health {
        self.inner.counts.health()
    }

    /// Runs statements that read on a connection, each for itself. What writes is a [`transaction`](Self::transaction): by
    /// that [`health`](Self::health) tells the two apart.
    ///
    /// ```no_run
    /// # async fn count(database: &likeness_storage::Database) -> Result<i64, likeness_storage::StorageError> {
    /// database
    ///     .run(|connection| {
    ///         Box::pin(async move {
    ///             sqlx::query_scalar("SELECT COUNT(*) FROM apps").fetch_one(connection).await
    ///         })
    ///     })
    ///     .await
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn run<T, F>(&self, work: F) -> Result<T, StorageError>
    where
        T: Send,
        F: for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send,
    {
        let deadline = Instant::now() + self.inner.timeout;
        let mut lease = self.lease(Operation::Statement, deadline).await?;
        let outcome = timeout_at(deadline, work(&mut lease.connection)).await;
        self.settle(Operation::Statement, lease, outcome)
    }

    /// Runs statements in a transaction: all of them hold, or none where one fails. On SQLite it waits for its turn to
    /// write at its beginning, so that what it reads stays true; on PostgreSQL the isolation is `READ COMMITTED`, and
    /// what must stay true is locked by an `UPDATE` first.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn transaction<T, F>(&self, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send,
    {
        let done = self.try_transaction::<T, Infallible, _>(|connection| {
            let work = work(connection);
            Box::pin(async move { work.await.map(Ok) })
        });
        match done.await? {
            Ok(done) => Ok(done),
            Err(never) => match never {},
        }
    }

    /// Like [`transaction`](Self::transaction), for work that may find that nothing is to be changed after all: its `Err`
    /// undoes what it has done.
    ///
    /// # Errors
    /// [`StorageError`]; inside, what the work says.
    pub async fn try_transaction<T, R, F>(&self, work: F) -> Result<Result<T, R>, StorageError>
    where
        T: Send,
        R: Send,
        F: for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<Result<T, R>, sqlx::Error>> + Send,
    {
        let begin = match self.inner.kind {
            Kind::Sqlite => "BEGIN IMMEDIATE",
            Kind::Postgres => "BEGIN",
        };
        let deadline = Instant::now() + self.inner.timeout;
        let mut lease = self.lease(Operation::Transaction, deadline).await?;
        let outcome = timeout_at(deadline, async {
            let mut transaction = lease.connection.begin_with(begin).await?;
            // Where this fails, it is rolled back as it is dropped.
            let done = work(&mut transaction).await?;
            match done {
                Ok(_) => transaction.commit().await?,
                Err(_) => transaction.rollback().await?,
            }
            Ok(done)
        })
        .await;
        self.settle(Operation::Transaction, lease, outcome)
    }

    /// Waits until files that were removed are restored, no longer than a call may take.
    pub async fn restored(&self) {
        let restored = async {
            while matches!(
                self.check_in_place(),
                Err(StorageError::Taken { what: REMOVED, .. })
            ) {
                sleep(LOCK_PAUSE).await;
            }
        };
        // What is not restored by then is said by the next call.
        let _ = timeout(self.inner.timeout, restored).await;
    }

    /// Closes the connections, once their calls have ended. For orderly ends; dropping the last handle does as well.
    pub async fn close(&self) {
        // What is in a file that was removed is gone with the last connection.
        self.restored().await;
        let keeper = self.keeper().take();
        let close = async {
            self.pool().close().await;
            if let Some(keeper) = keeper {
                drop(keeper.close().await);
            }
        };
        // What does not end by itself is left to the operating system.
        let _ = timeout(self.inner.timeout, close).await;
    }

    /// Checks that the file of an SQLite database, and those beside it, are the ones that this process has open. Where one
    /// was removed, all that is in the database is written to its path again, aside; where another one is there, nothing
    /// is done. Until then every call fails. To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`StorageError::Taken`].
    pub fn check_in_place(&self) -> Result<(), StorageError> {
        let Some(files) = self.inner.files.get() else {
            return Ok(());
        };
        let checked = files.check();
        match &checked {
            Ok(()) => files.in_place(),
            Err(error) if files.begin_restore(error) => {
                let database = self.clone();
                tokio::spawn(async move { database.restore().await });
            }
            Err(_) => {}
        }
        checked
    }

    /// Writes all that is in a database whose files were removed to its path again, and goes on with that.
    async fn restore(&self) {
        let Some(files) = self.inner.files.get() else {
            return;
        };
        let Some(mut keeper) = self.keeper().take() else {
            return files.end_restore(Err(io::Error::other("it is being closed")));
        };
        let restored = self.restore_from(files, &mut keeper).await;
        match restored {
            // It has all that is in the database, until that is in place.
            Err(error) => {
                *self.keeper() = Some(keeper);
                files.end_restore(Err(error));
            }
            Ok(()) => {
                drop(keeper.close().await);
                files.end_restore(Ok(()));
            }
        }
    }

    async fn restore_from(&self, files: &DatabaseFiles, keeper: &mut AnyConnection) -> io::Result<()> {
        files.copy(keeper).await?;
        let (settings, options) = (&self.inner.settings, &self.inner.options);
        let pool = pool_options(settings, self.inner.kind).connect_lazy_with(options.clone());
        let before = std::mem::replace(
            &mut *self.inner.pool.write().unwrap_or_else(PoisonError::into_inner),
            pool,
        );
        before.close().await;
        files.put_in_place()?;
        let keeper = async {
            let mut keeper = AnyConnection::connect_with(options).await?;
            prepare_sqlite(&mut keeper, self.inner.timeout).await?;
            // Has SQLite make the files beside it.
            keeper.execute("SELECT COUNT(*) FROM apps").await?;
            Ok::<_, sqlx::Error>(keeper)
        };
        // Where it cannot be kept open, calls open it.
        let keeper = keeper.await.ok();
        *self.keeper() = keeper;
        files.look()
    }

    fn pool(&self) -> AnyPool {
        let pool = self.inner.pool.read().unwrap_or_else(PoisonError::into_inner);
        pool.clone()
    }

    /// A connection for such a call.
    async fn lease(&self, operation: Operation, deadline: Instant) -> Result<Lease, StorageError> {
        let connection = match self.check_in_place() {
            Ok(()) => self.acquire(deadline).await,
            Err(error) => Err(error),
        };
        let connection = connection.inspect_err(|_| self.inner.counts.not_reached(operation))?;
        Ok(Lease {
            connection,
            is_sound: self.inner.keeps_connection,
        })
    }

    async fn acquire(&self, deadline: Instant) -> Result<PoolConnection<Any>, StorageError> {
        // The pool would go on trying to the deadline where a server refuses: who has no connection is told at once.
        if self.inner.kind == Kind::Postgres && self.pool().size() == 0 {
            let connection = timeout_at(deadline, AnyConnection::connect_with(&self.inner.options))
                .await
                .map_err(|_| self.timed_out())?
                .map_err(|error| self.fault(error))?;
            drop(timeout_at(deadline, connection.close()).await);
        }
        match timeout_at(deadline, self.pool().acquire()).await {
            Ok(acquired) => acquired.map_err(|error| self.fault(error)),
            Err(_) => Err(self.timed_out()),
        }
    }

    fn settle<T>(
        &self,
        operation: Operation,
        mut lease: Lease,
        outcome: Result<Result<T, sqlx::Error>, Elapsed>,
    ) -> Result<T, StorageError> {
        let outcome = match outcome {
            Ok(done) => done.map_err(|error| self.fault(error)),
            Err(_) => Err(self.timed_out()),
        };
        // What was written to a file that was taken away meanwhile is written nowhere.
        let outcome = match operation {
            Operation::Transaction => outcome.and_then(|done| self.check_in_place().map(|()| done)),
            Operation::Connect | Operation::Statement => outcome,
        };
        match &outcome {
            Err(error) if !error.is_callers() => self.inner.counts.failed(operation),
            _ => {
                lease.is_sound = true;
                self.inner.counts.done(operation);
            }
        }
        outcome
    }

    fn keeper(&self) -> MutexGuard<'_, Option<AnyConnection>> {
        self.inner.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn timed_out(&self) -> StorageError {
        StorageError::TimedOut {
            place: self.inner.name.clone(),
            after: self.inner.timeout,
        }
    }

    fn fault(&self, error: sqlx::Error) -> StorageError {
        StorageError::from_sqlx(error, self.inner.kind, &self.inner.name, self.inner.timeout)
    }

    /// Brings the tables up to date, on a connection of its own where the database is not in memory: it says why nobody
    /// answers, and its lock ends with it.
    async fn migrate(&self) -> Result<(), StorageError> {
        let migrated = if self.inner.keeps_connection {
            let deadline = Instant::now() + self.inner.timeout;
            let mut lease = self.lease(Operation::Transaction, deadline).await?;
            timeout(
                MIGRATION_TIME,
                migrator().run_direct(None, &mut *lease.connection, false),
            )
            .await
        } else {
            let mut connection = timeout(
                self.inner.timeout,
                AnyConnection::connect_with(&self.inner.options),
            )
            .await
            .map_err(|_| self.timed_out())?
            .map_err(|error| self.fault(error))?;
            if self.inner.kind == Kind::Sqlite {
                prepare_sqlite(&mut connection, self.inner.timeout)
                    .await
                    .map_err(|error| self.fault(error))?;
            }
            let migrated = timeout(
                MIGRATION_TIME,
                migrator().run_direct(None, &mut connection, false),
            )
            .await;
            if self.inner.kind == Kind::Sqlite {
                *self.keeper() = Some(connection);
            } else {
                // Dropped is closed as well.
                drop(timeout(self.inner.timeout, connection.close()).await);
            }
            migrated
        };
        let place = self.inner.name.clone();
        match migrated {
            Ok(Ok(())) => Ok(()),
            Ok(Err(MigrateError::VersionMissing(found))) => Err(StorageError::Newer {
                place,
                found,
                known: newest(),
            }),
            Ok(Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _))) => {
                Err(self.fault(error))
            }
            Ok(Err(error)) => Err(StorageError::Corrupt {
                place,
                reason: error.to_string(),
            }),
            Err(_) => Err(StorageError::TimedOut {
                place,
                after: MIGRATION_TIME,
            }),
        }
    }
}

/// Waits for its turn to bring the tables of an SQLite file up to date, which ends as the file is closed. sqlx has such a
/// lock for servers only.
async fn migration_turn(path: &Path) -> Result<File, StorageError> {
    let mut name = path.as_os_str().to_owned();
    name.push("-migration");
    let path = Path::new(&name);
    let fault = |source| StorageError::Folder {
        path: path.to_owned(),
        source,
    };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(fault)?;
    let deadline = Instant::now() + MIGRATION_TIME;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(LOCK_PAUSE).await,
            Err(error) => return Err(fault(error.into())),
        }
    }
}

fn pool_options(settings: &Settings, kind: Kind) -> AnyPoolOptions {
    let wait = settings.timeout;
    let options = AnyPoolOptions::new()
        .acquire_timeout(wait)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                match kind {
                    Kind::Sqlite => prepare_sqlite(connection, wait).await,
                    Kind::Postgres => prepare_postgres(connection, wait).await,
                }
            })
        });
    match settings.place {
        Place::Memory => options
            .max_connections(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None),
        Place::File(_) => options.max_connections(SQLITE_CONNECTIONS),
        Place::Server(_) => options
            .max_connections(settings.connections.max(1))
            .idle_timeout(IDLE),
    }
}

async fn prepare_sqlite(connection: &mut AnyConnection, wait: Duration) -> Result<(), sqlx::Error> {
    let statements = format!(
        "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;",
        wait.as_millis()
    );
    connection.execute(AssertSqlSafe(statements)).await.map(drop)
}

/// The server gives up what nobody waits for any more, and takes locks back from a client that has gone.
async fn prepare_postgres(connection: &mut AnyConnection, wait: Duration) -> Result<(), sqlx::Error> {
    let wait = wait.as_millis();
    let statements = format!(
        "SET statement_timeout = {wait}; SET lock_timeout = {wait}; SET idle_in_transaction_session_timeout = {wait};"
    );
    connection.execute(AssertSqlSafe(statements)).await.map(drop)
}
