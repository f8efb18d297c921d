//! `likeness serve` on a port that the system chose.

use std::ops::Deref;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use likeness_testing::contract::Service;
pub(crate) use likeness_testing::http::{APP, App, BRANCH, DISABLED, SECRETS, WRONG_KEY};
use likeness_testing::http::{BRANCH_FLOOR, BRANCH_PROFILES, Connection, Response};
use likeness_testing::{Failed, Outcome};

use super::process::{Lines, Process, likeness};

/// The settings of the apps, without their keys; and those that a service needs to hold the contract however busy the
/// machine is.
fn settings() -> String {
    let ([app, disabled, branch], (default, other)) =
        ([APP, DISABLED, BRANCH].map(|app| app.id), BRANCH_PROFILES);
    format!(
        r#"
[[apps]]
id = "{app}"

[[apps]]
id = "{disabled}"
disabled = true

[[apps]]
id = "{branch}"
default_profile = "{default}"
profiles = ["{other}"]
liveness_threshold_floor = {BRANCH_FLOOR}

[request_limits]
deadline_seconds = 60

[connections]
linger_seconds = 60
"#
    )
}

/// A process that serves. Its [`Service`] is what clients see of it.
pub(crate) struct Server {
    process: Mutex<Process>,
    /// Of its configuration, which it may read again.
    folder: Option<tempfile::TempDir>,
    /// Of its database, where the test gave it none.
    storage: Option<tempfile::TempDir>,
    service: Service,
    /// The line that it printed when it was ready.
    pub(crate) ready: String,
    pub(crate) stdout: Arc<Lines>,
    pub(crate) log: Arc<Lines>,
}

impl Server {
    /// Starts a server with the apps of the contract, and with what `configure` adds to the command.
    pub(crate) fn start(configure: impl FnOnce(&mut Command)) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("likeness.toml");
        std::fs::write(&file, settings())?;
        let keys = [APP, DISABLED, BRANCH].map(|app| format!("{}:{}", app.id, app.key));
        let mut command = likeness();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(&file)
            .env("LIKENESS_APPS", keys.join(","));
        configure(&mut command);
        let mut server = Self::start_command(&mut command)?;
        server.folder = Some(folder);
        Ok(server)
    }

    /// The server of a command that is whole.
    pub(crate) fn start_command(command: &mut Command) -> Result<Self, Failed> {
        let storage = storage_for(command)?;
        let process = Process::start(command)?;
        let (stdout, log) = (Arc::clone(&process.stdout), Arc::clone(&process.stderr));
        let ready = stdout
            .wait_for("`is ready on`", |line| line.contains(" is ready on "))
            .map_err(|failure| {
                let said = failure.message().unwrap_or_default();
                format!("the server did not start: {said}\n{}", log.text())
            })?;
        let address = ready
            .split_once("://")
            .and_then(|(_, rest)| rest.split([' ', '/']).next())
            .ok_or_else(|| format!("no address in {ready:?}"))?
            .parse()?;
        let service = Service { address };
        Ok(Self {
            process: Mutex::new(process),
            folder: None,
            storage,
            service,
            ready,
            stdout,
            log,
        })
    }

    /// Asks the server to stop, as a supervisor does.
    pub(crate) fn terminate(&self) -> Outcome {
        self.process().signal("TERM")
    }

    /// Asks the server to stop by several signals at once, as a wrapper does that signals a process and its group.
    pub(crate) fn terminate_by(&self, signals: &[&str]) -> Outcome {
        self.process().signals(signals)
    }

    /// Asks the server to stop, as a terminal does at Ctrl-C.
    pub(crate) fn interrupt(&self) -> Outcome {
        self.process().signal("INT")
    }

    /// The id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.process().id()
    }

    /// Kills the server.
    pub(crate) fn kill(&self) {
        self.process().kill();
    }

    /// Asks the server to reload by SIGHUP.
    pub(crate) fn hang_up(&self) -> Outcome {
        self.process().signal("HUP")
    }

    /// Sends a request without a body to the admin listener.
    pub(crate) fn operate(&self, method: &str, path: &str, headers: &str) -> Result<Response, Failed> {
        let line = self
            .stdout
            .wait_for("the admin listener", |line| line.starts_with("Admin listener: "))?;
        let address = line
            .split_once("http://")
            .ok_or_else(|| format!("no address in {line:?}"))?
            .1;
        let mut connection = Connection::open(address.parse()?)?;
        connection.send(&format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n"
        ))?;
        connection.admin_response()
    }

    /// Returns the resident memory of the process in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64, Failed> {
        self.process().resident_bytes()
    }

    /// Waits until the process has ended.
    pub(crate) fn wait(&self) -> Result<ExitStatus, Failed> {
        self.process().wait()
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Server {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

/// Returns a folder for the command's database unless it names one, so that nothing is written into the checkout.
pub(crate) fn storage_for(command: &mut Command) -> Result<Option<tempfile::TempDir>, Failed> {
    let chosen = command
        .get_envs()
        .any(|(name, value)| value.is_some() && name.to_string_lossy().contains("DATA"));
    if chosen {
        return Ok(None);
    }
    let folder = tempfile::tempdir()?;
    command.env("LIKENESS__DATA_FOLDER", folder.path());
    Ok(Some(folder))
}

/// A server that several tests share. It starts when the first of them asks for it.
pub(crate) struct Shared(OnceLock<Result<Server, String>>);

impl Shared {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    pub(crate) fn get(&self) -> Result<&Server, Failed> {
        let start = || {
            Server::start(|command| {
                command.args(["--workers", "2"]);
            })
            .map_err(|failure| failure.message().unwrap_or("it did not start").to_owned())
        };
        self.0.get_or_init(start).as_ref().map_err(Failed::from)
    }

    /// Ends the server, if there is one: statics are not dropped.
    pub(crate) fn end(&self) {
        if let Some(Ok(server)) = self.0.get() {
            server.process().kill();
        }
    }
}
