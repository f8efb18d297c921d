//! Files with secrets that others can read.

use std::fmt;
use std::path::{Path, PathBuf};

/// A file with secrets that users other than its owner can read: a warning, as the operator may trust them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExposedFile {
    /// Which file.
    pub path: PathBuf,
    /// Its permissions, such as `0o644`.
    pub mode: u32,
}

impl ExposedFile {
    /// This file, if everybody can read it, or its group, unless this process is not the owner: the group was made for it.
    #[cfg(unix)]
    pub(super) fn find(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;

        const GROUP: u32 = 0o040;
        const WORLD: u32 = 0o004;
        let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        let is_own = metadata.uid() == rustix::process::geteuid().as_raw();
        let others = if is_own { GROUP | WORLD } else { WORLD };
        let mode = metadata.mode() & 0o777;
        (mode & others != 0).then(|| Self {
            path: path.to_owned(),
            mode,
        })
    }

    #[cfg(not(unix))]
    pub(super) fn find(_: &Path) -> Option<Self> {
        None
    }

    /// The command that takes the rights away.
    #[must_use]
    pub fn remedy(&self) -> String {
        format!("chmod {:o} '{}'", self.mode & 0o700, self.path.display())
    }
}

impl fmt::Display for ExposedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} has secrets in it and can be read by others (mode {:04o}): run `{}` as its owner, who must be the user of the \
             service, or move the secrets elsewhere",
            self.path.display(),
            self.mode,
            self.remedy()
        )
    }
}

#[cfg(all(test, unix))]
// Clippy knows tests by `cfg(test)` alone.
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::{Config, ENV_CREDENTIALS, Explained, Overrides};

    const KEY: &str = "0123456789abcdef";

    fn write(path: &Path, text: &str, mode: u32) {
        // What may not be written to is replaced.
        drop(std::fs::remove_file(path));
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn exposed(file: &Path, env: &[(&str, &str)]) -> Vec<ExposedFile> {
        let env = env.iter().map(|(name, value)| (name.into(), value.into()));
        let explained = Explained::load(Some(file), env, &Overrides::default(), Config::validate).unwrap();
        explained.exposed_files
    }

    #[test]
    fn a_file_with_a_secret_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("likeness.toml");
        for secret in [
            format!("[[apps]]\nid = 'a'\nkey = '{KEY}'\n"),
            format!("[admin]\ntoken = '{KEY}'\n"),
            format!("[admin]\ntoken = '{KEY}'\nmetrics_token = '{KEY}'\n"),
            format!("[audit]\nchain_key = '{KEY}'\n"),
            format!("[database]\nurl = 'postgres://u:{KEY}@host/db'\n"),
            format!("[database]\nurl = 'postgres://u@host/db?password={KEY}'\n"),
        ] {
            for (mode, is_exposed) in [
                (0o600, false),
                (0o400, false),
                (0o640, true),
                (0o644, true),
                (0o604, true),
            ] {
                write(&file, &secret, mode);
                let found = exposed(&file, &[]);
                assert_eq!(!found.is_empty(), is_exposed, "{secret} {mode:o}");
                if let Some(found) = found.first() {
                    assert_eq!(found.remedy(), format!("chmod 600 '{}'", file.display()));
                    let said = found.to_string();
                    assert!(
                        said.contains(&format!("mode {mode:04o}")) && !said.contains(KEY),
                        "{said}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_file_without_a_secret_may_be_read_by_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("likeness.toml");
        for text in [
            "[request_limits]\ndeadline_seconds = 2\n",
            "[[apps]]\nid = 'a'\n",
            "[database]\nurl = 'sqlite:likeness.db'\n",
            "[database]\nurl = 'postgres://u@host/db?sslmode=require'\n",
        ] {
            write(&file, text, 0o644);
            assert_eq!(
                exposed(&file, &[("LIKENESS_APPS", &format!("a:{KEY}"))]),
                [],
                "{text}"
            );
        }
    }

    #[test]
    fn files_of_single_secrets_count_too() {
        let folder = tempfile::tempdir().unwrap();
        let (file, secret) = (
            folder.path().join("likeness.toml"),
            folder.path().join("likeness.admin-token"),
        );
        write(&file, "", 0o644);
        write(&secret, KEY, 0o644);
        let env = [(ENV_CREDENTIALS, folder.path().to_str().unwrap())];
        let found: Vec<PathBuf> = exposed(&file, &env).into_iter().map(|found| found.path).collect();
        assert_eq!(found, std::slice::from_ref(&secret));
        write(&secret, KEY, 0o400);
        assert_eq!(exposed(&file, &env), []);

        let key = folder.path().join("tls.key");
        write(&key, "", 0o644);
        write(
            &file,
            &format!("[tls]\ncertificate = '{0}'\nkey = '{0}'\n", key.display()),
            0o644,
        );
        let found: Vec<PathBuf> = exposed(&file, &[]).into_iter().map(|found| found.path).collect();
        assert_eq!(found, [key]);
    }
}
