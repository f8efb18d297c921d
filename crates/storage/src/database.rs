//! The handle of a database.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use sqlx::any::{Any, AnyArguments, AnyConnectOptions, AnyPoolOptions, AnyRow, install_default_drivers};
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, ConnectOptions, Connection as _, Executor};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::error::is_rejection;
use crate::health::Counts;
use crate::migrations::LOCK_PAUSE;
use crate::sqlite_files::{self, SqliteFiles};
use crate::{Health, Kind, Operation, Place, Result, Settings, StorageError, migrations};

/// Connections to an SQLite file: readers wait neither for each other nor for the writer.
const SQLITE_CONNECTIONS: u32 = 4;

/// Connections for searches of audit records.
const SEARCH_CONNECTIONS: u32 = 2;

/// How long an unused connection to a server is kept: less than the idle timeout of common firewalls.
const IDLE: Duration = Duration::from_secs(300);

/// An open database. Clones share its connections. Its methods do not retry.
///
/// Every call ends within [`Settings::timeout`], whatever the network does. A connection whose call failed or was cancelled
/// is closed. A PostgreSQL server has the same timeout (`statement_timeout`), so that it stops work that has no client.
///
/// SQLite is used with a write-ahead log and `synchronous=NORMAL`: a commit survives the end of the process. A power loss may
/// lose the commits of the last moments, never older ones, and never damages the file.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    pools: RwLock<Pools>,
    options: AnyConnectOptions,
    settings: Settings,
    name: String,
    /// Of an SQLite database in a file, once it is open.
    files: OnceLock<SqliteFiles>,
    /// One connection to an SQLite file stays open as long as the handle. SQLite removes the files beside the database
    /// with its last connection, and while the disk is full it could not open another one, not even to read.
    keeper: Mutex<Option<AnyConnection>>,
    counts: Counts,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.inner.name).finish()
    }
}

impl Database {
    /// Opens the database and brings its tables up to date. Several processes may do so at the same time: one migrates, the
    /// others wait for it. There is no retry, see [`StorageError::is_transient`].
    pub async fn open(settings: &Settings) -> Result<Self> {
        install_default_drivers();
        let place = &settings.place;
        if let Place::File(path) = place {
            sqlite_files::create(path)?;
        }
        let options = AnyConnectOptions::from_url(&place.url()?)
            .map_err(|_| StorageError::url("the database driver cannot read it"))?;
        let database = Self {
            inner: Arc::new(Inner {
                pools: RwLock::new(Pools::new(settings, &options)),
                options,
                settings: settings.clone(),
                name: place.name(),
                files: OnceLock::new(),
                keeper: Mutex::new(None),
                counts: Counts::default(),
            }),
        };
        if let Place::File(path) = place {
            let lock = migrations::lock(path).await?;
            database.migrate().await?;
            let files = SqliteFiles::of(path).map_err(StorageError::file(path))?;
            // The cell is new and empty.
            let _ = database.inner.files.set(files);
            drop(lock);
        } else {
            database.migrate().await?;
        }
        Ok(database)
    }

    /// Returns the kind of the database.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.inner.settings.place.kind()
    }

    /// Returns the name of the database in messages: the file, or user, host, port and database. Never a password.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Returns the longest time that a call takes.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.inner.settings.timeout
    }

    /// Returns the state of the database since it was opened.
    #[must_use]
    pub fn health(&self) -> Health {
        self.inner.counts.health()
    }

    /// Begins a call that only reads, each statement for itself.
    #[doc(hidden)]
    pub async fn read(&self) -> Result<Session> {
        self.session(Operation::Statement).await
    }

    /// Begins a transaction. On SQLite it waits here for the write lock, so that what it reads stays true. On PostgreSQL the
    /// isolation is `READ COMMITTED`: an `UPDATE` must first lock whatever has to stay true.
    #[doc(hidden)]
    pub async fn begin(&self) -> Result<Session> {
        let mut session = self.session(Operation::Transaction).await?;
        let begin = match self.kind() {
            Kind::Sqlite => "BEGIN IMMEDIATE",
            Kind::Postgres => "BEGIN",
        };
        session.command(begin).await?;
        Ok(session)
    }

    /// Runs one query that reads, and maps its rows.
    pub(crate) async fn fetch_all<T>(&self, query: AnyQuery<'_>, map: Map<T>) -> Result<Vec<T>> {
        let mut session = self.read().await?;
        let rows = session.fetch_all(query, map).await?;
        session.finish().await?;
        Ok(rows)
    }

    /// Like [`fetch_all`](Self::fetch_all), for a query that may read many rows: on a connection that no other call waits for.
    pub(crate) async fn search_all<T>(&self, query: AnyQuery<'_>, map: Map<T>) -> Result<Vec<T>> {
        let mut session = self
            .session_of(self.pools().searches, Operation::Statement)
            .await?;
        let rows = session.fetch_all(query, map).await?;
        session.finish().await?;
        Ok(rows)
    }

    /// Waits until removed files are restored, no longer than a call may take.
    pub async fn wait_until_restored(&self) {
        let restored = async {
            while matches!(self.check_in_place(), Err(error) if sqlite_files::is_removed(&error)) {
                sleep(LOCK_PAUSE).await;
            }
        };
        // Otherwise the next call fails and says so.
        let _ = timeout(self.timeout(), restored).await;
    }

    /// Closes the connections when their calls have ended. Dropping the last handle does so as well.
    pub async fn close(&self) {
        // The content of a removed file is lost with the last connection to it.
        self.wait_until_restored().await;
        let keeper = self.inner.keeper.lock().take();
        let close = async {
            self.pools().close().await;
            if let Some(keeper) = keeper {
                drop(keeper.close().await);
            }
        };
        // The operating system closes the others.
        let _ = timeout(self.timeout(), close).await;
    }

    /// Checks that the file of an SQLite database, and those beside it, are the open ones. If one was removed, a task of its
    /// own restores the whole database at its path; if one was replaced, nothing is done. Until then every call fails with
    /// [`StorageError::Taken`]. To be called within a tokio runtime.
    pub fn check_in_place(&self) -> Result<()> {
        let Some(files) = self.inner.files.get() else {
            return Ok(());
        };
        let checked = files.check();
        if checked.as_ref().is_err_and(sqlite_files::is_removed) && files.begin_restore() {
            let database = self.clone();
            tokio::spawn(async move {
                if let Some(files) = database.inner.files.get() {
                    files.end_restore(database.restore(files).await);
                }
            });
        }
        checked
    }

    /// Writes the content of a database whose files were removed to its path, and opens that.
    async fn restore(&self, files: &SqliteFiles) -> io::Result<()> {
        let Some(mut keeper) = self.inner.keeper.lock().take() else {
            return Err(io::Error::other("the database is being closed"));
        };
        let restored = self.restore_from(files, &mut keeper).await;
        match &restored {
            Ok(()) => drop(keeper.close().await),
            // It has the whole content until that is in place.
            Err(_) => *self.inner.keeper.lock() = Some(keeper),
        }
        restored
    }

    async fn restore_from(&self, files: &SqliteFiles, keeper: &mut AnyConnection) -> io::Result<()> {
        files.copy(keeper).await?;
        let (settings, options) = (&self.inner.settings, &self.inner.options);
        let pools = Pools::new(settings, options);
        let before = std::mem::replace(&mut *self.inner.pools.write(), pools);
        before.close().await;
        files.put_in_place()?;
        let keeper = async {
            let mut keeper = AnyConnection::connect_with(options).await?;
            prepare(&mut keeper, settings).await?;
            // Makes SQLite create the files beside it.
            keeper.execute("SELECT COUNT(*) FROM apps").await?;
            Ok::<_, sqlx::Error>(keeper)
        };
        // Without it, calls open the database.
        let keeper = keeper.await.ok();
        *self.inner.keeper.lock() = keeper;
        files.remember()
    }

    fn pools(&self) -> Pools {
        self.inner.pools.read().clone()
    }

    async fn session(&self, operation: Operation) -> Result<Session> {
        self.session_of(self.pools().calls, operation).await
    }

    async fn session_of(&self, pool: AnyPool, operation: Operation) -> Result<Session> {
        let deadline = Instant::now() + self.timeout();
        let connection = match self.check_in_place() {
            Ok(()) => self.acquire(pool, deadline).await,
            Err(error) => Err(error),
        };
        let connection = connection.inspect_err(|_| self.inner.counts.not_connected(operation))?;
        Ok(Session {
            database: self.clone(),
            connection,
            operation,
            deadline,
            is_finished: false,
        })
    }

    async fn acquire(&self, pool: AnyPool, deadline: Instant) -> Result<PoolConnection<Any>> {
        // The pool would retry until the deadline if a server refuses; a call without any connection fails at once.
        if self.kind() == Kind::Postgres && pool.size() == 0 {
            let connection = self.connect(deadline).await?;
            drop(timeout_at(deadline, connection.close()).await);
        }
        self.outcome(timeout_at(deadline, pool.acquire()).await)
    }

    async fn connect(&self, deadline: Instant) -> Result<AnyConnection> {
        let connecting = AnyConnection::connect_with(&self.inner.options);
        self.outcome(timeout_at(deadline, connecting).await)
    }

    fn outcome<T>(&self, outcome: Result<Result<T, sqlx::Error>, Elapsed>) -> Result<T> {
        let (database, after) = (&self.inner.name, self.timeout());
        match outcome {
            Ok(outcome) => {
                outcome.map_err(|error| StorageError::from_sqlx(error, self.kind(), database, after))
            }
            Err(_) => Err(StorageError::TimedOut {
                database: database.clone(),
                after,
            }),
        }
    }

    /// Brings the tables up to date. A database that is not in memory gets a connection of its own for that: it says why a
    /// server does not respond, and its lock ends with it.
    async fn migrate(&self) -> Result<()> {
        let (kind, name) = (self.kind(), &self.inner.name);
        if matches!(self.inner.settings.place, Place::Memory) {
            let mut session = self.session(Operation::Transaction).await?;
            return migrations::run(&mut session.connection, kind, name).await;
        }
        let mut connection = self.connect(Instant::now() + self.timeout()).await?;
        if kind == Kind::Postgres {
            let migrated = migrations::run(&mut connection, kind, name).await;
            // Dropping the connection closes it too.
            drop(timeout(self.timeout(), connection.close()).await);
            return migrated;
        }
        self.outcome(Ok(prepare(&mut connection, &self.inner.settings).await))?;
        migrations::run(&mut connection, kind, name).await?;
        *self.inner.keeper.lock() = Some(connection);
        Ok(())
    }
}

/// A query for either database.
pub(crate) type AnyQuery<'q> = Query<'q, Any, AnyArguments>;

/// Reads the values of a row.
pub(crate) type Map<T> = fn(&AnyRow) -> Result<T, sqlx::Error>;

/// A connection for one call, until its deadline; in a transaction if the call writes. One that is not finished is closed: the
/// next call would wait for the response to a cancelled statement, or run in a failed transaction. SQLite itself ends one for
/// want of space (<https://www.sqlite.org/lang_transaction.html>, 3), which sqlx's own do not know. Not a public API.
#[derive(Debug)]
pub struct Session {
    database: Database,
    connection: PoolConnection<Any>,
    operation: Operation,
    deadline: Instant,
    is_finished: bool,
}

impl Drop for Session {
    fn drop(&mut self) {
        // A database in memory ends with its only connection, whose pool rolls back instead.
        if !self.is_finished && !matches!(self.database.inner.settings.place, Place::Memory) {
            self.connection.close_on_drop();
        }
    }
}

#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc)]
impl Session {
    /// Executes a statement, and returns the number of rows that it has changed.
    pub async fn execute(&mut self, query: AnyQuery<'_>) -> Result<u64> {
        let done = timeout_at(self.deadline, query.execute(&mut *self.connection)).await;
        Ok(self.check(done)?.rows_affected())
    }

    pub async fn fetch_all<T>(&mut self, query: AnyQuery<'_>, map: Map<T>) -> Result<Vec<T>> {
        let rows = timeout_at(self.deadline, query.fetch_all(&mut *self.connection)).await;
        let rows = self.check(rows)?;
        self.check(Ok(rows.iter().map(map).collect()))
    }

    pub async fn fetch_one<T>(&mut self, query: AnyQuery<'_>, map: Map<T>) -> Result<T> {
        let row = timeout_at(self.deadline, query.fetch_one(&mut *self.connection)).await;
        let row = self.check(row)?;
        self.check(Ok(map(&row)))
    }

    /// Ends the call; commits its transaction.
    pub async fn finish(mut self) -> Result<()> {
        if self.operation == Operation::Transaction {
            self.command("COMMIT").await?;
            // A commit to a file that was removed meanwhile is lost.
            let counts = &self.database.inner.counts;
            let in_place = self.database.check_in_place();
            in_place.inspect_err(|_| counts.failed(self.operation))?;
        }
        self.succeed();
        Ok(())
    }

    /// Ends a transaction that changes nothing after all.
    pub async fn roll_back(mut self) -> Result<()> {
        self.command("ROLLBACK").await?;
        self.succeed();
        Ok(())
    }

    async fn command(&mut self, statement: &'static str) -> Result<()> {
        let done = timeout_at(self.deadline, self.connection.execute(statement)).await;
        self.check(done).map(drop)
    }

    fn succeed(&mut self) {
        self.is_finished = true;
        self.database.inner.counts.succeeded(self.operation);
    }

    fn check<T>(&self, outcome: Result<Result<T, sqlx::Error>, Elapsed>) -> Result<T> {
        let counts = &self.database.inner.counts;
        match &outcome {
            Ok(Ok(_)) => {}
            Ok(Err(error)) if is_rejection(error) => counts.succeeded(self.operation),
            _ => counts.failed(self.operation),
        }
        self.database.outcome(outcome)
    }
}

/// The connections. SQLite does not end a statement whose time is up, and it holds its connection until it has ended: searches
/// have connections of their own, so that those of all other calls stay free.
#[derive(Debug, Clone)]
struct Pools {
    calls: AnyPool,
    searches: AnyPool,
}

impl Pools {
    fn new(settings: &Settings, options: &AnyConnectOptions) -> Self {
        let calls = pool_options(settings).connect_lazy_with(options.clone());
        let searches = match settings.place {
            // It has one connection.
            Place::Memory => calls.clone(),
            Place::File(_) | Place::Server(_) => pool_options(settings)
                .max_connections(SEARCH_CONNECTIONS)
                .idle_timeout(IDLE)
                .connect_lazy_with(options.clone()),
        };
        Self { calls, searches }
    }

    async fn close(&self) {
        tokio::join!(self.calls.close(), self.searches.close());
    }
}

fn pool_options(settings: &Settings) -> AnyPoolOptions {
    let prepared = settings.clone();
    let options = AnyPoolOptions::new()
        .acquire_timeout(settings.timeout)
        .after_connect(move |connection, _| {
            let settings = prepared.clone();
            Box::pin(async move { prepare(connection, &settings).await })
        });
    match settings.place {
        Place::Memory => options
            .max_connections(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_release(|connection, _| {
                Box::pin(async move {
                    // Fails if there is no transaction, which is right.
                    let _ = connection.execute("ROLLBACK").await;
                    Ok(true)
                })
            }),
        Place::File(_) => options.max_connections(SQLITE_CONNECTIONS),
        Place::Server(_) => options
            .max_connections(settings.connections.max(1))
            .idle_timeout(IDLE),
    }
}

/// Sets the timeouts of a new connection. A server then stops work that has no client, and releases the locks of a client
/// that has gone.
async fn prepare(connection: &mut AnyConnection, settings: &Settings) -> Result<(), sqlx::Error> {
    let wait = settings.timeout.as_millis();
    let statements = match settings.place.kind() {
        Kind::Sqlite => format!(
            "PRAGMA busy_timeout = {wait}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
             PRAGMA foreign_keys = ON;"
        ),
        Kind::Postgres => format!(
            "SET statement_timeout = {wait}; SET lock_timeout = {wait}; \
             SET idle_in_transaction_session_timeout = {wait};"
        ),
    };
    connection.execute(AssertSqlSafe(statements)).await.map(drop)
}
