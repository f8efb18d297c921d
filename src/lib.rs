//! Likeness: on-premise face matching and passive liveness.
//!
//! Is the selfie a live person, and is it the person in the photo? This crate is the facade: it re-exports the
//! [engine](Engine) with everything an embedder needs and, with the feature `server`, the Kairos-compatible HTTP service.
//!
//! ```no_run
//! use likeness::{Engine, VerifyOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::builder().build()?;
//! let selfie = std::fs::read("selfie.jpg")?;
//! let photo = std::fs::read("photo.jpg")?;
//! let answer = engine.verify(&selfie, &photo, &VerifyOptions::default())?;
//! println!("{:?}: match {}, live {}", answer.decision.outcome(), answer.face_match, answer.liveness);
//! for line in &answer.decision.details {
//!     println!("{}: {}", line.code.as_str(), line.description);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! `server` and `cli` are on by default. An embedder who needs the engine only turns them off
//! (`default-features = false`) and compiles neither axum nor tokio.

pub use likeness_engine::*;

/// The wire types of the HTTP service, and the conversion from the engine's answers to them.
#[cfg(feature = "server")]
pub use likeness_api as api;

/// The HTTP service.
#[cfg(feature = "server")]
pub use likeness_server as server;

// The Rust in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
