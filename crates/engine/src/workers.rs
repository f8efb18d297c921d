//! The workers that requests share, each with models of its own, and the threads on which an idle worker is borrowed.

use std::time::{Duration, Instant};

use likeness_detection::FaceDetector;
use likeness_embedding::{Embedding, FaceEmbedder, FaceInImage};
use likeness_liveness::LivenessModel;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{BuildError, EngineError};
use crate::options::Budget;
use crate::pool::Pool;

/// Faces that are embedded between two checks of the budget: with the default pack about a tenth of a second.
const FACES_BETWEEN_CHECKS: usize = 4;

/// One set of models.
pub(crate) struct Worker {
    pub(crate) detector: Box<dyn FaceDetector>,
    pub(crate) embedder: Box<dyn FaceEmbedder>,
    pub(crate) liveness: Box<dyn LivenessModel>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl Worker {
    /// Embeds faces, a few at a time, checking the budget in between.
    pub(crate) fn embed(
        &mut self,
        faces: &[FaceInImage<'_>],
        budget: &Budget,
    ) -> Result<Vec<Embedding>, EngineError> {
        let mut embeddings = Vec::with_capacity(faces.len());
        for few in faces.chunks(FACES_BETWEEN_CHECKS) {
            budget.check()?;
            embeddings.extend(self.embedder.embed(few).map_err(inference)?);
        }
        if embeddings.len() != faces.len() {
            let message = format!("{} embeddings for {} faces", embeddings.len(), faces.len());
            return Err(EngineError::Inference(message.into()));
        }
        Ok(embeddings)
    }
}

/// Wraps the failure of a model, which the sender of the request cannot mend.
pub(crate) fn inference(error: impl std::error::Error + Send + Sync + 'static) -> EngineError {
    EngineError::Inference(Box::new(error))
}

/// Runs a stage and adds its time to `spent`.
pub(crate) fn timed<T>(spent: &mut Duration, stage: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let result = stage();
    *spent += begin.elapsed();
    result
}

/// The workers, and one thread fewer than there are: each request that borrows an idle worker already runs on a thread of
/// its own.
#[derive(Debug)]
pub(crate) struct Workers<W = Worker> {
    pub(crate) pool: Pool<W>,
    /// `None` with a single worker: while a request runs, none is idle.
    threads: Option<ThreadPool>,
}

impl<W: Send> Workers<W> {
    /// Makes so many workers, all at the same time.
    pub(crate) fn start(
        count: usize,
        open: impl Fn() -> Result<W, BuildError> + Send + Sync,
    ) -> Result<Self, BuildError> {
        let start = |threads| {
            let pool = ThreadPoolBuilder::new()
                .num_threads(threads)
                .thread_name(|index| format!("likeness-aside-{index}"));
            pool.build().map_err(|error| {
                BuildError::Setting(format!("workers {count}: cannot start threads: {error}"))
            })
        };
        let threads = (count > 1).then(|| start(count - 1)).transpose()?;
        let workers = each(threads.as_ref(), vec![(); count], |()| open())?;
        Ok(Self {
            pool: Pool::new(workers),
            threads,
        })
    }

    /// Checks all workers out and runs `work` with each, on all threads.
    pub(crate) fn with_all(
        &self,
        work: impl Fn(&mut W) -> Result<(), EngineError> + Send + Sync,
    ) -> Result<(), EngineError> {
        // All at the same time: a worker that is given back would be handed out again.
        let mut workers = (0..self.pool.size())
            .map(|_| self.pool.checkout(&Budget::unlimited()))
            .collect::<Result<Vec<_>, _>>()?;
        let workers: Vec<&mut W> = workers.iter_mut().map(|worker| &mut **worker).collect();
        each(self.threads.as_ref(), workers, work).map(drop)
    }

    /// Runs two operations, the second with an idle worker at the same time where there is one, else one after the other
    /// with `worker`.
    ///
    /// # Errors
    /// The first operation's error where both fail, as in the serial order. A panic of either crosses to this thread, once
    /// both have ended.
    pub(crate) fn on_idle_worker<A: Send, B>(
        &self,
        worker: &mut W,
        budget: &Budget,
        first: impl FnOnce(&mut W) -> Result<A, EngineError> + Send,
        second: impl FnOnce(&mut W) -> Result<B, EngineError>,
    ) -> Result<(A, B), EngineError> {
        let idle = self
            .threads
            .as_ref()
            .and_then(|threads| Some((threads, self.pool.spare()?)));
        let Some((threads, mut idle)) = idle else {
            let first = first(worker)?;
            budget.check()?;
            return Ok((first, second(worker)?));
        };
        let mut of_first = Err(EngineError::Inference("a thread ended early".into()));
        let of_second = threads.in_place_scope(|scope| {
            scope.spawn(|_| of_first = first(worker));
            let of_second = second(&mut idle);
            // The next request need not wait for the first operation.
            drop(idle);
            of_second
        });
        let of_first = of_first?;
        budget.check()?;
        Ok((of_first, of_second?))
    }
}

/// Runs the same work with each item, on all threads, and returns the results in their order.
fn each<I: Send, T: Send, E: Send>(
    threads: Option<&ThreadPool>,
    items: Vec<I>,
    work: impl Fn(I) -> Result<T, E> + Send + Sync,
) -> Result<Vec<T>, E> {
    match threads {
        None => items.into_iter().map(work).collect(),
        Some(threads) => threads.install(|| items.into_par_iter().map(work).collect()),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc;

    use super::*;

    fn workers(count: usize) -> Workers<()> {
        Workers::start(count, || Ok(())).unwrap()
    }

    fn on_idle_worker<A: Send, B>(
        workers: &Workers<()>,
        first: impl FnOnce() -> A + Send,
        second: impl FnOnce() -> B,
    ) -> (A, B) {
        let budget = Budget::unlimited();
        let mut worker = workers.pool.checkout(&budget).unwrap();
        workers
            .on_idle_worker(&mut *worker, &budget, |()| Ok(first()), |()| Ok(second()))
            .unwrap()
    }

    #[test]
    fn both_operations_run_at_the_same_time() {
        let (to_second, from_first) = mpsc::channel();
        let (to_first, from_second) = mpsc::channel();
        // Each waits for the other: one after the other they would never end.
        let both = on_idle_worker(
            &workers(2),
            move || {
                to_second.send(1).unwrap();
                from_second.recv().unwrap()
            },
            move || {
                to_first.send(2).unwrap();
                from_first.recv().unwrap()
            },
        );
        assert_eq!(both, (2, 1));
    }

    #[test]
    fn a_single_worker_runs_one_after_the_other_on_the_same_thread() {
        let thread = || std::thread::current().id();
        let (first, second) = on_idle_worker(&workers(1), thread, thread);
        assert_eq!((first, second), (thread(), thread()));
    }

    #[test]
    fn a_panic_on_another_thread_reaches_the_request_and_the_next_one_works() {
        let workers = workers(2);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            on_idle_worker(&workers, || panic!("first"), || ())
        }));
        assert!(panicked.is_err());
        assert_eq!(on_idle_worker(&workers, || 1, || 2), (1, 2));
        assert_eq!(workers.pool.in_use(), 0);
    }
}
