//! The declared inputs and outputs of a model, and whether they fit an adapter.

use ort::value::{Outlet, TensorElementType, ValueType};

use crate::error::Misfit;

/// An input or output of a model, as the model declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// The type of its elements in Rust's words (`f32`), or what ONNX Runtime calls it.
    pub element: String,
    /// Its sizes, `None` for one that is free; empty where the model says nothing of them.
    pub shape: Vec<Option<usize>>,
}

impl TensorSpec {
    pub(crate) fn of(outlet: &Outlet) -> Self {
        let (element, shape) = match outlet.dtype() {
            ValueType::Tensor { ty, shape, .. } => {
                let element = match ty {
                    TensorElementType::Float32 => "f32".to_owned(),
                    other => format!("{other:?}"),
                };
                // A size below 0 stands for one that is free.
                let shape = shape.iter().map(|&size| usize::try_from(size).ok()).collect();
                (element, shape)
            }
            other => (other.to_string(), Vec::new()),
        };
        Self {
            name: outlet.name().to_owned(),
            element,
            shape,
        }
    }

    /// Returns whether its elements are `f32`.
    #[must_use]
    pub fn is_f32(&self) -> bool {
        self.element == "f32"
    }
}

/// `[N,3,112,112]`; the type before it where it is not `f32`; `?` for what the model does not say.
impl std::fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.is_f32() {
            write!(f, "{} ", self.element)?;
        }
        if self.shape.is_empty() {
            return f.write_str("[?]");
        }
        let size = |(place, size): (usize, &Option<usize>)| match size {
            Some(size) => size.to_string(),
            None if place == 0 => "N".to_owned(),
            None => "?".to_owned(),
        };
        let sizes: Vec<String> = self.shape.iter().enumerate().map(size).collect();
        write!(f, "[{}]", sizes.join(","))
    }
}

/// Lists the shapes of several tensors, for messages.
#[must_use]
pub fn listed(tensors: &[TensorSpec]) -> String {
    if tensors.is_empty() {
        return "none".to_owned();
    }
    let shapes: Vec<String> = tensors.iter().map(ToString::to_string).collect();
    shapes.join(" ")
}

/// The image input of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageInput {
    /// Whether it takes one image at a time and no more.
    pub is_single: bool,
    /// Height in pixels, `None` where it is free.
    pub height: Option<usize>,
    /// Width in pixels, `None` where it is free.
    pub width: Option<usize>,
}

/// The one input of a model that takes images, `[N,3,H,W]` of `f32`, N free or 1. `size` is the side of the square that
/// the adapter feeds, `None` where the adapter feeds any size.
pub(crate) fn image_input(inputs: &[TensorSpec], size: Option<usize>) -> Result<ImageInput, Misfit> {
    let side = size.map_or("?".to_owned(), |size| size.to_string());
    let needs = || format!("input [N,3,{side},{side}]");
    let [input] = inputs else {
        return Err(Misfit::new(
            format!("one {}", needs()),
            format!("{} inputs: {}", inputs.len(), listed(inputs)),
        ));
    };
    let wrong = || Misfit::new(needs(), input.to_string());
    if !input.is_f32() {
        return Err(Misfit::new(format!("{} of f32", needs()), input.to_string()));
    }
    let (batch, channels, height, width) = match *input.shape.as_slice() {
        // The model does not say; a run will.
        [] => (None, None, None, None),
        [batch, channels, height, width] => (batch, channels, height, width),
        _ => return Err(wrong()),
    };
    let may_be = |found: Option<usize>, wanted: Option<usize>| match (found, wanted) {
        (Some(found), Some(wanted)) => found == wanted,
        _ => true,
    };
    if may_be(batch, Some(1)) && may_be(channels, Some(3)) && may_be(height, size) && may_be(width, size) {
        Ok(ImageInput {
            is_single: batch.is_some(),
            height,
            width,
        })
    } else {
        Err(wrong())
    }
}

/// An output with so many numbers for each image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VectorOutput {
    /// Its name.
    pub name: String,
    /// Whether the model declares it for one image and no more. Exports whose input is declared for any number of
    /// images often say so by mistake; what ONNX Runtime plans by it is only right for one.
    pub is_single: bool,
}

/// The first output that is declared as `[N,numbers]`, or that with more dimensions of 1 (`[N,numbers,1,1]`); where none is,
/// the first of which the model does not say how many numbers it has.
pub(crate) fn vector_output(outputs: &[TensorSpec], numbers: usize) -> Result<VectorOutput, Misfit> {
    let is_declared = |output: &&TensorSpec| match output.shape.as_slice() {
        [batch, length, rest @ ..] => {
            matches!(batch, None | Some(1))
                && *length == Some(numbers)
                && rest.iter().all(|size| *size == Some(1))
        }
        _ => false,
    };
    let may_be = |output: &&TensorSpec| match output.shape.as_slice() {
        [] => true,
        [batch, length, rest @ ..] => {
            matches!(batch, None | Some(1))
                && length.is_none()
                && rest.iter().all(|size| matches!(size, None | Some(1)))
        }
        [_] => false,
    };
    let of_f32 = || outputs.iter().filter(|output| output.is_f32());
    of_f32()
        .find(is_declared)
        .or_else(|| of_f32().find(may_be))
        .map(|output| VectorOutput {
            name: output.name.clone(),
            is_single: output.shape.first() == Some(&Some(1)),
        })
        .ok_or_else(|| Misfit::new(format!("output [N,{numbers}]"), listed(outputs)))
}

/// Returns whether an output has so many numbers for each image of a batch, as
/// [`ModelSession::vector_output`](crate::ModelSession::vector_output) needs it.
pub(crate) fn is_vector_batch(shape: &[usize], images: usize, numbers: usize) -> bool {
    match shape {
        [batch, length, rest @ ..] => {
            *batch == images && *length == numbers && rest.iter().all(|&size| size == 1)
        }
        _ => false,
    }
}

/// Formats the shape of an output, for messages.
#[must_use]
pub fn shape_text(shape: &[usize]) -> String {
    let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
    format!("[{}]", sizes.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(element: &str, shape: &[Option<usize>]) -> TensorSpec {
        TensorSpec {
            name: "x".to_owned(),
            element: element.to_owned(),
            shape: shape.to_vec(),
        }
    }

    #[test]
    fn images_of_the_size_that_the_adapter_feeds_fit() {
        let fit = |shape: &[Option<usize>], size| image_input(&[spec("f32", shape)], size);
        let free = fit(&[None, Some(3), Some(112), Some(112)], Some(112)).unwrap();
        assert!(!free.is_single);
        assert!(
            fit(&[Some(1), Some(3), Some(112), Some(112)], Some(112))
                .unwrap()
                .is_single
        );
        assert_eq!(
            fit(&[Some(1), Some(3), None, None], None).unwrap(),
            ImageInput {
                is_single: true,
                height: None,
                width: None
            }
        );
        assert!(fit(&[], Some(112)).is_ok());
    }

    #[test]
    fn what_does_not_fit_is_told_beside_what_is_needed() {
        let wrong = |inputs: &[TensorSpec]| image_input(inputs, Some(112)).unwrap_err().to_string();
        assert_eq!(
            wrong(&[spec("f32", &[None, Some(3), Some(128), Some(128)])]),
            "needs input [N,3,112,112], the model has [N,3,128,128]"
        );
        assert_eq!(
            wrong(&[spec("Float16", &[None, Some(3), Some(112), Some(112)])]),
            "needs input [N,3,112,112] of f32, the model has Float16 [N,3,112,112]"
        );
        // Channels last, and a batch of four.
        for shape in [
            [None, Some(112), Some(112), Some(3)],
            [Some(4), Some(3), Some(112), Some(112)],
        ] {
            assert!(wrong(&[spec("f32", &shape)]).contains("needs input [N,3,112,112], the model has ["));
        }
        let one = spec("f32", &[None, Some(3), Some(112), Some(112)]);
        assert!(wrong(&[one.clone(), one]).contains("needs one input [N,3,112,112], the model has 2 inputs"));
        assert!(wrong(&[]).contains("the model has 0 inputs: none"));
    }

    #[test]
    fn the_output_with_as_many_numbers_is_taken() {
        let named = |name: &str, shape: &[Option<usize>]| TensorSpec {
            name: name.to_owned(),
            ..spec("f32", shape)
        };
        // An embedding and its length before it was scaled.
        let outputs = [
            named("norm", &[None, Some(1)]),
            named("embedding", &[None, Some(512), Some(1), Some(1)]),
        ];
        let found = vector_output(&outputs, 512).unwrap();
        assert_eq!((found.name.as_str(), found.is_single), ("embedding", false));
        assert!(
            vector_output(&[named("a", &[Some(1), Some(512)])], 512)
                .unwrap()
                .is_single
        );
        // One that does not say is taken only where none says that it is the one.
        let unsaid = named("unsaid", &[None, None]);
        let said = named("said", &[None, Some(512)]);
        assert_eq!(vector_output(&[unsaid.clone(), said], 512).unwrap().name, "said");
        assert_eq!(vector_output(&[unsaid], 512).unwrap().name, "unsaid");
        assert_eq!(
            vector_output(&outputs, 256).unwrap_err().to_string(),
            "needs output [N,256], the model has [N,1] [N,512,1,1]"
        );
    }

    #[test]
    fn an_answer_has_a_row_for_each_image() {
        assert!(is_vector_batch(&[2, 8], 2, 8));
        assert!(is_vector_batch(&[2, 8, 1, 1], 2, 8));
        assert!(!is_vector_batch(&[8, 2], 2, 8));
        assert!(!is_vector_batch(&[16], 2, 8));
        assert!(!is_vector_batch(&[1, 8], 2, 8));
    }
}
