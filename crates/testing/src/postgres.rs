//! A PostgreSQL server for tests: from Debian's packages, on loopback, in a folder that goes with it.

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{Failed, Outcome, workspace};

/// The user that owns the databases.
const USER: &str = "likeness";

/// How long the server may take to start or to end.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The folder with the server's programs: of the machine, or unpacked by `make setup`.
#[must_use]
pub fn programs() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::env::var_os("PATH").map_or_else(Vec::new, |path| std::env::split_paths(&path).collect());
    let unpacked = workspace().join(".setup/postgresql/usr/lib/postgresql");
    for versions in [Path::new("/usr/lib/postgresql"), unpacked.as_path()] {
        let entries = std::fs::read_dir(versions).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = entries.map(|entry| entry.path().join("bin")).collect();
        found.sort_unstable();
        folders.extend(found.into_iter().rev());
    }
    let all = ["initdb", "postgres", "pg_isready", "createdb"];
    folders
        .into_iter()
        .find(|folder| all.iter().all(|program| folder.join(program).is_file()))
}

/// A running server. It ends when this is dropped, and when the process that started it ends, however that ends.
#[derive(Debug)]
pub struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
    password: String,
    keeper: Mutex<Option<Keeper>>,
    databases: AtomicU32,
}

/// The thread that the server is a child of: the server is told to end with its parent, which for Linux is a thread.
#[derive(Debug)]
struct Keeper {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Postgres {
    /// Makes a cluster and starts a server for it. Tests that stop their server have one of their own by this; others
    /// share that of their [`Suite`](crate::Suite).
    ///
    /// # Errors
    /// The programs are not there, or they fail; with what they said.
    pub fn start_new() -> Result<Self, Failed> {
        let programs = programs().ok_or("no PostgreSQL server here; run `make setup`")?;
        let folder = tempfile::tempdir()?;
        let password = format!("s3cret-{}-{}", std::process::id(), folder.path().display())
            .replace(|letter: char| !letter.is_ascii_alphanumeric(), "x");
        let secret = folder.path().join("password");
        writeln!(File::create(&secret)?, "{password}")?;
        if let Some(user) = other_user() {
            run(Command::new("chown").args(["-R", user]).arg(folder.path()))?;
        }
        let postgres = Self {
            port: own_port()?,
            folder,
            programs,
            password,
            keeper: Mutex::new(None),
            databases: AtomicU32::new(0),
        };
        run(postgres
            .program("initdb")
            .args([
                "--username",
                USER,
                "--auth",
                "scram-sha-256",
                "--encoding",
                "UTF8",
            ])
            .args(["--locale", "C", "--no-sync", "--no-instructions", "--pwfile"])
            .arg(&secret)
            .arg("--pgdata")
            .arg(postgres.data()))?;
        postgres.start()?;
        Ok(postgres)
    }

    /// The URL of a new, empty database.
    ///
    /// # Errors
    /// The server does not make one.
    pub fn new_database(&self) -> Result<String, Failed> {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        run(self.client("createdb").env("PGPASSWORD", &self.password).args([
            "--username",
            USER,
            "--maintenance-db",
            "postgres",
            &name,
        ]))?;
        Ok(format!(
            "postgres://{USER}:{}@127.0.0.1:{}/{name}",
            self.password, self.port
        ))
    }

    /// The password in the URLs, which nothing may show.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Starts the server if it is stopped, and waits until it accepts connections.
    ///
    /// # Errors
    /// It does not come up; with its log.
    pub fn start(&self) -> Outcome {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if keeper.is_some() {
            return Ok(());
        }
        let log = self.folder.path().join("log");
        let output = File::options().create(true).append(true).open(&log)?;
        let mut command = self.program("postgres");
        command
            .arg("-D")
            .arg(self.data())
            .args([
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
            ])
            .args(["-c", "fsync=off", "-c", "max_connections=200"])
            .args(["-c", &format!("port={}", self.port)])
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let (stop, stopped) = channel();
        let (report, started) = channel();
        let thread = thread::spawn(move || keep(command, &report, &stopped));
        started.recv()??;
        *keeper = Some(Keeper { stop, thread });
        let deadline = Instant::now() + TIMEOUT;
        while run(self.client("pg_isready").args(["--timeout", "1"])).is_err() {
            if Instant::now() > deadline {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("PostgreSQL does not accept connections; its log:\n{said}").into());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Stops the server at once, connections and all. Its databases stay.
    pub fn stop(&self) {
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Keeper { stop, thread }) = keeper {
            drop(stop);
            // Its panic would be one of the tests' own code; there is nothing to stop then.
            drop(thread.join());
        }
    }

    /// Suspends the server and all its processes until the returned value is dropped: connections stay open without a
    /// response. On Linux only.
    ///
    /// # Errors
    /// It does not run, or cannot be told.
    pub fn freeze(&self) -> Result<Frozen, Failed> {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid"))?;
        let server = file.lines().next().ok_or("the server has no process")?.trim();
        // First of all the one that makes the others.
        let mut frozen = Frozen(Vec::new());
        frozen.stop(server)?;
        for entry in std::fs::read_dir("/proc")? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            // A process may have ended meanwhile. The parent is the second number behind the name, which is in parentheses.
            let status = std::fs::read_to_string(format!("/proc/{name}/stat")).unwrap_or_default();
            let behind = status.rsplit_once(") ").map_or("", |(_, behind)| behind);
            if behind.split(' ').nth(1) == Some(server) {
                frozen.stop(&name)?;
            }
        }
        Ok(frozen)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A program of the server, run as the user that may run it: never root.
    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        let user = other_user();
        let mut command = if user.is_some() || Path::new("/usr/bin/setpriv").is_file() {
            let mut command = Command::new("setpriv");
            if let Some(user) = user {
                command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
            }
            command.args(["--pdeathsig", "QUIT", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        // Where the packages are unpacked only, their libraries are beside them.
        if let Some(root) = self.programs.ancestors().nth(4)
            && root.ends_with(".setup/postgresql")
        {
            let of = |folder: &str| root.join(format!("{folder}/{}-linux-gnu", std::env::consts::ARCH));
            if let Ok(paths) = std::env::join_paths([of("usr/lib"), of("lib")]) {
                command.env("LD_LIBRARY_PATH", paths);
            }
        }
        command.current_dir(self.folder.path());
        command
    }

    fn client(&self, name: &str) -> Command {
        let mut command = self.program(name);
        command.args(["--host", "127.0.0.1", "--port", &self.port.to_string()]);
        command
    }
}

/// A server that stands still until this is dropped.
#[derive(Debug)]
pub struct Frozen(Vec<String>);

impl Frozen {
    fn stop(&mut self, process: &str) -> Outcome {
        run(Command::new("kill").args(["-STOP", process]))?;
        self.0.push(process.to_owned());
        Ok(())
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        for process in self.0.iter().rev() {
            // One that has ended needs no telling.
            drop(run(Command::new("kill").args(["-CONT", process])));
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts the server, and ends it when the other end of `stopped` is dropped.
fn keep(mut command: Command, report: &Sender<std::io::Result<()>>, stopped: &Receiver<()>) {
    let mut server: Child = match command.spawn() {
        Ok(server) => server,
        Err(error) => {
            // The caller waits for it.
            let _ = report.send(Err(error));
            return;
        }
    };
    let _ = report.send(Ok(()));
    // Ends with an error when the sender is dropped, which is the sign.
    let _ = stopped.recv();
    // QUIT is PostgreSQL's immediate shutdown.
    let asked = run(Command::new("kill").args(["-QUIT", &server.id().to_string()]));
    let deadline = Instant::now() + TIMEOUT;
    while asked.is_ok() && Instant::now() < deadline {
        if !matches!(server.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let _ = server.kill();
    let _ = server.wait();
}

/// Whom the server runs as where this is root, which it refuses.
fn other_user() -> Option<&'static str> {
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    if !is_root {
        return None;
    }
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let has = |list: &str, name: &str| {
        list.lines()
            .any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')))
    };
    ["postgres", "nobody"]
        .into_iter()
        .find(|user| has(&accounts, user) && has(&groups, user))
        // Debian's `nobody` has the group `nogroup`.
        .or(Some("65534"))
}

/// Returns a port that stays this process' own while its server is stopped: outside the ranges that systems pick from
/// for port 0 and for outgoing connections (from 32768 on Linux, from 49152 elsewhere), and handed out once.
///
/// # Errors
/// No port is free.
pub fn own_port() -> std::io::Result<u16> {
    const FIRST: u16 = 20_000;
    const COUNT: u32 = 12_000;
    static HANDED_OUT: AtomicU32 = AtomicU32::new(0);
    // Processes that run at the same time begin at different places.
    let start = std::process::id().wrapping_mul(64);
    loop {
        let index = HANDED_OUT.fetch_add(1, Ordering::Relaxed);
        if index >= COUNT {
            return Err(std::io::Error::other("no port from 20000 to 31999 is free"));
        }
        let offset = u16::try_from(start.wrapping_add(index) % COUNT).unwrap_or_default();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, FIRST + offset)).is_ok() {
            return Ok(FIRST + offset);
        }
    }
}

/// Runs a program to its end.
fn run(command: &mut Command) -> Outcome {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{} failed: {said}", command.get_program().display()).into())
}
