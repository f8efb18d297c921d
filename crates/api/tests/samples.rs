//! The documented sample responses themselves: read into the wire types and written again, they are the same text, white
//! space apart. That holds the key order and the number formats to the documentation.

use std::path::Path;
use std::process::ExitCode;

use likeness_api::{BiometricResponse, LivenessResponse};
use likeness_testing::{Outcome, Suite, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_shared("reads_and_writes_the_biometric_sample", |shared| {
        same_text::<BiometricResponse>(&shared.join("api/sample-biometric-verification.json"))
    });
    suite.with_shared("reads_and_writes_the_liveness_sample", |shared| {
        same_text::<LivenessResponse>(&shared.join("api/sample-liveness-verification.json"))
    });
    suite.run()
}

fn same_text<T: Serialize + DeserializeOwned>(path: &Path) -> Outcome {
    let sample = std::fs::read_to_string(path)?;
    let body: T = serde_json::from_str(&sample)?;
    let (written, sample) = (squeezed(&serde_json::to_string(&body)?), squeezed(&sample));
    ensure!(written == sample, "written: {written}\n sample: {sample}");
    Ok(())
}

/// The text without white space.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}
