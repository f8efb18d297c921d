//! Lines that hold on to each other: none can be changed, removed or put between without its being seen.

use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What the first line of a chain holds on to.
pub(super) const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A line of the audit.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line<'a> {
    pub(super) instance: &'a str,
    pub(super) seq: u64,
    /// The hash of the line before.
    pub(super) prev: &'a str,
    pub(super) hash: &'a str,
    #[serde(borrow)]
    pub(super) event: &'a RawValue,
}

/// How hashes are made: SHA-256, or HMAC-SHA-256 with a key.
#[derive(Clone, Default)]
pub struct ChainKey(Option<SecretString>);

impl std::fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ChainKey").field(&self.0.is_some()).finish()
    }
}

impl ChainKey {
    /// With this key, or none.
    #[must_use]
    pub fn new(key: Option<SecretString>) -> Self {
        Self(key)
    }

    /// The hash of a line, in hexadecimal digits.
    pub(super) fn hash(&self, instance: &str, seq: u64, prev: &str, event: &str) -> String {
        self.digest([instance, &seq.to_string(), prev, event])
    }

    /// What shows that a chain that begins after this line was shortened by who has its key, in hexadecimal digits. `None`
    /// where there is no key: then everybody could make it.
    pub(super) fn seal(&self, instance: &str, before: &Head) -> Option<String> {
        self.0.as_ref()?;
        // No instance has this name, so that no line is hashed to a seal.
        Some(self.digest(["anchor", instance, &before.seq.to_string(), &before.hash]))
    }

    /// Whether this is the seal of a chain that begins after that line, or none is to be expected.
    pub(super) fn is_sealed(&self, instance: &str, before: &Head, seal: Option<&str>) -> bool {
        self.seal(instance, before).is_none_or(|expected| {
            seal.is_some_and(|seal| bool::from(expected.as_bytes().ct_eq(seal.as_bytes())))
        })
    }

    /// Whether this is a line of that chain, hashed with this key.
    pub(super) fn is_hash_of(&self, line: &str, instance: &str) -> bool {
        serde_json::from_str::<Line<'_>>(line).is_ok_and(|line| {
            let hash = self.hash(instance, line.seq, line.prev, line.event.get());
            line.instance == instance && bool::from(hash.as_bytes().ct_eq(line.hash.as_bytes()))
        })
    }

    /// What it is made of is told apart by line ends, which none of it has.
    fn digest(&self, parts: [&str; 4]) -> String {
        let bytes = parts.join("\n");
        let digest: [u8; 32] = match &self.0 {
            None => Sha256::digest(&bytes).into(),
            Some(key) => {
                // HMAC takes a key of any length: this never fails.
                let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()) else {
                    return String::new();
                };
                mac.update(bytes.as_bytes());
                mac.finalize().into_bytes().into()
            }
        };
        hex::encode(&digest)
    }
}

/// The end of a chain: what the next line holds on to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Number of the last line; 0 where there is none.
    pub seq: u64,
    /// Its hash, in hexadecimal digits.
    pub hash: String,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            seq: 0,
            hash: NOTHING.to_owned(),
        }
    }
}

/// What is wrong with a chain, where it shows first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It cannot be read.
    #[error("{instance}, after line {after}: there is something that is no line of the audit: {reason}")]
    Unreadable {
        /// Which chain.
        instance: String,
        /// Number of the line before.
        after: u64,
        /// Why not.
        reason: String,
    },
    /// One is missing, or stands elsewhere.
    #[error("{instance}: line {expected} should be here and {found} is: lines were removed, added or moved")]
    Order {
        /// Which chain.
        instance: String,
        /// The number that comes next.
        expected: u64,
        /// The number that is there.
        found: u64,
    },
    /// Its words or its hash are other ones.
    #[error("{instance}: line {seq} was changed, or the line before it, or it was hashed with another key")]
    Changed {
        /// Which chain.
        instance: String,
        /// Its number.
        seq: u64,
    },
    /// Its beginning was removed by who has not its key, or by a version that made no seals.
    #[error(
        "{instance}: what says that the chain begins after line {seq} is not sealed with this key: lines may have been removed \
         from the beginning"
    )]
    Anchor {
        /// Which chain.
        instance: String,
        /// The number of the last line that is said to have been removed.
        seq: u64,
    },
    /// The storage has got more.
    #[error(
        "{instance}: the files end at line {last} and the storage has got lines up to {stored}: lines were removed from the \
         end, or a power loss took them"
    )]
    End {
        /// Which chain.
        instance: String,
        /// The number that the files end at.
        last: u64,
        /// The number of the last line that was moved into the storage.
        stored: u64,
    },
    /// The files have moved more.
    #[error(
        "{instance}: the storage ends at line {last} and the files have moved lines up to {moved} into it: rows were removed \
         from the end, the storage is an older one, or a power loss took them"
    )]
    StorageEnd {
        /// Which chain.
        instance: String,
        /// The number that the storage ends at.
        last: u64,
        /// The number of the last line that was moved into the storage.
        moved: u64,
    },
    /// What is searched by is not what the line says.
    #[error("{instance}: the columns of line {seq} do not say what the line says")]
    Columns {
        /// Which chain.
        instance: String,
        /// Its number.
        seq: u64,
    },
}

impl Head {
    /// The end of a chain that ends with this line.
    pub(super) fn of(line: &str) -> serde_json::Result<Self> {
        let line: Line<'_> = serde_json::from_str(line)?;
        Ok(Self {
            seq: line.seq,
            hash: line.hash.to_owned(),
        })
    }

    /// Makes the next line of an event, and becomes its head.
    pub(super) fn extend(
        &mut self,
        key: &ChainKey,
        instance: &str,
        event: &RawValue,
    ) -> serde_json::Result<String> {
        let seq = self.seq + 1;
        let hash = key.hash(instance, seq, &self.hash, event.get());
        let line = serde_json::to_string(&Line {
            instance,
            seq,
            prev: &self.hash,
            hash: &hash,
            event,
        })?;
        *self = Self { seq, hash };
        Ok(line)
    }

    /// Checks that this line comes next, and becomes its head.
    pub(super) fn check<'a>(
        &mut self,
        key: &ChainKey,
        instance: &str,
        text: &'a str,
    ) -> Result<Line<'a>, Fault> {
        let line: Line<'a> = serde_json::from_str(text).map_err(|error| Fault::Unreadable {
            instance: instance.to_owned(),
            after: self.seq,
            reason: error.to_string(),
        })?;
        let expected = self.seq + 1;
        if line.seq != expected {
            return Err(Fault::Order {
                instance: instance.to_owned(),
                expected,
                found: line.seq,
            });
        }
        let hash = key.hash(instance, line.seq, &self.hash, line.event.get());
        let is_right = line.instance == instance
            && line.prev == self.hash
            && bool::from(hash.as_bytes().ct_eq(line.hash.as_bytes()));
        if !is_right {
            return Err(Fault::Changed {
                instance: instance.to_owned(),
                seq: line.seq,
            });
        }
        *self = Self { seq: line.seq, hash };
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chain(key: &ChainKey, count: usize) -> Vec<String> {
        let mut head = Head::default();
        (0..count)
            .map(|number| {
                let event = RawValue::from_string(format!("{{\"score\":0.{number}1,\"app\":null}}")).unwrap();
                head.extend(key, "one", &event).unwrap()
            })
            .collect()
    }

    fn check(key: &ChainKey, lines: &[String]) -> Result<Head, Fault> {
        let mut head = Head::default();
        for line in lines {
            head.check(key, "one", line)?;
        }
        Ok(head)
    }

    fn keys() -> [ChainKey; 2] {
        [ChainKey::default(), ChainKey::new(Some("s3cret".into()))]
    }

    #[test]
    fn what_was_written_is_right_with_its_key_only() {
        for (number, key) in keys().iter().enumerate() {
            let lines = chain(key, 5);
            assert_eq!(check(key, &lines).unwrap().seq, 5);
            let other = &keys()[1 - number];
            assert!(matches!(check(other, &lines), Err(Fault::Changed { seq: 1, .. })));
        }
    }

    #[test]
    fn a_seal_is_of_its_key_chain_and_line() {
        let [none, key] = keys();
        let head = |seq: u64, hash: &str| Head {
            seq,
            hash: hash.to_owned(),
        };
        let before = head(5, "aa");
        assert_eq!(none.seal("one", &before), None);
        assert!(none.is_sealed("one", &before, None));
        let seal = key.seal("one", &before).unwrap();
        assert!(key.is_sealed("one", &before, Some(&seal)));
        let other = ChainKey::new(Some("another".into()));
        for (key, instance, before, seal) in [
            (&other, "one", &before, Some(&*seal)),
            (&key, "two", &before, Some(&*seal)),
            (&key, "one", &head(6, "aa"), Some(&*seal)),
            (&key, "one", &head(5, "ab"), Some(&*seal)),
            (&key, "one", &before, None),
            (&key, "one", &before, Some("")),
        ] {
            assert!(
                !key.is_sealed(instance, before, seal),
                "{instance} {before:?} {seal:?}"
            );
        }
    }

    #[test]
    fn what_is_missing_moved_or_put_between_is_found() {
        let key = ChainKey::default();
        let lines = chain(&key, 5);
        let mut removed = lines.clone();
        removed.remove(2);
        assert!(matches!(
            check(&key, &removed),
            Err(Fault::Order {
                expected: 3,
                found: 4,
                ..
            })
        ));
        let mut moved = lines.clone();
        moved.swap(1, 2);
        assert!(matches!(check(&key, &moved), Err(Fault::Order { .. })));
        let mut doubled = lines.clone();
        doubled.insert(3, lines[2].clone());
        assert!(matches!(check(&key, &doubled), Err(Fault::Order { .. })));
        assert!(check(&key, &lines[1..]).is_err(), "the beginning is missing");
    }

    proptest! {
        #[test]
        fn no_byte_can_be_changed(line in 0usize..5, place in 0.0f64..1.0, byte in 32u8..127) {
            let key = ChainKey::default();
            let mut lines = chain(&key, 5);
            let mut bytes = lines[line].clone().into_bytes();
            let index = (place * bytes.len() as f64) as usize;
            prop_assume!(bytes[index] != byte);
            bytes[index] = byte;
            lines[line] = String::from_utf8(bytes).unwrap();
            prop_assert!(check(&key, &lines).is_err());
        }
    }
}
