//! One opened model.

use std::sync::Arc;

use ndarray::{ArrayView4, ArrayViewD};
use ort::session::SessionOutputs;

use crate::sessions::Sessions;
use crate::shared::{Answer, Shared};
use crate::signature::{image_input, is_vector_batch, vector_output};
use crate::{Adapter, ImageInput, Misfit, RuntimeError, TensorSpec, VectorOutput, shape_text};

/// One opened model with one input of four dimensions (`[N, channels, height, width]`, `f32`). Each worker opens its own;
/// what it opens may be [shared](crate::ProviderOptions::shared_sessions) with the others behind that.
#[derive(Debug)]
pub struct ModelSession {
    name: String,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    model: Model,
}

#[derive(Debug)]
enum Model {
    Own(Box<Sessions>),
    Shared(Arc<Shared>),
}

impl ModelSession {
    pub(crate) fn own(name: &str, sessions: Sessions) -> Self {
        Self {
            name: name.to_owned(),
            inputs: sessions.inputs(),
            outputs: sessions.outputs(),
            model: Model::Own(Box::new(sessions)),
        }
    }

    pub(crate) fn shared(name: &str, model: Arc<Shared>) -> Self {
        let (inputs, outputs) = {
            let sessions = model.model();
            (sessions.inputs(), sessions.outputs())
        };
        Self {
            name: name.to_owned(),
            inputs,
            outputs,
            model: Model::Shared(model),
        }
    }

    /// The name given at [`Runtime::open`](crate::Runtime::open).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The model's inputs as it declares them.
    #[must_use]
    pub fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    /// The model's outputs as it declares them.
    #[must_use]
    pub fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    /// The model's one input where it takes images: `[N,3,H,W]` of `f32`, N free or 1. `size` is the side in pixels of
    /// the square that is fed, `None` where any size is.
    ///
    /// # Errors
    /// [`Misfit`] where it takes anything else.
    pub fn image_input(&self, size: Option<u32>) -> Result<ImageInput, Misfit> {
        image_input(&self.inputs, size.map(|size| size as usize))
    }

    /// The output with so many numbers for each image: the first that is declared as `[N,numbers]` of `f32`, also with
    /// more dimensions of 1; where none is, the first of which the model does not say how many it has.
    ///
    /// # Errors
    /// [`Misfit`] where there is none.
    pub fn vector_output(&self, numbers: usize) -> Result<VectorOutput, Misfit> {
        vector_output(&self.outputs, numbers)
    }

    /// Runs the model on one batch of this shape, its numbers row by row; see [`run`](Self::run).
    ///
    /// # Errors
    /// [`RuntimeError::Inference`] also where the shape has another number of elements.
    pub fn run_slice(&mut self, shape: [usize; 4], numbers: &[f32]) -> Result<Outputs<'_>, RuntimeError> {
        let input = ArrayView4::from_shape(shape, numbers).map_err(|error| RuntimeError::Inference {
            model: self.name.clone(),
            reason: error.to_string(),
        })?;
        self.run(&input)
    }

    /// Runs the model on one batch. With a provider that compiles models for shapes (OpenVINO) the first batch of a shape
    /// takes as long as opening the model.
    ///
    /// # Errors
    /// [`RuntimeError::Inference`] with what ONNX Runtime said.
    pub fn run(&mut self, input: &ArrayView4<'_, f32>) -> Result<Outputs<'_>, RuntimeError> {
        let Self { name, model, .. } = self;
        let values = match model {
            Model::Own(sessions) => Values::Borrowed(sessions.run(input)?),
            Model::Shared(shared) => Values::Taken(shared.run(input)?),
        };
        Ok(Outputs { model: name, values })
    }
}

/// What a model answered; borrowed from its session, unless others use that too.
pub struct Outputs<'s> {
    model: &'s str,
    values: Values<'s>,
}

enum Values<'s> {
    Borrowed(SessionOutputs<'s>),
    Taken(Answer),
}

impl std::fmt::Debug for Outputs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outputs")
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

impl Outputs<'_> {
    /// Name of the model that answered.
    #[must_use]
    pub fn model(&self) -> &str {
        self.model
    }

    /// The output of this name.
    ///
    /// # Errors
    /// [`RuntimeError::Output`] where the model has none of this name, or not of `f32`.
    pub fn get(&self, name: &str) -> Result<ArrayViewD<'_, f32>, RuntimeError> {
        let missing = || self.unusable(name, "there is no such output");
        match &self.values {
            Values::Borrowed(values) => values
                .get(name)
                .ok_or_else(missing)?
                .try_extract_array::<f32>()
                .map_err(|error| self.unusable(name, &error.to_string())),
            Values::Taken(answer) => answer
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, array)| array.view())
                .ok_or_else(missing),
        }
    }

    /// The first output.
    ///
    /// # Errors
    /// [`RuntimeError::Output`] where the model has none, or not of `f32`.
    pub fn first(&self) -> Result<ArrayViewD<'_, f32>, RuntimeError> {
        let name = self
            .names()
            .next()
            .ok_or_else(|| self.unusable("", "there are no outputs"))?;
        self.get(name)
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
        if !is_vector_batch(output.shape(), images, length) {
            let needs = format!("output [{images},{length}]");
            let misfit = Misfit::new(needs, shape_text(output.shape()));
            return Err(adapter.misfit(self.model, misfit));
        }
        Ok(output.iter().copied().collect())
    }

    /// Every output of `f32`: its name and its numbers, in the model's order.
    pub fn all(&self) -> impl Iterator<Item = (&str, ArrayViewD<'_, f32>)> {
        self.names().filter_map(|name| Some((name, self.get(name).ok()?)))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let (borrowed, taken) = match &self.values {
            Values::Borrowed(values) => (Some(values.keys()), None),
            Values::Taken(answer) => (None, Some(answer.iter().map(|(name, _)| name.as_str()))),
        };
        borrowed.into_iter().flatten().chain(taken.into_iter().flatten())
    }

    fn unusable(&self, output: &str, reason: &str) -> RuntimeError {
        RuntimeError::Output {
            model: self.model.to_owned(),
            output: output.to_owned(),
            reason: reason.to_owned(),
        }
    }
}
