//! Runs a target on many inputs, on all processors, and judges each.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use likeness_testing::{Outcome, Suite, ensure};

use crate::judgement::Judgement;
use crate::mutate::{self, Random};
use crate::target::{Input, Target};

/// For a run of the suite: a second or two for each target.
const INPUTS: u64 = 4000;
/// A thread takes this many at a time, and is named after them, so that a stack that overflows tells where to look.
const BATCH: u64 = 500;

fn setting(name: &str, default: u64) -> Result<u64, String> {
    match std::env::var(name) {
        Ok(value) => value
            .parse()
            .map_err(|_| format!("{name} is {value:?} and no number")),
        Err(_) => Ok(default),
    }
}

/// What all threads find together.
#[derive(Default)]
struct Findings {
    accepted: AtomicU64,
    /// Largest use of memory, in thousandths of the bound.
    peak: AtomicUsize,
    slowest: Mutex<(Duration, u64)>,
    failed: AtomicBool,
    failures: Mutex<Vec<(u64, String)>>,
}

/// Adds the tests of a target to a suite.
pub(crate) fn add(suite: &mut Suite, target: &'static Target) {
    suite.test(format!("{}_small_files", target.name), move || {
        run(target, &(target.small)())
    });
    if let Some(real) = target.real {
        suite.with_shared(format!("{}_real_files", target.name), move |shared| {
            run(target, &real(shared)?)
        });
    }
    suite.test(format!("{}_floods", target.name), move || {
        run_as_they_are(target, &(target.floods)())
    });
}

/// Gives a target its inputs. It fails with the number of the first that shows something wrong.
fn run(target: &'static Target, seeds: &[Input]) -> Outcome {
    let count = setting("LIKENESS_FUZZ_INPUTS", INPUTS)?;
    let first = setting("LIKENESS_FUZZ_FIRST", 0)?;
    ensure!(!seeds.is_empty(), "no seeds");
    let accepted = seeds.iter().filter(|seed| (target.read)(seed).is_some()).count();
    let all = seeds.len();
    ensure!(
        accepted == all,
        "of {all} seeds only {accepted} are accepted as they are"
    );
    let end = first.saturating_add(count);
    let next = AtomicU64::new(first);
    let findings = Findings::default();
    let started = Instant::now();
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while !findings.failed.load(Ordering::Relaxed) {
                    let from = next.fetch_add(BATCH, Ordering::Relaxed);
                    if from >= end {
                        break;
                    }
                    let numbers = from..end.min(from + BATCH);
                    let name = format!("{} inputs from {from}", target.name);
                    let batch = std::thread::Builder::new().name(name).spawn_scoped(scope, || {
                        for number in numbers {
                            judge(target, seeds, number, &findings);
                        }
                    });
                    let joined = batch.map(std::thread::ScopedJoinHandle::join);
                    if !matches!(joined, Ok(Ok(()))) {
                        findings.fail(from, "no thread, or one that died".to_owned());
                    }
                }
            });
        }
    });
    let failures = findings
        .failures
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some((number, message)) = failures.into_iter().min() {
        return Err(format!("input {number}: {message}").into());
    }
    let seconds = started.elapsed().as_secs_f64();
    let (slowest, number) = findings
        .slowest
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    println!(
        "{}: {count} inputs of {} seeds, {:.0} a second, {:.1} % accepted, at most {:.1} % of the memory's bound, \
         slowest {:.1} ms (input {number})",
        target.name,
        seeds.len(),
        count as f64 / seconds,
        100.0 * findings.accepted.into_inner() as f64 / count.max(1) as f64,
        findings.peak.into_inner() as f64 / 10.0,
        slowest.as_secs_f64() * 1000.0,
    );
    Ok(())
}

/// Gives a target inputs as they are.
fn run_as_they_are(target: &Target, inputs: &[Input]) -> Outcome {
    for (place, input) in inputs.iter().enumerate() {
        let judgement = Judgement::of(target, input);
        println!(
            "{}: flood {place}, {} bytes: {}",
            target.name,
            mutate::size(input),
            judgement.summary()
        );
        if let Some(wrong) = judgement.wrong {
            return Err(format!("flood {place}: {wrong}").into());
        }
    }
    Ok(())
}

fn judge(target: &Target, seeds: &[Input], number: u64, findings: &Findings) {
    let input = mutate::input(seeds, &mut Random::of(target.name, number));
    let judgement = Judgement::of(target, &input);
    findings
        .accepted
        .fetch_add(u64::from(judgement.accepted), Ordering::Relaxed);
    findings.peak.fetch_max(judgement.peak, Ordering::Relaxed);
    let mut slowest = findings.slowest.lock().unwrap_or_else(PoisonError::into_inner);
    *slowest = (*slowest).max((judgement.took, number));
    if let Some(wrong) = judgement.wrong {
        findings.fail(number, wrong);
    }
}

impl Findings {
    fn fail(&self, number: u64, message: String) {
        self.failed.store(true, Ordering::Relaxed);
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.push((number, message));
    }
}
