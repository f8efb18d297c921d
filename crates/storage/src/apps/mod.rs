//! The apps that may call, and their keys.
//!
//! A key is kept as a salted SHA-256, see [`SaltedDigest`]. Each change raises the revision
//! ([`Database::apps_revision`](crate::Database::apps_revision)),
//! so that services notice with one small query whether they have to read the apps again.

mod change;
mod error;
mod key;
mod read;
mod settings;

pub use change::{NewApp, Rotated, Rotation};
pub use error::AppError;
pub use key::{AppKey, KeyRule, MIN_KEY_CHARACTERS, SaltedDigest};
pub use settings::{AppEndpoint, AppLimits, AppSettings};

/// How many keys of an app are accepted at the same time: the old and the new one while a rotation lasts.
pub const MAX_LIVE_KEYS: usize = 2;

/// An app as it is stored.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoredApp {
    /// What callers send as `app_id`.
    pub id: String,
    /// What it may do.
    pub settings: AppSettings,
    /// When it was made, in microseconds since 1970-01-01 UTC.
    pub created: i64,
    /// When it or its keys were last changed, likewise.
    pub changed: i64,
    /// Its keys, the newest first: live ones and those of the last months that are not.
    pub keys: Vec<StoredKey>,
}

/// A key as it is stored: everything but itself.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoredKey {
    /// Names it in messages and tables; public.
    pub label: String,
    /// What a key is compared with.
    pub digest: SaltedDigest,
    /// When it was made, in microseconds since 1970-01-01 UTC.
    pub created: i64,
    /// From when on it is refused, likewise; `None`: it has no end.
    pub expires: Option<i64>,
    /// When it was ended before its time, likewise.
    pub revoked: Option<i64>,
}

impl StoredKey {
    /// Whether the key is accepted at this time, in microseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn is_live(&self, now: i64) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }
}
