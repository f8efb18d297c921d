//! Which database to use, and its timeout.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::server_url::parse_server;
use crate::{Kind, Result, StorageError};

/// Where a database is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Place {
    /// An SQLite database in this file. File and folder are created if they do not exist.
    File(PathBuf),
    /// An SQLite database in memory, for tests: it ends with its last handle.
    Memory,
    /// A PostgreSQL database by its URL, which may hold a password.
    Server(SecretString),
}

/// The bytes of a path that need no encoding in a URL.
const PATH: AsciiSet = NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'.')
    .remove(b'_')
    .remove(b'-');

impl Place {
    /// Parses a URL: `postgres://user:password@host:port/database` (or `postgresql:`), with the parameters of libpq such
    /// as `sslmode=verify-full`; `sqlite:path/of/a/file`; `sqlite::memory:`. The parser is strict: a URL in which the end of
    /// the password is ambiguous is rejected. [`StorageError::Url`] shows no part of the URL.
    pub fn from_url(url: &SecretString) -> Result<Self> {
        let text = url.expose_secret().trim();
        let place = match text.split_once(':') {
            None => Err("it has no scheme; it should begin with `postgres://` or `sqlite:`"),
            Some(("sqlite", rest)) => match rest.trim_start_matches("//") {
                ":memory:" => Ok(Self::Memory),
                "" => Err("it names no file: `sqlite:path/of/a/file`"),
                // Messages show the path: the URL of something else must not become one.
                path if path.contains("://") || path.contains('?') => {
                    Err("it should read `sqlite:path/of/a/file`, without parameters")
                }
                path => Ok(Self::File(path.into())),
            },
            Some(("postgres" | "postgresql", _)) => parse_server(text).map(|_| Self::Server(text.into())),
            Some(_) => Err("it should begin with `postgres://` or `sqlite:`"),
        };
        place.map_err(StorageError::url)
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Server(_) => Kind::Postgres,
            Self::File(_) | Self::Memory => Kind::Sqlite,
        }
    }

    /// Returns the URL for sqlx. It may hold a password.
    pub(crate) fn url(&self) -> Result<Url> {
        let sqlite = |url: &str| Url::parse(url).map_err(|error| StorageError::url(&error.to_string()));
        match self {
            Self::Memory => sqlite("sqlite::memory:"),
            Self::File(path) => {
                let path = percent_encode(path.as_os_str().as_encoded_bytes(), &PATH);
                sqlite(&format!("sqlite:{path}?mode=rwc"))
            }
            Self::Server(url) => {
                let mut url = parse_server(url.expose_secret()).map_err(StorageError::url)?;
                if !url.query_pairs().any(|(name, _)| name == "application_name") {
                    url.query_pairs_mut().append_pair("application_name", "likeness");
                }
                Ok(url)
            }
        }
    }

    /// Returns the name of the database in messages, never with a password.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Memory => "SQLite in memory".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Server(url) => parse_server(url.expose_secret()).map_or_else(
                |_| "PostgreSQL".to_owned(),
                |url| {
                    let (user, host) = (url.username(), url.host_str().unwrap_or_default());
                    let at = if user.is_empty() { "" } else { "@" };
                    let port = url.port().unwrap_or(5432);
                    format!("postgres://{user}{at}{host}:{port}{}", url.path())
                },
            ),
        }
    }
}

/// Which database to use, and its timeout.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The database.
    pub place: Place,
    /// The longest time that a call waits: for a free connection, the network, a lock, the response. Default: 5 s.
    pub timeout: Duration,
    /// The most connections to a PostgreSQL server, at least 1. Default: 8. SQLite has four, in memory one.
    pub connections: u32,
}

impl Settings {
    /// Returns settings for this database with the default timeout and connections.
    #[must_use]
    pub fn new(place: Place) -> Self {
        Self {
            place,
            timeout: Duration::from_secs(5),
            connections: 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

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
    fn a_rejected_url_is_not_shown() {
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
        // An unchecked one.
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
