//! What the system lets this process do.

#[cfg(unix)]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Failure;

/// Files that the service has open besides the connections of callers: libraries, models, storage, audit and log, the 64
/// connections of operators, those to PostgreSQL; and room.
const OTHER_FILES: u64 = 256;

/// No picture is to get onto a disk by a crash.
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

/// Lets the process have so many connections open: raises what it may have to what it may be given.
///
/// # Errors
/// Where that is not enough: at full house nobody could be let in, the audit not be written and the operator not be heard.
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
