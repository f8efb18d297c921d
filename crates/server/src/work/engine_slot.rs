//! The engine that answers, which may be replaced while others still work with the one before.

use std::sync::{Arc, PoisonError, RwLock};

use likeness_engine::Engine;

/// Holds the current engine. Clones share it.
///
/// Whoever works takes one [`Engine`] of it, once, and keeps it to the end: a request never sees two, and the models of a
/// replaced engine are let go when the last request that uses them has ended. The lock is held for no longer than an
/// `Arc` takes to be cloned or moved.
#[derive(Debug, Clone)]
pub(crate) struct EngineSlot(Arc<RwLock<Engine>>);

impl EngineSlot {
    pub(crate) fn new(engine: Engine) -> Self {
        Self(Arc::new(RwLock::new(engine)))
    }

    /// The engine for whoever begins now.
    pub(crate) fn current(&self) -> Engine {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets `engine` answer whoever begins from now on, and gives the one before.
    #[must_use = "the engine before is let go where this is dropped"]
    pub(crate) fn replace(&self, engine: Engine) -> Engine {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, engine)
    }
}
