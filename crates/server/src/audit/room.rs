//! Warns if records are kept for ever and the disk is nearly full.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::AuditConfig;

/// A disk with less than a tenth free, while no retention of audit records is set: the folder of the audit, free space, size.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "said above")]
pub struct NearlyFull {
    pub folder: PathBuf,
    pub available_mib: u64,
    pub total_mib: u64,
}

impl fmt::Display for NearlyFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} MiB are free for {}, and audit records are kept for ever: set audit.retention_days, or free space",
            self.available_mib,
            self.total_mib,
            self.folder.display()
        )
    }
}

/// Returns a disk with less than a tenth free while `audit.retention_days` is unset, if the system reports it. Blocks.
#[must_use]
pub fn nearly_full(config: &AuditConfig, folder: &Path) -> Option<NearlyFull> {
    if !config.enabled || config.retention_days.is_some() {
        return None;
    }
    // The folder may not exist yet.
    let existing = folder.ancestors().find(|folder| folder.exists())?;
    let (available, total) = space(existing).filter(|(available, total)| is_scarce(*available, *total))?;
    Some(NearlyFull {
        folder: folder.to_owned(),
        available_mib: available >> 20,
        total_mib: total >> 20,
    })
}

fn is_scarce(available: u64, total: u64) -> bool {
    available < total / 10
}

/// Returns the free space, without what is reserved for root, and the size of a disk, in bytes.
fn space(folder: &Path) -> Option<(u64, u64)> {
    #[cfg(unix)]
    return rustix::fs::statvfs(folder).ok().map(|found| {
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        (bytes(found.f_bavail), bytes(found.f_blocks))
    });
    #[cfg(not(unix))]
    return Some(folder).and(None);
}

pub(super) fn log(found: Option<&NearlyFull>, is_logged: &mut bool) {
    let was_logged = std::mem::replace(is_logged, found.is_some());
    if let Some(found) = found.filter(|_| !was_logged) {
        tracing::warn!(
            folder = %found.folder.display(),
            available_mib = found.available_mib,
            total_mib = found.total_mib,
            "less than a tenth of the disk is free and audit records are kept for ever: set audit.retention_days, or free \
             space"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::fakes::Log;

    #[test]
    fn space_is_scarce_below_a_tenth() {
        assert!(is_scarce(99, 1_000) && is_scarce(0, 10));
        assert!(!is_scarce(100, 1_000) && !is_scarce(1_000, 1_000));
        // As of file systems that have no size.
        assert!(!is_scarce(0, 0));
    }

    #[test]
    fn the_free_space_of_a_disk_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let (available, total) = space(folder.path()).unwrap();
        assert!(total > 0 && available <= total, "{available} of {total}");
    }

    #[test]
    fn there_is_no_warning_if_a_retention_is_set() {
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
    fn a_nearly_full_disk_is_logged_once() {
        let log = Log::default();
        let _capturing = log.capture();
        let found = NearlyFull {
            folder: "data/audit".into(),
            available_mib: 5,
            total_mib: 100,
        };
        let mut is_logged = false;
        for found in [None, Some(&found), Some(&found), None, Some(&found)] {
            super::log(found, &mut is_logged);
        }
        let told = log.lines_with("less than a tenth of the disk is free");
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].contains("available_mib=5") && told[0].contains("WARN"),
            "{told:?}"
        );
        assert!(found.to_string().contains("5 of 100 MiB"));
    }
}
