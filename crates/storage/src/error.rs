//! Why the storage did not do what it was asked for.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::error::ErrorKind;

use crate::Kind;

/// Why the storage did not do what it was asked for, by who must act. No message shows a password: `place` names the file,
/// or user, host and database of a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Configuration: the URL names no database that can be used.
    #[error("the storage's URL cannot be used: {reason}")]
    Url {
        /// What is wrong with it, without the URL.
        reason: String,
    },
    /// Environment: the folder or the file of an SQLite database cannot be made or opened.
    #[error("the storage's {} cannot be made: {source}", path.display())]
    Folder {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Environment: nobody answers there, or the connection broke.
    #[error("the storage {place} cannot be reached: {source}")]
    Unreachable {
        /// Which database.
        place: String,
        /// Why.
        source: sqlx::Error,
    },
    /// Environment: there was no answer in time.
    #[error("the storage {place} did not answer within {} s", after.as_secs_f64())]
    TimedOut {
        /// Which database.
        place: String,
        /// How long was waited.
        after: Duration,
    },
    /// Configuration: the server refuses the user, the password or the database's name.
    #[error("the storage {place} refuses the connection: {source}")]
    Refused {
        /// Which database.
        place: String,
        /// Why.
        source: sqlx::Error,
    },
    /// Whoever installed: a newer version of Likeness has changed the tables.
    #[error(
        "the storage {place} was changed by a newer version of Likeness (its migration {found} is not known here, the \
         newest known is {known}); start the newer version, or restore the backup from before the upgrade"
    )]
    Newer {
        /// Which database.
        place: String,
        /// The migration that it has.
        found: i64,
        /// The last one that this program has.
        known: i64,
    },
    /// Whoever keeps the database: what is in it is not what was written.
    #[error("the storage {place} is damaged: {reason}; restore it from a backup")]
    Corrupt {
        /// Which database.
        place: String,
        /// What was found.
        reason: String,
    },
    /// Environment, or a bug: the database refused a statement, for instance because the disk is full or the rights are
    /// missing.
    #[error("the storage {place} failed: {source}")]
    Failed {
        /// Which database.
        place: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers: {0}")]
    Random(String),
}

impl StorageError {
    /// Whether the same call may succeed later without anybody changing the configuration: the database is away, slow or
    /// busy.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. })
    }

    /// Whether the database works, and rightly refuses what it was asked for, such as a second app of the same name.
    pub(crate) fn is_callers(&self) -> bool {
        let Self::Failed { source, .. } = self else {
            return false;
        };
        source
            .as_database_error()
            .is_some_and(|error| !matches!(error.kind(), ErrorKind::Other))
    }

    /// Who must act on what sqlx says.
    pub(crate) fn from_sqlx(error: sqlx::Error, kind: Kind, place: &str, after: Duration) -> Self {
        let place = place.to_owned();
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code);
        let code = code.as_deref();
        match (&error, kind) {
            (sqlx::Error::PoolTimedOut, _) => return Self::TimedOut { place, after },
            // It may show a part of the URL.
            (sqlx::Error::Configuration(_), _) => {
                return Self::Url {
                    reason: "the database driver refuses it".to_owned(),
                };
            }
            (
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed,
                _,
            ) => return Self::Unreachable { place, source: error },
            (
                sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::Decode(_)
                | sqlx::Error::ColumnNotFound(_)
                | sqlx::Error::TypeNotFound { .. },
                _,
            ) => {
                return Self::Corrupt {
                    place,
                    reason: error.to_string(),
                };
            }
            _ => {}
        }
        match (kind, code) {
            // query_canceled (statement_timeout), lock_not_available: https://www.postgresql.org/docs/15/errcodes-appendix.html
            (Kind::Postgres, Some("57014" | "55P03" | "25P03")) => Self::TimedOut { place, after },
            // Wrong user, password or database.
            (Kind::Postgres, Some("28000" | "28P01" | "3D000")) => Self::Refused { place, source: error },
            // Going down, starting, no connection left, or a broken connection.
            (Kind::Postgres, Some(code))
                if code.starts_with("57P") || code.starts_with("08") || code == "53300" =>
            {
                Self::Unreachable { place, source: error }
            }
            (Kind::Postgres, Some(code)) if code.starts_with("XX") => Self::Corrupt {
                place,
                reason: error.to_string(),
            },
            // SQLITE_BUSY and its extended forms: https://www.sqlite.org/rescode.html
            (Kind::Sqlite, Some("5" | "261" | "517" | "773")) => Self::TimedOut { place, after },
            // SQLITE_CORRUPT with its extended forms, SQLITE_NOTADB.
            (Kind::Sqlite, Some("11" | "267" | "523" | "779" | "26")) => Self::Corrupt {
                place,
                reason: error.to_string(),
            },
            // SQLITE_CANTOPEN and its extended forms.
            (Kind::Sqlite, Some("14" | "270" | "526" | "782" | "1038" | "1550")) => {
                Self::Unreachable { place, source: error }
            }
            _ => Self::Failed { place, source: error },
        }
    }
}
