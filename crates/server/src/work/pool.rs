//! Threads for the engine's calls, so that none runs on the async reactor.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};

use likeness_api::{ApiError, ErrorCode};
use likeness_engine::Budget;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::access::admission::Permit;
use crate::locked::locked;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed set of threads and a bounded queue before them. Not tokio's blocking pool: that would start hundreds of
/// threads, which then wait for the engine's few workers. The threads end when the pool is dropped.
#[derive(Debug)]
pub(crate) struct WorkPool {
    queue: SyncSender<Job>,
    load: Arc<Load>,
    threads: usize,
}

#[derive(Debug, Default)]
struct Load {
    queued: AtomicUsize,
    /// The jobs that threads are at, by a number of their own, with their deadlines.
    running: Mutex<HashMap<u64, Instant>>,
    next_job: AtomicU64,
}

/// The load of the threads, for metrics and probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Jobs that wait for a thread.
    pub(crate) queued: usize,
    /// Threads with a job.
    pub(crate) busy: usize,
    /// Threads with a job whose deadline has passed.
    pub(crate) overdue: usize,
    /// All threads.
    pub(crate) threads: usize,
}

impl Usage {
    /// Whether no thread is left for a request that comes now: each is past the deadline of another.
    pub(crate) fn is_stuck(&self) -> bool {
        self.overdue >= self.threads
    }
}

impl WorkPool {
    pub(crate) fn start(threads: usize, queued: usize) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel::<Job>(queued);
        let jobs = Arc::new(Mutex::new(jobs));
        let threads = threads.max(1);
        for number in 0..threads {
            let jobs = Arc::clone(&jobs);
            std::thread::Builder::new()
                .name(format!("likeness-work-{number}"))
                .spawn(move || while next(&jobs).map(|job| job()).is_some() {})?;
        }
        Ok(Self {
            queue,
            load: Arc::default(),
            threads,
        })
    }

    /// The load of the threads now.
    pub(crate) fn usage(&self) -> Usage {
        let now = Instant::now();
        let running = locked(&self.load.running);
        Usage {
            queued: self.load.queued.load(Ordering::Relaxed),
            busy: running.len(),
            overdue: running.values().filter(|deadline| **deadline <= now).count(),
            threads: self.threads,
        }
    }

    /// Runs `work` on one of the threads and waits for it until `deadline`. Where this future is dropped, or the
    /// deadline passes, the budget that `work` got says so; the permit is held until `work` has really ended.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        permit: Permit,
        deadline: Instant,
        work: impl FnOnce(Budget) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let cancel = CancelOnDrop(Arc::new(AtomicBool::new(false)));
        let budget = Budget::unlimited()
            .with_deadline(deadline.into_std())
            .with_cancel_flag(Arc::clone(&cancel.0));
        let (answer, answered) = oneshot::channel();
        let queued = Queued::new(&self.load);
        // What is said on the thread belongs to the request as well.
        let span = tracing::Span::current();
        let job = Box::new(move || {
            let _entered = span.enter();
            let busy = Running::new(&queued.load, deadline);
            drop(queued);
            let result = match budget.check() {
                Ok(()) => catch_unwind(AssertUnwindSafe(|| work(budget)))
                    .unwrap_or_else(|panic| Err(ApiError::internal(describe_panic(&*panic)))),
                Err(error) => {
                    // Its files are let go before the permit is.
                    drop(work);
                    Err(ApiError::from(error))
                }
            };
            // Before the answer: a client that has it may come again at once.
            drop((busy, permit));
            let _ = answer.send(result);
        });
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => ApiError::from(ErrorCode::Overloaded),
            TrySendError::Disconnected(_) => ApiError::internal("the worker threads have ended"),
        })?;
        match timeout_at(deadline, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(ApiError::internal("a worker thread dropped its job")),
            Err(_) => Err(ApiError::from(ErrorCode::DeadlineExceeded)),
        }
    }
}

/// Counts a job as waiting for as long as it lives.
struct Queued {
    load: Arc<Load>,
}

impl Queued {
    fn new(load: &Arc<Load>) -> Self {
        load.queued.fetch_add(1, Ordering::Relaxed);
        Self {
            load: Arc::clone(load),
        }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.load.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts a job as running for as long as it lives.
struct Running {
    load: Arc<Load>,
    job: u64,
}

impl Running {
    fn new(load: &Arc<Load>, deadline: Instant) -> Self {
        let job = load.next_job.fetch_add(1, Ordering::Relaxed);
        locked(&load.running).insert(job, deadline);
        Self {
            load: Arc::clone(load),
            job,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        locked(&self.load.running).remove(&self.job);
    }
}

/// Waits for a job; `None` when the pool is gone.
fn next(jobs: &Mutex<Receiver<Job>>) -> Option<Job> {
    locked(jobs).recv().ok()
}

/// What a panic said, for the log.
pub(crate) fn describe_panic(panic: &(dyn Any + Send)) -> String {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", said.unwrap_or("of an unknown kind"))
}

struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;
    use crate::access::admission::Admission;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_thread_lives_on() {
        let pool = WorkPool::start(1, 4).unwrap();
        let admission = Admission::new(1);
        let error = pool
            .run::<()>(admission.admit().unwrap(), soon(), |_| panic!("oh no"))
            .await
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::Internal);
        assert_eq!(error.cause(), Some("panic: oh no"));
        assert!(!error.message().contains("oh no"));
        let next = pool.run(admission.admit().unwrap(), soon(), |_| Ok(7)).await;
        assert_eq!(next.unwrap(), 7);
    }

    #[tokio::test]
    async fn past_the_deadline_the_answer_comes_at_once_and_the_permit_stays() {
        let pool = WorkPool::start(1, 4).unwrap();
        let admission = Admission::new(1);
        let (release, released) = channel::<()>();
        let (tell, told) = channel();
        let deadline = Instant::now() + Duration::from_millis(20);
        let error = pool
            .run(admission.admit().unwrap(), deadline, move |budget| {
                released.recv().unwrap();
                tell.send(budget.check().is_err()).unwrap();
                Ok(())
            })
            .await
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
        assert_eq!(admission.admit().unwrap_err().code(), ErrorCode::Overloaded);
        let usage = pool.usage();
        assert_eq!((usage.busy, usage.overdue, usage.is_stuck()), (1, 1, true));
        release.send(()).unwrap();
        admission.idle().await;
        let usage = pool.usage();
        assert_eq!((usage.busy, usage.overdue, usage.is_stuck()), (0, 0, false));
        assert!(told.recv().unwrap(), "the budget of abandoned work has run out");
    }

    #[tokio::test]
    async fn work_whose_client_has_gone_is_not_begun() {
        let pool = WorkPool::start(1, 4).unwrap();
        let admission = Admission::new(2);
        let (release, released) = channel::<()>();
        let first = pool.run(admission.admit().unwrap(), soon(), move |_| {
            released.recv().unwrap();
            Ok(())
        });
        let (begun, has_begun) = channel();
        let second = pool.run(admission.admit().unwrap(), soon(), move |_| {
            begun.send(()).unwrap();
            Ok(())
        });
        {
            let mut first = Box::pin(first);
            let mut second = Box::pin(second);
            // Both are queued by their first poll, and then dropped.
            tokio::select! {
                biased;
                _ = &mut first => unreachable!(),
                _ = &mut second => unreachable!(),
                () = std::future::ready(()) => {}
            }
        }
        release.send(()).unwrap();
        admission.idle().await;
        assert!(has_begun.recv().is_err());
    }
}
