//! A pool of things that take `&mut self` to use, shared between threads.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A fixed number of items that threads check out and give back. The item given back last is handed out first, since
/// its memory is the one that is still in the caches.
#[derive(Debug)]
pub struct Pool<T> {
    slots: Vec<Mutex<T>>,
    /// Indices into `slots`. Whoever holds an index is the only one to lock that slot.
    idle: Mutex<Vec<usize>>,
    returned: Condvar,
}

impl<T> Pool<T> {
    /// A pool of these items.
    #[must_use]
    pub fn new(items: Vec<T>) -> Self {
        let slots: Vec<_> = items.into_iter().map(Mutex::new).collect();
        Self {
            idle: Mutex::new((0..slots.len()).collect()),
            slots,
            returned: Condvar::new(),
        }
    }

    /// How many items there are, idle or not.
    #[must_use]
    pub fn size(&self) -> usize {
        self.slots.len()
    }

    /// How many items are checked out at this moment.
    #[must_use]
    pub fn in_use(&self) -> usize {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        self.slots.len().saturating_sub(idle.len())
    }

    /// Waits for an item until the deadline; `None` when it passed (or at once where the pool has no items at all).
    pub fn checkout(&self, deadline: Option<Instant>) -> Option<Pooled<'_, T>> {
        if self.slots.is_empty() {
            return None;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let index = loop {
            if let Some(index) = idle.pop() {
                break index;
            }
            idle = match deadline {
                None => self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.checked_duration_since(Instant::now())?;
                    self.returned
                        .wait_timeout(idle, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        };
        drop(idle);
        let item = self
            .slots
            .get(index)?
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Some(Pooled {
            item,
            _return: Return { pool: self, index },
        })
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
        self.pool
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.index);
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
