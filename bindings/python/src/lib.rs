//! Python bindings of the engine: the module `likeness._likeness`. `python/likeness/__init__.pyi` documents it for its users.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use likeness::decision::{Detail, Profile};
use likeness::imaging::Image;
use likeness::packs::StoreSearch;
use likeness::runtime::{LibrarySearch, Provider};
use likeness::{
    Budget, BuildError, Comparison, EmbedOptions, EmbeddedFace, EngineError, ImageReport, Input,
    LivenessCheck, LivenessOptions, Verification, VerifyOptions,
};
use likeness_api::ApiError;
use numpy::{
    IntoPyArray, PyArray1, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray3, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

create_exception!(
    likeness,
    LikenessError,
    PyException,
    "A request failed. `code` is the error code of the HTTP API."
);
create_exception!(
    likeness,
    SetupError,
    PyException,
    "An engine cannot be built: ONNX Runtime, the model pack or a setting has to be corrected."
);

/// An image as Python has it.
enum Source {
    Bytes(PyBackedBytes),
    File(PathBuf),
    Pixels(Image),
}

impl<'py> FromPyObject<'_, 'py> for Source {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(array) = object.cast::<PyUntypedArray>() {
            return pixels(&array).map(Self::Pixels);
        }
        if let Ok(bytes) = object.extract::<PyBackedBytes>() {
            return Ok(Self::Bytes(bytes));
        }
        let path = object.extract::<PathBuf>();
        path.map(Self::File).map_err(|_| {
            let kind = object.get_type();
            PyTypeError::new_err(format!("an image is bytes, a path or a NumPy array, not {kind}"))
        })
    }
}

/// Copies the pixels of an array.
fn pixels(array: &Bound<'_, PyUntypedArray>) -> PyResult<Image> {
    let (shape, dtype) = (array.shape().to_vec(), array.dtype());
    let rgb = array
        .extract::<PyReadonlyArray3<'_, u8>>()
        .ok()
        .filter(|_| shape.last() == Some(&3));
    let Some(rgb) = rgb else {
        return Err(PyValueError::new_err(format!(
            "an image is an array of shape (height, width, 3) of uint8, RGB, not one of shape {shape:?} of {dtype}"
        )));
    };
    let side = |axis: usize| u32::try_from(shape.get(axis).copied().unwrap_or_default());
    let too_large = |_| PyValueError::new_err(format!("an image of shape {shape:?} is too large"));
    let (height, width) = (side(0).map_err(too_large)?, side(1).map_err(too_large)?);
    let values = rgb.as_array().iter().copied().collect();
    Image::from_rgb8(width, height, values).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// An image that the engine can read.
enum Loaded {
    Bytes(PyBackedBytes),
    File(Vec<u8>),
    Pixels(Image),
}

impl Loaded {
    fn input(&self) -> Input<'_> {
        match self {
            Self::Bytes(bytes) => Input::Encoded(bytes),
            Self::File(bytes) => Input::Encoded(bytes),
            Self::Pixels(image) => Input::Image(image),
        }
    }
}

/// A face: its box as (x, y, width, height) and its five landmarks as (x, y), in pixels of the upright image from its top left
/// corner.
#[pyclass(frozen, get_all, module = "likeness")]
struct Face {
    #[pyo3(name = "box")]
    bounding_box: (f32, f32, f32, f32),
    score: f32,
    landmarks: Vec<(f32, f32)>,
}

impl From<&likeness::detection::Face> for Face {
    fn from(face: &likeness::detection::Face) -> Self {
        let area = face.bounding_box;
        Self {
            bounding_box: (area.x, area.y, area.width, area.height),
            score: face.score,
            landmarks: face.landmarks.iter().map(|point| (point.x, point.y)).collect(),
        }
    }
}

#[pymethods]
impl Face {
    fn __repr__(&self) -> String {
        let (x, y, width, height) = self.bounding_box;
        format!(
            "Face(box=({x:.1}, {y:.1}, {width:.1}, {height:.1}), score={:.3})",
            self.score
        )
    }
}

/// A line of a decision, or a finding.
#[pyclass(frozen, get_all, module = "likeness", name = "Detail")]
struct Line {
    code: String,
    verdict: String,
    description: String,
}

impl From<&Detail> for Line {
    fn from(detail: &Detail) -> Self {
        Self {
            code: detail.code.as_str().to_owned(),
            verdict: detail.verdict.as_str().to_owned(),
            description: detail.description.clone(),
        }
    }
}

#[pymethods]
impl Line {
    fn __repr__(&self) -> String {
        format!("Detail(code={:?}, verdict={:?})", self.code, self.verdict)
    }
}

/// The result of `Engine.verify`.
#[pyclass(frozen, get_all, module = "likeness", name = "Verification")]
struct Verified {
    outcome: String,
    face_match: Option<f64>,
    liveness: Option<f64>,
    similarity: Option<f32>,
    cosine: Option<f32>,
    same_image: bool,
    details: Vec<Py<Line>>,
    selfie_faces: Vec<Py<Face>>,
    photo_faces: Vec<Py<Face>>,
}

#[pymethods]
impl Verified {
    fn __repr__(&self) -> String {
        format!(
            "Verification(outcome={:?}, face_match={}, liveness={})",
            self.outcome,
            shown(self.face_match),
            shown(self.liveness)
        )
    }
}

/// The result of `Engine.liveness`.
#[pyclass(frozen, get_all, module = "likeness", name = "Liveness")]
struct Checked {
    live: bool,
    liveness: Option<f64>,
    threshold: f64,
    findings: Vec<Py<Line>>,
    faces: Vec<Py<Face>>,
}

#[pymethods]
impl Checked {
    fn __repr__(&self) -> String {
        let live = if self.live { "True" } else { "False" };
        format!("Liveness(live={live}, liveness={})", shown(self.liveness))
    }
}

/// A face with its embedding.
#[pyclass(frozen, get_all, module = "likeness", name = "EmbeddedFace")]
struct Embedded {
    face: Py<Face>,
    embedding: Py<PyArray1<f32>>,
}

/// The result of `Engine.compare`.
#[pyclass(frozen, get_all, module = "likeness", name = "Comparison")]
struct Compared {
    similarity: f32,
    cosine: f32,
    confidence: f64,
}

#[pymethods]
impl Compared {
    fn __repr__(&self) -> String {
        format!(
            "Comparison(similarity={:.4}, confidence={:.4})",
            self.similarity, self.confidence
        )
    }
}

fn shown(score: Option<f64>) -> String {
    score.map_or_else(|| "None".to_owned(), |score| format!("{score:.4}"))
}

/// The engine. Threads may share one; each request waits for one of its workers.
#[pyclass(frozen, module = "likeness")]
struct Engine {
    engine: likeness::Engine,
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (pack=None, *, models=None, library=None, provider=None, workers=None))]
    fn new(
        py: Python<'_>,
        pack: Option<String>,
        models: Option<PathBuf>,
        library: Option<PathBuf>,
        provider: Option<String>,
        workers: Option<usize>,
    ) -> PyResult<Self> {
        let mut builder = likeness::Engine::builder();
        if let Some(pack) = pack {
            builder = builder.pack(pack);
        }
        if let Some(folder) = models {
            builder = builder.store(StoreSearch::new().with_folder(folder));
        }
        let library: Option<PathBuf> = match library {
            Some(file) => Some(file),
            None => py.import("likeness._library")?.call_method0("find")?.extract()?,
        };
        if let Some(file) = library {
            builder = builder.library(LibrarySearch::new().with_file(file));
        }
        if let Some(provider) = provider {
            let provider = provider.parse::<Provider>();
            builder = builder.provider(provider.map_err(|error| PyValueError::new_err(error.to_string()))?);
        }
        if let Some(workers) = workers {
            builder = builder.workers(workers);
        }
        let engine = py.detach(|| builder.build()).map_err(setup_error)?;
        Ok(Self { engine })
    }

    /// The name of the model pack.
    #[getter]
    fn pack(&self) -> &str {
        &self.engine.labels().pack
    }

    #[pyo3(signature = (selfie, photo, *, profile="optimal-v0", multiface=false, timeout=None))]
    fn verify(
        &self,
        py: Python<'_>,
        selfie: Source,
        photo: Source,
        profile: &str,
        multiface: bool,
        timeout: Option<f64>,
    ) -> PyResult<Verified> {
        let profile = Profile::builtin(profile).ok_or_else(|| {
            let names = Profile::BUILTIN_NAMES.join(", ");
            PyValueError::new_err(format!("there is no profile {profile:?}; there are {names}"))
        })?;
        let options = VerifyOptions::default()
            .with_profile(profile)
            .with_photo_multiface(multiface)
            .with_budget(budget(timeout)?);
        let result = py.detach(|| {
            let (selfie, photo) = (self.load(selfie)?, self.load(photo)?);
            Ok::<_, Failure>(self.engine.verify(selfie.input(), photo.input(), &options)?)
        });
        verified(py, &result?)
    }

    #[pyo3(signature = (selfie, *, threshold=None, timeout=None))]
    fn liveness(
        &self,
        py: Python<'_>,
        selfie: Source,
        threshold: Option<f64>,
        timeout: Option<f64>,
    ) -> PyResult<Checked> {
        let mut options = LivenessOptions::default().with_budget(budget(timeout)?);
        if let Some(threshold) = threshold {
            options = options.with_threshold(threshold);
        }
        let result = py.detach(|| {
            let selfie = self.load(selfie)?;
            Ok::<_, Failure>(self.engine.liveness(selfie.input(), &options)?)
        });
        checked(py, &result?)
    }

    #[pyo3(signature = (image, *, all_faces=false, timeout=None))]
    fn embed(
        &self,
        py: Python<'_>,
        image: Source,
        all_faces: bool,
        timeout: Option<f64>,
    ) -> PyResult<Vec<Embedded>> {
        let options = EmbedOptions::default()
            .with_all_faces(all_faces)
            .with_budget(budget(timeout)?);
        let result = py.detach(|| {
            let image = self.load(image)?;
            Ok::<_, Failure>(self.engine.embed(image.input(), &options)?)
        });
        result?.iter().map(|face| embedded(py, face)).collect()
    }

    #[pyo3(signature = (image, *, timeout=None))]
    fn detect(&self, py: Python<'_>, image: Source, timeout: Option<f64>) -> PyResult<Vec<Py<Face>>> {
        let budget = budget(timeout)?;
        let result = py.detach(|| {
            let image = self.load(image)?;
            Ok::<_, Failure>(self.engine.detect(image.input(), &budget)?)
        });
        faces(py, &result?)
    }

    fn compare(
        &self,
        py: Python<'_>,
        one: PyReadonlyArray1<'_, f32>,
        other: PyReadonlyArray1<'_, f32>,
    ) -> PyResult<Compared> {
        let embedding = |values: PyReadonlyArray1<'_, f32>| {
            let embedding = likeness::embedding::Embedding::new(values.to_vec()?);
            embedding.map_err(|error| PyValueError::new_err(error.to_string()))
        };
        let (one, other) = (embedding(one)?, embedding(other)?);
        let compared = py.detach(|| self.engine.compare(&one, &other));
        let Comparison {
            similarity,
            confidence,
            ..
        } = compared.map_err(Failure::from)?;
        Ok(Compared {
            similarity: similarity.value(),
            cosine: similarity.cosine,
            confidence: confidence.value(),
        })
    }

    fn __repr__(&self) -> String {
        format!(
            "Engine(pack={:?}, workers={})",
            self.engine.labels().pack,
            self.engine.workers()
        )
    }
}

impl Engine {
    /// Reads the file of an image, and no more of it than one byte beyond the limit.
    fn load(&self, source: Source) -> Result<Loaded, Failure> {
        use std::io::Read;
        Ok(match source {
            Source::Bytes(bytes) => Loaded::Bytes(bytes),
            Source::Pixels(image) => Loaded::Pixels(image),
            Source::File(path) => {
                let mut bytes = Vec::new();
                let limit = self.engine.limits().max_bytes as u64;
                let file = std::fs::File::open(&path).map_err(|error| Failure::File(path.clone(), error))?;
                file.take(limit + 1)
                    .read_to_end(&mut bytes)
                    .map_err(|error| Failure::File(path, error))?;
                Loaded::File(bytes)
            }
        })
    }
}

fn budget(timeout: Option<f64>) -> PyResult<Budget> {
    let Some(seconds) = timeout else {
        return Ok(Budget::unlimited());
    };
    let deadline = Duration::try_from_secs_f64(seconds)
        .ok()
        .and_then(|timeout| Instant::now().checked_add(timeout));
    let deadline =
        deadline.ok_or_else(|| PyValueError::new_err(format!("timeout is {seconds}, not seconds")))?;
    Ok(Budget::unlimited().with_deadline(deadline))
}

fn lines(py: Python<'_>, details: &[Detail]) -> PyResult<Vec<Py<Line>>> {
    details
        .iter()
        .map(|detail| Py::new(py, Line::from(detail)))
        .collect()
}

fn faces(py: Python<'_>, report: &ImageReport) -> PyResult<Vec<Py<Face>>> {
    report
        .faces
        .iter()
        .map(|face| Py::new(py, Face::from(face)))
        .collect()
}

fn verified(py: Python<'_>, verification: &Verification) -> PyResult<Verified> {
    Ok(Verified {
        outcome: verification.decision.outcome().as_str().to_owned(),
        face_match: verification.face_match.map(|score| score.value()),
        liveness: verification.liveness.map(|score| score.value()),
        similarity: verification.similarity.map(|similarity| similarity.value()),
        cosine: verification.similarity.map(|similarity| similarity.cosine),
        same_image: verification.same_image,
        details: lines(py, &verification.decision.details)?,
        selfie_faces: faces(py, &verification.selfie)?,
        photo_faces: faces(py, &verification.photo)?,
    })
}

fn checked(py: Python<'_>, check: &LivenessCheck) -> PyResult<Checked> {
    Ok(Checked {
        live: check.live,
        liveness: check.liveness.map(|score| score.value()),
        threshold: check.threshold,
        findings: lines(py, &check.findings)?,
        faces: faces(py, &check.selfie)?,
    })
}

fn embedded(py: Python<'_>, face: &EmbeddedFace) -> PyResult<Embedded> {
    let values = face.embedding.values().to_vec();
    Ok(Embedded {
        face: Py::new(py, Face::from(&face.face))?,
        embedding: values.into_pyarray(py).unbind(),
    })
}

/// Why a request failed.
enum Failure {
    Engine(EngineError),
    File(PathBuf, std::io::Error),
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        match failure {
            // An `OSError` with the number and the name of the file, as `open` raises.
            Failure::File(path, error) => match error.raw_os_error() {
                Some(number) => {
                    let text = error.to_string();
                    let text = text.split(" (os error").next().unwrap_or_default().to_owned();
                    pyo3::exceptions::PyOSError::new_err((number, text, path))
                }
                None => error.into(),
            },
            Failure::Engine(error) => Python::attach(|py| {
                let raised = LikenessError::new_err(error.to_string());
                let code = ApiError::from(error).code();
                match raised.value(py).setattr("code", code.as_str()) {
                    Ok(()) => raised,
                    Err(other) => other,
                }
            }),
        }
    }
}

fn setup_error(error: BuildError) -> PyErr {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        let text = cause.to_string();
        // Errors that are transparent repeat their cause.
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        source = cause.source();
    }
    SetupError::new_err(message)
}

#[pymodule]
mod _likeness {
    #[pymodule_export]
    use super::{Checked, Compared, Embedded, Engine, Face, LikenessError, Line, SetupError, Verified};
}
