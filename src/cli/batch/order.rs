//! Work on several threads whose results are written in the order of the items.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::cli::Failure;

/// Results that may wait for an earlier one, for each thread. They are lost when the process is killed.
const WAITING: u64 = 16;

struct State<I, W, T> {
    items: I,
    write: W,
    /// Number of items that threads have taken, and of results that are written.
    taken: u64,
    written: u64,
    /// Results by the number of their item.
    waiting: BTreeMap<u64, T>,
    /// Why no more items are taken.
    failure: Option<Failure>,
    ended: bool,
}

struct Shared<I, W, T> {
    state: Mutex<State<I, W, T>>,
    changed: Condvar,
    /// Most items that are taken and not yet written.
    window: u64,
}

/// Takes items one after the other on several threads and writes the results in the items' order. The first failure ends all:
/// of the items, of the work, or of writing.
pub(crate) fn in_order<I: Send, T: Send>(
    threads: usize,
    items: impl Iterator<Item = Result<I, Failure>> + Send,
    work: impl Fn(I) -> Result<T, Failure> + Sync,
    write: impl FnMut(T) -> Result<(), Failure> + Send,
) -> Result<(), Failure> {
    let shared = Shared {
        state: Mutex::new(State {
            items,
            write,
            taken: 0,
            written: 0,
            waiting: BTreeMap::new(),
            failure: None,
            ended: false,
        }),
        changed: Condvar::new(),
        window: threads as u64 * WAITING,
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let _end = EndOnPanic(&shared);
                while let Some((number, item)) = shared.take() {
                    shared.put(number, work(item));
                }
            });
        }
    });
    let state = shared.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    state.failure.map_or(Ok(()), Err)
}

impl<I, W, T, Item> Shared<I, W, T>
where
    I: Iterator<Item = Result<Item, Failure>>,
    W: FnMut(T) -> Result<(), Failure>,
{
    /// Takes the next item with its number, once few enough results wait.
    fn take(&self) -> Option<(u64, Item)> {
        let mut state = self.lock();
        while !state.ended && state.taken - state.written >= self.window {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.ended {
            return None;
        }
        match state.items.next() {
            Some(Ok(item)) => {
                let number = state.taken;
                state.taken += 1;
                Some((number, item))
            }
            Some(Err(failure)) => {
                self.end(&mut state, Some(failure));
                None
            }
            None => {
                self.end(&mut state, None);
                None
            }
        }
    }

    /// Writes a result once all before it are written.
    fn put(&self, number: u64, result: Result<T, Failure>) {
        let state = &mut *self.lock();
        match result {
            Ok(result) => {
                state.waiting.insert(number, result);
            }
            Err(failure) => self.end(state, Some(failure)),
        }
        while let Some(result) = state.waiting.remove(&state.written) {
            if let Err(failure) = (state.write)(result) {
                // What follows would leave a gap.
                state.waiting.clear();
                return self.end(state, Some(failure));
            }
            state.written += 1;
        }
        self.changed.notify_all();
    }
}

impl<I, W, T> Shared<I, W, T> {
    fn lock(&self) -> MutexGuard<'_, State<I, W, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, state: &mut State<I, W, T>, failure: Option<Failure>) {
        state.ended = true;
        state.failure = state.failure.take().or(failure);
        self.changed.notify_all();
    }
}

/// Ends the other threads where this one panics: they might wait for its result.
struct EndOnPanic<'a, I, W, T>(&'a Shared<I, W, T>);

impl<I, W, T> Drop for EndOnPanic<'_, I, W, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end(&mut self.0.lock(), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn items(count: u64) -> impl Iterator<Item = Result<u64, Failure>> + Send {
        (0..count).map(Ok)
    }

    #[test]
    fn results_are_written_in_order_however_long_each_takes() {
        for threads in [1, 2, 7] {
            let mut written = Vec::new();
            let work = |item: u64| {
                // The first of each seven takes longest.
                let spins = if item.is_multiple_of(7) { 100_000 } else { 10 };
                (0..spins).for_each(|_| std::hint::spin_loop());
                Ok(item)
            };
            in_order(threads, items(500), work, |item| {
                written.push(item);
                Ok(())
            })
            .unwrap();
            assert_eq!(written, Vec::from_iter(0..500));
        }
    }

    #[test]
    fn no_more_items_are_taken_than_may_wait() {
        let (first_may_end, first_ends) = std::sync::mpsc::channel();
        let first_ends = Mutex::new(first_ends);
        let taken = AtomicU64::new(0);
        let most = 2 * WAITING;
        let work = |item: u64| {
            if taken.fetch_add(1, Ordering::SeqCst) + 1 == most {
                first_may_end.send(()).unwrap();
            }
            if item == 0 {
                // All others that may be taken are taken while the first is not done.
                first_ends.lock().unwrap().recv().unwrap();
                assert_eq!(taken.load(Ordering::SeqCst), most);
            }
            Ok(item)
        };
        in_order(2, items(1_000), work, |_| Ok(())).unwrap();
        assert_eq!(taken.into_inner(), 1_000);
    }

    #[test]
    fn a_failure_ends_all_and_nothing_is_written_after_a_gap() {
        let mut written = Vec::new();
        let work = |item: u64| {
            if item == 40 {
                Err("the 40th".into())
            } else {
                Ok(item)
            }
        };
        let failure = in_order(3, items(1_000_000), work, |item| {
            written.push(item);
            Ok(())
        });
        assert_eq!(failure.unwrap_err().to_string(), "the 40th");
        assert_eq!(written, Vec::from_iter(0..40));

        let failure = in_order(3, items(1_000_000), Ok, |item| match item {
            5 => Err("full".into()),
            _ => Ok(()),
        });
        assert_eq!(failure.unwrap_err().to_string(), "full");

        let broken = (0..10).map(|item| if item == 7 { Err("row 7".into()) } else { Ok(item) });
        let failure = in_order(3, broken, Ok, |_| Ok(()));
        assert_eq!(failure.unwrap_err().to_string(), "row 7");
    }

    #[test]
    fn a_panic_ends_all() {
        let panicked = std::panic::catch_unwind(|| {
            let work = |item: u64| -> Result<u64, Failure> {
                assert!(item != 3, "panic");
                Ok(item)
            };
            in_order(2, items(1_000_000), work, |_| Ok(()))
        });
        assert!(panicked.is_err());
    }
}
