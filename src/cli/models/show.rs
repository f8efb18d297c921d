//! What a pull is doing, on standard error: bars where that is a terminal, lines where it is not.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use likeness_packs::fetch::Event;

/// Shows the events of a pull.
pub(super) struct Show {
    quiet: bool,
    /// Bars, where there is a terminal.
    bars: Option<MultiProgress>,
    by_file: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Show {
    pub(super) fn new(quiet: bool) -> Self {
        let bars = !quiet && std::io::stderr().is_terminal();
        Self {
            quiet,
            bars: bars.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr())),
            by_file: Mutex::default(),
        }
    }

    pub(super) fn event(&self, event: &Event<'_>) {
        if self.quiet {
            return;
        }
        match event {
            Event::Waiting { store } => self.line(&format!(
                "waiting for another process that pulls into {}; Ctrl-C gives up",
                store.display()
            )),
            Event::Fetching {
                file, size, there, ..
            } => self.begin(file, *size, *there),
            Event::Received { file, bytes } => self.with_bar(file, |bar| bar.set_position(*bytes)),
            Event::Retrying { file, from, why } => {
                self.line(&format!("{file}: {from}: {why}; trying again"));
            }
            Event::Refused { file, from, why } => {
                self.finish(file);
                self.line(&format!("{file}: not from {from}: {why}"));
            }
            Event::Fetched { file, from, bytes } => {
                self.finish(file);
                self.line(&format!("{file}: {bytes} bytes from {from}, checksum right"));
            }
            Event::Made { model, bytes } => {
                self.line(&format!("model {model}: {bytes} bytes, checksum right"));
            }
            // Events that are not known here have nothing to show.
            _ => {}
        }
    }

    /// Removes what is left of the bars.
    pub(super) fn end(&self) {
        if let Some(bars) = &self.bars {
            // Nothing is left to do where the terminal is gone.
            let _ = bars.clear();
        }
    }

    fn begin(&self, file: &str, size: Option<u64>, there: u64) {
        let Some(bars) = &self.bars else { return };
        let bar = bars.add(size.map_or_else(ProgressBar::new_spinner, ProgressBar::new));
        if let Ok(style) =
            ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left, {msg}")
        {
            bar.set_style(style);
        }
        bar.set_message(file.to_owned());
        bar.set_position(there);
        let mut by_file = self.by_file.lock().unwrap_or_else(PoisonError::into_inner);
        by_file.insert(file.to_owned(), bar);
    }

    fn with_bar(&self, file: &str, show: impl FnOnce(&ProgressBar)) {
        if self.bars.is_some() {
            let by_file = self.by_file.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(bar) = by_file.get(file) {
                show(bar);
            }
        }
    }

    fn finish(&self, file: &str) {
        self.with_bar(file, ProgressBar::finish_and_clear);
    }

    fn line(&self, line: &str) {
        let print = || {
            // Nothing is left to do where standard error is closed.
            let _ = writeln!(std::io::stderr(), "{line}");
        };
        match &self.bars {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }
}
