//! The search for audit records: of verifications, by what they recorded.
//!
//! The tables of the search are filled from the lines of the audit: by whoever adds records
//! ([`Database::add_records`](crate::Database::add_records)), and in batches for records that were there before, or that a
//! service of an earlier version adds ([`Database::unsearchable`](crate::Database::unsearchable)). What has become searchable
//! is one range of numbers for each instance.

mod backfill;
mod filter;
mod read;
mod sample;
mod sql;
mod write;

pub use backfill::{SearchProgress, Unsearchable};
pub use filter::{PageStart, RecordKey, RecordsFilter};
pub use read::{FoundRecord, StoredRecord};
pub use sample::{Sample, SampledRecord};
pub use write::{SearchEntry, Searchable};
