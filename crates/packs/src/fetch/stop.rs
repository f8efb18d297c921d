//! Why fetching a file stops: at one place, or for good.

use crate::{FetchFailure, PackError};

/// Why fetching a file stops.
pub(super) enum Stop {
    /// This place failed.
    Place(FetchFailure),
    /// The model store failed.
    Store(PackError),
}

impl From<FetchFailure> for Stop {
    fn from(failure: FetchFailure) -> Self {
        Self::Place(failure)
    }
}

impl From<PackError> for Stop {
    fn from(error: PackError) -> Self {
        Self::Store(error)
    }
}
