//! Likeness: on-premise face matching and passive liveness.
//!
//! This crate is the facade: it exports the [engine](Engine) with everything an embedder needs and, with the feature
//! `server`, the Kairos-compatible HTTP service. What it exports is covered by the stability policy (`docs/stability.md` in
//! the repository); the crates behind it are not.
//!
//! ```no_run
//! use likeness::{Engine, VerifyOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::builder().build()?;
//! let selfie = std::fs::read("selfie.jpg")?;
//! let photo = std::fs::read("photo.jpg")?;
//! let verification = engine.verify(&selfie, &photo, &VerifyOptions::default())?;
//! println!("{:?}: match {:?}", verification.decision.outcome(), verification.face_match);
//! for detail in &verification.decision.details {
//!     println!("{}: {}", detail.code.as_str(), detail.description);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `examples/` has more: a detector of one's own, use from tokio, a batch with progress. `docs/embed.md` in the repository
//! is the guide.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `server` | yes | `server`, the HTTP service, and `api`, its wire types: axum and tokio |
//! | `cli` | yes | the program `likeness`; enables `server` and `setup` |
//! | `setup` | by `cli` | `setup`, which fetches ONNX Runtime and the models: an HTTP client and TLS |
//! | `otel` | no | traces by OpenTelemetry's protocol, of the HTTP service |
//! | `unstable-ort` | no | `Runtime::from_environment`, with a type of the crate `ort` |
//!
//! An embedder of the engine alone turns the defaults off (`default-features = false`) and compiles neither axum nor tokio.
//! Features that begin with `unstable-` are not covered by the stability policy.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod report;
#[cfg(feature = "setup")]
pub mod setup;

pub use report::Report;

pub use likeness_engine::{
    Budget, BuildError, CalibrationInfo, CancelFlag, CohortChoice, CohortInfo, Comparison, DEFAULT_MAX_FACES,
    EmbedOptions, EmbeddedFace, Engine, EngineBuilder, EngineError, EngineInfo, EngineLabels, EnrolOptions,
    Enrolment, HeifChoice, ImageReport, ImageRole, Input, LivenessCheck, LivenessOptions, ModelCheck,
    ModelError, PackCheck, PackInfo, Role, RuntimeInfo, SelfTest, Size, TemplateVerification, Timings,
    VectorCheck, Verification, VerifyOptions, check, default_passes, self_test,
};

/// Profiles, thresholds and decisions.
pub mod decision {
    pub use likeness_engine::decision::{
        AtLeast, AtMost, Code, Decision, DecisionError, Detail, Evidence, Finding, MULTIPLE_FACES_AREA_RATIO,
        MeasuredFace, Measurement, NotAScore, Outcome, PoseWithin, Profile, ProfileError, QualityBoundError,
        QualityChecks, Score, Thresholds, ThresholdsError, Verdict, decide,
    };
}

/// The trait of detectors, for a detector of one's own.
pub mod detection {
    pub use likeness_engine::detection::{DetectionError, FIRST_PASS_SIDE, FaceDetector, Search};
    pub use likeness_engine::face::{BoundingBox, Face, Landmarks, Point, largest_first};
}

/// Embeddings, and the trait of embedders, for an embedder of one's own.
pub mod embedding {
    pub use likeness_engine::embedding::{
        Embedding, EmbeddingBinding, EmbeddingError, FaceEmbedder, FaceInImage, FaceTemplate,
        MAX_TEMPLATE_BYTES, Similarity, Template, TemplateError, align,
    };
}

/// Images: formats, limits, decoding.
pub mod imaging {
    pub use likeness_engine::imaging::{
        EncodedImage, Format, Header, HeifDecoder, HeifFile, Image, ImageLimits, ImagingError, Interrupt,
        Interrupted, Orientation, PixelRect, Reduced, Rotation, crop_resize_bilinear, decode, pad_to, probe,
        shrink_area,
    };
}

/// HEIC and AVIF by the system's libheif, in confined processes.
pub mod heif {
    pub use likeness_engine::heif::{COMMAND, HeifError, Library, SystemHeif, serve};
}

/// The trait of liveness models, for a model of one's own.
pub mod liveness {
    pub use likeness_engine::liveness::{LivenessError, LivenessModel};
}

/// Model packs and where they are found.
pub mod packs {
    pub use likeness_engine::packs::{
        Calibration, CalibrationFile, DEFAULT_PACK, ENV_STORE, LivenessCalibration, MAX_FILE_BYTES, Manifest,
        MatchCalibration, Pack, PackError, PackStatus, Pass, Passes, ScoreCurve, Store, StoreSearch,
    };
}

/// Face quality: how a face was photographed.
pub mod quality {
    pub use likeness_engine::face::Pose;
    pub use likeness_engine::quality::{FaceQuality, QualityError};
}

/// ONNX Runtime and its execution providers.
pub mod runtime {
    #[cfg(feature = "unstable-ort")]
    pub use likeness_engine::runtime::ort;
    pub use likeness_engine::runtime::{
        ENV_LIBRARY, ENV_NO_TELEMETRY, Execution, ExecutionError, LibrarySearch, Precision, Provider,
        ProviderOptions, Runtime, RuntimeError, available_workers, keep_freed_memory,
    };
}

/// The wire types of the HTTP service, and the conversion from the engine's results to them.
#[cfg(feature = "server")]
pub use likeness_api as api;

/// The HTTP service.
#[cfg(feature = "server")]
pub use likeness_server as server;

// The Rust in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

// So does that in the guide for embedders.
#[cfg(all(doctest, feature = "setup"))]
#[doc = include_str!("../docs/embed.md")]
struct Embed;
