//! The places that may have a file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Pull;
use crate::{PackError, PackageFile, SourceFile};

/// Environment variable with a mirror.
pub const ENV_MIRROR: &str = "LIKENESS_MODEL_MIRROR";

/// A folder or server that has the files of packs by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mirror {
    /// A folder.
    Folder(PathBuf),
    /// An http(s) address; the file's name is appended.
    Server(String),
}

impl Mirror {
    /// Returns the mirror in [`ENV_MIRROR`], if set.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let named = std::env::var_os(ENV_MIRROR).filter(|value| !value.is_empty());
        named.map(Self::from)
    }

    pub(super) fn check(&self) -> Result<(), PackError> {
        match self {
            Self::Folder(folder) if folder.is_dir() => Ok(()),
            Self::Folder(folder) if has_password(&folder.to_string_lossy()) => {
                Err(PackError::MirrorCredentials)
            }
            Self::Folder(folder) => {
                let folder = folder.clone();
                Err(PackError::NoMirror { folder })
            }
            Self::Server(address) if address.contains('@') => Err(PackError::MirrorCredentials),
            Self::Server(_) => Ok(()),
        }
    }
}

impl From<OsString> for Mirror {
    fn from(named: OsString) -> Self {
        match named.to_str() {
            Some(text) if text.starts_with("http://") || text.starts_with("https://") => {
                Self::Server(text.to_owned())
            }
            _ => Self::Folder(named.into()),
        }
    }
}

/// A place that may have a file.
pub(super) enum Place {
    File(PathBuf),
    Address(String),
    Package(PackageFile),
}

impl Place {
    /// Returns its name in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Address(address) => without_password(address),
            Self::Package(package) => package.to_string(),
        }
    }
}

/// Returns the places to try for a file, in order: the one that the pull names for it alone, else the mirror alone, else the file
/// beside the manifest, its addresses and its packages.
pub(super) fn places(pull: &Pull, name: &str, source: &SourceFile, beside: Option<&Path>) -> Vec<Place> {
    if let Some(path) = pull.sources.get(name) {
        return vec![Place::File(path.clone())];
    }
    match &pull.mirror {
        Some(Mirror::Folder(folder)) => vec![Place::File(folder.join(name))],
        Some(Mirror::Server(address)) => {
            let address = address.trim_end_matches('/');
            vec![Place::Address(format!("{address}/{name}"))]
        }
        None => {
            let beside = beside.map(|folder| folder.join(name));
            let beside = beside.filter(|path| path.is_file()).map(Place::File);
            let addresses = source.urls.iter().cloned().map(Place::Address);
            let packages = source.packages.iter().cloned().map(Place::Package);
            beside.into_iter().chain(addresses).chain(packages).collect()
        }
    }
}

/// Whether a name of no folder may be meant as an address with a password.
fn has_password(text: &str) -> bool {
    text.split_once('@').is_some_and(|(user, _)| user.contains(':'))
}

/// Returns an address without what may be a password: the part before an `@` in its host.
pub(super) fn without_password(address: &str) -> String {
    let hidden = || {
        let (scheme, rest) = address.split_once("://")?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (_, host) = host.rsplit_once('@')?;
        Some(format!("{scheme}://...@{host}/{path}"))
    };
    hidden().unwrap_or_else(|| address.to_owned())
}

/// Returns a line of text without what may be passwords in the addresses in it.
pub(super) fn without_passwords(line: &str) -> String {
    let scheme = |word: &str| {
        let (before, _) = word.split_once("://")?;
        let after_last = |(index, c): (usize, char)| index + c.len_utf8();
        let mut others = before.char_indices().filter(|(_, c)| !c.is_ascii_alphanumeric());
        Some(others.next_back().map_or(0, after_last))
    };
    let shown = |word: &str| {
        let (before, address) = word.split_at(scheme(word).unwrap_or(word.len()));
        before.to_owned() + &without_password(address)
    };
    line.split(' ').map(shown).collect::<Vec<_>>().join(" ")
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
            let line = format!("cannot reach ({address} now");
            assert_eq!(without_passwords(&line), format!("cannot reach ({shown} now"));
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
            let mirror = Mirror::from(OsString::from(address));
            let error = mirror.check().unwrap_err().to_string();
            assert!(
                error.contains("credentials") && !error.contains("SECRET"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_mirror_is_a_server_by_its_scheme_and_else_a_folder() {
        let of = |text: &str| Mirror::from(OsString::from(text));
        assert_eq!(of("http://host/x"), Mirror::Server("http://host/x".to_owned()));
        assert_eq!(of("https:/x"), Mirror::Folder("https:/x".into()));
        assert_eq!(of("models"), Mirror::Folder("models".into()));
    }
}
