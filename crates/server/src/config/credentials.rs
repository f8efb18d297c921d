//! Secrets that are handed over as files: by systemd, or by whatever mounts them.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::ConfigError;
use super::layers::Layer;

/// Environment variable with the folder, as systemd sets it for what a unit loads (`LoadCredential=`). Each file in it is
/// one secret; one that is not there sets nothing.
pub const ENV_CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The files, with the path of the key that each sets.
const FILES: [(&str, &str); 4] = [
    ("likeness.storage-url", "storage.url"),
    ("likeness.admin-token", "admin.token"),
    ("likeness.admin-metrics-token", "admin.metrics_token"),
    ("likeness.audit-chain-key", "audit.chain_key"),
];

/// No secret of these is near it.
const MAX_BYTES: u64 = 64 * 1024;

/// A layer for each file that is there, with its path.
pub(super) fn layers(folder: &OsStr) -> Result<Vec<(PathBuf, Layer)>, ConfigError> {
    let mut layers = Vec::new();
    for (name, key) in FILES {
        let path = Path::new(folder).join(name);
        if let Some(secret) = read(&path)? {
            let layer = Layer::of_key(path.display().to_string(), key, secret);
            layers.push((path, layer));
        }
    }
    Ok(layers)
}

/// A secret, without the end of its line.
fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    let unreadable = |source| ConfigError::File {
        path: path.to_owned(),
        source,
    };
    let invalid = |reason| ConfigError::invalid(path.display().to_string(), reason);
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(invalid("is longer than 64 KiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| invalid("is not UTF-8"))?;
    // A file that was meant to bring a secret and brings none: better no start than one without it.
    match text.trim() {
        "" => Err(invalid("is empty")),
        secret => Ok(Some(secret.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::config::{Explained, Overrides};

    const URL: &str = "postgres://likeness:s3cret@db.example/likeness";

    fn load(folder: &Path, more: &[(&str, &str)]) -> Result<Explained, ConfigError> {
        let env = more.iter().map(|(name, value)| (name.into(), value.into()));
        let env = env.chain([(ENV_CREDENTIALS.into(), folder.into())]);
        Explained::load(None, env, &Overrides::default())
    }

    #[test]
    fn each_file_is_a_secret_and_what_is_not_there_sets_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert!(load(folder.path(), &[]).unwrap().config.storage.url.is_none());
        assert!(load(&folder.path().join("nowhere"), &[]).is_ok());
        let secrets = [
            ("likeness.storage-url", URL),
            ("likeness.admin-token", "s3cret-of-the-operator"),
            ("likeness.admin-metrics-token", "s3cret-of-prometheus"),
            ("likeness.audit-chain-key", "s3cret-of-the-chain"),
            ("somebody.elses", "s3cret"),
        ];
        for (name, secret) in secrets {
            std::fs::write(folder.path().join(name), format!("{secret}\n")).unwrap();
        }
        let explained = load(folder.path(), &[]).unwrap();
        let config = &explained.config;
        let found = [
            &config.storage.url,
            &config.admin.token,
            &config.admin.metrics_token,
            &config.audit.chain_key,
        ];
        for (found, (_, secret)) in found.into_iter().zip(secrets) {
            assert_eq!(found.as_ref().unwrap().expose_secret(), secret);
        }
        let shown = explained.to_string();
        let origin = folder.path().join("likeness.storage-url");
        assert!(
            shown.contains(&*origin.to_string_lossy()) && !shown.contains("s3cret"),
            "{shown}"
        );
    }

    #[test]
    fn a_variable_wins_over_a_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("likeness.storage-url"), URL).unwrap();
        let other = "sqlite::memory:";
        let config = load(folder.path(), &[("LIKENESS_STORAGE_URL", other)])
            .unwrap()
            .config;
        assert_eq!(config.storage.url.unwrap().expose_secret(), other);
    }

    #[test]
    fn a_file_that_brings_no_secret_is_named_and_not_shown() {
        let long = "s3cret".repeat(11_000);
        for (bytes, reason) in [
            (&b" \n"[..], "is empty"),
            (&b"s3cret\xff"[..], "is not UTF-8"),
            (long.as_bytes(), "is longer than 64 KiB"),
            (&b"s3cret of two words"[..], "has spaces"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("likeness.admin-token");
            std::fs::write(&file, bytes).unwrap();
            let error = load(folder.path(), &[]).unwrap_err().to_string();
            let named = error.contains("likeness.admin-token") || error.contains("admin.token");
            assert!(
                named && error.contains(reason) && !error.contains("s3cret"),
                "{error}"
            );
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("likeness.admin-token")).unwrap();
        let error = load(folder.path(), &[]).unwrap_err().to_string();
        assert!(error.contains("likeness.admin-token cannot be read"), "{error}");
    }
}
