//! Programs that a pull has started, and how it is cancelled without leaving any of them behind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a program is asked whether it has ended.
const POLL: Duration = Duration::from_millis(20);

/// Cancels a pull: the clients of package registries that it has started are killed, what they have written is deleted, and
/// no more are started. What the pull itself downloads ends at the next piece that arrives.
///
/// Clones cancel the same pull. The programs are process groups of their own, so a signal to the group of this program does
/// not reach them: a program that exits during a pull must cancel it first.
#[derive(Debug, Clone, Default)]
pub struct Cancellation {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    is_cancelled: bool,
    running: BTreeMap<u32, Child>,
    folders: BTreeSet<PathBuf>,
}

/// How a program ended.
pub(super) enum Ended {
    By(ExitStatus),
    Timeout,
    Cancelled,
}

impl Cancellation {
    /// Cancels the pull. Programs and files are gone when this returns.
    pub fn cancel(&self) {
        let mut state = self.state();
        state.is_cancelled = true;
        for child in std::mem::take(&mut state.running).values_mut() {
            kill(child);
        }
        for folder in std::mem::take(&mut state.folders) {
            // It may be gone already.
            let _ = std::fs::remove_dir_all(folder);
        }
    }

    /// Returns whether the pull was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.state().is_cancelled
    }

    /// Has a folder deleted when the pull is cancelled.
    pub(super) fn delete_with(&self, folder: &Path) {
        self.state().folders.insert(folder.to_owned());
    }

    /// Waits for the program that `start` starts, and kills it when the pull is cancelled or the time is up.
    pub(super) fn run(
        &self,
        timeout: Duration,
        start: impl FnOnce() -> std::io::Result<Child>,
    ) -> std::io::Result<Ended> {
        let begin = Instant::now();
        let id = {
            let mut state = self.state();
            if state.is_cancelled {
                return Ok(Ended::Cancelled);
            }
            let child = start()?;
            let id = child.id();
            state.running.insert(id, child);
            id
        };
        loop {
            {
                let mut state = self.state();
                let Some(child) = state.running.get_mut(&id) else {
                    return Ok(Ended::Cancelled);
                };
                let status = child.try_wait();
                let is_late = begin.elapsed() >= timeout;
                match status {
                    Ok(None) if !is_late => {}
                    ended => {
                        if !matches!(ended, Ok(Some(_))) {
                            kill(child);
                        }
                        state.running.remove(&id);
                        return Ok(ended?.map_or(Ended::Timeout, Ended::By));
                    }
                }
            }
            std::thread::sleep(POLL);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kills a program with those that it has started. It has not been waited for, so no other has its number.
fn kill(child: &mut Child) {
    #[cfg(unix)]
    {
        // Fails where it has just ended.
        let _ = rustix::process::kill_process_group(
            rustix::process::Pid::from_child(child),
            rustix::process::Signal::KILL,
        );
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Read;
    use std::os::unix::process::CommandExt;
    use std::process::{ChildStdout, Command, Stdio};
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// A program whose own child would go on for ten minutes; its output, which both hold, goes to the sender.
    fn start(outputs: &Sender<ChildStdout>) -> std::io::Result<Child> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "sleep 600 & wait"])
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()?;
        // Without an output to wait for, the test fails.
        child.stdout.take().map(|output| outputs.send(output));
        Ok(child)
    }

    /// Waits until nobody can write there any more.
    fn ends(mut output: ChildStdout) -> std::io::Result<usize> {
        output.read_to_end(&mut Vec::new())
    }

    #[test]
    fn a_program_is_killed_with_its_children_when_its_time_is_up() {
        let (outputs, output) = channel();
        let ended = Cancellation::default().run(Duration::ZERO, || start(&outputs));
        assert!(matches!(ended, Ok(Ended::Timeout)));
        assert_eq!(ends(output.recv().unwrap()).unwrap(), 0);
    }

    #[test]
    fn cancelling_kills_what_runs_deletes_what_it_wrote_and_starts_no_more() {
        let (outputs, output) = channel();
        let folder = tempfile::tempdir().unwrap();
        let written = folder.path().join("written");
        std::fs::create_dir(&written).unwrap();
        let cancellation = Cancellation::default();
        cancellation.delete_with(&written);
        std::thread::scope(|scope| {
            let running = scope.spawn(|| cancellation.run(Duration::from_secs(600), || start(&outputs)));
            let output = output.recv().unwrap();
            cancellation.cancel();
            assert_eq!(ends(output).unwrap(), 0);
            assert!(matches!(running.join().unwrap(), Ok(Ended::Cancelled)));
        });
        assert!(cancellation.is_cancelled() && !written.exists());
        let ended = cancellation.run(Duration::from_secs(600), || unreachable!());
        assert!(matches!(ended, Ok(Ended::Cancelled)));
    }
}
