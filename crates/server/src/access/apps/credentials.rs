//! What a request says of who sends it, and what it is compared with.

use axum::http::HeaderMap;
use likeness_storage::StorageError;
use likeness_storage::apps::{MAX_LIVE_KEYS, SaltedDigest, StoredKey};
use subtle::Choice;

/// Both spellings of the documentation. A proxy such as nginx drops names with underscores.
pub(crate) const ID_HEADERS: [&str; 2] = ["app_id", "app-id"];
pub(crate) const KEY_HEADERS: [&str; 2] = ["app_key", "app-key"];

/// No key is longer, in bytes. What is longer is not even hashed.
const MAX_KEY_BYTES: usize = 256;

/// What the headers of a request say.
pub(super) struct Presented<'a> {
    /// Empty where there is none that can be used.
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

/// The keys of one app, always as many, so that checking them takes the same time whether it has one, two or none.
#[derive(Clone)]
pub(super) struct Credentials {
    slots: [Slot; MAX_LIVE_KEYS],
}

#[derive(Clone, Copy)]
struct Slot {
    digest: SaltedDigest,
    /// From when on it is refused, in microseconds since 1970-01-01 UTC.
    expires: i64,
}

impl Credentials {
    /// Those of nobody: nothing is right.
    pub(super) fn of_nobody() -> Result<Self, StorageError> {
        let mut slots = [Slot {
            digest: SaltedDigest::of_no_key()?,
            expires: i64::MIN,
        }; MAX_LIVE_KEYS];
        for slot in &mut slots {
            slot.digest = SaltedDigest::of_no_key()?;
        }
        Ok(Self { slots })
    }

    /// One key without an end.
    pub(super) fn of_key(key: &[u8]) -> Result<Self, StorageError> {
        let mut credentials = Self::of_nobody()?;
        credentials.slots[0] = Slot {
            digest: SaltedDigest::new(key)?,
            expires: i64::MAX,
        };
        Ok(credentials)
    }

    /// The keys that are live at this time, the newest where there are more than there may be.
    pub(super) fn of_keys(keys: &[StoredKey], now: i64) -> Result<Self, StorageError> {
        let mut credentials = Self::of_nobody()?;
        let live = keys.iter().filter(|key| key.is_live(now));
        for (slot, key) in credentials.slots.iter_mut().zip(live) {
            *slot = Slot {
                digest: key.digest,
                expires: key.expires.unwrap_or(i64::MAX),
            };
        }
        Ok(credentials)
    }

    /// Whether the key is one of these at this time. Takes the same time whatever the answer is.
    pub(super) fn accept(&self, presented: &Presented<'_>, now: i64) -> Choice {
        let mut right = Choice::from(0);
        for slot in &self.slots {
            let live = Choice::from(u8::from(now < slot.expires));
            right |= slot.digest.matches(presented.key) & live;
        }
        right & Choice::from(u8::from(presented.usable))
    }
}

/// The value of a header with two spellings, and whether it can be used: not where it is absent, where one spelling is
/// there twice, or where the two do not say the same.
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
