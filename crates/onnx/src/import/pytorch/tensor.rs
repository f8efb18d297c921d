//! Tensors: views of storages by strides.

use super::value::{ElementType, Objects, TensorView, Value};
use crate::OnnxError;
use crate::quote::quotable;

/// Convolutions of images have four dimensions.
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

/// A storage's bytes in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage<'a> {
    pub(super) element: ElementType,
    /// Number of elements.
    pub(super) len: usize,
    /// `len` elements, little-endian.
    pub(super) bytes: &'a [u8],
}

/// The error of a tensor.
pub(super) fn invalid_tensor(name: &str, reason: &str) -> OnnxError {
    OnnxError::Invalid(format!("tensor '{}': {reason}", quotable(name)))
}

impl Tensor {
    /// Reads the elements that a view has of its storage, after `spend` has agreed to their number of bytes.
    ///
    /// # Errors
    /// That of `spend`; [`OnnxError::Invalid`] where the view does not lie within the storage, or has more elements than it.
    pub(super) fn read(
        name: &str,
        view: &TensorView<'_>,
        objects: &Objects<'_>,
        storage: &Storage<'_>,
        spend: impl FnOnce(usize) -> Result<(), OnnxError>,
    ) -> Result<Self, OnnxError> {
        let wrong = |reason: String| invalid_tensor(name, &reason);
        let sizes = |value: Value<'_>, what: &str| -> Result<Vec<usize>, OnnxError> {
            let values = objects.tuple(value).filter(|values| values.len() <= MAX_RANK);
            let sizes = values.and_then(|values| values.iter().map(|value| value.size()).collect());
            sizes.ok_or_else(|| wrong(format!("its {what} are no tuple of at most {MAX_RANK} sizes")))
        };
        let shape = sizes(view.shape, "dimensions")?;
        let strides = sizes(view.strides, "strides")?;
        let (rank, steps) = (shape.len(), strides.len());
        if rank != steps {
            return Err(wrong(format!("it has {rank} dimensions and {steps} strides")));
        }
        let offset = view.offset.size();
        let offset = offset.ok_or_else(|| wrong("its offset is no size".to_owned()))?;
        let axes: Vec<(usize, usize)> = shape.iter().copied().zip(strides.iter().copied()).collect();
        let len = if shape.contains(&0) {
            Some(0)
        } else {
            shape.iter().try_fold(1usize, |len, &size| len.checked_mul(size))
        };
        let last = axes.iter().try_fold(offset, |place, &(size, stride)| {
            place.checked_add(size.saturating_sub(1).checked_mul(stride)?)
        });
        let is_inside = last.is_some_and(|last| last < storage.len);
        // A stride of 0 would repeat one element: more than the file has.
        let len = len.filter(|&len| len == 0 || is_inside && len <= storage.len);
        let len = len.ok_or_else(|| {
            let view = format!("shape {shape:?} with strides {strides:?} from {offset}");
            wrong(format!(
                "{view} lies outside of its storage of {} elements",
                storage.len
            ))
        })?;
        spend(len.saturating_mul(storage.element.size()))?;
        let bytes = storage.bytes;
        let elements = match storage.element {
            ElementType::F32 => Elements::F32(gather(bytes, f32::from_le_bytes, offset, len, &axes)),
            ElementType::I64 => Elements::I64(gather(bytes, i64::from_le_bytes, offset, len, &axes)),
        };
        Ok(Self { shape, elements })
    }
}

/// Reads `len` elements of a layout within `bytes`, the last of the `axes` (sizes and strides) running fastest.
fn gather<const N: usize, T>(
    bytes: &[u8],
    element: fn([u8; N]) -> T,
    offset: usize,
    len: usize,
    axes: &[(usize, usize)],
) -> Vec<T> {
    let (stored, _) = bytes.as_chunks::<N>();
    let mut elements = Vec::with_capacity(len);
    let mut index = vec![0; axes.len()];
    let mut place = offset;
    for _ in 0..len {
        elements.extend(stored.get(place).map(|&bytes| element(bytes)));
        for (index, &(size, stride)) in index.iter_mut().zip(axes).rev() {
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
