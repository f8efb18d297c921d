//! Checks of the installation that the program brings, for the console.

use std::sync::OnceLock;

use parking_lot::Mutex;

/// The result of one check of the installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was found.
    pub state: CheckState,
    /// The subject, such as `processor` or `models`.
    pub name: String,
    /// The finding, or the problem and what to do about it.
    pub text: String,
}

/// What a check has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// No problem.
    Good,
    /// Something worth knowing.
    Note,
    /// A problem: the operator must act.
    Bad,
}

/// Runs the checks. Blocks.
type Run = Box<dyn Fn() -> Vec<Check> + Send + Sync>;

/// The checks, if the program brings any.
#[derive(Default)]
pub(crate) struct Checks {
    run: OnceLock<Run>,
    /// They build models: one run at a time.
    running: Mutex<()>,
}

impl Checks {
    pub(crate) fn set(&self, run: Run) {
        // A second call changes nothing.
        let _ = self.run.set(run);
    }

    pub(crate) fn exist(&self) -> bool {
        self.run.get().is_some()
    }

    /// Runs the checks; `None` if there are none, or if they are running already. Blocks.
    pub(crate) fn run(&self) -> Option<Vec<Check>> {
        let _running = self.running.try_lock()?;
        self.run.get().map(|run| run())
    }
}
