//! The credentials of a request, and those of the apps.

use axum::http::HeaderMap;
use likeness_storage::StorageError;
use likeness_storage::apps::{MAX_LIVE_KEYS, SaltedDigest};
use subtle::Choice;

/// Both spellings of the documentation. A proxy such as nginx drops names with underscores.
pub(crate) const ID_HEADERS: [&str; 2] = ["app_id", "app-id"];
pub(crate) const KEY_HEADERS: [&str; 2] = ["app_key", "app-key"];

/// The longest key, in bytes. A longer one is not even hashed.
const MAX_KEY_BYTES: usize = 256;

/// The credentials in the headers of a request.
pub(super) struct Presented<'a> {
    /// Empty if absent or unusable.
    pub(super) id: &'a str,
    key: &'a [u8],
    usable: bool,
}

impl<'a> Presented<'a> {
    pub(super) fn read(headers: &'a HeaderMap) -> Self {
        let (id, id_usable) = only_value(headers, ID_HEADERS);
        let (key, key_usable) = only_value(headers, KEY_HEADERS);
        let fits = key.len() <= MAX_KEY_BYTES;
        Self {
            id: std::str::from_utf8(id).unwrap_or_default(),
            key: if fits { key } else { &[] },
            usable: id_usable && key_usable && fits,
        }
    }
}

/// The keys of one app: always the same number, so that a check takes the same time whether it has one, two or none. Each
/// has the time from which it is rejected, in microseconds since 1970-01-01 UTC.
#[derive(Clone)]
pub(super) struct Credentials([(SaltedDigest, i64); MAX_LIVE_KEYS]);

impl Credentials {
    /// Returns credentials with these keys, the first ones if there are too many.
    pub(super) fn new(keys: impl IntoIterator<Item = (SaltedDigest, i64)>) -> Result<Self, StorageError> {
        let mut keys = keys.into_iter();
        let mut next = || match keys.next() {
            Some(key) => Ok(key),
            None => Ok::<_, StorageError>((SaltedDigest::of_no_key()?, i64::MIN)),
        };
        Ok(Self([next()?, next()?]))
    }

    /// Returns whether the key is accepted at this time. The time it takes does not depend on the outcome.
    pub(super) fn accept(&self, presented: &Presented<'_>, now: i64) -> Choice {
        let mut right = Choice::from(0);
        for (digest, expires) in &self.0 {
            let live = Choice::from(u8::from(now < *expires));
            right |= digest.matches(presented.key) & live;
        }
        right & Choice::from(u8::from(presented.usable))
    }
}

/// Returns the value of a header with two spellings, and whether it is usable: not if it is absent, if one spelling occurs
/// twice, or if the two differ.
fn only_value<'a>(headers: &'a HeaderMap, names: [&str; 2]) -> (&'a [u8], bool) {
    let mut found: Option<&[u8]> = None;
    let mut usable = true;
    for name in names {
        let mut values = headers.get_all(name).iter();
        if let Some(value) = values.next() {
            usable &= found.is_none_or(|other| other == value.as_bytes());
            found = Some(value.as_bytes());
        }
        usable &= values.next().is_none();
    }
    (found.unwrap_or_default(), usable && found.is_some())
}
