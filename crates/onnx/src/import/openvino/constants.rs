//! Constants: where they lie in the `.bin`, and the `f32` initializers that they become.

use std::collections::BTreeMap;

use super::OpenVinoError;
use super::error::{LayerLabel, quoted};
use super::ir::{ElementType, Layer};
use super::settings::{Settings, positive};
use crate::proto::{TensorProto, data_type};

/// How often the constants may cover the `.bin`, all in all. Real ones do not overlap, but a constant that occurs twice
/// may have been stored once.
const TIMES_BIN: usize = 4;

/// A constant as it lies in the `.bin`.
#[derive(Clone, Copy)]
pub(super) struct Constant<'a> {
    /// The layer whose name the initializer gets: the `Const`, or the `Convert` that makes `f32` of it.
    pub(super) label: &'a LayerLabel,
    /// Shape.
    pub(super) dims: &'a [u64],
    /// Of the elements as they are computed with.
    pub(super) element: ElementType,
    /// Of the elements in the `.bin`.
    stored: ElementType,
    bytes: &'a [u8],
}

impl<'a> Constant<'a> {
    /// What a Convert of this label makes: the `f32` of the same values.
    pub(super) fn decompressed(self, label: &'a LayerLabel) -> Self {
        Self {
            label,
            element: ElementType::F32,
            ..self
        }
    }
}

/// The `.bin`.
pub(super) struct Bin<'a>(pub(super) &'a [u8]);

impl<'a> Bin<'a> {
    /// The constant that a `Const` layer describes.
    pub(super) fn constant(
        &self,
        layer: &'a Layer,
        settings: &mut Settings,
    ) -> Result<Constant<'a>, OpenVinoError> {
        let label = &layer.label;
        let element = settings.required(label, "element_type")?;
        let stored = ElementType::of_attribute(&element)
            .ok_or_else(|| label.unsupported(format!("element_type {}", quoted(&element))))?;
        let dims = settings.numbers(label, "shape", positive)?;
        let (offset, size) = (settings.bytes(label, "offset")?, settings.bytes(label, "size")?);
        let expected = dims.iter().try_fold(stored.bytes(), |product, &dim| {
            product.checked_mul(usize::try_from(dim).ok()?)
        });
        if expected != Some(size) {
            return Err(label.wrong(format!(
                "its size of {size} bytes is not the one of {} {dims:?}",
                stored.name()
            )));
        }
        let bytes = offset
            .checked_add(size)
            .and_then(|end| self.0.get(offset..end))
            .ok_or_else(|| {
                label.wrong(format!(
                    "it lies outside of the .bin: {size} bytes at {offset} of {}",
                    self.0.len()
                ))
            })?;
        let dims = match layer.outputs.as_slice() {
            [port] if port.element == stored && port.dims == dims => port.dims.as_slice(),
            _ => return Err(label.wrong("its output is not of the type and shape of its data")),
        };
        Ok(Constant {
            label,
            dims,
            element: stored,
            stored,
            bytes,
        })
    }
}

/// The initializers, each made when the first operator reads it.
pub(super) struct Initializers {
    /// Bytes of the `.bin` that may still be read.
    left: usize,
    made: Vec<TensorProto>,
    places: BTreeMap<u32, usize>,
}

impl Initializers {
    /// None yet, of this `.bin`.
    pub(super) fn of(bin: &Bin<'_>) -> Self {
        Self {
            left: bin.0.len().saturating_mul(TIMES_BIN),
            made: Vec::new(),
            places: BTreeMap::new(),
        }
    }

    /// The name of the initializer of a constant in this shape, which has as many elements as its own.
    pub(super) fn name(&mut self, constant: &Constant<'_>, dims: &[u64]) -> Result<String, OpenVinoError> {
        let dims: Vec<i64> = dims.iter().map(|dim| dim.cast_signed()).collect();
        if let Some(&place) = self.places.get(&constant.label.id) {
            if self.made[place].dims != dims {
                return Err(constant.label.unsupported("being read in two shapes"));
            }
        } else {
            let left = self.left.checked_sub(constant.bytes.len());
            self.left = left.ok_or(OpenVinoError::TooLarge {
                what: "bytes of constants for each byte of the .bin",
                limit: TIMES_BIN,
            })?;
            let bytes = match constant.stored {
                ElementType::F32 => constant.bytes.to_vec(),
                ElementType::F16 => widened(constant.bytes),
            };
            self.places.insert(constant.label.id, self.made.len());
            self.made.push(TensorProto {
                name: constant.label.name.clone(),
                dims,
                data_type: data_type::FLOAT,
                raw_data: bytes,
                ..TensorProto::default()
            });
        }
        Ok(constant.label.name.clone())
    }

    /// All that were made, in the order in which they were read.
    pub(super) fn into_vec(self) -> Vec<TensorProto> {
        self.made
    }
}

/// Little-endian `f32` of little-endian `f16`.
fn widened(halves: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(halves.len() * 2);
    for half in halves.as_chunks::<2>().0 {
        bytes.extend_from_slice(&f32_bits_of_f16(u16::from_le_bytes(*half)).to_le_bytes());
    }
    bytes
}

/// The `f32` of the same value (IEEE 754, binary16 to binary32); what is no number stays none, with its payload.
fn f32_bits_of_f16(half: u16) -> u32 {
    let sign = u32::from(half >> 15) << 31;
    let exponent = u32::from(half >> 10) & 0x1f;
    let fraction = u32::from(half) & 0x3ff;
    let magnitude = match (exponent, fraction) {
        (0, 0) => 0,
        (0, _) => {
            // Below f16's normal numbers, not below f32's: the highest bit set becomes the hidden one.
            let highest = 31 - fraction.leading_zeros();
            let exponent = highest + 127 - 24;
            let fraction = (fraction << (23 - highest)) & 0x7f_ffff;
            (exponent << 23) | fraction
        }
        (0x1f, _) => (0xff << 23) | (fraction << 13),
        _ => ((exponent + 127 - 15) << 23) | (fraction << 13),
    };
    sign | magnitude
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_keeps_its_value() {
        for half in 0..=u16::MAX {
            let value = f32::from_bits(f32_bits_of_f16(half));
            let sign = if half >> 15 == 0 { 1.0 } else { -1.0 };
            let exponent = i32::from((half >> 10) & 0x1f);
            let fraction = f64::from(half & 0x3ff) / 1024.0;
            let expected = match exponent {
                0 => sign * fraction * 2f64.powi(-14),
                0x1f if fraction == 0.0 => sign * f64::INFINITY,
                0x1f => {
                    assert!(value.is_nan(), "{half:#06x}");
                    continue;
                }
                _ => sign * (1.0 + fraction) * 2f64.powi(exponent - 15),
            };
            assert_eq!(f64::from(value).to_bits(), expected.to_bits(), "{half:#06x}");
        }
    }
}
