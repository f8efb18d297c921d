//! The program as a child process, and what it prints.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use likeness_testing::{Failed, Outcome, stand_in_pack, workspace};

use super::TIMEOUT;

/// Returns the command that starts the program in the root of the checkout, without the settings of the environment.
pub(crate) fn likeness() -> Command {
    build(Path::new(env!("CARGO_BIN_EXE_likeness")))
}

/// Like [`likeness`], for another build of the program.
pub(crate) fn build(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if (text.starts_with("LIKENESS") && text != "LIKENESS_MODELS")
            || text == "RUST_LOG"
            || text == "NO_COLOR"
        {
            command.env_remove(name);
        }
    }
    command.current_dir(workspace());
    command
}

/// A child process. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) stdout: Arc<Lines>,
    pub(crate) stderr: Arc<Lines>,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self, Failed> {
        // What needs a pack holds with any, where the test does not ask for the default one.
        let needs_pack = command
            .get_args()
            .any(|argument| argument == "serve" || argument == "doctor");
        if let Some(pack) = stand_in_pack().filter(|_| needs_pack) {
            command.env("LIKENESS__ENGINE__PACK", pack);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let stdout = Lines::read(child.stdout.take().ok_or("no standard output")?);
        let stderr = Lines::read(child.stderr.take().ok_or("no standard error")?);
        Ok(Self {
            child,
            stdout,
            stderr,
        })
    }

    /// Runs a command to its end.
    pub(crate) fn run(command: &mut Command) -> Result<Ended, Failed> {
        let mut process = Self::start(command)?;
        let status = process.wait()?;
        Ok(Ended {
            code: status.code(),
            stdout: process.stdout.text(),
            stderr: process.stderr.text(),
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) -> Outcome {
        self.signals(&[name])
    }

    /// Sends signals, each right after the one before. The shell's own `kill` is there on every Unix.
    pub(crate) fn signals(&self, names: &[&str]) -> Outcome {
        let status = Command::new("sh")
            .args(["-c", "for name; do kill -s \"$name\" \"$ID\" || exit; done", "sh"])
            .args(names)
            .env("ID", self.child.id().to_string())
            .status()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("kill: {status}").into())
        }
    }

    /// What the process has in memory now, in bytes, as Linux says.
    pub(crate) fn resident_bytes(&self) -> Result<u64, Failed> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kilobytes: u64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
            .ok_or("no VmRSS")?
            .trim()
            .parse()?;
        Ok(kilobytes * 1024)
    }

    /// Waits until the process has ended: it closes both outputs by that.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus, Failed> {
        self.stdout.wait_for_end()?;
        self.stderr.wait_for_end()?;
        Ok(self.child.wait()?)
    }

    /// Ends the process, whatever it is doing.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The lines that a process has printed so far.
#[derive(Default)]
pub(crate) struct Lines {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn read(from: impl Read + Send + 'static) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let here = Arc::clone(&lines);
        std::thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while matches!(from.read_until(b'\n', &mut line), Ok(length) if length > 0) {
                let text = String::from_utf8_lossy(&line);
                here.change(|state| state.lines.push(text.trim_end_matches('\n').to_owned()));
                line.clear();
            }
            here.change(|state| state.ended = true);
        });
        lines
    }

    /// The first line that is as wanted, as soon as it is there.
    pub(crate) fn wait_for(&self, what: &str, wanted: impl Fn(&str) -> bool) -> Result<String, Failed> {
        let found = self.wait_until(|state| {
            let line = state.lines.iter().find(|line| wanted(line)).cloned();
            (line.is_some() || state.ended).then_some(line)
        });
        found
            .flatten()
            .ok_or_else(|| format!("no line with {what} in:\n{}", self.text()).into())
    }

    fn wait_for_end(&self) -> Outcome {
        self.wait_until(|state| state.ended.then_some(()))
            .ok_or_else(|| format!("the process does not end; it printed:\n{}", self.text()).into())
    }

    /// Everything so far.
    pub(crate) fn text(&self) -> String {
        let state = self.lock();
        state.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn wait_until<T>(&self, ready: impl Fn(&State) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + TIMEOUT;
        let mut state = self.lock();
        loop {
            if let Some(result) = ready(&state) {
                return Some(result);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            (state, _) = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
