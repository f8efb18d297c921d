//! Work on several threads.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread::ScopedJoinHandle;

use parking_lot::Mutex;

/// Takes the items, one after the other, on several threads, each into a state of its own, and returns the states. After
/// an error the other threads stop at their next item. A panic continues on the calling thread.
pub(crate) fn fold<I: Send, T: Send, E: Send>(
    threads: NonZero<usize>,
    items: impl ExactSizeIterator<Item = I> + Send,
    new: impl Fn() -> T + Sync,
    take: impl Fn(&mut T, I) -> Result<(), E> + Sync,
) -> Result<Vec<T>, E> {
    let threads = threads.get().min(items.len().max(1));
    let items = Mutex::new(items);
    let next = || items.lock().next();
    let work = &|| {
        let mut state = new();
        while let Some(item) = next() {
            take(&mut state, item).inspect_err(|_| items.lock().by_ref().for_each(drop))?;
        }
        Ok(state)
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let results = running.into_iter().map(ScopedJoinHandle::join);
        let results = results.map(|result| result.unwrap_or_else(|panic| resume_unwind(panic)));
        results.collect()
    })
}
