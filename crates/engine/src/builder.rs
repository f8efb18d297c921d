//! Putting an engine together.

mod fingerprint;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use likeness_detection::{self as detection, FaceDetector};
use likeness_embedding::{self as embedding, FaceEmbedder};
use likeness_imaging::Limits;
use likeness_liveness::{LivenessModel, ScaledCropLiveness};
use likeness_packs::Passes;
use likeness_packs::{
    Calibration, CalibrationFile, DEFAULT_PACK, LivenessCalibration, MatchCalibration, Pack, PackError,
    ScoreCurve, Store, StoreSearch,
};
use likeness_quality::FaceQuality;
use likeness_runtime::{Execution, LibrarySearch, Pool, Provider, Runtime, available_workers};

use crate::aside::Aside;
use crate::engine::{FreedMemory, Inner};
use crate::info::licenses;
use crate::look::Detail;
use crate::self_test::self_test;
use crate::worker::Worker;
use crate::{BuildError, Engine, EngineInfo, ModelError};

/// How many faces of an image are looked at unless the builder is told otherwise.
pub const DEFAULT_MAX_FACES: usize = 64;

/// What an engine without a liveness calibration says of it.
const UNCALIBRATED_LIVENESS: &str = "none: the models' mean live probability as it is";

/// What an engine without a match calibration says of it.
const UNCALIBRATED_MATCH: &str = "none: similarities only, no confidence";

/// The rewrites that make models fast on this provider: all on the CPU, elsewhere those that are not made for ONNX Runtime's
/// CPU kernels.
#[must_use]
pub fn default_rewriting(provider: Provider) -> Passes {
    match provider {
        Provider::Cpu => Passes::all(),
        _ => Passes::portable(),
    }
}

type Factory<T> = Arc<dyn Fn() -> Result<Box<T>, ModelError> + Send + Sync>;

/// Puts an [`Engine`] together.
#[derive(Clone)]
#[must_use = "nothing is built before `build`"]
pub struct EngineBuilder {
    library: LibrarySearch,
    execution: Execution,
    runtime: Option<Runtime>,
    store: StoreSearch,
    pack: String,
    limits: Limits,
    workers: Option<usize>,
    max_faces: usize,
    min_face_score: Option<f32>,
    calibrations: Vec<PathBuf>,
    rewriting: Option<Passes>,
    uncalibrated: bool,
    raw_scores: bool,
    self_tested: bool,
    detector: Option<Factory<dyn FaceDetector>>,
    embedder: Option<(Factory<dyn FaceEmbedder>, ScoreCurve)>,
    liveness: Option<Factory<dyn LivenessModel>>,
}

impl std::fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("library", &self.library)
            .field("execution", &self.execution)
            .field("store", &self.store)
            .field("pack", &self.pack)
            .field("limits", &self.limits)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

impl EngineBuilder {
    pub(crate) fn new() -> Self {
        Self {
            library: LibrarySearch::new(),
            execution: Execution::default(),
            runtime: None,
            store: StoreSearch::new(),
            pack: DEFAULT_PACK.to_owned(),
            limits: Limits::default(),
            workers: None,
            max_faces: DEFAULT_MAX_FACES,
            min_face_score: None,
            calibrations: Vec::new(),
            rewriting: None,
            uncalibrated: false,
            raw_scores: false,
            self_tested: false,
            detector: None,
            embedder: None,
            liveness: None,
        }
    }

    /// Where to look for the ONNX Runtime library.
    pub fn library(mut self, search: LibrarySearch) -> Self {
        self.library = search;
        self
    }

    /// What executes the models, a [`Provider`] or one with options; on the CPU unless told
    /// otherwise. Where it cannot be had, [`build`](Self::build) fails: no other one takes its place.
    pub fn provider(mut self, execution: impl Into<Execution>) -> Self {
        self.execution = execution.into();
        self
    }

    /// Uses this ONNX Runtime instead of looking for one, for example the embedder's own environment through
    /// [`Runtime::from_environment`].
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Where to look for model files.
    pub fn store(mut self, search: StoreSearch) -> Self {
        self.store = search;
        self
    }

    /// The model pack; [`DEFAULT_PACK`] unless told otherwise.
    pub fn pack(mut self, name: impl Into<String>) -> Self {
        self.pack = name.into();
        self
    }

    /// Which rewrites of [`likeness_onnx::optimize`] are made of the pack's models before ONNX Runtime gets them;
    /// [`default_rewriting`] of the provider unless told otherwise. They change how fast a model is, and what it computes by rounding only.
    pub fn rewriting(mut self, passes: Passes) -> Self {
        self.rewriting = Some(passes);
        self
    }

    /// What an image may measure.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How many calls run at the same time, 1..=1024; as many as the process has processors unless told otherwise. Each
    /// worker holds the pack's models in memory once.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// How many faces of an image are looked at, the largest, 1..=1024; [`DEFAULT_MAX_FACES`] unless told otherwise.
    /// With [`VerifyOptions::photo_multiface`](crate::VerifyOptions::photo_multiface) each costs an embedding.
    pub fn max_faces(mut self, faces: usize) -> Self {
        self.max_faces = faces;
        self
    }

    /// The detector score from which on something is a face, 0..=1; the pack's own (0.6) unless told otherwise. A custom
    /// detector decides for itself.
    pub fn min_face_score(mut self, score: f32) -> Self {
        self.min_face_score = Some(score);
        self
    }

    /// Uses the calibration in this file, written by `likeness calibrate`, instead of the pack's own; call it once for
    /// the match confidence and once for the liveness.
    pub fn calibration_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.calibrations.push(path.into());
        self
    }

    /// Also takes a pack without a match calibration where no file brings one: liveness, embeddings and similarities can
    /// then be had, and calls that need a confidence fail with
    /// [`EngineError::Uncalibrated`](crate::EngineError::Uncalibrated).
    pub fn uncalibrated(mut self, uncalibrated: bool) -> Self {
        self.uncalibrated = uncalibrated;
        self
    }

    /// Applies no calibration, whatever the pack has: liveness is the models' mean live probability, and there is no match
    /// confidence. For fitting calibrations; goes with no calibration file.
    pub fn raw_scores(mut self, raw: bool) -> Self {
        self.raw_scores = raw;
        self
    }

    /// Runs the pack's self-test vectors before anything else is done with its models, on the very bytes that are then
    /// used: an engine that does not compute what the pack says it should is not built. It takes as long as opening the
    /// models once more. Off unless asked for.
    pub fn self_tested(mut self) -> Self {
        self.self_tested = true;
        self
    }

    /// Uses another detector. The factory is called once for each worker.
    pub fn detector<D: FaceDetector + 'static>(
        mut self,
        factory: impl Fn() -> Result<D, ModelError> + Send + Sync + 'static,
    ) -> Self {
        self.detector = Some(Arc::new(move || Ok(Box::new(factory()?))));
        self
    }

    /// Uses another embedder, with the curve from its similarities to match confidences. The factory is called once for each worker.
    pub fn embedder<E: FaceEmbedder + 'static>(
        mut self,
        curve: ScoreCurve,
        factory: impl Fn() -> Result<E, ModelError> + Send + Sync + 'static,
    ) -> Self {
        self.embedder = Some((Arc::new(move || Ok(Box::new(factory()?))), curve));
        self
    }

    /// Uses another liveness model. The factory is called once for each worker.
    pub fn liveness<L: LivenessModel + 'static>(
        mut self,
        factory: impl Fn() -> Result<L, ModelError> + Send + Sync + 'static,
    ) -> Self {
        self.liveness = Some(Arc::new(move || Ok(Box::new(factory()?))));
        self
    }

    /// Loads ONNX Runtime and the pack, checks every file and whether each model's declared inputs and outputs are what its
    /// adapter needs, opens the models for every worker. Where all three models are custom, neither ONNX Runtime nor a pack
    /// is looked for.
    ///
    /// # Errors
    /// [`BuildError`], by what is missing or wrong.
    pub fn build(self) -> Result<Engine, BuildError> {
        let workers = self.workers.unwrap_or_else(available_workers);
        if !(1..=1024).contains(&workers) {
            return Err(BuildError::Setting(format!(
                "workers must be between 1 and 1024, not {workers}"
            )));
        }
        if !(1..=1024).contains(&self.max_faces) {
            let message = format!("max_faces must be between 1 and 1024, not {}", self.max_faces);
            return Err(BuildError::Setting(message));
        }
        if let Some(score) = self.min_face_score.filter(|score| !(0.0..=1.0).contains(score)) {
            return Err(BuildError::Setting(format!(
                "min_face_score must be between 0 and 1, not {score}"
            )));
        }
        let parts = if self.needs_pack() {
            Some(Parts::load(&self)?)
        } else {
            None
        };
        let parts = parts.as_ref();
        let calibrations = self.calibrations(parts)?;
        if let Some(parts) = parts.filter(|_| self.self_tested) {
            parts.self_test()?;
        }
        let (match_curve, match_calibration) = self.match_curve(parts, calibrations.of_match.as_ref())?;
        let of_pack = parts
            .filter(|_| self.liveness.is_none())
            .and_then(|parts| parts.pack.manifest().calibration.of_liveness.as_ref());
        let (liveness_curve, liveness_calibration) = match calibrations.of_liveness.as_ref().or(of_pack) {
            _ if self.raw_scores => (None, UNCALIBRATED_LIVENESS.to_owned()),
            Some(calibration) => (calibration.curve(), calibration.describe()),
            None if self.liveness.is_some() => (None, "custom".to_owned()),
            None => (None, UNCALIBRATED_LIVENESS.to_owned()),
        };
        let aside = Aside::new(workers)?;
        let sets = aside.each(vec![(); workers], |()| self.worker(parts))?;
        let manifest = parts.map(|parts| parts.pack.manifest());
        let runtime = parts.map(|parts| &parts.runtime);
        let execution = runtime.map(Runtime::execution);
        let info = EngineInfo {
            runtime_version: runtime.map_or_else(String::new, |runtime| runtime.version().to_owned()),
            runtime_library: runtime.and_then(|runtime| runtime.library().map(ToOwned::to_owned)),
            provider: execution
                .map_or("custom", |execution| execution.provider().as_str())
                .to_owned(),
            device: execution.map_or_else(String::new, Execution::device),
            precision: execution
                .map_or("", |execution| execution.precision().as_str())
                .to_owned(),
            pack: manifest.map_or("custom", |manifest| &manifest.name).to_owned(),
            pack_version: manifest.map_or("", |manifest| &manifest.version).to_owned(),
            pack_digest: manifest.map_or("", |manifest| &manifest.digest).to_owned(),
            commercial_use: manifest.map(|manifest| manifest.commercial_use),
            licenses: manifest.map(licenses).unwrap_or_default(),
            match_calibration,
            liveness_calibration,
            workers,
        };
        Ok(Engine::new(Inner {
            aside,
            workers: Pool::new(sets),
            match_curve,
            liveness_curve,
            limits: self.limits,
            max_faces: self.max_faces,
            detail: self.detail(parts),
            info,
            warming: Mutex::new(()),
            _memory: FreedMemory,
        }))
    }

    /// The curve to match confidences, where there is to be one, and what to call it.
    fn match_curve(
        &self,
        parts: Option<&Parts>,
        of_file: Option<&MatchCalibration>,
    ) -> Result<(Option<ScoreCurve>, String), BuildError> {
        if self.raw_scores {
            return Ok((None, UNCALIBRATED_MATCH.to_owned()));
        }
        if let Some((_, curve)) = &self.embedder {
            return Ok((Some(curve.clone()), "custom".to_owned()));
        }
        let manifest = parts
            .map(|parts| parts.pack.manifest())
            .ok_or_else(|| missing("embedder"))?;
        match of_file.or(manifest.calibration.of_match.as_ref()) {
            Some(calibration) => {
                // Both were checked when they were read.
                let curve = calibration
                    .curve()
                    .ok_or_else(|| BuildError::Setting("the match calibration is no curve".to_owned()))?;
                Ok((Some(curve), calibration.describe()))
            }
            None if self.uncalibrated => Ok((None, UNCALIBRATED_MATCH.to_owned())),
            None => Err(BuildError::Uncalibrated {
                pack: manifest.name.clone(),
            }),
        }
    }

    fn needs_pack(&self) -> bool {
        self.detector.is_none() || self.embedder.is_none() || self.liveness.is_none()
    }

    /// The store; where the pack is named by its path, its files may lie beside its manifest and no store need be there.
    fn model_store(&self) -> Result<Store, PackError> {
        let is_path = self.pack.contains(['/', '\\']);
        self.store.find().or_else(|error| {
            if is_path {
                Ok(self.store.place())
            } else {
                Err(error)
            }
        })
    }

    /// Reads the calibration files: at most one of a kind, each of the pack in use and of a role that the pack fills.
    fn calibrations(&self, parts: Option<&Parts>) -> Result<Calibrations, BuildError> {
        if self.raw_scores && !self.calibrations.is_empty() {
            let message = "raw scores and a calibration file exclude each other";
            return Err(BuildError::Setting(message.to_owned()));
        }
        let mut found = Calibrations::default();
        for path in &self.calibrations {
            let place = path.display().to_string();
            let file = CalibrationFile::read(path)?;
            let (role, is_custom) = match file.calibration {
                Calibration::Match(_) => ("embedder", self.embedder.is_some()),
                Calibration::Liveness(_) => ("liveness model", self.liveness.is_some()),
            };
            let Some(parts) = parts.filter(|_| !is_custom) else {
                return Err(BuildError::Setting(format!(
                    "calibration {place}: it is for a pack's {role}, but this engine's is custom"
                )));
            };
            file.check_pack(&place, parts.pack.manifest())?;
            let is_second = match file.calibration {
                Calibration::Match(calibration) => found.of_match.replace(calibration).is_some(),
                Calibration::Liveness(calibration) => found.of_liveness.replace(calibration).is_some(),
            };
            if is_second {
                return Err(BuildError::Setting(format!(
                    "calibration {place}: there is another one for the {role} already"
                )));
            }
        }
        Ok(found)
    }

    /// What a face of either image needs; unknown of models that are not of a pack, which are shown images at their own
    /// size.
    fn detail(&self, parts: Option<&Parts>) -> Detail {
        let manifest = match parts {
            Some(parts) if self.detector.is_none() && self.embedder.is_none() => parts.pack.manifest(),
            _ => return Detail::default(),
        };
        // An aligned crop shows about as much as the detector's box.
        let embedders = manifest.embedders.iter().map(|model| model.size as f32);
        let photo = embedders.fold(FaceQuality::DETAIL, f32::max);
        // The crop of a liveness model shows no less than the box.
        let liveness = manifest.liveness.iter().map(|model| model.size as f32);
        let selfie = liveness.fold(photo.max(likeness_liveness::DETAIL), f32::max);
        Detail {
            photo: Some(photo),
            selfie: self.liveness.is_none().then_some(selfie),
        }
    }

    fn worker(&self, parts: Option<&Parts>) -> Result<Worker, BuildError> {
        Ok(Worker {
            detector: match (&self.detector, parts) {
                (Some(factory), _) => factory().map_err(BuildError::Custom)?,
                (None, Some(parts)) => detection::open(&parts.runtime, &parts.pack, self.min_face_score)?,
                (None, None) => return Err(missing("detector")),
            },
            embedder: match (&self.embedder, parts) {
                (Some((factory, _)), _) => factory().map_err(BuildError::Custom)?,
                (None, Some(parts)) => embedding::open(&parts.runtime, &parts.pack)?,
                (None, None) => return Err(missing("embedder")),
            },
            liveness: match (&self.liveness, parts) {
                (Some(factory), _) => factory().map_err(BuildError::Custom)?,
                (None, Some(parts)) => Box::new(ScaledCropLiveness::open(&parts.runtime, &parts.pack)?),
                (None, None) => return Err(missing("liveness model")),
            },
        })
    }
}

/// The calibrations that replace those of the pack.
#[derive(Default)]
struct Calibrations {
    of_match: Option<MatchCalibration>,
    of_liveness: Option<LivenessCalibration>,
}

fn missing(role: &str) -> BuildError {
    BuildError::Setting(format!("there is no {role}"))
}

/// What the models of a pack are opened from.
struct Parts {
    runtime: Runtime,
    pack: Pack,
}

impl Parts {
    fn load(builder: &EngineBuilder) -> Result<Self, BuildError> {
        let runtime = match &builder.runtime {
            Some(runtime) => runtime.clone(),
            None => Runtime::load(&builder.library, builder.execution.clone())?,
        };
        let pack = builder.model_store()?.load(&builder.pack)?;
        let passes = builder
            .rewriting
            .unwrap_or_else(|| default_rewriting(runtime.provider()));
        Ok(Self {
            pack: pack.optimized(&passes),
            runtime: runtime.sharing(),
        })
    }

    fn self_test(&self) -> Result<(), BuildError> {
        for test in self_test(&self.runtime, &self.pack) {
            if let Err(reason) = test.outcome {
                let model = test.model;
                return Err(BuildError::SelfTest { model, reason });
            }
        }
        Ok(())
    }
}
