//! Worker threads and their queue.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use likeness_api::{ApiError, ErrorCode};
use likeness_engine::{Budget, CancelFlag};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::permits::Permits;

/// A fixed set of worker threads with one queue, first come first served. Its length is bounded by admission: every admitted
/// request has one job at most. Not tokio's blocking pool, which starts hundreds of threads. The threads end when the pool
/// is dropped.
#[derive(Debug)]
pub(crate) struct WorkPool {
    /// A job goes to the threads with the permit of one of them: what waits for a permit is the queue.
    workers: Permits,
    jobs: Sender<Box<dyn FnOnce() + Send>>,
    /// Shared by the jobs in the queue, which are counted by it.
    queued: Arc<()>,
    /// The deadlines of the jobs that are running.
    running: Arc<Mutex<Vec<Instant>>>,
}

/// The load of the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Jobs in the queue.
    pub(crate) queued: usize,
    /// Workers with a job.
    pub(crate) busy: usize,
    /// Workers with a job whose deadline has passed.
    pub(crate) overdue: usize,
    /// All workers.
    pub(crate) threads: usize,
}

impl Usage {
    /// Returns whether no worker is left for a new request: each is past the deadline of its job.
    pub(crate) fn is_stuck(&self) -> bool {
        self.overdue >= self.threads
    }
}

impl WorkPool {
    pub(crate) fn start(threads: usize) -> std::io::Result<Self> {
        let threads = threads.max(1);
        let (jobs, next) = channel::<Box<dyn FnOnce() + Send>>();
        let next = Arc::new(Mutex::new(next));
        for number in 0..threads {
            let next = Arc::clone(&next);
            // The lock is not held while a job runs.
            let next_job = move || next.lock().recv();
            std::thread::Builder::new()
                .name(format!("likeness-work-{number}"))
                .spawn(move || {
                    while let Ok(job) = next_job() {
                        job();
                    }
                })?;
        }
        Ok(Self {
            workers: Permits::new(threads),
            jobs,
            queued: Arc::default(),
            running: Arc::default(),
        })
    }

    /// Returns the load of the workers.
    pub(crate) fn usage(&self) -> Usage {
        let now = Instant::now();
        let running = self.running.lock();
        Usage {
            // One reference is the pool's own.
            queued: Arc::strong_count(&self.queued) - 1,
            busy: running.len(),
            overdue: running.iter().filter(|deadline| **deadline <= now).count(),
            threads: self.workers.max(),
        }
    }

    /// Runs `work` on a worker and waits for its result until `deadline`. If this future is dropped or the deadline passes,
    /// a job in the queue is removed at once, and the budget of a running one is cancelled. `held`, the request's admission,
    /// is released when its work has really ended.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        held: impl Send + 'static,
        deadline: Instant,
        work: impl FnOnce(Budget) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let late = |_| ApiError::from(ErrorCode::DeadlineExceeded);
        let lost = || ApiError::internal("a worker dropped its job");
        let queued = Arc::clone(&self.queued);
        let worker = timeout_at(deadline, self.workers.take()).await;
        let worker = worker.map_err(late)?.map_err(ApiError::internal)?;
        drop(queued);

        let cancelled = CancelFlag::default();
        let budget = Budget::unlimited()
            .with_deadline(deadline.into_std())
            .with_cancel_flag(cancelled.clone());
        let _cancel = CancelOnDrop(cancelled);
        let (result, finished) = oneshot::channel();
        // Events on the worker belong to the request as well.
        let span = tracing::Span::current();
        let running = Arc::clone(&self.running);
        let job = move || {
            let _entered = span.enter();
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                budget.check()?;
                work(budget)
            }))
            .unwrap_or_else(|panic| Err(ApiError::internal(describe_panic(&*panic))));
            let mut deadlines = running.lock();
            if let Some(index) = deadlines.iter().position(|other| *other == deadline) {
                deadlines.swap_remove(index);
            }
            drop(deadlines);
            // Before the result: its client may send the next request at once.
            drop((worker, held));
            let _ = result.send(outcome);
        };
        self.running.lock().push(deadline);
        self.jobs.send(Box::new(job)).map_err(|_| lost())?;
        timeout_at(deadline, finished)
            .await
            .map_err(late)?
            .map_err(|_| lost())?
    }
}

/// Cancels the job of a request that does not wait any longer.
struct CancelOnDrop(CancelFlag);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Returns the message of a panic, for the log.
pub(crate) fn describe_panic(panic: &(dyn Any + Send)) -> String {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", message.unwrap_or("of an unknown type"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::task::{JoinSet, yield_now};

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_its_worker_lives_on() {
        let pool = WorkPool::start(1).unwrap();
        let admission = Permits::new(1);
        let error = pool
            .run::<()>(admission.try_take().unwrap(), soon(), |_| panic!("oh no"))
            .await
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::Internal);
        assert_eq!(error.cause(), Some("panic: oh no"));
        assert!(!error.message().contains("oh no"));
        let next = pool.run(admission.try_take().unwrap(), soon(), |_| Ok(7)).await;
        assert_eq!(next.unwrap(), 7);
    }

    #[tokio::test]
    async fn past_the_deadline_the_response_is_immediate_and_running_work_keeps_its_admission() {
        let pool = WorkPool::start(1).unwrap();
        let admission = Permits::new(1);
        let (release, released) = channel::<()>();
        let (report, reported) = channel();
        let deadline = Instant::now() + Duration::from_millis(20);
        let error = pool
            .run(admission.try_take().unwrap(), deadline, move |budget| {
                released.recv().unwrap();
                report.send(budget.check().is_err()).unwrap();
                Ok(())
            })
            .await
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
        assert!(admission.try_take().is_none());
        let usage = pool.usage();
        assert_eq!((usage.busy, usage.overdue, usage.is_stuck()), (1, 1, true));
        release.send(()).unwrap();
        admission.idle().await;
        let usage = pool.usage();
        assert_eq!((usage.busy, usage.overdue, usage.is_stuck()), (0, 0, false));
        assert!(
            reported.recv().unwrap(),
            "the budget of abandoned work has run out"
        );
    }

    /// Polls once: the job is in the queue, or running.
    async fn poll_once(future: std::pin::Pin<&mut impl Future<Output = Result<(), ApiError>>>) {
        tokio::select! {
            biased;
            _ = future => unreachable!("it waits for the test"),
            () = std::future::ready(()) => {}
        }
    }

    #[tokio::test]
    async fn a_job_in_the_queue_is_removed_with_its_admission_when_its_client_goes() {
        let pool = WorkPool::start(1).unwrap();
        let admission = Permits::new(2);
        let (release, released) = channel::<()>();
        let (begin, begun) = channel();
        let mut first = Box::pin(pool.run(admission.try_take().unwrap(), soon(), move |_| {
            begin.send(()).unwrap();
            released.recv().unwrap();
            Ok(())
        }));
        poll_once(first.as_mut()).await;
        begun.recv().unwrap();
        let (begin, second_begun) = channel();
        let mut second = Box::pin(pool.run(admission.try_take().unwrap(), soon(), move |_| {
            begin.send(()).unwrap();
            Ok(())
        }));
        poll_once(second.as_mut()).await;
        assert_eq!((pool.usage().busy, pool.usage().queued), (1, 1));
        drop(second);
        assert_eq!((pool.usage().busy, pool.usage().queued), (1, 0));
        let _free_again = admission.try_take().unwrap();
        release.send(()).unwrap();
        first.await.unwrap();
        assert!(second_begun.recv().is_err(), "it was never begun");
    }

    #[tokio::test]
    async fn a_job_in_the_queue_is_removed_with_its_admission_at_its_deadline() {
        let pool = WorkPool::start(1).unwrap();
        let admission = Permits::new(2);
        let (release, released) = channel::<()>();
        let mut first = Box::pin(pool.run(admission.try_take().unwrap(), soon(), move |_| {
            released.recv().unwrap();
            Ok(())
        }));
        poll_once(first.as_mut()).await;
        let deadline = Instant::now() + Duration::from_millis(20);
        let error = pool
            .run::<()>(admission.try_take().unwrap(), deadline, |_| {
                unreachable!("no worker is free")
            })
            .await
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
        assert_eq!(pool.usage().queued, 0);
        let _free_again = admission.try_take().unwrap();
        release.send(()).unwrap();
        first.await.unwrap();
    }

    #[tokio::test]
    async fn jobs_are_served_in_the_order_of_their_arrival() {
        let pool = Arc::new(WorkPool::start(1).unwrap());
        let (release, released) = channel::<()>();
        let mut first = Box::pin(pool.run((), soon(), move |_| {
            released.recv().unwrap();
            Ok(())
        }));
        poll_once(first.as_mut()).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut others = JoinSet::new();
        for number in 0..5 {
            let (pool, order) = (Arc::clone(&pool), Arc::clone(&order));
            others.spawn(async move {
                let job = move |_| {
                    order.lock().push(number);
                    Ok(())
                };
                pool.run((), soon(), job).await
            });
            // It is in the queue before the next one.
            yield_now().await;
        }
        release.send(()).unwrap();
        first.await.unwrap();
        for outcome in others.join_all().await {
            outcome.unwrap();
        }
        assert_eq!(*order.lock(), [0, 1, 2, 3, 4]);
    }
}
