//! The errors of this crate, by kind of database.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::error::{DatabaseError, ErrorKind};

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SQLite, in a file or in memory; used by this machine only.
    Sqlite,
    /// A PostgreSQL server, which several replicas may share.
    Postgres,
}

/// The cause of an error, as the database driver reports it.
type Source = Box<dyn Error + Send + Sync>;

/// An error of the database, grouped by who must act. No message shows a password, nor the URL: `database` names the file, or
/// user, host and database of a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum StorageError {
    /// Configuration: the URL names no database that can be used.
    #[error("cannot use the database URL: {reason}")]
    Url { reason: String },
    /// Environment: a folder or file of an SQLite database cannot be created or opened.
    #[error("cannot create or open {}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// Environment: the server does not respond, or the connection broke.
    #[error("cannot reach database {database}: {source}")]
    Unreachable { database: String, source: Source },
    /// Environment: a file of an SQLite database was removed or replaced while in use.
    #[error("database file {} was {what} while in use; {remedy}", path.display())]
    Taken {
        path: PathBuf,
        what: &'static str,
        remedy: &'static str,
    },
    /// Environment: the deadline passed.
    #[error("database {database} did not respond within {} s", after.as_secs_f64())]
    TimedOut { database: String, after: Duration },
    /// Configuration: the server rejects the user, the password or the database's name.
    #[error("database {database} rejected the connection: {source}")]
    Refused { database: String, source: Source },
    /// Installation: a newer version of Likeness has changed the tables.
    #[error(
        "database {database} was changed by a newer version of Likeness (its migration {found} is not known here, the newest \
         known is {known}); start the newer version, or restore the backup from before the upgrade"
    )]
    Newer {
        database: String,
        found: i64,
        known: i64,
    },
    /// Environment: the content is not what was written.
    #[error("database {database} is damaged: {reason}; restore it from a backup")]
    Corrupt { database: String, reason: String },
    /// Environment, or a bug: the database rejected a statement, as when the disk is full or a privilege is missing.
    #[error("database {database} failed: {source}")]
    Failed { database: String, source: Source },
    /// Environment: the operating system provided no random numbers.
    #[error("the operating system provided no random numbers: {0}")]
    Random(String),
    /// Input: an app of this id exists.
    #[error("app `{0}` already exists")]
    AppExists(String),
    /// Input: no app has this id.
    #[error("there is no app `{0}` in the database")]
    UnknownApp(String),
    /// Input: the app has as many live keys as it may have.
    #[error(
        "app `{app}` already has two live keys, since its last rotation is not over; wait until key {oldest} has expired, or \
         end it now with --force"
    )]
    TooManyKeys { app: String, oldest: String },
    /// Input: an imported key cannot be used.
    #[error("cannot use the key: it {0}")]
    Key(&'static str),
}

/// Returns whether the database works, and rightly rejects a statement, such as a second app of the same id.
pub(crate) fn is_rejection(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|error| !matches!(error.kind(), ErrorKind::Other))
}

impl StorageError {
    pub(crate) fn url(reason: &str) -> Self {
        let reason = reason.to_owned();
        Self::Url { reason }
    }

    /// Returns a function for `map_err` on errors of the file system.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::File { path, source }
    }

    /// Returns whether the same call may succeed later: the database is away, slow or busy.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. })
    }

    /// Classifies an error of sqlx by who must act.
    pub(crate) fn from_sqlx(error: sqlx::Error, kind: Kind, database: &str, after: Duration) -> Self {
        use sqlx::Error as E;
        use {Kind::Postgres, Kind::Sqlite};
        let database = database.to_owned();
        let code = error.as_database_error().and_then(DatabaseError::code);
        let code = code.as_deref().unwrap_or_default().to_owned();
        let [class, subclass] = [2, 3].map(|length| code.get(..length).unwrap_or_default());
        match (&error, kind, &*code, class, subclass) {
            // The message may show a part of the URL.
            (E::Configuration(_), ..) => Self::url("the database driver rejects it"),
            // query_canceled (statement_timeout), lock_not_available: https://www.postgresql.org/docs/15/errcodes-appendix.html
            // SQLITE_BUSY and its extended forms: https://www.sqlite.org/rescode.html
            (E::PoolTimedOut, ..)
            | (_, Postgres, "57014" | "55P03" | "25P03", ..)
            | (_, Sqlite, "5" | "261" | "517" | "773", ..) => Self::TimedOut { database, after },
            // Wrong user, password or database.
            (_, Postgres, "28000" | "28P01" | "3D000", ..) => Self::Refused {
                database,
                source: error.into(),
            },
            // SQLITE_CORRUPT with its extended forms, SQLITE_NOTADB.
            (E::ColumnDecode { .. } | E::Decode(_) | E::ColumnNotFound(_) | E::TypeNotFound { .. }, ..)
            | (_, Postgres, _, "XX", _)
            | (_, Sqlite, "11" | "267" | "523" | "779" | "26", ..) => Self::Corrupt {
                database,
                reason: error.to_string(),
            },
            // Going down, starting, no connection left, or a broken connection; SQLITE_CANTOPEN and its extended forms.
            (E::Io(_) | E::Tls(_) | E::Protocol(_) | E::PoolClosed | E::WorkerCrashed, ..)
            | (_, Postgres, "53300", ..)
            | (_, Postgres, _, "08", _)
            | (_, Postgres, _, _, "57P")
            | (_, Sqlite, "14" | "270" | "526" | "782" | "1038" | "1550", ..) => Self::Unreachable {
                database,
                source: error.into(),
            },
            _ => Self::Failed {
                database,
                source: error.into(),
            },
        }
    }
}
