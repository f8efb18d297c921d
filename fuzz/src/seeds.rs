//! Inputs to start from.

use std::path::Path;

/// Environment variable with a folder: a target that finds it writes its seeds there, and ends.
const FOLDER: &str = "LIKENESS_FUZZ_SEEDS";

/// Writes the seeds where [`FOLDER`] says so; then the process ends.
///
/// # Panics
/// Where they cannot be written.
pub fn write_if_asked(seeds: impl FnOnce() -> Vec<Vec<u8>>) {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    for (index, seed) in seeds().iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{index:03}")), seed).expect("seeds can be written");
    }
    std::process::exit(0);
}

/// Seeds that are text.
pub fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
