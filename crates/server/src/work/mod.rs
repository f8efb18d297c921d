//! The engine's work: worker threads with their queue, and the current engine.

mod pool;
#[cfg(test)]
pub(crate) mod test_engine;

use std::sync::Arc;

use arc_swap::ArcSwap;
use likeness_engine::Engine;

pub(crate) use pool::{WorkPool, describe_panic};

/// The current engine, which a reload swaps. Work takes the engine out once, when it begins, and keeps it to its end: a
/// request never sees two, and the models of a replaced engine are freed with the last request that uses them.
pub(crate) type EngineSlot = Arc<ArcSwap<Engine>>;
