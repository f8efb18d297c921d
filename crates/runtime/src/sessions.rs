//! The sessions of one model: one for inputs of any shape, and those for inputs of one shape each, for providers that compile
//! a model for its shapes.

use std::collections::BTreeMap;

use ort::session::Session;
use ort::value::{Outlet, TensorRef, ValueType};

use crate::error::RuntimeError;
use crate::opener::Opener;
use crate::signature::TensorSpec;

/// Shapes of one model that have a session of their own at the same time. Images of one place have few shapes: a pass of
/// the detector over the usual formats, upright and lying, and the batches of one to four faces.
const MOST_SHAPES: usize = 16;

/// The largest input that gets a session of its own, in numbers: the detector's first pass over a square, or six aligned
/// faces of 128 pixels. What a session holds grows with its input, and larger inputs are rare.
const LARGEST_INPUT: usize = 3 * 320 * 320;

/// An output of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its sizes.
    pub shape: Vec<usize>,
    /// Its elements, row by row.
    pub numbers: Vec<f32>,
}

/// A model that can be run.
pub(crate) trait Compute {
    /// Returns the outputs of `f32` for a batch, in the model's order.
    fn compute(&mut self, shape: [usize; 4], numbers: &[f32]) -> Result<Vec<Tensor>, RuntimeError>;
}

/// Sessions of one model, each for inputs of one shape; the one that was used last is the last.
#[derive(Debug)]
struct FixedShapes {
    opener: Opener,
    onnx: Box<[u8]>,
    /// Names of the input's sizes, `None` for those that the model fixes itself.
    sizes: [Option<String>; 4],
    sessions: Vec<([usize; 4], Session)>,
}

impl FixedShapes {
    /// `None` where the model leaves no size free, or one without a name, by which it could be fixed.
    fn new(opener: &Opener, onnx: &[u8], input: &Outlet) -> Option<Self> {
        let ValueType::Tensor {
            shape,
            dimension_symbols,
            ..
        } = input.dtype()
        else {
            return None;
        };
        let mut sizes = [const { None }; 4];
        if shape.len() != sizes.len() || dimension_symbols.len() != sizes.len() {
            return None;
        }
        for ((name, &size), symbol) in sizes.iter_mut().zip(shape.iter()).zip(dimension_symbols.iter()) {
            // A size below 0 stands for one that is free.
            if size < 0 {
                *name = Some(symbol.clone()).filter(|symbol| !symbol.is_empty());
                name.as_ref()?;
            }
        }
        sizes.iter().any(Option::is_some).then(|| Self {
            opener: opener.clone(),
            onnx: onnx.into(),
            sizes,
            sessions: Vec::new(),
        })
    }

    /// The session for inputs of this shape, opened where it is not there; `None` where the shape gets none of its own.
    fn session(&mut self, model: &str, shape: [usize; 4]) -> Result<Option<&mut Session>, RuntimeError> {
        let numbers = shape.iter().try_fold(1_usize, |all, &size| all.checked_mul(size));
        if numbers.is_none_or(|numbers| numbers == 0 || numbers > LARGEST_INPUT) {
            return Ok(None);
        }
        if let Some(place) = self.sessions.iter().position(|(known, _)| *known == shape) {
            let used = self.sessions.remove(place);
            self.sessions.push(used);
        } else {
            let Some(fixed) = self.fixed(shape) else {
                return Ok(None);
            };
            let session = self.opener.session(model, &self.onnx, &fixed)?;
            if self.sessions.len() >= MOST_SHAPES {
                self.sessions.remove(0);
            }
            self.sessions.push((shape, session));
        }
        Ok(self.sessions.last_mut().map(|(_, session)| session))
    }

    /// The size of each name; `None` where one name would have two.
    fn fixed(&self, shape: [usize; 4]) -> Option<Vec<(&str, i64)>> {
        let mut fixed = BTreeMap::new();
        for (name, size) in self.sizes.iter().zip(shape) {
            let Some(name) = name else { continue };
            let size = i64::try_from(size).ok()?;
            if *fixed.entry(name.as_str()).or_insert(size) != size {
                return None;
            }
        }
        Some(fixed.into_iter().collect())
    }
}

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
    pub(crate) fn open(name: &str, onnx: &[u8], opener: &Opener) -> Result<Self, RuntimeError> {
        let session = opener.session(name, onnx, &[])?;
        let fixed_shapes = match session.inputs() {
            [input] if opener.execution.provider.prefers_fixed_shapes() => {
                FixedShapes::new(opener, onnx, input)
            }
            _ => None,
        };
        Ok(Self {
            name: name.to_owned(),
            session,
            fixed_shapes,
        })
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
}

impl Compute for Sessions {
    fn compute(&mut self, shape: [usize; 4], numbers: &[f32]) -> Result<Vec<Tensor>, RuntimeError> {
        let Self {
            name,
            session,
            fixed_shapes,
        } = self;
        let fixed = match fixed_shapes {
            Some(shapes) => shapes.session(name, shape)?,
            None => None,
        };
        let session = fixed.unwrap_or(session);
        let failed = |error: ort::Error| RuntimeError::Inference {
            model: name.clone(),
            reason: error.to_string(),
        };
        let input = TensorRef::from_array_view((shape, numbers)).map_err(failed)?;
        let outputs = session.run(ort::inputs![input]).map_err(failed)?;
        let tensors = outputs.iter().filter_map(|(name, value)| {
            let (shape, numbers) = value.try_extract_tensor::<f32>().ok()?;
            Some(Tensor {
                name: name.to_owned(),
                shape: shape.iter().map(|&size| size as usize).collect(),
                numbers: numbers.to_vec(),
            })
        });
        Ok(tensors.collect())
    }
}
