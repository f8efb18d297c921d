//! Builds an engine.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use derive_setters::Setters;
use likeness_detection::{Detectors, FaceDetector};
use likeness_embedding::{self as embedding, Cohort, EmbeddingBinding, FaceEmbedder};
use likeness_heif::SystemHeif;
use likeness_imaging::{HeifDecoder, ImageLimits};
use likeness_liveness::{LivenessEnsemble, LivenessModel};
use likeness_packs::{
    Calibration, CalibrationFile, DEFAULT_PACK, LivenessCalibration, LivenessCurve, MAX_COHORT_BYTES,
    MatchCalibration, Pack, PackCalibration, PackError, Passes, ScoreCurve, Store, StoreSearch,
};
use likeness_quality::FaceQuality;
use likeness_runtime::{Execution, LibrarySearch, Provider, Runtime, available_workers};
use parking_lot::Mutex;

use crate::engine::{Engine, FreedMemory, Inner};
use crate::error::{BuildError, ModelError};
use crate::faces::{Detail, FaceSearch};
use crate::info::{CalibrationInfo, CohortInfo, EngineInfo, EngineLabels, PackInfo, RuntimeInfo};
use crate::self_test::self_test;
use crate::workers::{Worker, Workers};

/// Name of the folder with the ONNX Runtime library, below that of [`EngineBuilder::files`].
pub const LIBRARY_FOLDER: &str = "onnxruntime";

/// Name of the model store, below the folder of [`EngineBuilder::files`].
pub const MODELS_FOLDER: &str = "models";

/// How many faces of an image count by default.
pub const DEFAULT_MAX_FACES: usize = 64;

/// Returns the optimization passes that make models fast on this provider: all on the CPU, elsewhere those that are not made
/// for ONNX Runtime's CPU kernels.
#[must_use]
pub fn default_passes(provider: Provider) -> Passes {
    match provider {
        Provider::Cpu => Passes::all(),
        _ => Passes::portable(),
    }
}

/// The cohort that similarities are normalised by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CohortChoice {
    /// That of the match calibration in use: the pack's own, or a calibration file's; none where it has none.
    #[default]
    Calibrated,
    /// None: the similarity is the cosine, calibrated by the pack's points for it.
    None,
    /// A file written by `likeness calibrate cohort`, which must be the one of the match calibration in use.
    File(PathBuf),
}

impl CohortChoice {
    fn file_name(&self) -> Option<String> {
        match self {
            Self::File(path) => Some(path.file_name()?.to_string_lossy().into_owned()),
            _ => None,
        }
    }
}

/// How HEIC and AVIF are decoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum HeifChoice {
    /// They are refused by name.
    #[default]
    Off,
    /// By the system's libheif, in a process of this program for each image: one that calls
    /// [`serve`](likeness_heif::serve) when its first argument is [`COMMAND`](likeness_heif::COMMAND).
    System,
    /// The same, in processes of another program, such as an installed `likeness` of the same version.
    Program(PathBuf),
}

impl HeifChoice {
    /// Starts the process once, to find out that it can decode.
    fn decoder(&self) -> Result<Option<Arc<dyn HeifDecoder>>, BuildError> {
        let program = match self {
            Self::Off => return Ok(None),
            Self::System => None,
            Self::Program(program) => Some(program.clone()),
        };
        Ok(Some(Arc::new(SystemHeif::start(program)?)))
    }
}

type Factory<T> = Arc<dyn Fn() -> Result<Box<T>, ModelError> + Send + Sync>;

/// Builds an [`Engine`]. Each method sets what it is named after and returns the builder. Default: an engine of the default
/// pack on the CPU.
#[derive(Clone, Default, Setters)]
#[setters(strip_option)]
#[must_use = "nothing is built before `build`"]
pub struct EngineBuilder {
    /// Where to search for the ONNX Runtime library.
    library: LibrarySearch,
    /// The execution provider, a [`Provider`] or one with options. Default: the CPU. Where it is not available,
    /// [`build`](Self::build) fails; there is no fallback.
    #[setters(rename = "provider", into)]
    execution: Execution,
    /// The ONNX Runtime to use instead of searching for one, such as one that other code of the process has loaded.
    runtime: Option<Runtime>,
    /// Where to search for the model store.
    store: StoreSearch,
    /// The model pack. Default: [`DEFAULT_PACK`].
    #[setters(into)]
    pack: Option<String>,
    /// The largest image that is accepted.
    limits: ImageLimits,
    /// How HEIC and AVIF are decoded. Default: they are refused.
    heif: HeifChoice,
    /// How many requests run at the same time, 1..=1024. Default: the processors that the process may use. Each worker
    /// holds the pack's models in memory once.
    workers: Option<usize>,
    /// How many faces of an image count, the largest, 1..=1024. Default: [`DEFAULT_MAX_FACES`]. With
    /// [`VerifyOptions::photo_multiface`](crate::VerifyOptions::photo_multiface) each costs an embedding.
    max_faces: Option<usize>,
    /// The lowest detector score of a face, 0..=1. Default: the pack's own (0.6). It does not apply to a custom detector.
    min_face_score: Option<f32>,
    #[setters(skip)]
    calibrations: Vec<PathBuf>,
    /// The cohort that similarities are normalised by. Default: that of the match calibration in use.
    cohort: CohortChoice,
    /// The optimization passes that the pack's models go through before ONNX Runtime opens them. Default:
    /// [`default_passes`] of the provider. They change the speed of a model, and its results by rounding only.
    passes: Option<Passes>,
    /// Whether to accept a pack without a match calibration where no file brings one: liveness, embeddings and similarities
    /// are then available, and requests that need a confidence fail with
    /// [`EngineError::Uncalibrated`](crate::EngineError::Uncalibrated). Default: no.
    uncalibrated: bool,
    /// Whether to apply no calibration at all: the liveness score is the models' fused live probability, and there is no
    /// match confidence. For fitting calibrations; excludes calibration files. Default: no.
    raw_scores: bool,
    /// Whether to run the pack's self-test vectors first, on the same bytes that are then used: an engine that does not
    /// compute what the pack says is not built. Takes as long as opening the models once more. Default: no.
    self_test: bool,
    #[setters(skip)]
    detector: Option<Factory<dyn FaceDetector>>,
    #[setters(skip)]
    embedder: Option<(Factory<dyn FaceEmbedder>, ScoreCurve)>,
    #[setters(skip)]
    liveness: Option<Factory<dyn LivenessModel>>,
}

impl std::fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("execution", &self.execution)
            .field("store", &self.store)
            .field("pack", &self.pack)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Returns a builder, by default of an engine of the default pack on the CPU.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }
}

impl EngineBuilder {
    /// The folder that `likeness::setup` has filled, for both the ONNX Runtime library ([`LIBRARY_FOLDER`]) and the models
    /// ([`MODELS_FOLDER`]); no other place is searched.
    pub fn files(self, folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref();
        self.library(LibrarySearch::new().with_folder(folder.join(LIBRARY_FOLDER)))
            .store(StoreSearch::new().with_folder(folder.join(MODELS_FOLDER)))
    }

    /// A calibration written by `likeness calibrate`, which replaces the pack's own. May be set once for the match
    /// confidence and once for the liveness.
    pub fn calibration_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.calibrations.push(path.into());
        self
    }

    /// The factory of a custom detector, called once for each worker.
    pub fn detector<D: FaceDetector + 'static>(
        mut self,
        factory: impl Fn() -> Result<D, ModelError> + Send + Sync + 'static,
    ) -> Self {
        self.detector = Some(Arc::new(move || Ok(Box::new(factory()?))));
        self
    }

    /// The factory of a custom embedder, called once for each worker, and the curve from its similarities to match
    /// confidences.
    pub fn embedder<E: FaceEmbedder + 'static>(
        mut self,
        curve: ScoreCurve,
        factory: impl Fn() -> Result<E, ModelError> + Send + Sync + 'static,
    ) -> Self {
        self.embedder = Some((Arc::new(move || Ok(Box::new(factory()?))), curve));
        self
    }

    /// The factory of a custom liveness model, called once for each worker.
    pub fn liveness<L: LivenessModel + 'static>(
        mut self,
        factory: impl Fn() -> Result<L, ModelError> + Send + Sync + 'static,
    ) -> Self {
        self.liveness = Some(Arc::new(move || Ok(Box::new(factory()?))));
        self
    }

    /// Loads ONNX Runtime and the pack, checks every file and that each model's declared inputs and outputs are those that its
    /// adapter needs, and opens the models for every worker. Where all three models are custom, it needs neither ONNX Runtime
    /// nor a pack.
    ///
    /// # Errors
    /// [`BuildError`], by cause.
    pub fn build(self) -> Result<Engine, BuildError> {
        let workers = self.workers.unwrap_or_else(available_workers);
        let max_faces = self.max_faces.unwrap_or(DEFAULT_MAX_FACES);
        for (name, number) in [("workers", workers), ("max_faces", max_faces)] {
            if !(1..=1024).contains(&number) {
                return Err(BuildError::Setting(format!(
                    "{name} must be between 1 and 1024, not {number}"
                )));
            }
        }
        if let Some(score) = self.min_face_score.filter(|score| !(0.0..=1.0).contains(score)) {
            return Err(BuildError::Setting(format!(
                "min_face_score must be between 0 and 1, not {score}"
            )));
        }
        let heif = self.heif.decoder()?;
        let parts = self.needs_pack().then(|| Parts::load(&self)).transpose()?;
        let parts = parts.as_ref();
        let (calibrations, match_file) = self.calibrations(parts)?;
        if let Some(parts) = parts.filter(|_| self.self_test) {
            for test in self_test(&parts.runtime, &parts.pack) {
                if let Err(reason) = test.outcome {
                    let model = test.model;
                    return Err(BuildError::SelfTest { model, reason });
                }
            }
        }
        let of_match = calibrations.of_match.as_ref();
        let cohort = self.find_cohort(parts, match_file.zip(of_match))?;
        let (match_curve, match_calibration) = self.match_curve(parts, of_match, cohort.is_some())?;
        let (liveness_curve, liveness_calibration) =
            self.liveness_curve(parts, calibrations.of_liveness.as_ref());
        let info = EngineInfo {
            runtime: parts.map(|parts| RuntimeInfo::of(&parts.runtime)),
            pack: parts.map(|parts| PackInfo::of(parts.pack.manifest())),
            match_calibration,
            liveness_calibration,
            cohort: cohort.as_ref().map(CohortInfo::of),
            workers,
        };
        Ok(Engine {
            inner: Arc::new(Inner {
                workers: Workers::start(workers, || self.worker(parts))?,
                match_curve,
                cohort,
                cohort_file: self.cohort.file_name(),
                embedding_binding: parts
                    .filter(|_| self.embedder.is_none())
                    .map(|parts| EmbeddingBinding::of(parts.pack.manifest())),
                liveness_curve,
                faces: FaceSearch {
                    limits: self.limits,
                    heif,
                    max_faces,
                    detail: self.detail(parts),
                },
                labels: EngineLabels::from(&info),
                info,
                warming: Mutex::new(()),
                _memory: FreedMemory,
            }),
        })
    }

    /// Returns, readable, the name, version and digest of the pack and a digest of each calibration as they are now. It changes
    /// when [`build`](Self::build) would build another engine. Of the pack only the manifest is read, which pins the files;
    /// whether those exist and are correct, only `build` finds out.
    ///
    /// # Errors
    /// [`BuildError::Pack`] where the manifest or a calibration is missing or wrong.
    pub fn fingerprint(&self) -> Result<String, BuildError> {
        let mut parts = vec!["custom models".to_owned()];
        if self.needs_pack() {
            let manifest = self.model_store()?.manifest(self.pack_name())?;
            parts[0] = format!("{} {} ({})", manifest.name, manifest.version, manifest.digest);
        }
        for path in &self.calibrations {
            let file = CalibrationFile::read(path)?;
            let (role, calibration) = match &file.calibration {
                Calibration::Match(calibration) => ("match", calibration.describe()),
                Calibration::Liveness(calibration) => ("liveness", calibration.describe()),
            };
            // The pack that it is for decides whether it may be used at all.
            parts.push(format!(
                "{role} calibration {calibration} for {} {} ({})",
                file.pack, file.pack_version, file.pack_digest
            ));
        }
        match &self.cohort {
            CohortChoice::Calibrated => {}
            CohortChoice::None => parts.push("no cohort".to_owned()),
            CohortChoice::File(path) => {
                parts.push(format!("cohort {}", read_cohort(path)?.sha256()));
            }
        }
        Ok(parts.join(", "))
    }

    /// Returns the cohort of the match calibration in use: of the file, with its path, or the pack's.
    fn find_cohort(
        &self,
        parts: Option<&Parts>,
        of_file: Option<(&Path, &MatchCalibration)>,
    ) -> Result<Option<Cohort>, BuildError> {
        let Some(pack) = parts.map(|parts| &parts.pack).filter(|_| self.embedder.is_none()) else {
            return match &self.cohort {
                CohortChoice::File(path) => Err(BuildError::Setting(format!(
                    "cohort {}: it is for a pack's embedder, but this engine's is custom",
                    path.display()
                ))),
                _ => Ok(None),
            };
        };
        let wanted = match of_file {
            Some((_, calibration)) => calibration.cohort.as_ref(),
            None => pack.manifest().cohort(),
        };
        let (cohort, place) = match (&self.cohort, wanted, of_file) {
            (CohortChoice::None, Some(_), Some((path, _))) => {
                return Err(BuildError::Setting(format!(
                    "calibration {}: it was measured with a cohort, but none is to be used: calibrate again",
                    path.display()
                )));
            }
            (CohortChoice::None, ..) | (CohortChoice::Calibrated, None, _) => return Ok(None),
            (CohortChoice::File(path), ..) => {
                let cohort = read_cohort(path)?;
                let measured = self.raw_scores
                    || wanted.is_some_and(|wanted| wanted.sha256 == cohort.sha256())
                    || (self.uncalibrated && of_file.is_none() && wanted.is_none());
                if !measured {
                    return Err(BuildError::Setting(format!(
                        "cohort {}: the match calibration was measured {}: run `likeness calibrate match` with this cohort \
                         and use the calibration file that it writes",
                        path.display(),
                        wanted.map_or("without a cohort", |_| "with another cohort")
                    )));
                }
                (cohort, path.display().to_string())
            }
            (CohortChoice::Calibrated, Some(wanted), of_file) => {
                let own = pack.cohort().map(Cohort::parse).transpose();
                let own = own.map_err(|error| cohort_fault("of the pack", &error))?;
                match (own, of_file) {
                    (Some(own), _) if own.sha256() == wanted.sha256 => (own, "of the pack".to_owned()),
                    (_, Some((calibration, _))) => {
                        let Some(file) = &wanted.file else {
                            return Err(BuildError::Setting(format!(
                                "calibration {}: it was measured with a cohort that is not the pack's, and names no file",
                                calibration.display()
                            )));
                        };
                        let path = calibration.with_file_name(file);
                        let cohort = read_cohort(&path)?;
                        if cohort.sha256() != wanted.sha256 {
                            return Err(BuildError::Setting(format!(
                                "cohort {}: calibration {} was measured with another one: expected SHA-256 {}, found {}",
                                path.display(),
                                calibration.display(),
                                wanted.sha256,
                                cohort.sha256()
                            )));
                        }
                        (cohort, path.display().to_string())
                    }
                    // The pack's files were verified.
                    (_, None) => return Ok(None),
                }
            }
        };
        let checked = cohort.check(&EmbeddingBinding::of(pack.manifest()));
        checked.map_err(|error| cohort_fault(place, &error))?;
        Ok(Some(cohort))
    }

    /// Returns the curve to match confidences, where there is one, and where it comes from.
    fn match_curve(
        &self,
        parts: Option<&Parts>,
        of_file: Option<&MatchCalibration>,
        has_cohort: bool,
    ) -> Result<(Option<ScoreCurve>, CalibrationInfo), BuildError> {
        if self.raw_scores {
            return Ok((None, CalibrationInfo::Uncalibrated));
        }
        if let Some((_, curve)) = &self.embedder {
            return Ok((Some(curve.clone()), CalibrationInfo::Custom));
        }
        let manifest = parts
            .map(|parts| parts.pack.manifest())
            .ok_or_else(|| missing("embedder"))?;
        let of_pack = match &manifest.calibration {
            calibration if has_cohort => calibration.normalised.as_ref(),
            calibration => calibration.of_match.as_ref(),
        };
        match of_file.or(of_pack) {
            Some(calibration) => {
                // Both were checked when they were read.
                let curve = calibration
                    .curve()
                    .ok_or_else(|| BuildError::Setting("the match calibration is no curve".to_owned()))?;
                Ok((Some(curve), CalibrationInfo::Measured(calibration.describe())))
            }
            None if self.uncalibrated => Ok((None, CalibrationInfo::Uncalibrated)),
            None => Err(BuildError::Uncalibrated {
                pack: manifest.name.clone(),
            }),
        }
    }

    /// Returns the curve to liveness scores, where there is one, and where it comes from.
    fn liveness_curve(
        &self,
        parts: Option<&Parts>,
        of_file: Option<&LivenessCalibration>,
    ) -> (Option<LivenessCurve>, CalibrationInfo) {
        let of_pack = parts
            .filter(|_| self.liveness.is_none())
            .and_then(|parts| parts.pack.manifest().calibration.of_liveness.as_ref());
        match of_file.or(of_pack) {
            _ if self.raw_scores => (None, CalibrationInfo::Uncalibrated),
            Some(calibration) => (
                calibration.curve(),
                CalibrationInfo::Measured(calibration.describe()),
            ),
            None if self.liveness.is_some() => (None, CalibrationInfo::Custom),
            None => (None, CalibrationInfo::Uncalibrated),
        }
    }

    fn needs_pack(&self) -> bool {
        self.detector.is_none() || self.embedder.is_none() || self.liveness.is_none()
    }

    fn pack_name(&self) -> &str {
        self.pack.as_deref().unwrap_or(DEFAULT_PACK)
    }

    /// Returns the model store. A pack that is named by its path needs none: its files may lie beside its manifest.
    fn model_store(&self) -> Result<Store, PackError> {
        match self.store.find() {
            Err(_) if self.pack_name().contains(['/', '\\']) => Ok(self.store.place()),
            found => found,
        }
    }

    /// Reads the calibration files: at most one of a kind, each of the pack in use and of a role that the pack fills. Returns
    /// the path of the one of the match confidence as well.
    fn calibrations(&self, parts: Option<&Parts>) -> Result<(PackCalibration, Option<&Path>), BuildError> {
        if self.raw_scores && !self.calibrations.is_empty() {
            let message = "raw scores and a calibration file exclude each other";
            return Err(BuildError::Setting(message.to_owned()));
        }
        let (mut found, mut match_file) = (PackCalibration::default(), None);
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
                Calibration::Match(calibration) => {
                    match_file = Some(path.as_path());
                    found.of_match.replace(calibration).is_some()
                }
                Calibration::Liveness(calibration) => found.of_liveness.replace(calibration).is_some(),
            };
            if is_second {
                return Err(BuildError::Setting(format!(
                    "calibration {place}: another one for the {role} is set already"
                )));
            }
        }
        Ok((found, match_file))
    }

    /// Returns the pixels that a face of either image needs. Those of custom models are unknown: they get images at their own
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
                (None, Some(parts)) => {
                    Box::new(Detectors::open(&parts.runtime, &parts.pack, self.min_face_score)?)
                }
                (None, None) => return Err(missing("detector")),
            },
            embedder: match (&self.embedder, parts) {
                (Some((factory, _)), _) => factory().map_err(BuildError::Custom)?,
                (None, Some(parts)) => embedding::open(&parts.runtime, &parts.pack)?,
                (None, None) => return Err(missing("embedder")),
            },
            liveness: match (&self.liveness, parts) {
                (Some(factory), _) => factory().map_err(BuildError::Custom)?,
                (None, Some(parts)) => Box::new(LivenessEnsemble::open(&parts.runtime, &parts.pack)?),
                (None, None) => return Err(missing("liveness model")),
            },
        })
    }
}

/// Reads a cohort file, at most as many bytes as one can have.
fn read_cohort(path: &Path) -> Result<Cohort, BuildError> {
    let mut bytes = Vec::new();
    std::fs::metadata(path)
        // Not a pipe, which might never end.
        .and_then(|found| match found.is_file() {
            true => std::fs::File::open(path),
            false => Err(std::io::Error::other("it is not a file")),
        })
        .and_then(|file| file.take(MAX_COHORT_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| cohort_fault(path.display(), &error))?;
    Cohort::parse(&bytes).map_err(|error| cohort_fault(path.display(), &error))
}

fn cohort_fault(place: impl std::fmt::Display, error: &dyn std::error::Error) -> BuildError {
    BuildError::Setting(format!("cohort {place}: {error}"))
}

fn missing(role: &str) -> BuildError {
    BuildError::Setting(format!("there is no {role}"))
}

/// The runtime and the pack that models are opened from.
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
        let pack = builder.model_store()?.load(builder.pack_name())?;
        let passes = builder
            .passes
            .unwrap_or_else(|| default_passes(runtime.provider()));
        Ok(Self {
            pack: pack.optimized(&passes),
            runtime: runtime.sharing(),
        })
    }
}
