//! The engine's work: threads of its own, and the engine that answers now.

pub(crate) mod engine_slot;
pub(crate) mod pool;
