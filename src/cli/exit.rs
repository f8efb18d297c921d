//! The exit codes of the commands. 2 is clap's, for wrong usage.

use std::process::ExitCode;

use likeness::decision::Outcome;

/// A number that the process ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code(u8);

/// The verification passes; it may have warnings.
pub(crate) const PASS: Code = Code(0);
/// An error.
pub(crate) const ERROR: Code = Code(1);
/// The verification needs a review.
pub(crate) const REVIEW: Code = Code(3);
/// The verification fails.
pub(crate) const REJECT: Code = Code(4);

impl From<Code> for ExitCode {
    fn from(Code(number): Code) -> Self {
        number.into()
    }
}

impl From<Outcome> for Code {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Pass | Outcome::Warning => PASS,
            Outcome::Review => REVIEW,
            // An outcome that is unknown here is no pass.
            _ => REJECT,
        }
    }
}
