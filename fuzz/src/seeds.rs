//! Inputs to start from.

use std::path::Path;

/// Environment variable with a folder: a target that finds it set writes its seeds there and exits.
const FOLDER: &str = "LIKENESS_FUZZ_SEEDS";

/// Writes the seeds if [`FOLDER`] is set; then the process exits.
///
/// # Panics
/// If the seeds cannot be written, or the counters do not count.
pub fn write_if_asked(seeds: impl FnOnce() -> Vec<Vec<u8>>) {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    crate::check_counters();
    let folder = Path::new(&folder);
    for (index, seed) in seeds().iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{index:03}")), seed).expect("the folder is writable");
    }
    std::process::exit(0);
}

/// Seeds that are text.
pub fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
