//! Work of a call that is done on another thread while the call's own does the rest.

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{BuildError, EngineError};

/// The threads on which calls have one half of their work done while they do the other.
#[derive(Debug)]
pub(crate) struct Aside {
    /// `None`: there is never a worker to spare.
    threads: Option<ThreadPool>,
}

impl Aside {
    /// For calls that share so many workers. Each half of a call begins with one of its own, so there is one more than
    /// there can be calls in halves.
    pub(crate) fn new(workers: usize) -> Result<Self, BuildError> {
        if workers < 2 {
            return Ok(Self { threads: None });
        }
        let threads = ThreadPoolBuilder::new()
            .num_threads(workers - 1)
            .thread_name(|index| format!("likeness-aside-{index}"))
            .build()
            .map_err(|error| {
                BuildError::Setting(format!("workers {workers}: no thread can be started: {error}"))
            })?;
        Ok(Self {
            threads: Some(threads),
        })
    }

    /// Does the same with each of these, on all threads, and answers in their order.
    ///
    /// # Errors
    /// One of those that are met.
    pub(crate) fn each<I: Send, T: Send, E: Send>(
        &self,
        items: Vec<I>,
        work: impl Fn(I) -> Result<T, E> + Send + Sync,
    ) -> Result<Vec<T>, E> {
        match &self.threads {
            None => items.into_iter().map(work).collect(),
            Some(threads) => threads.install(|| items.into_par_iter().map(work).collect()),
        }
    }

    /// Does `here` on this thread and `there` on another, and waits for both; where there is no other thread, one after the
    /// other, `there` first.
    ///
    /// A panic of either is this thread's, once both have ended.
    pub(crate) fn both<A, B: Send>(
        &self,
        here: impl FnOnce() -> A,
        there: impl FnOnce() -> Result<B, EngineError> + Send,
    ) -> (A, Result<B, EngineError>) {
        let Some(threads) = &self.threads else {
            let done = there();
            return (here(), done);
        };
        let mut done = Err(EngineError::Inference("a thread did not answer".into()));
        let answer = threads.in_place_scope(|scope| {
            scope.spawn(|_| done = there());
            here()
        });
        (answer, done)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn both_halves_run_at_the_same_time() {
        let aside = Aside::new(2).unwrap();
        let (to_here, from_there) = mpsc::channel();
        let (to_there, from_here) = mpsc::channel();
        // Each waits for the other: one after the other they never ended.
        let (here, there) = aside.both(
            move || {
                to_there.send(1).unwrap();
                from_there.recv().unwrap()
            },
            move || {
                to_here.send(2).unwrap();
                Ok(from_here.recv().unwrap())
            },
        );
        assert_eq!((here, there.unwrap()), (2, 1));
    }

    #[test]
    fn one_worker_has_no_other_thread() {
        let aside = Aside::new(1).unwrap();
        let this = std::thread::current().id();
        let (_, there) = aside.both(|| (), || Ok(std::thread::current().id()));
        assert_eq!(there.unwrap(), this);
    }

    #[test]
    fn a_panic_aside_is_the_callers_and_the_next_call_works() {
        let aside = Aside::new(2).unwrap();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            aside.both(|| (), || -> Result<(), EngineError> { panic!("aside") })
        }));
        assert!(panicked.is_err());
        let (here, there) = aside.both(|| 1, || Ok(2));
        assert_eq!((here, there.unwrap()), (1, 2));
    }
}
