//! What Likeness keeps between requests and between starts: the apps and their keys. In SQLite, one file and no server, or
//! in PostgreSQL, which several replicas share.
//!
//! [`Database`] is the handle: cheap to clone, with a bound on every call. The tables are made and changed by numbered
//! migrations when it is opened. Knows no HTTP and no picture.
//!
//! # One SQL text for both
//!
//! Statements are written once, with `$1` for the first parameter, and with the types that both databases and sqlx's `Any`
//! driver agree on:
//!
//! - `TEXT`, also for digests, as hexadecimal digits; `BIGINT`; `DOUBLE PRECISION`. No `BOOLEAN`: 0 and 1 as `BIGINT`.
//! - A time is a `BIGINT`: microseconds since 1970-01-01 UTC ([`now`]).
//! - Sums are `CAST(… AS BIGINT)`: PostgreSQL's `SUM` of `BIGINT` is a `NUMERIC`, which `Any` does not read.
//! - What reads and then writes is a [`Database::transaction`], which takes SQLite's write lock at its beginning.

pub mod apps;
pub mod audit;
mod database;
mod error;
mod health;
mod migrations;
mod server_url;
mod settings;
mod time;
pub mod usage;

pub use database::{Connection, Database, Kind};
pub use error::StorageError;
pub use health::{Health, Operation};
pub use settings::{Place, Settings};
pub use time::now;
