//! One model, opened.

use ndarray::ArrayView4;
use ort::session::{Session, SessionOutputs};
use ort::value::TensorRef;

use crate::fixed_shapes::FixedShapes;
use crate::{RuntimeError, TensorSpec};

/// The sessions of one model.
#[derive(Debug)]
pub(crate) struct Sessions {
    name: String,
    /// For inputs of any shape.
    session: Session,
    /// Those for one shape each, where the provider is faster with them.
    fixed_shapes: Option<FixedShapes>,
}

impl Sessions {
    pub(crate) fn new(name: &str, session: Session, fixed_shapes: Option<FixedShapes>) -> Self {
        Self {
            name: name.to_owned(),
            session,
            fixed_shapes,
        }
    }

    pub(crate) fn inputs(&self) -> Vec<TensorSpec> {
        self.session.inputs().iter().map(TensorSpec::of).collect()
    }

    pub(crate) fn outputs(&self) -> Vec<TensorSpec> {
        self.session.outputs().iter().map(TensorSpec::of).collect()
    }

    /// Whether it takes any number of images and has a row for each in everything that it answers.
    pub(crate) fn takes_batches(&self) -> bool {
        let is_free =
            |tensor: &TensorSpec| tensor.is_f32() && matches!(tensor.shape.as_slice(), [None, _, ..]);
        self.inputs().iter().all(is_free) && self.outputs().iter().all(is_free)
    }

    pub(crate) fn run(&mut self, input: &ArrayView4<'_, f32>) -> Result<SessionOutputs<'_>, RuntimeError> {
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
        session.run(ort::inputs![tensor]).map_err(failed)
    }
}
