//! Python bindings of the engine: the module `likeness._likeness`. `python/likeness/__init__.pyi` documents it for its users.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use likeness::decision::{Detail, Profile};
use likeness::embedding::{Embedding, MAX_TEMPLATE_BYTES};
use likeness::imaging::Image;
use likeness::packs::{PackError, Store, StoreSearch};
use likeness::runtime::{LibrarySearch, Provider};
use likeness::{
    Budget, BuildError, Comparison, EmbedOptions, EmbeddedFace, EngineError, ImageReport, ImageRole, Input,
    LivenessCheck, LivenessOptions, Verification, VerifyOptions,
};
use likeness_api::ApiError;
use likeness_packs::fetch::{Mirror, Pull};
use numpy::{
    IntoPyArray, PyArray1, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray3,
    PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

create_exception!(
    likeness,
    LikenessError,
    PyException,
    "An image cannot be used, the deadline passed, or inference failed. `code` is the error code of the HTTP API."
);
create_exception!(
    likeness,
    SetupError,
    PyException,
    "An engine cannot be built, or models cannot be fetched: the message says what to correct."
);

/// How often a fetch checks for signals, such as Ctrl-C.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(100);

/// How long an interrupted fetch is waited for.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// The numbers of workers that the engine accepts.
const WORKERS: std::ops::RangeInclusive<i64> = 1..=1024;

/// An image as Python has it.
enum Source<'py> {
    Bytes(PyBackedBytes),
    File(PathBuf),
    Pixels(PyReadonlyArray3<'py, u8>),
}

impl<'py> FromPyObject<'_, 'py> for Source<'py> {
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

/// Checks that an array has the form of an image; its size is for the engine's limits.
fn pixels<'py>(array: &Bound<'py, PyUntypedArray>) -> PyResult<PyReadonlyArray3<'py, u8>> {
    let (shape, dtype) = (array.shape(), array.dtype());
    let rgb = array
        .extract::<PyReadonlyArray3<'py, u8>>()
        .ok()
        .filter(|_| shape.last() == Some(&3) && !shape.contains(&0));
    rgb.ok_or_else(|| {
        PyValueError::new_err(format!(
            "an image is an array of shape (height, width, 3) of uint8, RGB, not one of shape {shape:?} of {dtype}"
        ))
    })
}

/// An embedding as Python has it.
struct Vector(Embedding);

impl<'py> FromPyObject<'_, 'py> for Vector {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let array = object.cast::<PyUntypedArray>().map_err(|_| {
            let kind = object.get_type();
            PyTypeError::new_err(format!("an embedding is a NumPy array, not {kind}"))
        })?;
        let (shape, dtype) = (array.shape(), array.dtype());
        let is_float = dtype.kind() == b'f' && [4, 8].contains(&dtype.itemsize());
        // No template holds so many numbers, and a view of one number may declare any length.
        let is_vector = matches!(shape, [length] if *length <= MAX_TEMPLATE_BYTES);
        if !(is_float && is_vector) {
            return Err(PyValueError::new_err(format!(
                "an embedding is an array of shape (dimensions,) of float32 or float64, not one of shape {shape:?} of {dtype}"
            )));
        }
        // NumPy copies any stride, alignment and byte order.
        let copy = array.call_method1("astype", ("float32", "C"))?;
        let values = copy.extract::<PyReadonlyArray1<'py, f32>>()?.to_vec()?;
        Embedding::new(values)
            .map(Self)
            .map_err(|_| PyValueError::new_err("the numbers of an embedding must be finite and not all 0"))
    }
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
        workers: Option<i64>,
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
            let count = usize::try_from(workers)
                .ok()
                .filter(|_| WORKERS.contains(&workers));
            builder = builder.workers(count.ok_or_else(|| {
                let (least, most) = (WORKERS.start(), WORKERS.end());
                PyValueError::new_err(format!(
                    "workers must be between {least} and {most}, not {workers}"
                ))
            })?);
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
        selfie: Source<'_>,
        photo: Source<'_>,
        profile: &str,
        multiface: bool,
        timeout: Option<f64>,
    ) -> PyResult<Verified> {
        let profile = Profile::builtin(profile).ok_or_else(|| {
            let names = Profile::BUILTIN_NAMES.join(", ");
            PyValueError::new_err(format!("unknown profile {profile:?}; use one of {names}"))
        })?;
        let options = VerifyOptions::default()
            .with_profile(profile)
            .with_photo_multiface(multiface)
            .with_budget(budget(timeout)?);
        let selfie = self.load(py, selfie, ImageRole::Selfie)?;
        let photo = self.load(py, photo, ImageRole::Photo)?;
        let result = py.detach(|| self.engine.verify(selfie.input(), photo.input(), &options));
        verified(py, &result.map_err(Failure::from)?)
    }

    #[pyo3(signature = (selfie, *, threshold=None, timeout=None))]
    fn liveness(
        &self,
        py: Python<'_>,
        selfie: Source<'_>,
        threshold: Option<f64>,
        timeout: Option<f64>,
    ) -> PyResult<Checked> {
        let mut options = LivenessOptions::default().with_budget(budget(timeout)?);
        if let Some(threshold) = threshold {
            options = options.with_threshold(threshold);
        }
        let selfie = self.load(py, selfie, ImageRole::Selfie)?;
        let result = py.detach(|| self.engine.liveness(selfie.input(), &options));
        checked(py, &result.map_err(Failure::from)?)
    }

    #[pyo3(signature = (image, *, all_faces=false, timeout=None))]
    fn embed(
        &self,
        py: Python<'_>,
        image: Source<'_>,
        all_faces: bool,
        timeout: Option<f64>,
    ) -> PyResult<Vec<Embedded>> {
        let options = EmbedOptions::default()
            .with_all_faces(all_faces)
            .with_budget(budget(timeout)?);
        let image = self.load(py, image, ImageRole::Photo)?;
        let result = py.detach(|| self.engine.embed(image.input(), &options));
        let faces = result.map_err(Failure::from)?;
        faces.iter().map(|face| embedded(py, face)).collect()
    }

    #[pyo3(signature = (image, *, timeout=None))]
    fn detect(&self, py: Python<'_>, image: Source<'_>, timeout: Option<f64>) -> PyResult<Vec<Py<Face>>> {
        let budget = budget(timeout)?;
        let image = self.load(py, image, ImageRole::Photo)?;
        let result = py.detach(|| self.engine.detect(image.input(), &budget));
        faces(py, &result.map_err(Failure::from)?)
    }

    fn compare(&self, py: Python<'_>, one: Vector, other: Vector) -> PyResult<Compared> {
        let compared = py.detach(|| self.engine.compare(&one.0, &other.0));
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
    /// Brings an image into the form that the engine reads, without the GIL: of a file no more than one byte beyond the limit
    /// is read, and of an array that is beyond the limits nothing is copied.
    fn load(&self, py: Python<'_>, source: Source<'_>, role: ImageRole) -> Result<Loaded, Failure> {
        match source {
            Source::Bytes(bytes) => Ok(Loaded::Bytes(bytes)),
            Source::File(path) => {
                let read = py.detach(|| self.read(&path));
                read.map(Loaded::File).map_err(|error| Failure::File(path, error))
            }
            Source::Pixels(array) => {
                let refused = |source| EngineError::Image { role, source };
                let side = |axis: usize| {
                    let length = array.shape().get(axis).copied().unwrap_or_default();
                    u32::try_from(length).unwrap_or(u32::MAX)
                };
                let (height, width) = (side(0), side(1));
                self.engine.limits().check_size(width, height).map_err(refused)?;
                let view = array.as_array();
                let values = py.detach(|| view.iter().copied().collect());
                let image = Image::from_rgb8(width, height, values).map_err(refused)?;
                Ok(Loaded::Pixels(image))
            }
        }
    }

    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        use std::io::Read;
        let mut bytes = Vec::new();
        let limit = self.engine.limits().max_bytes as u64;
        std::fs::File::open(path)?
            .take(limit + 1)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

fn budget(timeout: Option<f64>) -> PyResult<Budget> {
    let Some(seconds) = timeout else {
        return Ok(Budget::unlimited());
    };
    if seconds.is_nan() || seconds < 0.0 {
        return Err(PyValueError::new_err(format!(
            "timeout must be 0 seconds or more, not {seconds}"
        )));
    }
    let timeout = Duration::try_from_secs_f64(seconds).ok();
    // What the clock cannot express never comes.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    Ok(deadline.map_or_else(Budget::unlimited, |deadline| {
        Budget::unlimited().with_deadline(deadline)
    }))
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
            Failure::Engine(EngineError::Option(message)) => PyValueError::new_err(message),
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
    let message = with_causes(&error);
    match error {
        // Python's settings are arguments.
        BuildError::Setting(_) => PyValueError::new_err(message),
        BuildError::Pack(
            PackError::NoStore { .. }
            | PackError::MissingFile { .. }
            | PackError::MissingCohort { .. }
            | PackError::WrongFile { .. },
        ) => SetupError::new_err(format!(
            "{message}\nfrom Python, likeness.fetch_models(DIR) fetches the models, and Engine(models=DIR) opens them"
        )),
        _ => SetupError::new_err(message),
    }
}

fn fetch_error(error: &PackError) -> PyErr {
    let message = with_causes(error);
    SetupError::new_err(match error {
        PackError::License { .. } => message.replace("give --accept-license", "pass accept_license=True"),
        _ => message,
    })
}

/// Returns the message of an error and those of its causes.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // Errors that are transparent repeat their cause.
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        source = cause.source();
    }
    message
}

/// Fetches the models of a pack into a model store, and returns the names of the files that were fetched.
#[pyfunction]
#[pyo3(signature = (folder, pack=None, *, accept_license=false))]
fn fetch_models(
    py: Python<'_>,
    folder: PathBuf,
    pack: Option<String>,
    accept_license: bool,
) -> PyResult<Vec<String>> {
    let mut pull = Pull::default();
    pull.mirror = Mirror::from_environment();
    pull.accept_license = accept_license;
    // Of use to exports only.
    pull.drop_sources = true;
    let cancellation = pull.cancellation.clone();
    let (sender, results) = channel();
    // A thread of its own, which an interrupt need not wait for: another process may hold the lock of the store.
    std::thread::Builder::new().spawn(move || {
        let result = pull.run(&Store::at(folder), pack.as_deref(), &|_| {});
        // The receiver is gone after an interrupt.
        let _ = sender.send(result);
    })?;
    py.detach(move || {
        loop {
            match results.recv_timeout(SIGNAL_INTERVAL) {
                Ok(result) => {
                    return result
                        .map(|pulled| pulled.fetched)
                        .map_err(|error| fetch_error(&error));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(PyRuntimeError::new_err("the thread that fetches models panicked"));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Err(interrupt) = Python::attach(|py| py.check_signals()) {
                cancellation.cancel();
                let _ = results.recv_timeout(CANCEL_TIMEOUT);
                return Err(interrupt);
            }
        }
    })
}

#[pymodule]
mod _likeness {
    #[pymodule_export]
    use super::{
        Checked, Compared, Embedded, Engine, Face, LikenessError, Line, SetupError, Verified, fetch_models,
    };

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
