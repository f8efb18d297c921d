//! Services with an audit, and what they have recorded.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use likeness_testing::{Failed, Outcome, ensure};
use serde_json::Value;

use crate::support::TIMEOUT;
use crate::support::process::{Ended, Process};
use crate::support::server::Server;
use crate::support::storage::Storage;
use likeness_testing::http::{Form, flat};

pub(crate) const BIOMETRIC: &str = "/v0.2/biometric-verification";
pub(crate) const LIVENESS: &str = "/v0.2/liveness-verification";

/// A service with one worker on this storage.
pub(crate) fn serve(storage: &Storage, more: impl FnOnce(&mut Command)) -> Result<Server, Failed> {
    Server::start(|command| {
        storage.set_for(command);
        command.args(["--workers", "1"]);
        more(command);
    })
}

/// Runs `likeness audit`.
pub(crate) fn audit(storage: &Storage, arguments: &[&str]) -> Result<Ended, Failed> {
    Process::run(&mut storage.command(&[&["audit"], arguments].concat()))
}

/// The events in the files or in the storage.
pub(crate) fn events_of(storage: &Storage, from: &str) -> Result<Vec<Value>, Failed> {
    let ended = audit(storage, &["export", "--since", "2020-01-01", "--from", from])?;
    ensure!(ended.code == Some(0), "{ended:?}");
    ended
        .stdout
        .lines()
        .map(|line| Ok(serde_json::from_str::<Value>(line)?["event"].take()))
        .collect()
}

pub(crate) fn files(storage: &Storage) -> Result<Vec<PathBuf>, Failed> {
    let mut files = Vec::new();
    for instance in std::fs::read_dir(storage.folder().join("audit"))? {
        for entry in std::fs::read_dir(instance?.path())? {
            files.extend(
                Some(entry?.path()).filter(|path| path.extension().is_some_and(|name| name == "jsonl")),
            );
        }
    }
    files.sort();
    Ok(files)
}

/// A number of the operator's port.
pub(crate) fn metric(server: &Server, name: &str) -> Result<f64, Failed> {
    let answer = server.operate("GET", "/metrics", "")?;
    let text = String::from_utf8(answer.body)?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.ok_or_else(|| format!("no {name} in\n{text}"))?.parse()?)
}

/// Asks for a number until it is as wanted.
pub(crate) fn wait_for_metric(server: &Server, name: &str, wanted: impl Fn(f64) -> bool) -> Outcome {
    let begun = Instant::now();
    loop {
        let value = metric(server, name)?;
        if wanted(value) {
            return Ok(());
        }
        ensure!(begun.elapsed() < TIMEOUT, "{name} stays {value}");
    }
}

pub(crate) fn stop(server: &Server) -> Outcome {
    server.terminate()?;
    let status = server.wait()?;
    ensure!(status.code() == Some(0), "{status}\n{}", server.log.text());
    Ok(())
}

pub(crate) fn selfie() -> Result<Form, Failed> {
    Ok(Form::new().file("selfie", &flat(400, 400)?))
}
