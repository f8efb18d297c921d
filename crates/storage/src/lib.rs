//! The database of Likeness: apps with their keys, usage, and audit records. SQLite needs no server; PostgreSQL lets several
//! replicas share it.
//!
//! [`Database`] is the handle. Statements are written once, with `$1` for the first parameter, and with the types that both
//! databases and sqlx's `Any` driver agree on:
//!
//! - `TEXT`, also for digests, as hexadecimal digits; `BIGINT`; `DOUBLE PRECISION`. No `BOOLEAN`: 0 and 1 as `BIGINT`.
//! - A time is a `BIGINT`: microseconds since 1970-01-01 UTC ([`now`]).
//! - Sums are `CAST(… AS BIGINT)`: PostgreSQL's `SUM` of `BIGINT` is a `NUMERIC`, which `Any` does not read.
//! - Whatever reads and then writes runs in a transaction, which takes SQLite's write lock when it begins.

pub mod apps;
pub mod audit;
mod database;
mod error;
pub mod files;
mod health;
mod migrations;
pub mod records;
mod server_url;
mod settings;
mod sqlite_files;
pub mod usage;

pub use database::Database;
#[doc(hidden)]
pub use database::Session;
pub use error::{Kind, StorageError};
pub use health::{Health, Operation};
pub use settings::{Place, Settings};

/// The result of a call to the database, unless it names another error.
type Result<T, E = StorageError> = std::result::Result<T, E>;

/// Returns the current time in microseconds since 1970-01-01 UTC.
#[must_use]
pub fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}
