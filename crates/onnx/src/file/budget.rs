//! The memory that an ONNX file would take, computed before it is read.
//!
//! An empty message of protobuf takes two bytes of the file and hundreds in memory: a small file could ask for gigabytes,
//! and prost has no limit. So the fields are walked first, without keeping anything.

use super::not_onnx;
use crate::OnnxError;
use crate::proto::{Field, Kind, ModelProto};

/// A real model takes about as much as its file, which is mostly weights; one without weights some twenty times.
const TIMES_FILE: usize = 16;
/// So that small models of many nodes are read.
const ALWAYS: usize = 4 << 20;
/// Deeper nesting than any real model's; prost itself stops at 100.
const MAX_DEPTH: usize = 64;

/// Refuses what would take too much.
pub(super) fn check(bytes: &[u8]) -> Result<(), OnnxError> {
    let limit = bytes.len().saturating_mul(TIMES_FILE).saturating_add(ALWAYS);
    Budget { limit, left: limit }.walk(bytes, ModelProto::KIND, 0)
}

struct Budget {
    limit: usize,
    left: usize,
}

impl Budget {
    fn take(&mut self, cost: usize) -> Result<(), OnnxError> {
        self.left = self.left.checked_sub(cost).ok_or(OnnxError::TooLarge {
            what: "bytes of memory for an ONNX file of its size",
            limit: self.limit,
        })?;
        Ok(())
    }

    fn walk(&mut self, mut bytes: &[u8], kind: Kind, depth: usize) -> Result<(), OnnxError> {
        let Some(kind_of) = kind.fields else {
            return Ok(());
        };
        if depth > MAX_DEPTH {
            return Err(not_onnx("nested too deeply"));
        }
        while !bytes.is_empty() {
            let key = varint(&mut bytes)?;
            match key & 7 {
                0 => {
                    varint(&mut bytes)?;
                    // Numbers of a list that is not packed.
                    self.take(8)?;
                }
                1 => {
                    split(&mut bytes, 8)?;
                }
                5 => {
                    split(&mut bytes, 4)?;
                    self.take(4)?;
                }
                2 => {
                    let length = usize::try_from(varint(&mut bytes)?).unwrap_or(usize::MAX);
                    let field = split(&mut bytes, length)?;
                    let kind = kind_of(key >> 3);
                    self.take(length.saturating_mul(kind.each).saturating_add(kind.fixed))?;
                    self.walk(field, kind, depth + 1)?;
                }
                _ => return Err(not_onnx("a field of an unknown wire type")),
            }
        }
        Ok(())
    }
}

fn split<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], OnnxError> {
    let field = bytes.split_off(..count);
    field.ok_or_else(|| not_onnx("it ends in the middle of a field"))
}

fn varint(bytes: &mut &[u8]) -> Result<u64, OnnxError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = split(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(not_onnx("a number of too many bytes"))
}

#[cfg(test)]
mod tests {
    use super::super::{read, write};
    use super::*;
    use crate::proto::{GraphProto, NodeProto};

    /// A model whose graph is `nodes` empty nodes: two bytes each in the file.
    fn empty_nodes(nodes: usize) -> Vec<u8> {
        write(&ModelProto {
            graph: Some(GraphProto {
                node: vec![NodeProto::default(); nodes],
                ..GraphProto::default()
            }),
            ..ModelProto::default()
        })
    }

    #[test]
    fn a_few_empty_messages_are_read_and_a_flood_is_refused() {
        assert!(read(&empty_nodes(100)).is_ok());
        let flood = empty_nodes(1 << 20);
        assert!(flood.len() < (3 << 20));
        assert!(matches!(read(&flood), Err(OnnxError::TooLarge { .. })));
    }

    #[test]
    fn nesting_ends_somewhere() {
        let mut bytes = Vec::new();
        for _ in 0..200 {
            // A graph in an attribute in a node in a graph, over and over.
            for tag in [6u8, 5, 1] {
                let mut outer = vec![tag << 3 | 2];
                prost::encode_length_delimiter(bytes.len(), &mut outer).unwrap();
                outer.extend_from_slice(&bytes);
                bytes = outer;
            }
        }
        let mut model = vec![7 << 3 | 2];
        prost::encode_length_delimiter(bytes.len(), &mut model).unwrap();
        model.extend_from_slice(&bytes);
        assert!(matches!(read(&model), Err(OnnxError::Format(_))));
    }

    #[test]
    fn what_is_no_onnx_file_is_told() {
        assert!(matches!(read(b""), Err(OnnxError::Format(_))));
        for bytes in [&b"\xff"[..], b"PK\x03\x04", b"\x3a\x7f", &[0x80; 32]] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }
}
