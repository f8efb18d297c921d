//! ONNX Runtime for Likeness: finding the shared library, execution providers, opening models, and sharing them between
//! workers. The only crate that names `ort`.
//!
//! ```no_run
//! use likeness_runtime::{LibrarySearch, Provider, Runtime};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::load(&LibrarySearch::new(), Provider::Cpu)?;
//! let mut session = runtime.open("model.onnx", &std::fs::read("model.onnx")?)?;
//! let outputs = session.run([1, 3, 128, 128], &[0.0; 3 * 128 * 128])?;
//! println!("{:?}", outputs.get("scores")?.shape);
//! # Ok(())
//! # }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;
mod library;
mod memory;
mod opener;
mod provider;
mod runtime;
mod session;
mod sessions;
mod shared;
mod signature;

pub use error::{Adapter, LibraryAtHand, Misfit, RuntimeError};
pub use library::{ENV_LIBRARY, LibrarySearch, OLDEST_MINOR_VERSION};
pub use memory::{give_back_freed_memory, keep_freed_memory};
pub use provider::{Execution, ExecutionError, Precision, Provider, ProviderOptions};
pub use runtime::{ENV_NO_TELEMETRY, Runtime};
pub use session::{ModelSession, Outputs};
pub use sessions::Tensor;
pub use signature::{ImageInput, TensorSpec, VectorOutput, listed, shape_text};

/// The `ort` that this crate is built with, for embedders who bring their own environment to
/// `Runtime::from_environment`.
#[cfg(feature = "unstable-ort")]
pub use ort;

/// Returns how many workers this machine can keep busy: the processors that the process may use, the CPU quota of its
/// control group included, at least one.
#[must_use]
pub fn available_workers() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
