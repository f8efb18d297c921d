//! Lines of the audit that are not in the database yet, in memory: a file that is truncated takes them away.

use std::collections::VecDeque;

/// The latest lines, by number. They follow each other without a gap.
#[derive(Debug)]
pub(super) struct Recent {
    lines: VecDeque<String>,
    /// Number of the last one.
    last: u64,
    /// How many there are at most.
    most: usize,
}

impl Recent {
    /// None, behind the line `last`.
    pub(super) fn new(last: u64, most: usize) -> Self {
        Self {
            lines: VecDeque::new(),
            last,
            most,
        }
    }

    /// Adds the next line; the oldest one makes room.
    pub(super) fn push(&mut self, line: String) {
        if self.lines.len() == self.most {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
        self.last += 1;
    }

    /// Forgets the lines up to this one.
    pub(super) fn forget(&mut self, seq: u64) {
        let count = seq.saturating_sub(self.last - self.lines.len() as u64);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.lines.drain(..count.min(self.lines.len()));
    }

    /// The lines that are left of those behind `after` up to `last`, and the number of the first one.
    pub(super) fn between(&self, after: u64, last: u64) -> Option<(u64, impl Iterator<Item = &str>)> {
        let before = self.last - self.lines.len() as u64;
        let first = after.max(before) + 1;
        let last = last.min(self.last);
        let place = |seq: u64| usize::try_from(seq - before).unwrap_or(usize::MAX);
        (first <= last).then(|| {
            let lines = self.lines.range(place(first) - 1..place(last));
            (first, lines.map(String::as_str))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(recent: &Recent, after: u64, last: u64) -> Option<(u64, Vec<&str>)> {
        let (first, lines) = recent.between(after, last)?;
        Some((first, lines.collect()))
    }

    #[test]
    fn the_latest_lines_are_there_until_they_are_forgotten() {
        let mut recent = Recent::new(10, 3);
        assert_eq!(between(&recent, 0, 10), None);
        for line in ["11", "12", "13", "14"] {
            recent.push(line.to_owned());
        }
        assert_eq!(between(&recent, 0, 99), Some((12, vec!["12", "13", "14"])));
        assert_eq!(between(&recent, 12, 13), Some((13, vec!["13"])));
        assert_eq!(between(&recent, 0, 11), None);
        assert_eq!(between(&recent, 14, 99), None);
        recent.forget(13);
        assert_eq!(between(&recent, 0, 99), Some((14, vec!["14"])));
        recent.forget(5);
        assert_eq!(between(&recent, 0, 99), Some((14, vec!["14"])));
        recent.forget(99);
        assert_eq!(between(&recent, 0, 99), None);
        recent.push("15".to_owned());
        assert_eq!(between(&recent, 0, 99), Some((15, vec!["15"])));
    }
}
