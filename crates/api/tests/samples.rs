//! The documented sample responses themselves: read into the wire types and written again, they are the same text, white
//! space apart. That holds the key order and the number formats to the documentation. The files lie in `api/` of the
//! folder that `LIKENESS_SHARED` names, or of `shared` beside the repository.

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use likeness_api::{BiometricResponse, LivenessResponse};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn main() {
    let arguments = Arguments::from_args();
    let shared = std::env::var_os("LIKENESS_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let trials = vec![
        trial::<BiometricResponse>(&shared, "sample-biometric-verification.json"),
        trial::<LivenessResponse>(&shared, "sample-liveness-verification.json"),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial<T: Serialize + DeserializeOwned>(shared: &Path, name: &str) -> Trial {
    let path = shared.join("api").join(name);
    let absent = !path.is_file();
    Trial::test(format!("reads_and_writes_{name}"), move || same_text::<T>(&path)).with_ignored_flag(absent)
}

fn same_text<T: Serialize + DeserializeOwned>(path: &Path) -> Result<(), Failed> {
    let sample = std::fs::read_to_string(path)?;
    let body: T = serde_json::from_str(&sample)?;
    let (written, sample) = (squeezed(&serde_json::to_string(&body)?), squeezed(&sample));
    if written == sample {
        Ok(())
    } else {
        Err(format!("written: {written}\n sample: {sample}").into())
    }
}

/// The text without white space.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}
