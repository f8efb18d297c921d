//! The forms that settings have in files and variables: secrets, seconds, names.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de};

/// Longest `id` and `key` of an app in bytes: both travel in headers.
const MAX_CREDENTIAL_BYTES: usize = 256;

/// Says why a string cannot be sent in a header as an id or a key.
pub(super) fn check_credential(value: &str) -> Result<(), &'static str> {
    if value.is_empty() {
        return Err("is empty");
    }
    if value.len() > MAX_CREDENTIAL_BYTES {
        return Err("is longer than 256 bytes");
    }
    if value.trim() != value || value.chars().any(char::is_control) {
        return Err("has leading or trailing spaces, or control characters");
    }
    Ok(())
}

/// Secrets, which are never shown, neither in a serialized form nor in errors.
pub(super) mod secret {
    use figment::value::Value;
    use secrecy::SecretString;

    use super::*;

    /// Stands for a secret in whatever is shown.
    const REDACTED: &str = "<redacted>";

    pub(in super::super) fn serialize<S: Serializer>(_: &SecretString, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(REDACTED)
    }

    /// `key = 12345` is a number in TOML, which an error must not show.
    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<SecretString, D::Error> {
        match <Value as Deserialize>::deserialize(from)? {
            Value::String(_, value) => Ok(value.into()),
            _ => Err(de::Error::custom("must be a string, in quotes")),
        }
    }

    /// The same where there may be none.
    pub(in super::super) mod optional {
        use super::*;

        pub(in super::super::super) fn serialize<S: Serializer>(
            secret: &Option<SecretString>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            match secret {
                Some(_) => to.serialize_str(REDACTED),
                None => to.serialize_none(),
            }
        }

        pub(in super::super::super) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<SecretString>, D::Error> {
            super::deserialize(from).map(Some)
        }
    }
}

/// Durations as numbers of seconds.
pub(super) mod seconds {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(duration.as_secs_f64())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
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

    pub(in super::super) fn serialize<S: Serializer>(
        value: &Option<impl Display>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: FromStr<Err: Display>,
    {
        let name = String::deserialize(from)?;
        name.parse().map(Some).map_err(de::Error::custom)
    }
}
