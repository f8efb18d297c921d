//! API keys on the command line.

use std::io::Read;
use std::time::Duration;

use clap::Args;
use likeness::server::storage::apps::{AppKey, KeyRule};

use super::Failure;

/// More than the longest key and a line's end.
const MAX_INPUT: u64 = 1_024;

const DAY: u64 = 86_400;

/// The source of a new key.
#[derive(Debug, Args)]
pub(super) struct KeyArguments {
    /// Read the key from standard input, at least 16 random characters [default: generate one]
    #[arg(long)]
    key_stdin: bool,
}

impl KeyArguments {
    /// Returns what is printed of a new key: one that was given is known already.
    pub(super) fn shown<'a>(&self, key: &'a AppKey) -> Option<&'a str> {
        (!self.key_stdin).then(|| key.expose())
    }

    /// Returns the key, which must keep to this rule where it is given.
    pub(super) fn key(&self, rule: KeyRule) -> Result<AppKey, Failure> {
        if !self.key_stdin {
            return Ok(AppKey::generate()?);
        }
        let mut text = String::new();
        std::io::stdin()
            .take(MAX_INPUT)
            .read_to_string(&mut text)
            .map_err(|_| "standard input is not UTF-8")?;
        Ok(AppKey::import(text.trim_end_matches(['\r', '\n']), rule)?)
    }
}

/// Parses a time such as `7d`, `12h`, `30m`, `90s` or `0`.
pub(super) fn parse_time(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a number with `d`, `h`, `m` or `s`, such as 7d or 12h, or 0".to_owned();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let unit = match &text[digits.len()..] {
        "d" => DAY,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        "" if number == 0 => 1,
        _ => return Err(wrong()),
    };
    let seconds = number.checked_mul(unit).filter(|&seconds| seconds <= 3_660 * DAY);
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "must be at most 3660d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        for (text, seconds) in [
            ("7d", 604_800),
            ("12h", 43_200),
            ("30m", 1_800),
            ("90s", 90),
            ("0", 0),
            ("0d", 0),
        ] {
            assert_eq!(parse_time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "7",
            "d",
            "-1d",
            "1.5h",
            "7 d",
            "7w",
            "1d2h",
            "99999999999999999999d",
            "213503982334602d",
            "3661d",
        ] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
