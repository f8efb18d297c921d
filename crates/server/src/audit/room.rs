//! Warns where records are kept for ever and the disk is nearly full.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::AuditConfig;

/// A disk on which less than a tenth is left, and nothing says how long audit records are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearlyFull {
    /// The folder of the audit.
    pub folder: PathBuf,
    /// What is left, in MiB.
    pub available_mib: u64,
    /// Size of the disk, in MiB.
    pub total_mib: u64,
}

impl fmt::Display for NearlyFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} MiB are left for {}, and audit records are kept for ever: set audit.retention_days, or make room",
            self.available_mib,
            self.total_mib,
            self.folder.display()
        )
    }
}

/// Room on a disk, in bytes.
#[derive(Debug, Clone, Copy)]
struct Room {
    available: u64,
    total: u64,
}

/// Whether less than a tenth of the disk of the audit's folder is left while `audit.retention_days` is unset. `None` also
/// where the system does not say how much is left. Blocks.
#[must_use]
pub fn nearly_full(config: &AuditConfig, folder: &Path) -> Option<NearlyFull> {
    if !config.enabled || config.retention_days.is_some() {
        return None;
    }
    // The folder may not be there yet.
    let there = folder.ancestors().find(|folder| folder.exists())?;
    let room = room_at(there).ok()?;
    room.is_scarce().then(|| NearlyFull {
        folder: folder.to_owned(),
        available_mib: room.available >> 20,
        total_mib: room.total >> 20,
    })
}

impl Room {
    fn is_scarce(self) -> bool {
        self.available < self.total / 10
    }
}

#[cfg(unix)]
fn room_at(folder: &Path) -> io::Result<Room> {
    let found = rustix::fs::statvfs(folder)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Room {
        // What is kept for root is not there for others.
        available: bytes(found.f_bavail),
        total: bytes(found.f_blocks),
    })
}

#[cfg(not(unix))]
fn room_at(_: &Path) -> io::Result<Room> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Has the log say when it begins that a disk is nearly full, and not again while it stays so.
#[derive(Debug, Default)]
pub(super) struct Watch {
    is_told: bool,
}

impl Watch {
    pub(super) fn tell(&mut self, found: Option<&NearlyFull>) {
        let was_told = std::mem::replace(&mut self.is_told, found.is_some());
        if let Some(found) = found
            && !was_told
        {
            tracing::warn!(
                folder = %found.folder.display(),
                available_mib = found.available_mib,
                total_mib = found.total_mib,
                "less than a tenth of the disk is left and audit records are kept for ever: set audit.retention_days, or make \
                 room"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::fakes::Log;

    #[test]
    fn room_is_scarce_where_less_than_a_tenth_is_left() {
        let scarce = |available, total| Room { available, total }.is_scarce();
        assert!(scarce(99, 1_000) && scarce(0, 10));
        assert!(!scarce(100, 1_000) && !scarce(1_000, 1_000));
        // As of file systems that have no size.
        assert!(!scarce(0, 0));
    }

    #[test]
    fn a_disk_says_how_much_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let room = room_at(folder.path()).unwrap();
        assert!(room.total > 0 && room.available <= room.total, "{room:?}");
    }

    #[test]
    fn who_has_said_how_long_records_are_kept_is_not_warned() {
        let config = AuditConfig {
            retention_days: Some(30),
            ..AuditConfig::default()
        };
        assert_eq!(nearly_full(&config, Path::new("/")), None);
        let config = AuditConfig {
            enabled: false,
            ..AuditConfig::default()
        };
        assert_eq!(nearly_full(&config, Path::new("/")), None);
    }

    #[test]
    fn it_is_told_once_for_as_long_as_it_is_so() {
        let log = Log::default();
        let _capturing = log.capture();
        let found = NearlyFull {
            folder: "data/audit".into(),
            available_mib: 5,
            total_mib: 100,
        };
        let mut watch = Watch::default();
        for found in [None, Some(&found), Some(&found), None, Some(&found)] {
            watch.tell(found);
        }
        let told = log.lines_with("less than a tenth of the disk is left");
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].contains("available_mib=5") && told[0].contains("WARN"),
            "{told:?}"
        );
        assert!(found.to_string().contains("5 of 100 MiB"));
    }
}
