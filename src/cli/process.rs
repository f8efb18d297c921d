//! Limits of this process.

#[cfg(unix)]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Failure;

/// Files that the service has open besides the connections of clients: libraries, models, database, audit and log, the 64
/// connections of the admin listener, those to PostgreSQL; and room.
const OTHER_FILES: u64 = 256;

/// Turns core dumps off: no image may get onto a disk by a crash.
#[cfg(unix)]
pub(super) fn forbid_core_dumps() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        super::complain(&error);
    }
}

#[cfg(not(unix))]
pub(super) fn forbid_core_dumps() {}

/// Raises the limit of open files for so many connections.
///
/// # Errors
/// Where the hard limit is not enough: with all connections open the audit log and the admin listener would fail.
#[cfg(unix)]
pub(super) fn allow_open_files(connections: usize) -> Result<(), Failure> {
    let needed = (connections as u64).saturating_add(OTHER_FILES);
    let limit = getrlimit(Resource::Nofile);
    // None: there is no limit.
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if let Some(maximum) = limit.maximum.filter(|maximum| *maximum < needed) {
        return Err(format!(
            "configuration: connections.max: {connections} connections take up to {needed} open files, and this process may \
             have {maximum} (`ulimit -Hn`): raise that, or lower connections.max"
        )
        .into());
    }
    let raised = Rlimit {
        current: Some(needed),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).map_err(Into::into)
}

#[cfg(not(unix))]
pub(super) fn allow_open_files(_connections: usize) -> Result<(), Failure> {
    Ok(())
}
