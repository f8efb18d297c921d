//! A storage, and the commands that are run on it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use likeness_testing::{Failed, TestDatabase, ensure};
use serde_json::Value;

use super::process::{Ended, Process, likeness};
use super::server::Server;

/// A storage of a test's own. What runs with it looks for changes often.
pub(crate) struct Storage {
    /// `None`: SQLite in the folder.
    url: Option<String>,
    folder: tempfile::TempDir,
}

impl Storage {
    pub(crate) fn of(database: &TestDatabase) -> Result<Self, Failed> {
        Self::at(database.url())
    }

    pub(crate) fn at(url: &str) -> Result<Self, Failed> {
        Ok(Self {
            url: Some(url.to_owned()),
            ..Self::new()?
        })
    }

    pub(crate) fn new() -> Result<Self, Failed> {
        Ok(Self {
            url: None,
            folder: tempfile::tempdir()?,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Has a command use this storage.
    pub(crate) fn set_for(&self, command: &mut Command) {
        if let Some(url) = &self.url {
            command.env("LIKENESS_DATABASE_URL", url);
        }
        command
            .env("LIKENESS__DATA_FOLDER", self.folder.path())
            .env("LIKENESS__DATABASE__REFRESH_SECONDS", "0.05");
    }

    /// The binary with this storage.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = likeness();
        command.args(arguments);
        self.set_for(&mut command);
        command
    }

    /// Runs `likeness apps`.
    pub(crate) fn apps(&self, arguments: &[&str]) -> Result<Ended, Failed> {
        Process::run(&mut self.command(&[&["apps"], arguments].concat()))
    }

    /// Runs `likeness apps … --json`, which must succeed.
    pub(crate) fn json(&self, arguments: &[&str]) -> Result<Value, Failed> {
        let ended = self.apps(&[arguments, &["--json"]].concat())?;
        ensure!(ended.code == Some(0) && ended.stderr.is_empty(), "{ended:?}");
        Ok(serde_json::from_str(&ended.stdout)?)
    }

    /// Runs `likeness apps` with this on its standard input.
    pub(crate) fn apps_with_input(&self, arguments: &[&str], input: &str) -> Result<Ended, Failed> {
        let mut command = self.command(&[&["apps"], arguments].concat());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child
            .stdin
            .take()
            .ok_or("no standard input")?
            .write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        Ok(Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }

    /// Starts a service.
    pub(crate) fn serve(&self, configure: impl FnOnce(&mut Command)) -> Result<Server, Failed> {
        let mut command = self.command(&["serve", "--workers", "1", "--listen", "127.0.0.1:0"]);
        configure(&mut command);
        Server::start_command(&mut command)
    }
}

/// The text under a key.
pub(crate) fn text(value: &Value, key: &str) -> Result<String, Failed> {
    let text = value[key].as_str().map(str::to_owned);
    text.ok_or_else(|| format!("no text `{key}` in {value}").into())
}
