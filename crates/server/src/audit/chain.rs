//! The hash chain: no audit record can be changed, removed or inserted unnoticed.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use smart_default::SmartDefault;
use subtle::ConstantTimeEq;

/// The hash before the first record of a chain.
pub(super) const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// An audit record, as a line of a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record<'a> {
    pub(super) instance: &'a str,
    pub(super) seq: u64,
    pub(super) prev: &'a str,
    pub(super) hash: &'a str,
    #[serde(borrow)]
    pub(super) event: &'a RawValue,
}

impl Record<'_> {
    fn is_of(&self, key: &ChainKey, instance: &str) -> bool {
        let hash = key.hash(self.instance, self.seq, self.prev, self.event.get());
        self.instance == instance && is_equal(&hash, self.hash)
    }
}

/// The hash function of a chain: SHA-256, or HMAC-SHA-256 with a key.
#[derive(Debug, Clone, Default)]
pub struct ChainKey(Option<SecretString>);

fn is_equal(expected: &str, found: &str) -> bool {
    expected.as_bytes().ct_eq(found.as_bytes()).into()
}

impl ChainKey {
    /// Returns the hash function with this key, or without one.
    #[must_use]
    pub fn new(key: Option<SecretString>) -> Self {
        Self(key)
    }

    /// Returns whether it has a key.
    pub(crate) fn is_keyed(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn hash(&self, instance: &str, seq: u64, prev: &str, event: &str) -> String {
        self.digest([instance, &seq.to_string(), prev, event])
    }

    /// Returns the seal of a checkpoint: proof that a service with the key has shortened the chain. `None` without a key.
    pub(super) fn seal(&self, instance: &str, checkpoint: &Checkpoint) -> Option<String> {
        self.0.as_ref()?;
        // No instance has this name, so that no record has a seal as its hash.
        Some(self.digest(["anchor", instance, &checkpoint.seq.to_string(), &checkpoint.hash]))
    }

    /// Returns whether this is the seal of a checkpoint, or none is required.
    pub(super) fn is_sealed(&self, instance: &str, checkpoint: &Checkpoint, seal: Option<&str>) -> bool {
        self.seal(instance, checkpoint)
            .is_none_or(|expected| seal.is_some_and(|seal| is_equal(&expected, seal)))
    }

    /// Returns whether this is a record of that chain, hashed with this key.
    pub(super) fn is_hash_of(&self, line: &str, instance: &str) -> bool {
        serde_json::from_str::<Record<'_>>(line).is_ok_and(|record| record.is_of(self, instance))
    }

    /// Hashes parts that are separated by line ends, which none of them contains.
    fn digest(&self, parts: [&str; 4]) -> String {
        let bytes = parts.join("\n");
        match &self.0 {
            None => hex::encode(Sha256::digest(&bytes)),
            Some(key) => {
                // HMAC takes a key of any length: this never fails.
                let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()) else {
                    return String::new();
                };
                mac.update(bytes.as_bytes());
                hex::encode(mac.finalize().into_bytes())
            }
        }
    }
}

/// A position in a chain: the number and the hash of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SmartDefault)]
pub struct Checkpoint {
    /// Number of the record; 0 before the first one.
    pub seq: u64,
    /// Its hash, in hexadecimal digits.
    #[default(NO_HASH.to_owned())]
    pub hash: String,
}

/// A checkpoint of one chain, written as `INSTANCE:NUMBER:HASH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainCheckpoint {
    /// The instance that writes the chain.
    pub instance: String,
    /// The position.
    pub checkpoint: Checkpoint,
}

impl fmt::Display for ChainCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Checkpoint { seq, hash } = &self.checkpoint;
        write!(f, "{}:{seq}:{hash}", self.instance)
    }
}

/// The text is not a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be INSTANCE:NUMBER:HASH, as `likeness audit verify` prints it")]
pub struct InvalidCheckpoint;

impl FromStr for ChainCheckpoint {
    type Err = InvalidCheckpoint;

    fn from_str(text: &str) -> Result<Self, InvalidCheckpoint> {
        let (chain, hash) = text.rsplit_once(':').ok_or(InvalidCheckpoint)?;
        let (instance, seq) = chain.rsplit_once(':').ok_or(InvalidCheckpoint)?;
        let (instance, hash) = (instance.to_owned(), hash.to_owned());
        let seq = seq.parse().map_err(|_| InvalidCheckpoint)?;
        let checkpoint = Checkpoint { seq, hash };
        Ok(Self { instance, checkpoint })
    }
}

/// The first fault of the chain that an instance wrote.
#[allow(missing_docs, reason = "said above")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{instance}: {kind}")]
pub struct Fault {
    pub instance: String,
    pub kind: FaultKind,
}

/// A fault of a chain. Its numbers are those of records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages explain them")]
pub enum FaultKind {
    #[error("unparseable audit record after record {after}: {reason}")]
    Unreadable { after: u64, reason: String },
    #[error("expected record {expected}, found record {found}: records were removed, added or moved")]
    Order { expected: u64, found: u64 },
    #[error("record {seq} or the one before it was changed, or it was hashed with another key")]
    Changed { seq: u64 },
    #[error(
        "the checkpoint after record {seq} is not sealed with this key: records may have been removed from the beginning"
    )]
    Checkpoint { seq: u64 },
    #[error(
        "the files end at record {last} and the database has records up to {stored}: records were removed from the end, or a \
         power loss took them"
    )]
    FilesEnd { last: u64, stored: u64 },
    #[error(
        "the database ends at record {last} and the files have moved records up to {moved} into it: rows were removed from the \
         end, the database was restored from an older backup, or a power loss took them"
    )]
    DatabaseEnd { last: u64, moved: u64 },
    #[error("the columns of record {seq} differ from the record")]
    Columns { seq: u64 },
}

impl FaultKind {
    pub(super) fn of(self, instance: &str) -> Fault {
        Fault {
            instance: instance.to_owned(),
            kind: self,
        }
    }
}

impl Checkpoint {
    pub(super) fn of(line: &str) -> serde_json::Result<Self> {
        let record: Record<'_> = serde_json::from_str(line)?;
        Ok(Self {
            seq: record.seq,
            hash: record.hash.to_owned(),
        })
    }

    /// Returns the next record, and moves on to it.
    pub(super) fn extend(
        &mut self,
        key: &ChainKey,
        instance: &str,
        event: &RawValue,
    ) -> serde_json::Result<String> {
        let seq = self.seq + 1;
        let hash = key.hash(instance, seq, &self.hash, event.get());
        let line = serde_json::to_string(&Record {
            instance,
            seq,
            prev: &self.hash,
            hash: &hash,
            event,
        })?;
        *self = Self { seq, hash };
        Ok(line)
    }

    /// Checks that this is the next record, and moves on to it.
    pub(super) fn check(&mut self, key: &ChainKey, instance: &str, line: &str) -> Result<(), FaultKind> {
        let record: Record<'_> = serde_json::from_str(line).map_err(|error| FaultKind::Unreadable {
            after: self.seq,
            reason: error.to_string(),
        })?;
        let (seq, expected) = (record.seq, self.seq + 1);
        if seq != expected {
            return Err(FaultKind::Order { expected, found: seq });
        }
        if record.prev != self.hash || !record.is_of(key, instance) {
            return Err(FaultKind::Changed { seq });
        }
        let hash = record.hash.to_owned();
        *self = Self { seq, hash };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chain(key: &ChainKey, count: usize) -> Vec<String> {
        let mut end = Checkpoint::default();
        (0..count)
            .map(|number| {
                let event = RawValue::from_string(format!("{{\"score\":0.{number}1,\"app\":null}}")).unwrap();
                end.extend(key, "one", &event).unwrap()
            })
            .collect()
    }

    fn check(key: &ChainKey, lines: &[String]) -> Result<Checkpoint, FaultKind> {
        let mut end = Checkpoint::default();
        for line in lines {
            end.check(key, "one", line)?;
        }
        Ok(end)
    }

    fn keys() -> [ChainKey; 2] {
        [ChainKey::default(), ChainKey::new(Some("s3cret".into()))]
    }

    #[test]
    fn a_chain_is_valid_with_its_key_only() {
        for (number, key) in keys().iter().enumerate() {
            let lines = chain(key, 5);
            assert_eq!(check(key, &lines).unwrap().seq, 5);
            let other = &keys()[1 - number];
            assert!(matches!(check(other, &lines), Err(FaultKind::Changed { seq: 1 })));
        }
    }

    #[test]
    fn a_seal_belongs_to_its_key_chain_and_record() {
        let [none, key] = keys();
        let at = |seq: u64, hash: &str| Checkpoint {
            seq,
            hash: hash.to_owned(),
        };
        let before = at(5, "aa");
        assert_eq!(none.seal("one", &before), None);
        assert!(none.is_sealed("one", &before, None));
        let seal = key.seal("one", &before).unwrap();
        assert!(key.is_sealed("one", &before, Some(&seal)));
        let other = ChainKey::new(Some("another".into()));
        for (key, instance, before, seal) in [
            (&other, "one", &before, Some(&*seal)),
            (&key, "two", &before, Some(&*seal)),
            (&key, "one", &at(6, "aa"), Some(&*seal)),
            (&key, "one", &at(5, "ab"), Some(&*seal)),
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
    fn missing_moved_and_inserted_records_are_found() {
        let key = ChainKey::default();
        let lines = chain(&key, 5);
        let mut removed = lines.clone();
        removed.remove(2);
        assert!(matches!(
            check(&key, &removed),
            Err(FaultKind::Order {
                expected: 3,
                found: 4,
            })
        ));
        let mut moved = lines.clone();
        moved.swap(1, 2);
        assert!(matches!(check(&key, &moved), Err(FaultKind::Order { .. })));
        let mut doubled = lines.clone();
        doubled.insert(3, lines[2].clone());
        assert!(matches!(check(&key, &doubled), Err(FaultKind::Order { .. })));
        assert!(check(&key, &lines[1..]).is_err(), "the beginning is missing");
    }

    #[test]
    fn a_checkpoint_is_parsed_as_it_is_printed() {
        let text = "one:two:5:aa";
        let parsed: ChainCheckpoint = text.parse().unwrap();
        assert_eq!((&*parsed.instance, parsed.checkpoint.seq), ("one:two", 5));
        assert_eq!(parsed.to_string(), text);
        for wrong in ["", "one:aa", "one:x:aa"] {
            assert_eq!(
                wrong.parse::<ChainCheckpoint>(),
                Err(InvalidCheckpoint),
                "{wrong}"
            );
        }
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
