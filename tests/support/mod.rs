//! What the end-to-end tests share: the program as a child process, and what it prints and responds.
#![allow(dead_code, unused_imports, reason = "no suite uses all of it")]

pub(crate) mod console;
pub(crate) mod groups;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod report;
pub(crate) mod responses;
pub(crate) mod server;
pub(crate) mod storage;

use std::path::Path;

use likeness::Engine;
use likeness_engine::imaging::{Image, ImageLimits, decode};

pub(crate) use likeness_testing::Failed;
pub(crate) use likeness_testing::for_each;
pub(crate) use likeness_testing::http::{TIMEOUT, captures};

/// Returns an engine of the default pack with one worker.
pub(crate) fn engine() -> Result<Engine, Failed> {
    Ok(Engine::builder().workers(1).build()?)
}

/// Decodes an image of the shared test data.
pub(crate) fn decoded(shared: &Path, name: &str) -> Result<Image, Failed> {
    Ok(decode(&image(shared, name)?, &ImageLimits::default())?)
}

/// Reads an image of the shared test data.
pub(crate) fn image(shared: &Path, name: &str) -> Result<Vec<u8>, Failed> {
    let path = shared.join("data").join(name);
    std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Waits until `found` returns a value.
pub(crate) fn eventually<T>(
    what: &str,
    mut found: impl FnMut() -> Result<Option<T>, Failed>,
) -> Result<T, Failed> {
    let end = std::time::Instant::now() + TIMEOUT;
    loop {
        if let Some(value) = found()? {
            return Ok(value);
        }
        if std::time::Instant::now() > end {
            return Err(format!("{what} did not happen within {TIMEOUT:?}").into());
        }
        std::thread::yield_now();
    }
}
