//! `likeness serve` on a port that the system chose.

use std::net::SocketAddr;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use likeness_testing::{Failed, Outcome};

use super::client::{Answer, Connection};
use super::form::Form;
use super::process::{Lines, Process, likeness};

/// An app that may call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct App {
    pub(crate) id: &'static str,
    pub(crate) key: &'static str,
}

/// An app with the default settings. No answer and no log ever has its key in it.
pub(crate) const APP: App = App {
    id: "app-1",
    key: "key-1-Zq7hY2pLd84",
};
/// An app that is switched off.
pub(crate) const DISABLED: App = App {
    id: "app-off",
    key: "key-off-Wm4xT9sVb6",
};
/// An app with settings of its own, see [`SETTINGS`].
pub(crate) const BRANCH: App = App {
    id: "app-branch",
    key: "key-branch-Rk8vB3",
};
/// What no answer and no log may show.
pub(crate) const SECRETS: [&str; 4] = [APP.key, DISABLED.key, BRANCH.key, WRONG_KEY];
/// A key that belongs to no app.
pub(crate) const WRONG_KEY: &str = "key-wrong-Jd5nC6kQ";

/// The apps, without their keys. A request may take a minute and is listened to as long, so that nothing here depends
/// on how busy the machine is.
const SETTINGS: &str = r#"
[[apps]]
id = "app-1"

[[apps]]
id = "app-off"
disabled = true

[[apps]]
id = "app-branch"
default_profile = "strict-v0"
profiles = ["optimal-v0"]
liveness_threshold_floor = 0.45

[request_limits]
deadline_seconds = 60

[connections]
linger_seconds = 60
"#;

impl App {
    /// The headers, as most clients write them.
    pub(crate) fn headers(self) -> String {
        format!("app_id: {}\r\napp_key: {}\r\n", self.id, self.key)
    }
}

/// A server that is ready.
pub(crate) struct Server {
    process: Mutex<Process>,
    /// Of its configuration, which it may read again.
    folder: Option<tempfile::TempDir>,
    /// Of its storage, where the test gave it none.
    storage: Option<tempfile::TempDir>,
    pub(crate) address: SocketAddr,
    /// The line that it printed when it was ready.
    pub(crate) ready: String,
    pub(crate) stdout: Arc<Lines>,
    pub(crate) log: Arc<Lines>,
}

impl Server {
    /// A server with [`SETTINGS`], and with what `configure` adds to the command.
    pub(crate) fn start(configure: impl FnOnce(&mut Command)) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("likeness.toml");
        std::fs::write(&file, SETTINGS)?;
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
            .and_then(|(_, rest)| rest.split(' ').next())
            .ok_or_else(|| format!("no address in {ready:?}"))?
            .parse()?;
        Ok(Self {
            process: Mutex::new(process),
            folder: None,
            storage,
            address,
            ready,
            stdout,
            log,
        })
    }

    pub(crate) fn connect(&self) -> Result<Connection, Failed> {
        Connection::open(self.address)
    }

    /// Sends these bytes on a connection of their own.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<Answer, Failed> {
        let mut connection = self.connect()?;
        connection.send(bytes)?;
        connection.answer()
    }

    /// Sends a form with the credentials of [`APP`] on a connection of its own.
    pub(crate) fn post(&self, path: &str, form: &Form) -> Result<Answer, Failed> {
        self.send(&form.request(path, &APP.headers()))
    }

    pub(crate) fn get(&self, path: &str) -> Result<Answer, Failed> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address).as_bytes())
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

    /// Ends the server as nobody can prepare for.
    pub(crate) fn kill(&self) {
        self.process().kill();
    }

    /// Asks the server to read its models again, as supervisors of daemons do.
    pub(crate) fn hang_up(&self) -> Outcome {
        self.process().signal("HUP")
    }

    /// Sends a request without a body to the operator's port.
    pub(crate) fn operate(&self, method: &str, path: &str, headers: &str) -> Result<Answer, Failed> {
        let line = self
            .stdout
            .wait_for("the admin listener", |line| line.starts_with("Admin listener: "))?;
        let address = line
            .split_once("http://")
            .ok_or_else(|| format!("no address in {line:?}"))?
            .1;
        let mut connection = Connection::open(address.parse()?)?;
        connection
            .send(format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n").as_bytes())?;
        connection.operators_answer()
    }

    /// What the process has in memory now, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64, Failed> {
        self.process().resident_bytes()
    }

    /// Waits until the server has stopped.
    pub(crate) fn wait(&self) -> Result<ExitStatus, Failed> {
        self.process().wait()
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A folder for what the command stores, unless it says where: never the checkout.
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
