//! What the end-to-end tests share: the real binary as a child process, a client that sends exactly the bytes it is
//! told, and JSON that keeps what a JSON library hides.
#![allow(dead_code, reason = "no suite uses all of it")]

pub(crate) mod answers;
pub(crate) mod client;
pub(crate) mod form;
pub(crate) mod json;
pub(crate) mod process;
pub(crate) mod report;
pub(crate) mod server;
pub(crate) mod storage;

use std::path::Path;
use std::time::Duration;

use likeness_testing::{Failed, Outcome};

/// No wait of a test is longer, and none is expected to come near: it is there so that what hangs is seen to fail.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Reads a picture of the shared test data.
pub(crate) fn picture(shared: &Path, name: &str) -> Result<Vec<u8>, Failed> {
    let path = shared.join("data").join(name);
    std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Runs a check on each of several named cases and reports all that fail, not only the first.
pub(crate) fn for_each<T>(
    cases: impl IntoIterator<Item = (impl AsRef<str>, T)>,
    mut check: impl FnMut(T) -> Outcome,
) -> Outcome {
    let mut count = 0;
    let mut failures = Vec::new();
    for (name, case) in cases {
        count += 1;
        if let Err(failure) = check(case) {
            let said = failure.message().unwrap_or("failed");
            failures.push(format!("{}: {said}", name.as_ref()));
        }
    }
    if count == 0 {
        return Err("there is no case".into());
    }
    if failures.is_empty() {
        return Ok(());
    }
    Err(format!("{} of {count} cases:\n{}", failures.len(), failures.join("\n")).into())
}

/// Whether a text is what a pattern says, where each `*` of the pattern stands for some characters, at least one; and
/// what they are.
pub(crate) fn captures<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut found = Vec::new();
    let mut pieces = pattern.split('*');
    let mut rest = text.strip_prefix(pieces.next()?)?;
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        let length = if pieces.peek().is_none() {
            rest.len().checked_sub(piece.len())?
        } else {
            rest.find(piece)?
        };
        if length == 0 || !rest.get(length..)?.starts_with(piece) {
            return None;
        }
        found.push(rest.get(..length)?);
        rest = rest.get(length + piece.len()..)?;
    }
    rest.is_empty().then_some(found)
}
