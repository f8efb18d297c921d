//! Pairs that the engine of this process verifies.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use likeness::api::{ApiError, ErrorCode};
use likeness::decision::{Profile, Score};
use likeness::{Engine, VerifyOptions};

use super::pairs::Pair;
use super::results::{Decided, Judged};
use crate::cli::{Failure, read_limited};

/// The code of a file that cannot be read.
const UNREADABLE_FILE: &str = "UNREADABLE_FILE";

/// An engine, with the profiles that pairs may name.
pub(crate) struct Local {
    pub(crate) engine: Engine,
    pub(crate) profiles: Vec<Profile>,
    pub(crate) root: PathBuf,
    pub(crate) multiface: bool,
}

impl Local {
    /// Returns a profile, built in or configured.
    pub(crate) fn profile(&self, name: &str) -> Option<Profile> {
        let own = || self.profiles.iter().find(|profile| profile.name() == name);
        Profile::builtin(name).or_else(|| own().cloned())
    }

    /// Verifies a pair.
    pub(crate) fn verify(&self, pair: &Pair) -> Judged {
        let Some(profile) = self.profile(&pair.profile) else {
            let problem = format_args!("names the profile {:?}, which is unknown", pair.profile);
            return refused(&ApiError::invalid_parameter("profile", problem));
        };
        let limit = self.engine.limits().max_bytes as u64;
        let (selfie, photo) = match read_both(&self.root, pair, limit) {
            Ok(images) => images,
            Err(unreadable) => return unreadable,
        };
        let options = VerifyOptions::default()
            .with_profile(profile)
            .with_photo_multiface(self.multiface);
        // A panic for one image does not end the batch, as it does not end the service.
        let verified = catch_unwind(AssertUnwindSafe(|| self.engine.verify(&selfie, &photo, &options)));
        let verification = match verified {
            Ok(Ok(verification)) => verification,
            Ok(Err(error)) => return refused(&ApiError::from(error)),
            Err(_) => return refused(&ApiError::internal("the verification panicked: this is a bug")),
        };
        let shown = |score: Option<Score>| score.map_or(0.0, Score::value);
        let details = &verification.decision.details;
        Judged {
            verdict: Ok(Decided {
                outcome: verification.decision.outcome(),
                face_match: shown(verification.face_match),
                liveness: shown(verification.liveness),
                codes: details.iter().map(|line| line.code.to_string()).collect(),
            }),
            request_id: String::new(),
        }
    }
}

/// Returns the result for an error. The cause is for a log, and this is the log of a batch.
fn refused(error: &ApiError) -> Judged {
    let message = match (error.code(), error.cause()) {
        (ErrorCode::Internal, Some(cause)) => cause,
        _ => error.message(),
    };
    Judged::refused(error.code().as_str(), message)
}

/// Reads selfie and photo, each no further than one byte beyond the limit.
pub(crate) fn read_both(root: &Path, pair: &Pair, limit: u64) -> Result<(Vec<u8>, Vec<u8>), Judged> {
    let read = |name: &str| {
        read_regular(&root.join(name), limit)
            .map_err(|error| Judged::refused(UNREADABLE_FILE, error.to_string()))
    };
    Ok((read(&pair.selfie)?, read(&pair.photo)?))
}

/// Reads a file that is no pipe or device, which might never end.
fn read_regular(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let is_regular = std::fs::metadata(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?
        .is_file();
    if !is_regular {
        return Err(format!("cannot read {}: it is not a file", path.display()).into());
    }
    read_limited(path, limit)
}
