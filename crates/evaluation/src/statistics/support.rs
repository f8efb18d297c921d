//! How many comparisons a rate needs before it says anything.

/// The errors that a rate must rest on: Doddington's rule of 30. With 30 errors the true rate lies, with 90 %
/// confidence, within 30 % of the observed one (Doddington, Przybocki, Martin and Reynolds, "The NIST speaker recognition
/// evaluation", Speech Communication 31, 2000; taken up by ISO/IEC 19795-1). It assumes independent comparisons, which those
/// of the same people are not, so it is a least number and not a promise.
pub const ERRORS_NEEDED: u64 = 30;

/// A rate that does not fit a double, such as 1e-5, must not ask for one comparison more than it means.
const SLACK: f64 = 1e-9;

/// How many comparisons it takes for `rate`, above 0, to mean [`ERRORS_NEEDED`] errors.
#[must_use]
pub fn comparisons_needed(rate: f64) -> u64 {
    let needed = ERRORS_NEEDED as f64 / rate;
    (needed * (1.0 - SLACK)).ceil() as u64
}

/// Whether `comparisons` are enough to speak of `rate`, above 0.
#[must_use]
pub fn supports(comparisons: u64, rate: f64) -> bool {
    comparisons >= comparisons_needed(rate)
}

/// What may be said, with 95 % confidence, of a rate where no error was seen in `trials` independent trials: it is not
/// above this. The exact form of the "rule of 3", which is 3 / trials; 1 where there was no trial.
#[must_use]
pub fn upper_bound_without_errors(trials: u64) -> f64 {
    if trials == 0 {
        return 1.0;
    }
    // 0.05 is the chance to see no error in all trials at this rate.
    1.0 - 0.05f64.powf(1.0 / trials as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_errors_are_needed() {
        assert_eq!(comparisons_needed(0.1), 300);
        assert_eq!(comparisons_needed(0.01), 3_000);
        assert_eq!(comparisons_needed(1e-3), 30_000);
        assert_eq!(comparisons_needed(1e-5), 3_000_000);
        assert_eq!(comparisons_needed(1e-6), 30_000_000);
        assert_eq!(comparisons_needed(0.7), 43);
        assert!(supports(3_000, 0.01) && !supports(2_999, 0.01));
    }

    #[test]
    fn without_errors_three_in_n_are_possible() {
        // 1 - 0.05^(1/59) is the well-known 5 % of 59 trials.
        assert!((upper_bound_without_errors(59) - 0.0495).abs() < 1e-4);
        assert!((upper_bound_without_errors(3_000) - 0.001).abs() < 2e-6);
        assert_eq!(upper_bound_without_errors(0), 1.0);
        assert!((upper_bound_without_errors(1) - 0.95).abs() < 1e-12);
    }
}
