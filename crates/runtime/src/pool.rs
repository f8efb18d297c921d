//! A pool of items that threads share, one thread at a time each.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A fixed number of items that threads check out and give back. The item given back last is handed out first, since
/// its memory is the one that is still in the caches.
#[derive(Debug)]
pub struct Pool<T> {
    slots: Vec<Mutex<T>>,
    queue: Mutex<Queue>,
    returned: Condvar,
}

#[derive(Debug)]
struct Queue {
    /// Indices into `slots`. Only the holder of an index locks its slot.
    idle: Vec<usize>,
    /// How many threads wait for an item.
    waiting: usize,
}

impl<T> Pool<T> {
    /// Returns a pool of these items.
    #[must_use]
    pub fn new(items: Vec<T>) -> Self {
        let slots: Vec<_> = items.into_iter().map(Mutex::new).collect();
        Self {
            queue: Mutex::new(Queue {
                idle: (0..slots.len()).collect(),
                waiting: 0,
            }),
            slots,
            returned: Condvar::new(),
        }
    }

    /// Returns how many items there are, idle or not.
    #[must_use]
    pub fn size(&self) -> usize {
        self.slots.len()
    }

    /// Returns how many items are checked out at this moment.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.slots.len().saturating_sub(self.queue().idle.len())
    }

    /// Waits for an item until the deadline; `None` when it passed (or at once where the pool has no items at all).
    pub fn checkout(&self, deadline: Option<Instant>) -> Option<Pooled<'_, T>> {
        if self.slots.is_empty() {
            return None;
        }
        let mut queue = self.queue();
        let index = loop {
            if let Some(index) = queue.idle.pop() {
                break index;
            }
            let left = match deadline {
                None => None,
                Some(deadline) => Some(deadline.checked_duration_since(Instant::now())?),
            };
            queue.waiting += 1;
            queue = match left {
                None => self.returned.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    let woken = self.returned.wait_timeout(queue, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            queue.waiting = queue.waiting.saturating_sub(1);
        };
        drop(queue);
        self.take(index)
    }

    /// Returns an idle item that no thread waits for, if there is one at this moment.
    pub fn spare(&self) -> Option<Pooled<'_, T>> {
        let mut queue = self.queue();
        if queue.idle.len() <= queue.waiting {
            return None;
        }
        let index = queue.idle.pop()?;
        drop(queue);
        self.take(index)
    }

    /// Returns the item of an index that was taken from `idle`.
    fn take(&self, index: usize) -> Option<Pooled<'_, T>> {
        let slot = self.slots.get(index)?;
        Some(Pooled {
            item: slot.lock().unwrap_or_else(PoisonError::into_inner),
            _return: Return { pool: self, index },
        })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An item that is checked out; dropping it gives it back, also where its holder panicked.
#[derive(Debug)]
pub struct Pooled<'p, T> {
    // Dropped in this order: unlocked first, then offered to the next.
    item: MutexGuard<'p, T>,
    _return: Return<'p, T>,
}

#[derive(Debug)]
struct Return<'p, T> {
    pool: &'p Pool<T>,
    index: usize,
}

impl<T> Drop for Return<'_, T> {
    fn drop(&mut self) {
        self.pool.queue().idle.push(self.index);
        self.pool.returned.notify_one();
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
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_item_given_back_last_is_handed_out_first() {
        let pool = Pool::new(vec!['a', 'b']);
        let first = pool.checkout(None).unwrap();
        let second = pool.checkout(None).unwrap();
        let (one, other) = (*first, *second);
        assert_ne!(one, other);
        drop(second);
        drop(first);
        assert_eq!(*pool.checkout(None).unwrap(), one);
    }

    #[test]
    fn waiting_ends_at_the_deadline() {
        let pool = Pool::new(vec![()]);
        let held = pool.checkout(None);
        assert!(held.is_some());
        assert!(
            pool.checkout(Some(Instant::now() + Duration::from_millis(5)))
                .is_none()
        );
        assert!(pool.checkout(Some(Instant::now())).is_none());
        drop(held);
        assert!(
            pool.checkout(Some(Instant::now())).is_some(),
            "an idle item is had even at the deadline"
        );
    }

    #[test]
    fn a_waiting_thread_gets_what_another_gives_back() {
        let pool = Pool::new(vec![7]);
        let (waiting, is_waiting) = mpsc::channel();
        let mut held = pool.checkout(None).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                waiting.send(()).unwrap();
                *pool.checkout(None).unwrap()
            });
            is_waiting.recv().unwrap();
            *held = 8;
            drop(held);
            assert_eq!(waiter.join().unwrap(), 8);
        });
    }

    #[test]
    fn an_item_that_a_thread_waits_for_is_not_spare() {
        let pool = Pool::new(vec![()]);
        let held = pool.checkout(None).unwrap();
        assert!(pool.spare().is_none(), "it is checked out");
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| pool.checkout(None).map(|_| ()));
            while pool.queue().waiting == 0 {
                std::thread::yield_now();
            }
            // As between the moment that an item comes back and the moment that the waiting thread has woken up.
            pool.queue().idle.push(0);
            assert!(pool.spare().is_none());
            pool.queue().idle.clear();
            drop(held);
            assert_eq!(waiter.join().unwrap(), Some(()));
        });
        assert!(pool.spare().is_some());
    }

    #[test]
    fn a_panic_of_the_holder_gives_the_item_back() {
        let pool = Pool::new(vec![()]);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _held = pool.checkout(None);
            panic!("of the holder");
        }));
        assert!(panicked.is_err());
        assert!(pool.checkout(Some(Instant::now())).is_some());
    }

    #[test]
    fn an_empty_pool_never_blocks() {
        assert!(Pool::<()>::new(Vec::new()).checkout(None).is_none());
    }
}
