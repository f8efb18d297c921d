//! One opened model.

use std::sync::Arc;

use crate::sessions::Tensor;
use crate::shared::Shared;
use crate::signature::{image_input, is_vector_batch, vector_output};
use crate::{Adapter, ImageInput, Misfit, RuntimeError, TensorSpec, VectorOutput, shape_text};

/// One opened model with one input of four dimensions (`[N, channels, height, width]`, `f32`). Each worker opens its own;
/// what it opens may be [shared](crate::ProviderOptions::shared_sessions) with the others behind that.
#[derive(Debug)]
pub struct ModelSession {
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    model: Arc<Shared>,
}

impl ModelSession {
    pub(crate) fn new(model: Arc<Shared>) -> Self {
        let (inputs, outputs) = {
            let sessions = model.model.lock();
            (sessions.inputs(), sessions.outputs())
        };
        Self {
            inputs,
            outputs,
            model,
        }
    }

    /// Returns the name given at [`Runtime::open`](crate::Runtime::open).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.model.name
    }

    /// Returns the model's inputs as it declares them.
    #[must_use]
    pub fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    /// Returns the model's outputs as it declares them.
    #[must_use]
    pub fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    /// Returns the model's one input where it takes images: `[N,3,H,W]` of `f32`, N free or 1. `size` is the side in pixels of
    /// the square that is fed, `None` where any size is.
    ///
    /// # Errors
    /// [`Misfit`] where it takes anything else.
    pub fn image_input(&self, size: Option<u32>) -> Result<ImageInput, Misfit> {
        image_input(&self.inputs, size.map(|size| size as usize))
    }

    /// Returns the output with so many numbers for each image: the first that is declared as `[N,numbers]` of `f32`, also with
    /// more dimensions of 1; where none is, the first of which the model does not say how many it has.
    ///
    /// # Errors
    /// [`Misfit`] where there is none.
    pub fn vector_output(&self, numbers: usize) -> Result<VectorOutput, Misfit> {
        vector_output(&self.outputs, numbers)
    }

    /// Runs the model on one batch of this shape, its numbers row by row. With a provider that compiles models for shapes
    /// (OpenVINO) the first batch of a shape takes as long as opening the model.
    ///
    /// # Errors
    /// [`RuntimeError::Inference`] with what ONNX Runtime said, also where the shape has another number of elements.
    pub fn run(&mut self, shape: [usize; 4], numbers: &[f32]) -> Result<Outputs<'_>, RuntimeError> {
        Ok(Outputs {
            tensors: self.model.run(shape, numbers)?,
            model: &self.model.name,
        })
    }
}

/// The outputs of `f32` of a run.
#[derive(Debug)]
pub struct Outputs<'s> {
    model: &'s str,
    tensors: Vec<Tensor>,
}

impl Outputs<'_> {
    /// Returns the name of the model.
    #[must_use]
    pub fn model(&self) -> &str {
        self.model
    }

    /// Returns the output of this name.
    ///
    /// # Errors
    /// [`RuntimeError::Output`] where the model has none of this name, or not of `f32`.
    pub fn get(&self, name: &str) -> Result<&Tensor, RuntimeError> {
        let found = self.tensors.iter().find(|tensor| tensor.name == name);
        found.ok_or_else(|| RuntimeError::Output {
            model: self.model.to_owned(),
            output: name.to_owned(),
            reason: "there is no such output of f32".to_owned(),
        })
    }

    /// Returns the output of this name, where it has so many numbers for each image, one image after the other.
    ///
    /// # Errors
    /// Those of [`get`](Self::get), and [`RuntimeError::Misfit`] for an output of another shape.
    pub fn vectors(
        &self,
        adapter: Adapter,
        name: &str,
        images: usize,
        length: usize,
    ) -> Result<Vec<f32>, RuntimeError> {
        let output = self.get(name)?;
        if !is_vector_batch(&output.shape, images, length) {
            let needs = format!("output [{images},{length}]");
            let misfit = Misfit::new(needs, shape_text(&output.shape));
            return Err(adapter.misfit(self.model, misfit));
        }
        Ok(output.numbers.clone())
    }

    /// Returns every output, in the model's order.
    #[must_use]
    pub fn all(&self) -> &[Tensor] {
        &self.tensors
    }
}
