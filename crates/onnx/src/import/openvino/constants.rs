//! Constants: where they are in the `.bin`, and the `f32` initializers that they become.

use half::f16;
use indexmap::IndexMap;

use super::ir::{ElementType, Label, Layer};
use crate::OnnxError;
use crate::proto::{TensorProto, data_type};

/// How often all constants together may cover the `.bin`. Real ones do not overlap, but a constant that occurs twice may
/// be stored once.
const TIMES_BIN: usize = 4;

/// A constant in the `.bin`.
#[derive(Clone, Copy)]
pub(super) struct Constant<'a> {
    /// The layer whose name the initializer gets: the `Const`, or the `Convert` that makes `f32` of it.
    pub(super) label: &'a Label,
    pub(super) dims: &'a [u64],
    /// Of the elements as they are computed with.
    pub(super) element: ElementType,
    /// Of the elements in the `.bin`.
    pub(super) stored: ElementType,
    pub(super) bytes: &'a [u8],
}

impl<'a> Constant<'a> {
    /// Returns the constant of a `Const` layer.
    pub(super) fn of(layer: &'a Layer, bin: &'a [u8]) -> Result<Self, OnnxError> {
        let label = &layer.label;
        let stored = layer.element("element_type")?;
        let dims = layer.numbers("shape", 1)?;
        let (offset, size) = (layer.bytes("offset")?, layer.bytes("size")?);
        let expected = dims.iter().try_fold(stored.bytes(), |product, &dim| {
            product.checked_mul(usize::try_from(dim).ok()?)
        });
        if expected != Some(size) {
            let element = stored.name();
            return Err(label.invalid(format!(
                "its size of {size} bytes is not that of {element} {dims:?}"
            )));
        }
        let end = offset.checked_add(size);
        let Some(bytes) = end.and_then(|end| bin.get(offset..end)) else {
            let all = bin.len();
            return Err(label.invalid(format!(
                "it is outside of the .bin: {size} bytes at {offset} of {all}"
            )));
        };
        match layer.outputs.as_slice() {
            [port] if port.element == stored && port.dims == dims => Ok(Self {
                label,
                dims: &port.dims,
                element: stored,
                stored,
                bytes,
            }),
            _ => Err(label.invalid("its output is not of the type and shape of its data")),
        }
    }
}

/// The initializers, each made when the first operator reads it.
pub(super) struct Initializers {
    /// Bytes of the `.bin` that may still be read.
    left: usize,
    /// By the id of the layer.
    made: IndexMap<u32, TensorProto>,
}

impl Initializers {
    /// None yet, of this `.bin`.
    pub(super) fn of(bin: &[u8]) -> Self {
        Self {
            left: bin.len().saturating_mul(TIMES_BIN),
            made: IndexMap::new(),
        }
    }

    /// The name of the initializer of a constant in this shape, which has as many elements as its own.
    pub(super) fn name(&mut self, constant: &Constant<'_>, dims: &[u64]) -> Result<String, OnnxError> {
        let label = constant.label;
        let dims: Vec<i64> = dims.iter().map(|dim| dim.cast_signed()).collect();
        if let Some(made) = self.made.get(&label.id) {
            if made.dims != dims {
                return Err(label.unsupported("being read in two shapes"));
            }
        } else {
            let left = self.left.checked_sub(constant.bytes.len());
            self.left = left.ok_or(OnnxError::TooLarge {
                what: "bytes of constants for each byte of the .bin",
                limit: TIMES_BIN,
            })?;
            let tensor = TensorProto {
                name: label.name.clone(),
                dims,
                data_type: data_type::FLOAT,
                raw_data: match constant.stored {
                    ElementType::F32 => constant.bytes.to_vec(),
                    ElementType::F16 => widened(constant.bytes),
                },
                ..TensorProto::default()
            };
            self.made.insert(label.id, tensor);
        }
        Ok(label.name.clone())
    }

    /// Returns all that were made, in the order in which they were read.
    pub(super) fn into_vec(self) -> Vec<TensorProto> {
        self.made.into_values().collect()
    }
}

/// Little-endian `f32` of little-endian `f16`.
fn widened(halves: &[u8]) -> Vec<u8> {
    let halves = halves.as_chunks::<2>().0.iter();
    let floats = halves.map(|half| f16::from_le_bytes(*half).to_f32());
    floats.flat_map(f32::to_le_bytes).collect()
}
