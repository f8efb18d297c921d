//! One opened model.

use ndarray::{ArrayView4, ArrayViewD};
use ort::session::{Session, SessionOutputs};
use ort::value::TensorRef;

use crate::fixed_shapes::FixedShapes;
use crate::signature::{picture_input, vector_output};
use crate::{Misfit, PictureInput, RuntimeError, TensorSpec, VectorOutput};

/// One opened model with one input of four dimensions (`[N, channels, height, width]`, `f32`). Not shared between
/// threads: each worker opens its own.
#[derive(Debug)]
pub struct ModelSession {
    name: String,
    /// For inputs of any shape.
    session: Session,
    /// Those for one shape each, where the provider is faster with them.
    fixed_shapes: Option<FixedShapes>,
}

impl ModelSession {
    pub(crate) fn new(name: &str, session: Session, fixed_shapes: Option<FixedShapes>) -> Self {
        Self {
            name: name.to_owned(),
            session,
            fixed_shapes,
        }
    }

    /// The name given at [`Runtime::open`](crate::Runtime::open).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The model's inputs as it declares them.
    #[must_use]
    pub fn inputs(&self) -> Vec<TensorSpec> {
        self.session.inputs().iter().map(TensorSpec::of).collect()
    }

    /// The model's outputs as it declares them.
    #[must_use]
    pub fn outputs(&self) -> Vec<TensorSpec> {
        self.session.outputs().iter().map(TensorSpec::of).collect()
    }

    /// The model's one input where it takes pictures: `[N,3,H,W]` of `f32`, N free or 1. `size` is the side in pixels of
    /// the square that is fed, `None` where any size is.
    ///
    /// # Errors
    /// [`Misfit`] where it takes anything else.
    pub fn picture_input(&self, size: Option<u32>) -> Result<PictureInput, Misfit> {
        picture_input(&self.inputs(), size.map(|size| size as usize))
    }

    /// The output with so many numbers for each picture: the first that is declared as `[N,numbers]` of `f32`, also with
    /// more dimensions of 1; where none is, the first of which the model does not say how many it has.
    ///
    /// # Errors
    /// [`Misfit`] where there is none.
    pub fn vector_output(&self, numbers: usize) -> Result<VectorOutput, Misfit> {
        vector_output(&self.outputs(), numbers)
    }

    /// Runs the model on one batch. With a provider that compiles models for shapes (OpenVINO) the first batch of a shape
    /// takes as long as opening the model.
    ///
    /// # Errors
    /// [`RuntimeError::Inference`] with what ONNX Runtime said.
    pub fn run(&mut self, input: &ArrayView4<'_, f32>) -> Result<Outputs<'_>, RuntimeError> {
        let Self {
            name,
            session,
            fixed_shapes,
        } = self;
        let (count, channels, height, width) = input.dim();
        let fixed = match fixed_shapes {
            Some(shapes) => shapes.session(name, [count, channels, height, width])?,
            None => None,
        };
        let session = fixed.unwrap_or(session);
        let failed = |error: ort::Error| RuntimeError::Inference {
            model: name.clone(),
            reason: error.to_string(),
        };
        let tensor = TensorRef::from_array_view(*input).map_err(failed)?;
        let values = session.run(ort::inputs![tensor]).map_err(failed)?;
        Ok(Outputs { model: name, values })
    }
}

/// What a model answered; borrowed from its session.
pub struct Outputs<'s> {
    model: &'s str,
    values: SessionOutputs<'s>,
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
        let value = self
            .values
            .get(name)
            .ok_or_else(|| self.unusable(name, "there is no such output"))?;
        value
            .try_extract_array::<f32>()
            .map_err(|error| self.unusable(name, &error.to_string()))
    }

    /// The first output.
    ///
    /// # Errors
    /// [`RuntimeError::Output`] where the model has none, or not of `f32`.
    pub fn first(&self) -> Result<ArrayViewD<'_, f32>, RuntimeError> {
        let name = self
            .values
            .keys()
            .next()
            .ok_or_else(|| self.unusable("", "there are no outputs"))?;
        self.get(name)
    }

    /// Every output of `f32`: its name and its numbers, in the model's order.
    pub fn all(&self) -> impl Iterator<Item = (&str, ArrayViewD<'_, f32>)> {
        self.values
            .keys()
            .filter_map(|name| Some((name, self.get(name).ok()?)))
    }

    fn unusable(&self, output: &str, reason: &str) -> RuntimeError {
        RuntimeError::Output {
            model: self.model.to_owned(),
            output: output.to_owned(),
            reason: reason.to_owned(),
        }
    }
}
