//! Worker threads and their queue.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use likeness_api::{ApiError, ErrorCode};
use likeness_engine::{Budget, CancelFlag};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// A fixed set of worker threads with one queue, first come first served. Its length is bounded by admission: every admitted
/// request has one job at most. Not tokio's blocking pool, which starts hundreds of threads. The threads end when the pool
/// is dropped.
#[derive(Debug)]
pub(crate) struct WorkPool {
    shared: Arc<Shared>,
    threads: usize,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Signals a new job, or the end.
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(u64, Job)>,
    /// The deadlines of jobs that are running, by their numbers.
    running: HashMap<u64, Instant>,
    /// Number of the next job.
    next: u64,
    is_closed: bool,
}

struct Job {
    deadline: Instant,
    run: Box<dyn FnOnce(Running) + Send>,
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

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("waiting", &self.waiting.len())
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

impl WorkPool {
    pub(crate) fn start(threads: usize) -> std::io::Result<Self> {
        let pool = Self {
            shared: Arc::default(),
            threads: threads.max(1),
        };
        for number in 0..pool.threads {
            let shared = Arc::clone(&pool.shared);
            std::thread::Builder::new()
                .name(format!("likeness-work-{number}"))
                .spawn(move || {
                    while let Some((job, running)) = next_job(&shared) {
                        (job.run)(running);
                    }
                })?;
        }
        Ok(pool)
    }

    /// Returns the load of the workers.
    pub(crate) fn usage(&self) -> Usage {
        let now = Instant::now();
        let queue = self.shared.queue.lock();
        Usage {
            queued: queue.waiting.len(),
            busy: queue.running.len(),
            overdue: queue
                .running
                .values()
                .filter(|deadline| **deadline <= now)
                .count(),
            threads: self.threads,
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
        let cancelled = CancelFlag::default();
        let budget = Budget::unlimited()
            .with_deadline(deadline.into_std())
            .with_cancel_flag(cancelled.clone());
        let (result, finished) = oneshot::channel();
        // Events on the worker belong to the request as well.
        let span = tracing::Span::current();
        let run = Box::new(move |running| {
            let _entered = span.enter();
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                budget.check()?;
                work(budget)
            }))
            .unwrap_or_else(|panic| Err(ApiError::internal(describe_panic(&*panic))));
            // Before the result: its client may send the next request at once.
            drop((running, held));
            let _ = result.send(outcome);
        });
        let number = self.shared.push(Job { deadline, run });
        let _cancel = CancelOnDrop {
            shared: &self.shared,
            number,
            cancelled,
        };
        match timeout_at(deadline, finished).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(ApiError::internal("a worker dropped its job")),
            Err(_) => Err(ApiError::from(ErrorCode::DeadlineExceeded)),
        }
    }
}

impl Drop for WorkPool {
    fn drop(&mut self) {
        self.shared.queue.lock().is_closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn push(&self, job: Job) -> u64 {
        let mut queue = self.queue.lock();
        let number = queue.next;
        queue.next += 1;
        queue.waiting.push_back((number, job));
        drop(queue);
        self.changed.notify_one();
        number
    }
}

/// Waits for the next job; `None` when the pool is dropped.
fn next_job(shared: &Arc<Shared>) -> Option<(Job, Running)> {
    let mut queue = shared.queue.lock();
    loop {
        if let Some((number, job)) = queue.waiting.pop_front() {
            queue.running.insert(number, job.deadline);
            let shared = Arc::clone(shared);
            return Some((job, Running { shared, number }));
        }
        if queue.is_closed {
            return None;
        }
        shared.changed.wait(&mut queue);
    }
}

/// Counts a job as running for as long as it lives.
struct Running {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.queue.lock().running.remove(&self.number);
    }
}

/// Cancels the job of a request that does not wait any longer.
struct CancelOnDrop<'a> {
    shared: &'a Shared,
    number: u64,
    cancelled: CancelFlag,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        self.cancelled.cancel();
        let mut queue = self.shared.queue.lock();
        let position = queue
            .waiting
            .binary_search_by_key(&self.number, |(number, _)| *number);
        let removed = position.ok().and_then(|index| queue.waiting.remove(index));
        drop(queue);
        // Its images and its admission are freed without the lock.
        drop(removed);
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
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;
    use crate::access::Admission;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_its_worker_lives_on() {
        let pool = WorkPool::start(1).unwrap();
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
    async fn past_the_deadline_the_response_is_immediate_and_running_work_keeps_its_admission() {
        let pool = WorkPool::start(1).unwrap();
        let admission = Admission::new(1);
        let (release, released) = channel::<()>();
        let (report, reported) = channel();
        let deadline = Instant::now() + Duration::from_millis(20);
        let error = pool
            .run(admission.admit().unwrap(), deadline, move |budget| {
                released.recv().unwrap();
                report.send(budget.check().is_err()).unwrap();
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
        let admission = Admission::new(2);
        let (release, released) = channel::<()>();
        let (begin, begun) = channel();
        let mut first = Box::pin(pool.run(admission.admit().unwrap(), soon(), move |_| {
            begin.send(()).unwrap();
            released.recv().unwrap();
            Ok(())
        }));
        poll_once(first.as_mut()).await;
        begun.recv().unwrap();
        let (begin, second_begun) = channel();
        let mut second = Box::pin(pool.run(admission.admit().unwrap(), soon(), move |_| {
            begin.send(()).unwrap();
            Ok(())
        }));
        poll_once(second.as_mut()).await;
        assert_eq!((pool.usage().busy, pool.usage().queued), (1, 1));
        drop(second);
        assert_eq!((pool.usage().busy, pool.usage().queued), (1, 0));
        let _free_again = admission.admit().unwrap();
        release.send(()).unwrap();
        first.await.unwrap();
        assert!(second_begun.recv().is_err(), "it was never begun");
    }

    #[tokio::test]
    async fn a_job_in_the_queue_is_removed_with_its_admission_at_its_deadline() {
        let pool = WorkPool::start(1).unwrap();
        let admission = Admission::new(2);
        let (release, released) = channel::<()>();
        let mut first = Box::pin(pool.run(admission.admit().unwrap(), soon(), move |_| {
            released.recv().unwrap();
            Ok(())
        }));
        poll_once(first.as_mut()).await;
        let deadline = Instant::now() + Duration::from_millis(20);
        let error = pool
            .run::<()>(admission.admit().unwrap(), deadline, |_| {
                unreachable!("no worker is free")
            })
            .await
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
        assert_eq!(pool.usage().queued, 0);
        let _free_again = admission.admit().unwrap();
        release.send(()).unwrap();
        first.await.unwrap();
    }

    #[tokio::test]
    async fn jobs_are_served_in_the_order_of_their_arrival() {
        let pool = WorkPool::start(1).unwrap();
        let (release, released) = channel::<()>();
        let mut first = Box::pin(pool.run((), soon(), move |_| {
            released.recv().unwrap();
            Ok(())
        }));
        poll_once(first.as_mut()).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut others = Vec::new();
        for number in 0..5 {
            let order = Arc::clone(&order);
            let mut job = Box::pin(pool.run((), soon(), move |_| {
                order.lock().push(number);
                Ok(())
            }));
            poll_once(job.as_mut()).await;
            others.push(job);
        }
        release.send(()).unwrap();
        first.await.unwrap();
        // Awaited the other way round.
        for job in others.into_iter().rev() {
            job.await.unwrap();
        }
        assert_eq!(*order.lock(), [0, 1, 2, 3, 4]);
    }
}
