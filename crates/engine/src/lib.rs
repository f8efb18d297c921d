//! The Likeness engine: verifies a selfie against a photo. Detection, embedding, liveness and decision, without HTTP.
//!
//! ```no_run
//! use likeness_engine::{Engine, VerifyOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::builder().build()?;
//! let selfie = std::fs::read("selfie.jpg")?;
//! let photo = std::fs::read("photo.jpg")?;
//! let verification = engine.verify(&selfie, &photo, &VerifyOptions::default())?;
//! println!("{:?}: match {:?}", verification.decision.outcome(), verification.face_match);
//! # Ok(())
//! # }
//! ```
//!
//! An [`Engine`] is cheap to clone and may be used from any number of threads: as many requests run at the same time as it
//! has workers, each with models of its own; more wait. All methods block; from asynchronous code, call them on threads of
//! their own (`tokio::task::spawn_blocking`).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod check;
mod engine;
mod error;
mod faces;
mod info;
mod models;
mod options;
mod pool;
mod result;
mod self_test;
mod template;
mod verify;
mod workers;

pub use builder::{
    CohortChoice, DEFAULT_MAX_FACES, EngineBuilder, HeifChoice, LIBRARY_FOLDER, MODELS_FOLDER, default_passes,
};
pub use check::{ModelCheck, PackCheck, VectorCheck, check};
pub use engine::Engine;
pub use error::{BuildError, EngineError, ModelError};
pub use info::{CalibrationInfo, CohortInfo, EngineInfo, EngineLabels, PackInfo, RuntimeInfo};
pub use likeness_decision::ImageRole;
pub use models::Role;
pub use options::{Budget, CancelFlag, EmbedOptions, EnrolOptions, Input, LivenessOptions, VerifyOptions};
pub use result::{
    Comparison, EmbeddedFace, Enrolment, ImageReport, LivenessCheck, Size, TemplateVerification, Timings,
    Verification,
};
pub use self_test::{SelfTest, self_test};

pub use likeness_decision as decision;
pub use likeness_detection as detection;
pub use likeness_embedding as embedding;
pub use likeness_face as face;
pub use likeness_heif as heif;
pub use likeness_imaging as imaging;
pub use likeness_liveness as liveness;
pub use likeness_packs as packs;
pub use likeness_quality as quality;
pub use likeness_runtime as runtime;
