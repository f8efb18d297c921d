//! What an ONNX file would take of memory, found out before any of it is taken.
//!
//! A message of protobuf may be empty and take two bytes of the file, while its place in memory takes hundreds: a small
//! file could ask for gigabytes. So the fields are walked first, without keeping anything.

use super::OnnxError;
use crate::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// A real model takes about as much as its file, which is mostly weights; one without weights some twenty times.
const TIMES_FILE: usize = 16;
/// So that small models of many nodes are read.
const ALWAYS: usize = 4 << 20;
/// Deeper nesting than any real model's; prost itself stops at 100.
const MAX_DEPTH: usize = 64;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Dimension,
    Entry,
    OperatorSet,
    /// A text, or bytes that are kept as they are.
    Bytes,
    /// Packed numbers of this many bytes each in memory, which take at least one in the file.
    Packed(usize),
}

impl Kind {
    /// What the length-delimited field `tag` of this message is.
    fn field(self, tag: u64) -> Self {
        match (self, tag) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Model, 8) => Self::OperatorSet,
            (Self::Model, 14) | (Self::Graph | Self::Tensor, 16) | (Self::Node, 9) => Self::Entry,
            (Self::Tensor, 13) | (Self::ValueInfo, 4) => Self::Entry,
            (Self::Graph, 1) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) => Self::Tensor,
            (Self::Graph, 11..=13) => Self::ValueInfo,
            (Self::Node, 5) => Self::Attribute,
            (Self::ValueInfo, 2) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::TensorType, 2) => Self::Shape,
            (Self::Shape, 1) => Self::Dimension,
            (Self::Tensor, 1 | 7 | 11) | (Self::Attribute, 8) => Self::Packed(8),
            (Self::Tensor, 5) => Self::Packed(4),
            // These take four and eight bytes in the file as well.
            (Self::Tensor, 4 | 10) | (Self::Attribute, 7) => Self::Packed(1),
            _ => Self::Bytes,
        }
    }

    fn is_message(self) -> bool {
        !matches!(self, Self::Bytes | Self::Packed(_))
    }

    /// Bytes of memory beside what its own fields take.
    fn cost(self, length: usize) -> usize {
        match self {
            Self::Model => size_of::<ModelProto>(),
            Self::Graph => size_of::<GraphProto>(),
            Self::Node => size_of::<NodeProto>(),
            Self::Attribute => size_of::<AttributeProto>(),
            Self::Tensor => size_of::<TensorProto>(),
            Self::ValueInfo => size_of::<ValueInfoProto>(),
            Self::Type => size_of::<TypeProto>(),
            Self::TensorType => size_of::<TensorTypeProto>(),
            Self::Shape => size_of::<TensorShapeProto>(),
            Self::Dimension => size_of::<DimensionProto>(),
            Self::Entry => size_of::<StringStringEntryProto>(),
            Self::OperatorSet => size_of::<OperatorSetIdProto>(),
            Self::Bytes => length.saturating_add(size_of::<Vec<u8>>()),
            Self::Packed(each) => length.saturating_mul(each),
        }
    }
}

/// Refuses what would take too much.
pub(super) fn check(bytes: &[u8]) -> Result<(), OnnxError> {
    let limit = bytes.len().saturating_mul(TIMES_FILE).saturating_add(ALWAYS);
    let mut left = limit;
    match walk(bytes, Kind::Model, 0, &mut left) {
        Ok(()) => Ok(()),
        Err(Stop::TooMuch) => Err(OnnxError::Bloated {
            bytes: bytes.len(),
            limit,
        }),
        Err(Stop::Malformed(reason)) => Err(OnnxError::Malformed(reason.to_owned())),
    }
}

enum Stop {
    TooMuch,
    Malformed(&'static str),
}

fn take(left: &mut usize, cost: usize) -> Result<(), Stop> {
    *left = left.checked_sub(cost).ok_or(Stop::TooMuch)?;
    Ok(())
}

fn walk(mut bytes: &[u8], kind: Kind, depth: usize, left: &mut usize) -> Result<(), Stop> {
    if depth > MAX_DEPTH {
        return Err(Stop::Malformed("nested too deeply"));
    }
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let (tag, wire_type) = (key >> 3, key & 7);
        match wire_type {
            0 => {
                varint(&mut bytes)?;
                // Numbers of a list that is not packed.
                take(left, 8)?;
            }
            1 => skip(&mut bytes, 8)?,
            5 => {
                skip(&mut bytes, 4)?;
                take(left, 4)?;
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).unwrap_or(usize::MAX);
                let (field, rest) = bytes.split_at_checked(length).ok_or(CUT)?;
                bytes = rest;
                let inner = kind.field(tag);
                take(left, inner.cost(length))?;
                if inner.is_message() {
                    walk(field, inner, depth + 1, left)?;
                }
            }
            _ => return Err(Stop::Malformed("a field of an unknown wire type")),
        }
    }
    Ok(())
}

const CUT: Stop = Stop::Malformed("it ends in the middle of a field");

fn skip(bytes: &mut &[u8], count: usize) -> Result<(), Stop> {
    *bytes = bytes.get(count..).ok_or(CUT)?;
    Ok(())
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Stop> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(CUT)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Stop::Malformed("a number of too many bytes"))
}

#[cfg(test)]
mod tests {
    use super::super::{read, write};
    use super::*;

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
        assert!(matches!(read(&flood), Err(OnnxError::Bloated { .. })));
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
        assert!(matches!(read(&model), Err(OnnxError::Malformed(_))));
    }

    #[test]
    fn what_is_no_onnx_file_is_told() {
        assert_eq!(read(b""), Err(OnnxError::NoGraph));
        for bytes in [&b"\xff"[..], b"PK\x03\x04", b"\x3a\x7f", &[0x80; 32]] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }
}
