//! Work on several threads.

/// Runs `work` on so many threads at a time, each with its index, and returns the results by index. A panic of `work`
/// continues on the calling thread.
pub(crate) fn on_threads<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> = (0..threads)
            .map(|index| scope.spawn(move || work(index)))
            .collect();
        running
            .into_iter()
            .map(|thread| {
                let result = thread.join();
                result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    })
}
