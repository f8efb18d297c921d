//! The forms that settings have in files and variables: secrets, seconds, names.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest `id` and `key` of an app in bytes: both travel in headers.
const MAX_CREDENTIAL_BYTES: usize = 256;

/// The keys of secrets, besides those of apps.
pub(super) const SECRETS: [&str; 5] = [
    "admin.metrics_token",
    "admin.token",
    "audit.chain_key",
    "console.token",
    "database.url",
];

/// Returns the rest of a key that is `section` or below it.
pub(super) fn below<'a>(key: &'a str, section: &str) -> Option<&'a str> {
    let rest = key.strip_prefix(section)?;
    (rest.is_empty() || rest.starts_with('.')).then_some(rest)
}

/// Says why a string cannot be sent in a header as an id or a key.
pub(super) fn check_credential(value: &str) -> Result<(), &'static str> {
    let is_padded = value.trim() != value;
    match value.len() {
        0 => Err("is empty"),
        length if length > MAX_CREDENTIAL_BYTES => Err("is longer than 256 bytes"),
        _ if is_padded || value.chars().any(char::is_control) => {
            Err("has leading or trailing spaces, or control characters")
        }
        _ => Ok(()),
    }
}

/// Secrets, which are never shown, neither in a serialized form nor in errors.
pub(super) mod secret {
    use figment::value::Value;
    use secrecy::SecretString;

    use super::*;

    const REDACTED: &str = "<redacted>";

    /// `T` is a secret, or an optional one.
    pub(crate) fn serialize<'a, T, S: Serializer>(secret: &'a T, to: S) -> Result<S::Ok, S::Error>
    where
        &'a T: Into<Option<&'a SecretString>>,
    {
        secret.into().map(|_| REDACTED).serialize(to)
    }

    /// `key = 12345` is a number in TOML, which an error must not show.
    pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: From<SecretString>,
        D: Deserializer<'de>,
    {
        match <Value as Deserialize>::deserialize(from)? {
            Value::String(_, value) => Ok(SecretString::from(value).into()),
            _ => Err(de::Error::custom("must be a string, in quotes")),
        }
    }
}

pub(super) mod seconds {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(duration.as_secs_f64())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(from)?;
        Duration::try_from_secs_f64(seconds)
            .map_err(|_| de::Error::custom(format!("{seconds} is not a number of seconds")))
    }
}

/// Values that are written by their names.
pub(super) mod by_name {
    use std::fmt::Display;
    use std::str::FromStr;

    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &Option<impl Display>, to: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(ToString::to_string).serialize(to)
    }

    pub(crate) fn deserialize<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: FromStr<Err: Display>,
    {
        let name = String::deserialize(from)?;
        name.parse().map(Some).map_err(de::Error::custom)
    }
}
