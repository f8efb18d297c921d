//! A pool of items that threads share, one thread at a time each, first come first served.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::thread::{self, Thread};

use parking_lot::{Mutex, MutexGuard};

use crate::error::EngineError;
use crate::options::Budget;

/// A fixed number of items that threads check out and give back. The item given back last is handed out first, since
/// its memory is the one that is still in the caches.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    slots: Vec<Mutex<T>>,
    queue: Mutex<Queue>,
}

#[derive(Debug)]
struct Queue {
    /// Indices into `slots`. Only the holder of an index locks its slot.
    idle: Vec<usize>,
    /// The threads that wait for an item, by arrival.
    waiting: VecDeque<Thread>,
}

impl Queue {
    /// Takes an idle item for a thread, where it is the first that waits.
    fn take_first(&mut self, thread: &Thread) -> Option<usize> {
        let is_first = self
            .waiting
            .front()
            .is_some_and(|first| first.id() == thread.id());
        if is_first { self.idle.pop() } else { None }
    }

    /// Takes an idle item that no thread waits for.
    fn take_spare(&mut self) -> Option<usize> {
        if self.idle.len() > self.waiting.len() {
            self.idle.pop()
        } else {
            None
        }
    }

    /// Wakes the first thread that waits, where there is an item for it.
    fn wake_first(&self) {
        if let Some(first) = self.waiting.front().filter(|_| !self.idle.is_empty()) {
            first.unpark();
        }
    }
}

impl<T> Pool<T> {
    pub(crate) fn new(items: Vec<T>) -> Self {
        Self {
            queue: Mutex::new(Queue {
                idle: (0..items.len()).collect(),
                waiting: VecDeque::new(),
            }),
            slots: items.into_iter().map(Mutex::new).collect(),
        }
    }

    /// Returns how many items there are, idle or not.
    pub(crate) fn size(&self) -> usize {
        self.slots.len()
    }

    /// Returns how many items are checked out at this moment.
    pub(crate) fn in_use(&self) -> usize {
        self.size().saturating_sub(self.queue.lock().idle.len())
    }

    /// Waits for an item behind the threads that came before, for as long as the budget lasts.
    pub(crate) fn checkout(&self, budget: &Budget) -> Result<Pooled<'_, T>, EngineError> {
        let this = thread::current();
        let mut queue = self.queue.lock();
        queue.waiting.push_back(this.clone());
        let outcome = loop {
            if let Err(error) = budget.check() {
                break Err(error);
            }
            if let Some(index) = queue.take_first(&this) {
                break Ok(index);
            }
            MutexGuard::unlocked(&mut queue, || budget.park());
        };
        queue.waiting.retain(|thread| thread.id() != this.id());
        queue.wake_first();
        drop(queue);
        outcome.map(|index| self.hand_out(index))
    }

    /// Returns an idle item that no thread waits for, if there is one at this moment.
    pub(crate) fn spare(&self) -> Option<Pooled<'_, T>> {
        let index = self.queue.lock().take_spare()?;
        Some(self.hand_out(index))
    }

    /// Returns the item of an index that was taken from `idle`.
    fn hand_out(&self, index: usize) -> Pooled<'_, T> {
        Pooled {
            item: self.slots[index].lock(),
            _return: Return {
                queue: &self.queue,
                index,
            },
        }
    }
}

/// An item that is checked out; dropping it gives it back, also where its holder panicked.
#[derive(Debug)]
pub(crate) struct Pooled<'p, T> {
    // Dropped in this order: unlocked first, then offered to the next.
    item: MutexGuard<'p, T>,
    _return: Return<'p>,
}

#[derive(Debug)]
struct Return<'p> {
    queue: &'p Mutex<Queue>,
    index: usize,
}

impl Drop for Return<'_> {
    fn drop(&mut self) {
        let mut queue = self.queue.lock();
        queue.idle.push(self.index);
        queue.wake_first();
    }
}

impl<T> Deref for Pooled<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T> DerefMut for Pooled<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.item
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::thread::{Scope, ScopedJoinHandle};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::options::CancelFlag;

    fn checkout<T>(pool: &Pool<T>) -> Pooled<'_, T> {
        pool.checkout(&Budget::unlimited()).unwrap()
    }

    /// Starts a thread that checks an item out, and returns when it waits behind those before it.
    fn wait<'s, T: Send>(
        scope: &'s Scope<'s, '_>,
        pool: &'s Pool<T>,
        budget: Budget,
        then: impl FnOnce(Result<Pooled<'s, T>, EngineError>) + Send + 's,
    ) -> ScopedJoinHandle<'s, ()> {
        let before = pool.queue.lock().waiting.len();
        let thread = scope.spawn(move || then(pool.checkout(&budget)));
        while pool.queue.lock().waiting.len() == before {
            thread::yield_now();
        }
        thread
    }

    #[test]
    fn the_item_given_back_last_is_handed_out_first() {
        let pool = Pool::new(vec!['a', 'b']);
        let (first, second) = (checkout(&pool), checkout(&pool));
        let (one, other) = (*first, *second);
        assert_ne!(one, other);
        drop(second);
        drop(first);
        assert_eq!(*checkout(&pool), one);
    }

    #[test]
    fn threads_are_served_in_the_order_of_their_arrival() {
        let pool = Pool::new(vec![Vec::new()]);
        let held = checkout(&pool);
        thread::scope(|scope| {
            for number in 0..5 {
                wait(scope, &pool, Budget::unlimited(), move |item| {
                    item.unwrap().push(number);
                });
            }
            drop(held);
        });
        assert_eq!(*checkout(&pool), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn items_that_come_back_together_serve_as_many_threads() {
        let pool = Pool::new(vec![1, 2]);
        let held = (checkout(&pool), checkout(&pool));
        let both_have_one = Barrier::new(2);
        thread::scope(|scope| {
            for _ in 0..2 {
                wait(scope, &pool, Budget::unlimited(), |item| {
                    let _item = item.unwrap();
                    both_have_one.wait();
                });
            }
            drop(held);
        });
        assert_eq!(pool.in_use(), 0);
    }

    #[test]
    fn waiting_ends_at_the_deadline() {
        let pool = Pool::new(vec![()]);
        let held = checkout(&pool);
        for time in [Duration::ZERO, Duration::from_millis(5)] {
            let answer = pool.checkout(&Budget::unlimited().with_deadline(Instant::now() + time));
            assert!(matches!(answer, Err(EngineError::DeadlineExceeded)), "{answer:?}");
        }
        assert!(pool.queue.lock().waiting.is_empty());
        drop(held);
        checkout(&pool);
    }

    #[test]
    fn a_cancelled_thread_stops_waiting_and_the_next_takes_its_turn() {
        let pool = Pool::new(vec![7]);
        let held = checkout(&pool);
        let flag = CancelFlag::default();
        thread::scope(|scope| {
            let budget = Budget::unlimited().with_cancel_flag(flag.clone());
            let cancelled = wait(scope, &pool, budget, |answer| {
                assert!(matches!(answer, Err(EngineError::Cancelled)), "{answer:?}");
            });
            let next = wait(scope, &pool, Budget::unlimited(), |item| {
                assert_eq!(*item.unwrap(), 7);
            });
            flag.cancel();
            cancelled.join().unwrap();
            assert_eq!(pool.queue.lock().waiting.len(), 1);
            drop(held);
            next.join().unwrap();
        });
        let budget = Budget::unlimited().with_cancel_flag(flag);
        assert!(
            matches!(pool.checkout(&budget), Err(EngineError::Cancelled)),
            "an item is idle"
        );
    }

    #[test]
    fn an_item_that_a_thread_waits_for_is_not_spare() {
        let pool = Pool::new(vec![()]);
        drop(pool.spare().unwrap());
        let held = checkout(&pool);
        assert!(pool.spare().is_none(), "it is checked out");
        drop(held);
        // As between the moment that an item comes back and the moment that the waiting thread has woken up.
        pool.queue.lock().waiting.push_back(thread::current());
        assert!(pool.spare().is_none());
        pool.queue.lock().waiting.clear();
        assert!(pool.spare().is_some());
    }

    #[test]
    fn a_panic_of_the_holder_gives_the_item_back() {
        let pool = Pool::new(vec![()]);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _held = checkout(&pool);
            panic!("of the holder");
        }));
        assert!(panicked.is_err());
        checkout(&pool);
    }
}
