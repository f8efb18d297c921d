//! One opened model.

use ndarray::{ArrayView4, ArrayViewD};
use ort::session::{Session, SessionOutputs};
use ort::value::{Outlet, TensorRef, ValueType};

use crate::RuntimeError;

/// One opened model with one input of four dimensions (`[N, channels, height, width]`, `f32`). Not shared between
/// threads: each worker opens its own.
#[derive(Debug)]
pub struct ModelSession {
    name: String,
    session: Session,
}

impl ModelSession {
    pub(crate) fn new(name: &str, session: Session) -> Self {
        Self {
            name: name.to_owned(),
            session,
        }
    }

    /// The name given at [`Runtime::open`](crate::Runtime::open).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The model's inputs: name and shape, -1 for a dimension that is free.
    #[must_use]
    pub fn inputs(&self) -> Vec<(String, Vec<i64>)> {
        describe(self.session.inputs())
    }

    /// The model's outputs: name and shape, -1 for a dimension that is free.
    #[must_use]
    pub fn outputs(&self) -> Vec<(String, Vec<i64>)> {
        describe(self.session.outputs())
    }

    /// Runs the model on one batch.
    ///
    /// # Errors
    /// [`RuntimeError::Inference`] with what ONNX Runtime said.
    pub fn run(&mut self, input: &ArrayView4<'_, f32>) -> Result<Outputs<'_>, RuntimeError> {
        let Self { name, session } = self;
        let failed = |error: ort::Error| RuntimeError::Inference {
            model: name.clone(),
            reason: error.to_string(),
        };
        let tensor = TensorRef::from_array_view(*input).map_err(failed)?;
        let values = session.run(ort::inputs![tensor]).map_err(failed)?;
        Ok(Outputs { model: name, values })
    }
}

fn describe(outlets: &[Outlet]) -> Vec<(String, Vec<i64>)> {
    outlets
        .iter()
        .map(|outlet| {
            let shape = match outlet.dtype() {
                ValueType::Tensor { shape, .. } => shape.to_vec(),
                _ => Vec::new(),
            };
            (outlet.name().to_owned(), shape)
        })
        .collect()
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

    fn unusable(&self, output: &str, reason: &str) -> RuntimeError {
        RuntimeError::Output {
            model: self.model.to_owned(),
            output: output.to_owned(),
            reason: reason.to_owned(),
        }
    }
}
