//! The Likeness engine: is the selfie a live person, and is it the person in the photo? Detection, embedding, liveness
//! and decision in one call, without HTTP.
//!
//! ```no_run
//! use likeness_engine::{Engine, VerifyOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::builder().build()?;
//! let selfie = std::fs::read("selfie.jpg")?;
//! let photo = std::fs::read("photo.jpg")?;
//! let answer = engine.verify(&selfie, &photo, &VerifyOptions::default())?;
//! println!("{:?}: match {}, live {}", answer.decision.outcome(), answer.face_match, answer.liveness);
//! # Ok(())
//! # }
//! ```
//!
//! An [`Engine`] is cheap to clone and may be called from any number of threads: as many calls run at the same time as
//! it has workers, each with models of its own; more wait. All calls block; from asynchronous code they belong on
//! threads of their own.

mod aside;
mod builder;
mod check;
mod engine;
mod error;
mod info;
mod look;
mod options;
mod result;
mod self_test;
mod verify;
mod worker;

pub use builder::{DEFAULT_MAX_FACES, EngineBuilder, default_rewriting};
pub use check::{ModelCheck, PackCheck, Role, VectorCheck, check};
pub use engine::Engine;
pub use error::{BuildError, EngineError, ModelError};
pub use info::EngineInfo;
pub use options::{Budget, EmbedOptions, Input, LivenessOptions, VerifyOptions};
pub use result::{Comparison, EmbeddedFace, ImageReport, LivenessCheck, Size, Timings, Verification};
pub use self_test::{SelfTest, self_test};

pub use likeness_decision as decision;
pub use likeness_decision::ImageRole;
pub use likeness_detection as detection;
pub use likeness_embedding as embedding;
pub use likeness_imaging as imaging;
pub use likeness_liveness as liveness;
pub use likeness_packs as packs;
pub use likeness_quality as quality;
pub use likeness_runtime as runtime;
