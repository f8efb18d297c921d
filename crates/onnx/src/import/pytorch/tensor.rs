//! Tensors: their elements taken out of storages, by strides.

use super::PyTorchError;
use super::value::{ElementType, Objects, TensorView, Value};
use crate::quote::quotable;

/// Convolutions of pictures have four dimensions.
const MAX_RANK: usize = 8;

/// A tensor of a state dict.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its shape; no dimensions for a single number.
    pub shape: Vec<usize>,
    /// Its elements, as many as the shape says, in the order of the shape: the last dimension runs fastest.
    pub elements: Elements,
}

/// Elements of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum Elements {
    /// Of a `torch.FloatStorage`.
    F32(Vec<f32>),
    /// Of a `torch.LongStorage`.
    I64(Vec<i64>),
}

/// A storage's bytes, as they lie in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage<'a> {
    pub(super) element: ElementType,
    /// Number of elements.
    pub(super) len: usize,
    /// `len` elements, little-endian.
    pub(super) bytes: &'a [u8],
}

impl ElementType {
    pub(super) fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::I64 => 8,
        }
    }
}

/// The shape and places of a tensor that is known to lie within its storage.
pub(super) struct Layout {
    shape: Vec<usize>,
    strides: Vec<usize>,
    offset: usize,
    /// Number of elements.
    pub(super) len: usize,
}

impl Layout {
    /// # Errors
    /// [`PyTorchError::Tensor`] where the view does not lie within the storage, or has more elements than it.
    pub(super) fn new(
        name: &str,
        view: &TensorView<'_>,
        objects: &Objects<'_>,
        storage: &Storage<'_>,
    ) -> Result<Self, PyTorchError> {
        let wrong = |reason: String| PyTorchError::Tensor {
            name: quotable(name),
            reason,
        };
        let sizes = |value: Value<'_>, what: &str| -> Result<Vec<usize>, PyTorchError> {
            let values = objects.tuple(value).filter(|values| values.len() <= MAX_RANK);
            values
                .and_then(|values| values.iter().map(|value| value.size()).collect())
                .ok_or_else(|| wrong(format!("its {what} are no tuple of at most {MAX_RANK} sizes")))
        };
        let shape = sizes(view.shape, "dimensions")?;
        let strides = sizes(view.strides, "strides")?;
        if shape.len() != strides.len() {
            return Err(wrong(format!(
                "it has {} dimensions and {} strides",
                shape.len(),
                strides.len()
            )));
        }
        let offset = view.offset.size();
        let offset = offset.ok_or_else(|| wrong("its offset is no size".to_owned()))?;

        let outside = || {
            wrong(format!(
                "shape {shape:?} with strides {strides:?} from {offset} lies outside of its storage of {} elements",
                storage.len
            ))
        };
        let len = if shape.contains(&0) {
            0
        } else {
            shape
                .iter()
                .try_fold(1usize, |len, &size| len.checked_mul(size))
                .ok_or_else(outside)?
        };
        if len > 0 {
            let last = shape
                .iter()
                .zip(&strides)
                .try_fold(offset, |place, (&size, &stride)| {
                    place.checked_add((size - 1).checked_mul(stride)?)
                });
            // A stride of 0 would show one element as many: more than the file pays for.
            if last.is_none_or(|last| last >= storage.len) || len > storage.len {
                return Err(outside());
            }
        }
        Ok(Self {
            shape,
            strides,
            offset,
            len,
        })
    }

    /// The tensor; `storage` must be the one that the layout was made for.
    pub(super) fn gather(self, storage: &Storage<'_>) -> Tensor {
        let elements = match storage.element {
            ElementType::F32 => Elements::F32(self.elements(storage.bytes, f32::from_le_bytes)),
            ElementType::I64 => Elements::I64(self.elements(storage.bytes, i64::from_le_bytes)),
        };
        Tensor {
            shape: self.shape,
            elements,
        }
    }

    fn elements<const N: usize, T>(&self, bytes: &[u8], element: impl Fn([u8; N]) -> T) -> Vec<T> {
        let (stored, _) = bytes.as_chunks::<N>();
        let mut elements = Vec::with_capacity(self.len);
        let mut index = vec![0; self.shape.len()];
        let mut place = self.offset;
        for _ in 0..self.len {
            elements.extend(stored.get(place).map(|&bytes| element(bytes)));
            for ((index, &size), &stride) in index.iter_mut().zip(&self.shape).zip(&self.strides).rev() {
                if *index + 1 < size {
                    *index += 1;
                    place += stride;
                    break;
                }
                place -= *index * stride;
                *index = 0;
            }
        }
        elements
    }
}
