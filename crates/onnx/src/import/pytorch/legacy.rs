//! The legacy container: what `torch.save` wrote before version 1.6, and since then on request.
//!
//! Four pickles and then raw numbers, one after the other: a magic number; the version of the format; facts about the
//! machine that wrote it; the object, in which a storage is only named; the keys of the storages in the order in which
//! their elements follow. Then, for each key, the number of elements in eight bytes and the elements, little-endian.

use std::collections::BTreeMap;

use super::cursor::Cursor;
use super::pickle;
use super::tensor::{Storage, Tensor, invalid_tensor};
use super::value::{Objects, Value};
use crate::OnnxError;
use crate::quote::quotable;

/// `torch.serialization.MAGIC_NUMBER`, 0x1950a86a20f9469cfc6c, as a pickle holds it.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// `torch.serialization.PROTOCOL_VERSION`.
const VERSION: i64 = 1001;
/// The tensors of a state dict may share storages, but not take more than this many times the file.
pub(super) const TIMES_FILE: usize = 2;

/// Reads a file whose object is a dictionary from names to tensors.
pub(super) fn state_dict(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, OnnxError> {
    let mut cursor = Cursor::new(bytes);
    header(&mut cursor)?;
    let (root, objects) = pickle::load(&mut cursor)?;
    let storages = storages(&mut cursor, &objects)?;
    if cursor.left() > 0 {
        return Err(OnnxError::Malformed {
            at: cursor.at(),
            reason: format!("{} bytes after the last storage", cursor.left()),
        });
    }
    tensors(root, &objects, &storages, bytes.len().saturating_mul(TIMES_FILE))
}

fn not_legacy(reason: &str) -> OnnxError {
    OnnxError::Format(format!("not a PyTorch file in the legacy format: {reason}"))
}

pub(super) fn invalid_storage(key: &str, reason: &str) -> OnnxError {
    OnnxError::Invalid(format!("storage '{}': {reason}", quotable(key)))
}

fn no_state_dict(reason: &str) -> OnnxError {
    OnnxError::Invalid(format!("no state dict: {reason}"))
}

/// What comes before the object.
fn header(cursor: &mut Cursor<'_>) -> Result<(), OnnxError> {
    // Another file is often no pickle at all; that it is no PyTorch file says more.
    let magic = pickle::load(cursor).map(|(magic, _)| magic);
    if !matches!(magic, Ok(Value::Long(bytes)) if bytes == MAGIC) {
        return Err(not_legacy("it does not begin with PyTorch's magic number"));
    }
    let (version, _) = pickle::load(cursor)?;
    if version != Value::Int(VERSION) {
        return Err(not_legacy("the version of the format is not 1001"));
    }
    let (system, objects) = pickle::load(cursor)?;
    if objects.get(system, "protocol_version") != Some(Value::Int(VERSION)) {
        return Err(not_legacy("the version of the protocol is not 1001"));
    }
    if objects.get(system, "little_endian") != Some(Value::Bool(true)) {
        return Err(not_legacy("its numbers are not said to be little-endian"));
    }
    Ok(())
}

/// The storages' elements, in the order of [`Objects::storages`].
fn storages<'a>(cursor: &mut Cursor<'a>, objects: &Objects<'a>) -> Result<Vec<Storage<'a>>, OnnxError> {
    let at = cursor.at();
    let (keys, lists) = pickle::load(cursor)?;
    let malformed = |reason| OnnxError::Malformed { at, reason };
    let Some(keys) = lists.list(keys) else {
        return Err(malformed(format!(
            "{} instead of a list of the storages' keys",
            keys.kind()
        )));
    };
    let mut named = BTreeMap::new();
    for name in &objects.storages {
        let facts = (name.element, name.len);
        if *named.entry(name.key).or_insert(facts) != facts {
            return Err(invalid_storage(name.key, "it is named with two types or sizes"));
        }
    }
    let mut found = BTreeMap::new();
    for key in keys {
        let Value::Text(key) = *key else {
            return Err(malformed(format!("{} as a storage's key", key.kind())));
        };
        let Some(&(element, len)) = named.get(key) else {
            return Err(invalid_storage(key, "no tensor names it"));
        };
        let stored = i64::from_le_bytes(cursor.array("a storage")?);
        if usize::try_from(stored) != Ok(len) {
            return Err(invalid_storage(
                key,
                &format!("it is named with {len} elements and has {stored}"),
            ));
        }
        let size = len.checked_mul(element.size());
        let bytes = cursor.take(size.unwrap_or(usize::MAX), "a storage")?;
        if found.insert(key, Storage { element, len, bytes }).is_some() {
            return Err(invalid_storage(key, "it is there twice"));
        }
    }
    let storages = objects.storages.iter().map(|name| {
        let storage = found.get(name.key).copied();
        storage.ok_or_else(|| invalid_storage(name.key, "its elements are not in the file"))
    });
    storages.collect()
}

/// The tensors by name; `budget` is for the bytes of all their elements.
pub(super) fn tensors<'a>(
    root: Value<'a>,
    objects: &Objects<'a>,
    storages: &[Storage<'a>],
    budget: usize,
) -> Result<BTreeMap<String, Tensor>, OnnxError> {
    let Some(pairs) = objects.dict(root) else {
        return Err(no_state_dict(&format!("the file holds {}", root.kind())));
    };
    let mut left = budget;
    let mut spend = |bytes| {
        left = left.checked_sub(bytes).ok_or(OnnxError::TooLarge {
            what: "bytes of tensors, for the size of the file",
            limit: budget,
        })?;
        Ok(())
    };
    let mut tensors = BTreeMap::new();
    for &(name, value) in pairs {
        let Value::Text(name) = name else {
            return Err(no_state_dict(&format!("{} as a name", name.kind())));
        };
        let wrong = |reason: &str| invalid_tensor(name, reason);
        let Value::Tensor(place) = value else {
            return Err(wrong(&format!("it is {}", value.kind())));
        };
        // Both are there: the places come from the pickle machine.
        let view = objects.tensors.get(place);
        let Some((view, storage)) = view.and_then(|view| Some((view, storages.get(view.storage)?))) else {
            return Err(wrong("it has no storage"));
        };
        if tensors.contains_key(name) {
            return Err(wrong("it is there twice"));
        }
        let tensor = Tensor::read(name, view, objects, storage, &mut spend)?;
        tensors.insert(name.to_owned(), tensor);
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests;
