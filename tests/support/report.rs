//! The reports of `likeness eval`.

use std::ffi::OsStr;
use std::path::Path;

use likeness_testing::{Failed, ensure};
use serde_json::Value;

use super::process::{Process, likeness};

/// Runs a command, which must succeed without output on standard error, and returns its output.
pub(crate) fn succeeds<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Result<String, Failed> {
    let ended = Process::run(likeness().args(arguments))?;
    ensure!(ended.code == Some(0), "{ended:?}");
    ensure!(ended.stderr.is_empty(), "{}", ended.stderr);
    Ok(ended.stdout)
}

/// Reads the report in a folder of results.
pub(crate) fn report(out: &Path) -> Result<Value, Failed> {
    Ok(serde_json::from_slice(&std::fs::read(out.join("report.json"))?)?)
}

/// Returns a number of a report by its path, such as `/comparisons/genuine`.
pub(crate) fn number(report: &Value, pointer: &str) -> Result<f64, Failed> {
    let found = report.pointer(pointer).and_then(Value::as_f64);
    found.ok_or_else(|| format!("no number at {pointer} in {report}").into())
}
