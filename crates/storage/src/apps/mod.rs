//! The apps that may send requests, and their keys.
//!
//! Each change raises the revision ([`Database::apps_revision`](crate::Database::apps_revision)), so that one small query
//! tells a service whether to read the apps again.

mod key;
mod queries;
mod settings;

use std::time::Duration;

pub use key::{AppKey, KeyRule, MIN_KEY_CHARACTERS, SaltedDigest};
pub use settings::{AppEndpoint, AppLimits, AppSettings, UnknownEndpoint};

/// Keys of an app that are accepted at the same time: the old and the new one during a rotation.
pub const MAX_LIVE_KEYS: usize = 2;

/// A stored app.
#[derive(Debug, Clone)]
pub struct StoredApp {
    /// The `app_id` of its requests.
    pub id: String,
    /// Its settings.
    pub settings: AppSettings,
    /// Time of its creation, in microseconds since 1970-01-01 UTC.
    pub created: i64,
    /// Time of the last change of the app or its keys, likewise.
    pub changed: i64,
    /// Its keys, the newest first: live ones, and for some months those that are not.
    pub keys: Vec<StoredKey>,
}

/// A stored key: everything but the key itself.
#[derive(Debug, Clone)]
pub struct StoredKey {
    /// Name of the key in messages and tables; public.
    pub label: String,
    /// Digest of the key.
    pub digest: SaltedDigest,
    /// Time of its creation, in microseconds since 1970-01-01 UTC.
    pub created: i64,
    /// Time from which it is rejected, likewise; `None`: never.
    pub expires: Option<i64>,
    /// Time of its revocation, likewise.
    pub revoked: Option<i64>,
}

impl StoredKey {
    /// Returns whether the key is accepted at this time, in microseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn is_live(&self, now: i64) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }
}

/// A created app.
#[derive(Debug, Clone)]
pub struct NewApp {
    /// The `app_id` of its requests.
    pub id: String,
    /// The `app_key` of its requests. It is stored nowhere.
    pub key: AppKey,
    /// Label of the key.
    pub label: String,
}

/// How a key is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// How long the previous keys are still accepted.
    pub grace: Duration,
    /// Revokes the key that expires first if two keys are live; otherwise that is
    /// [`StorageError::TooManyKeys`](crate::StorageError::TooManyKeys).
    pub force: bool,
}

/// The outcome of a rotation.
#[derive(Debug, Clone)]
pub struct Rotated {
    /// Label of the new key.
    pub label: String,
    /// The keys that were live before, with their new expiry.
    pub before: Vec<StoredKey>,
}
