//! The progress of a batch on standard error: a bar on a terminal, elsewhere a line from time to time.

use std::fmt::Display;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::cli::{complain, warn};

/// Time between two lines where there is no terminal.
const INTERVAL: Duration = Duration::from_secs(30);

pub(crate) struct Progress {
    bar: ProgressBar,
    begin: Instant,
    total: u64,
    /// Pairs that an earlier run has done.
    before: u64,
    done: u64,
    last_line: Instant,
}

impl Progress {
    pub(crate) fn new(total: u64, before: u64) -> Self {
        let bar = ProgressBar::new(total).with_position(before);
        let template = "{bar:40} {human_pos}/{human_len} pairs, {per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.reset_eta();
        if before > 0 {
            complain(format_args!("resuming: {before} of {total} pairs are done"));
        }
        let begin = Instant::now();
        Self {
            bar,
            begin,
            total,
            before,
            done: 0,
            last_line: begin,
        }
    }

    /// Counts a pair.
    pub(crate) fn advance(&mut self) {
        self.bar.inc(1);
        self.done += 1;
        if self.bar.is_hidden() && self.last_line.elapsed() >= INTERVAL {
            self.last_line = Instant::now();
            complain(self.line());
        }
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// Returns a handle that prints warnings without disturbing the bar.
    pub(crate) fn warnings(&self) -> Warnings {
        Warnings(self.bar.clone())
    }

    /// Returns how long this run has taken.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Returns the pairs that this run has done, and how many a second.
    pub(crate) fn rate(&self) -> (u64, f64) {
        let seconds = self.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
        (self.done, self.done as f64 / seconds)
    }

    fn line(&self) -> String {
        let (done, rate) = (self.before + self.done, self.rate().1);
        let left = self.total.saturating_sub(done) as f64 / rate.max(f64::MIN_POSITIVE);
        let left = Duration::try_from_secs_f64(left).map_or_else(
            |_| "unknown time".to_owned(),
            |left| HumanDuration(left).to_string(),
        );
        format!("{done} of {} pairs, {rate:.1}/s, {left} left", self.total)
    }
}

/// Prints warnings beside the progress.
#[derive(Clone)]
pub(crate) struct Warnings(ProgressBar);

impl Warnings {
    pub(crate) fn print(&self, warning: impl Display) {
        self.0.suspend(|| warn(warning));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_pairs_the_rate_and_the_time_left() {
        let mut progress = Progress::new(1_000, 100);
        progress.done = 100;
        progress.begin = Instant::now() - Duration::from_secs(10);
        let line = progress.line();
        assert!(line.starts_with("200 of 1000 pairs, "), "{line}");
        // At most ten a second, as ten seconds or more have passed.
        assert!(line.contains("/s, ") && line.ends_with(" left"), "{line}");
    }
}
