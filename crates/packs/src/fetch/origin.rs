//! The places that a file may be had from.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::error::FetchError;
use crate::SourceFile;

/// Environment variable that names a mirror.
pub const ENV_MIRROR: &str = "LIKENESS_MODEL_MIRROR";

/// A folder or server of yours that has the files of packs by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mirror {
    /// A folder.
    Folder(PathBuf),
    /// An http(s) address; a file's name is put behind it.
    Server(String),
}

impl Mirror {
    /// The mirror that the environment names, if it names one.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let named = std::env::var_os(ENV_MIRROR).filter(|value| !value.is_empty())?;
        Some(match named.to_str() {
            Some(text) => text.parse().unwrap_or_else(|never: Infallible| match never {}),
            None => Self::Folder(named.into()),
        })
    }

    pub(super) fn check(&self) -> Result<(), FetchError> {
        match self {
            Self::Folder(folder) if !folder.is_dir() && has_password(&folder.to_string_lossy()) => {
                Err(FetchError::MirrorCredentials)
            }
            Self::Folder(folder) if !folder.is_dir() => Err(FetchError::NoMirror {
                folder: folder.clone(),
            }),
            Self::Server(address) if address.contains('@') => Err(FetchError::MirrorCredentials),
            _ => Ok(()),
        }
    }
}

impl FromStr for Mirror {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let is_web = ["http://", "https://"]
            .iter()
            .any(|scheme| text.starts_with(scheme));
        Ok(if is_web {
            Self::Server(text.to_owned())
        } else {
            Self::Folder(text.into())
        })
    }
}

/// Where one file may be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    Address(String),
}

impl Place {
    /// How it is called in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Address(address) => without_password(address),
        }
    }
}

/// The places to try for a file, in this order. A mirror is an order: nothing else is tried where one is named. Without
/// one it is the file beside the manifest, if there is one, and the manifest's addresses.
pub(super) fn places(
    name: &str,
    source: &SourceFile,
    mirror: Option<&Mirror>,
    beside: Option<&Path>,
) -> Vec<Place> {
    match mirror {
        Some(Mirror::Folder(folder)) => vec![Place::File(folder.join(name))],
        Some(Mirror::Server(address)) => {
            vec![Place::Address(format!(
                "{}/{name}",
                address.trim_end_matches('/')
            ))]
        }
        None => {
            let beside = beside
                .map(|folder| folder.join(name))
                .filter(|path| path.is_file());
            let addresses = source.urls.iter().cloned().map(Place::Address);
            beside.map(Place::File).into_iter().chain(addresses).collect()
        }
    }
}

/// Whether what is no folder may have been meant as an address with a password.
fn has_password(text: &str) -> bool {
    text.split_once('@').is_some_and(|(user, _)| user.contains(':'))
}

/// An address as it may be shown: what stands before an `@` in its host may be a password.
pub(super) fn without_password(address: &str) -> String {
    let hidden = || {
        let (scheme, rest) = address.split_once("://")?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (_, host) = host.rsplit_once('@')?;
        Some(format!("{scheme}://...@{host}/{path}"))
    };
    hidden().unwrap_or_else(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (address, shown) in [
            ("https://user:pass@host/x", "https://...@host/x"),
            ("https://user:p@ss@host:1", "https://...@host:1/"),
            ("https://host/a@b", "https://host/a@b"),
        ] {
            assert_eq!(Place::Address(address.to_owned()).name(), shown);
        }
    }

    #[test]
    fn a_mirror_with_a_password_is_refused_and_not_shown() {
        for address in [
            "https://mirror:SECRET@host",
            "https://mirror:12/SECRET@host/models",
            "http://SECRET@host",
            "https:mirror:SECRET@host",
        ] {
            let mirror: Mirror = address.parse().unwrap();
            let error = mirror.check().unwrap_err().to_string();
            assert!(
                error.contains("credentials") && !error.contains("SECRET"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_mirror_is_a_server_by_its_scheme_and_else_a_folder() {
        assert_eq!(
            "http://host/x".parse(),
            Ok(Mirror::Server("http://host/x".to_owned()))
        );
        assert_eq!("https:/x".parse(), Ok(Mirror::Folder("https:/x".into())));
        assert_eq!("models".parse(), Ok(Mirror::Folder("models".into())));
    }
}
