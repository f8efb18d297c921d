//! Which database, and how long it may take.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::StorageError;
use crate::server_url::parse_server;

/// Which database it is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Place {
    /// An SQLite database in this file, which is made where it is not there, and so is its folder.
    File(PathBuf),
    /// An SQLite database in memory, for tests: it ends with its last handle.
    Memory,
    /// A PostgreSQL database by its URL, which may hold a password.
    Server(SecretString),
}

impl Place {
    /// Reads a URL: `postgres://user:password@host:port/database` (or `postgresql:`), with the parameters of libpq such
    /// as `sslmode=verify-full`; `sqlite:path/of/a/file`; `sqlite::memory:`. It is read strictly: where it is not clear where
    /// the password ends, it is refused.
    ///
    /// # Errors
    /// [`StorageError::Url`], which shows no part of it.
    pub fn from_url(url: &SecretString) -> Result<Self, StorageError> {
        let invalid = |reason: &str| {
            Err(StorageError::Url {
                reason: reason.to_owned(),
            })
        };
        let text = url.expose_secret().trim();
        let Some((scheme, rest)) = text.split_once(':') else {
            return invalid("it has no scheme; it should begin with `postgres://` or `sqlite:`");
        };
        match scheme {
            "sqlite" => match rest.trim_start_matches("//") {
                ":memory:" => Ok(Self::Memory),
                "" => invalid("it names no file: `sqlite:path/of/a/file`"),
                // Messages show the path: what is the URL of something else must not become one.
                path if path.contains("://") || path.contains('?') => {
                    invalid("it should read `sqlite:path/of/a/file`, without parameters")
                }
                path => Ok(Self::File(path.into())),
            },
            "postgres" | "postgresql" => match parse_server(text) {
                Ok(_) => Ok(Self::Server(text.into())),
                Err(reason) => invalid(reason),
            },
            _ => invalid("it should begin with `postgres://` or `sqlite:`"),
        }
    }

    /// The URL for sqlx. May hold a password.
    pub(crate) fn url(&self) -> Result<Url, StorageError> {
        let invalid = |reason: String| StorageError::Url { reason };
        match self {
            Self::Memory => Url::parse("sqlite::memory:").map_err(|error| invalid(error.to_string())),
            Self::File(path) => {
                let url = format!("sqlite:{}?mode=rwc", encoded(path));
                Url::parse(&url).map_err(|error| invalid(error.to_string()))
            }
            Self::Server(url) => {
                let mut url =
                    parse_server(url.expose_secret()).map_err(|reason| invalid(reason.to_owned()))?;
                if !url.query_pairs().any(|(name, _)| name == "application_name") {
                    url.query_pairs_mut().append_pair("application_name", "likeness");
                }
                Ok(url)
            }
        }
    }

    /// What messages call it: never with a password.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Memory => "SQLite in memory".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Server(url) => match parse_server(url.expose_secret()) {
                Ok(url) => {
                    let user = if url.username().is_empty() {
                        String::new()
                    } else {
                        format!("{}@", url.username())
                    };
                    format!(
                        "postgres://{user}{}:{}{}",
                        url.host_str().unwrap_or_default(),
                        url.port().unwrap_or(5432),
                        url.path()
                    )
                }
                Err(_) => "PostgreSQL".to_owned(),
            },
        }
    }
}

/// A path as sqlx wants it in a URL.
fn encoded(path: &Path) -> String {
    let mut encoded = String::new();
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            encoded.push(byte.into());
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Which database, and how long it may take.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Which one.
    pub place: Place,
    /// The longest that a call waits, whatever for: a free connection, the network, a lock, the answer. Default: 5 s.
    pub timeout: Duration,
    /// The most connections to a PostgreSQL server, at least 1. Default: 8. SQLite has four, in memory one.
    pub connections: u32,
}

impl Settings {
    /// This database, with the default times and sizes.
    #[must_use]
    pub fn new(place: Place) -> Self {
        Self {
            place,
            timeout: Duration::from_secs(5),
            connections: 8,
        }
    }

    /// The longest that a call waits.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The most connections to a server.
    #[must_use]
    pub fn with_connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> Result<Place, String> {
        Place::from_url(&url.into()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_url_names_a_database() {
        assert!(matches!(place("sqlite::memory:"), Ok(Place::Memory)));
        assert!(matches!(place("sqlite:a/b.db"), Ok(Place::File(path)) if path == Path::new("a/b.db")));
        assert!(matches!(place("sqlite:///a/b.db"), Ok(Place::File(path)) if path == Path::new("/a/b.db")));
        for server in [
            "postgres://u:p@host/db",
            "postgresql://host:5433/db?sslmode=require",
        ] {
            assert!(matches!(place(server), Ok(Place::Server(_))), "{server}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_its_password() {
        for wrong in [
            "s3cret",
            "mysql://u:s3cret@host/db",
            "postgres://u:s3cret@host",
            "postgres:likeness:s3cret@host/db",
            "postgres://u:12/s3cret@host/db",
            "sqlite:postgres://u:s3cret@host/db",
            "sqlite:a.db?key=s3cret",
            "sqlite:",
        ] {
            let reason = place(wrong).unwrap_err();
            assert!(!reason.contains("s3cret"), "{wrong}: {reason}");
        }
    }

    #[test]
    fn names_show_user_host_and_database_only() {
        let name = place("postgres://likeness:s3cret@db.internal/likeness?sslmode=require")
            .unwrap()
            .name();
        assert_eq!(name, "postgres://likeness@db.internal:5432/likeness");
        let debug = format!("{:?}", place("postgres://u:s3cret@host/db").unwrap());
        assert!(!debug.contains("s3cret"), "{debug}");
        // One that nobody has checked.
        let unchecked = Place::Server("postgres:u:s3cret@host/db".into());
        assert_eq!(unchecked.name(), "PostgreSQL");
        assert!(!unchecked.url().unwrap_err().to_string().contains("s3cret"));
    }

    #[test]
    fn paths_with_odd_characters_survive() {
        let url = Place::File("/tmp/a b?c#d%e".into()).url().unwrap();
        assert_eq!(url.as_str(), "sqlite:/tmp/a%20b%3Fc%23d%25e?mode=rwc");
    }
}
