//! What is wrong with what a target does to one input.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use likeness_testing::allocation::{measure, set_ceiling};
use likeness_testing::{Suite, ensure};

use crate::mutate;
use crate::target::{Input, Target};

/// No bound of a target is near this; more would hurt the machine before it could be judged.
const CEILING: usize = 1 << 30;

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics of the targets are reported as failures, by their input's number, and not where they happen.
pub(crate) fn keep_panics_quiet() {
    panic::set_hook(Box::new(|info| {
        PANIC.with_borrow_mut(|message| *message = info.to_string());
    }));
}

/// What a target did to an input.
pub(crate) struct Judgement {
    /// Whether it was accepted.
    pub(crate) accepted: bool,
    /// Memory, in thousandths of the bound.
    pub(crate) peak: usize,
    /// For people; nothing is judged by it.
    pub(crate) took: Duration,
    /// What must not be.
    pub(crate) wrong: Option<String>,
}

impl Judgement {
    pub(crate) fn of(target: &Target, input: &Input) -> Self {
        let bound = (target.bound)(mutate::size(input));
        set_ceiling(CEILING);
        let started = Instant::now();
        let (answer, usage) = measure(|| panic::catch_unwind(AssertUnwindSafe(|| (target.read)(input))));
        let took = started.elapsed();
        set_ceiling(usize::MAX);
        let (accepted, outcome) = match answer {
            Ok(None) => (false, Ok(())),
            Ok(Some(check)) => (
                true,
                panic::catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|_| Err(last_panic())),
            ),
            Err(_) => (false, Err(last_panic())),
        };
        let over = usage.peak > bound || usage.largest > bound;
        let over = over.then(|| format!("took {usage:?} where {bound} bytes are allowed"));
        Self {
            accepted,
            peak: usage.peak.saturating_mul(1000) / bound.max(1),
            took,
            wrong: outcome.err().or(over),
        }
    }

    /// In a line.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{}, {:.1} % of the memory's bound, {:.1} ms",
            if self.accepted { "accepted" } else { "refused" },
            self.peak as f64 / 10.0,
            self.took.as_secs_f64() * 1000.0
        )
    }
}

fn last_panic() -> String {
    PANIC.with_borrow(|message| format!("panicked: {message}"))
}

/// Tests of the judgement itself: what it is there for is found.
pub(crate) fn test(suite: &mut Suite) {
    let target = |read| Target {
        name: "test",
        read,
        bound: |bytes| 1000 + 2 * bytes,
        small: Vec::new,
        real: None,
        floods: Vec::new,
    };
    suite.test("what_a_target_must_not_do_is_found", move || {
        let input = vec![vec![0; 100]];
        let wrong = |read| Judgement::of(&target(read), &input).wrong.unwrap_or_default();
        let panics = wrong(|input| {
            let behind = std::hint::black_box(&input[0])[100];
            (behind > 0).then(|| -> crate::target::Check { Box::new(|| Ok(())) })
        });
        ensure!(panics.contains("index is 100"), "a panic: {panics}");
        let takes = wrong(|input| {
            drop(std::hint::black_box(Vec::<u8>::with_capacity(
                2000 * input[0].len() / 100,
            )));
            None
        });
        ensure!(
            takes.contains("largest: 2000"),
            "memory that is given back: {takes}"
        );
        let takes = wrong(|_| {
            drop(std::hint::black_box([(); 20].map(|()| vec![1u8; 100])));
            None
        });
        ensure!(
            takes.contains("peak: 2000, largest: 100"),
            "memory in pieces: {takes}"
        );
        let makes = wrong(|_| Some(Box::new(|| Err("nonsense".to_owned()))));
        ensure!(makes == "nonsense", "a wrong result: {makes}");
        let fine = Judgement::of(&target(|_| Some(Box::new(|| Ok(())))), &input);
        ensure!(
            fine.wrong.is_none() && fine.accepted,
            "nothing wrong: {:?}",
            fine.wrong
        );
        Ok(())
    });
}
