//! Profiles as operators write them, and what they are told when they slip.

#![allow(clippy::unwrap_used)]

use likeness_decision::{Profile, ProfileError, Thresholds};

const ONBOARDING: &str = r#"
    name = "onboarding"
    face_match = { reject_below = 0.45, review_below = 0.6 }
    liveness = { reject_below = 0, review_below = 0.7 }
"#;

/// The message without the excerpt of the file that TOML adds to it.
fn refusal<T: serde::de::DeserializeOwned + std::fmt::Debug>(text: &str) -> String {
    toml::from_str::<T>(text).unwrap_err().message().to_owned()
}

#[test]
fn a_profile_is_read_from_configuration() {
    let profile: Profile = toml::from_str(ONBOARDING).unwrap();
    assert_eq!(profile.name(), "onboarding");
    assert_eq!(*profile.face_match(), Thresholds::new(0.45, 0.6).unwrap());
    assert_eq!(*profile.liveness(), Thresholds::new(0.0, 0.7).unwrap());
}

#[test]
fn a_profile_is_written_as_it_is_read() {
    for name in Profile::BUILTIN_NAMES {
        let profile = Profile::builtin(name).unwrap();
        let text = toml::to_string(&profile).unwrap();
        assert_eq!(toml::from_str::<Profile>(&text).unwrap(), profile);
    }
}

#[test]
fn bounds_are_checked() {
    for (text, message) in [
        (
            "reject_below = 1.4\nreview_below = 0.5",
            "reject_below is 1.4, but must be a number from 0 to 1",
        ),
        (
            "reject_below = 0.4\nreview_below = 56",
            "review_below is 56, but must be a number from 0 to 1",
        ),
        (
            "reject_below = -0.1\nreview_below = 0.5",
            "reject_below is -0.1, but must be a number from 0 to 1",
        ),
        (
            "reject_below = nan\nreview_below = 0.5",
            "reject_below is NaN, but must be a number from 0 to 1",
        ),
        (
            "reject_below = 0.4\nreview_below = inf",
            "review_below is inf, but must be a number from 0 to 1",
        ),
        (
            "reject_below = 0.6\nreview_below = 0.5",
            "reject_below is 0.6, which is above review_below, 0.5; it must not be higher",
        ),
        ("reject_below = 0.6", "missing field `review_below`"),
        (
            "reject_below = 0.4\nreview_below = 0.5\nwarn_below = 0.6",
            "unknown field `warn_below`, expected `reject_below` or `review_below`",
        ),
    ] {
        assert_eq!(refusal::<Thresholds>(text), message);
    }
}

#[test]
fn profiles_are_checked() {
    assert_eq!(
        refusal::<Profile>(&ONBOARDING.replace("\"onboarding\"", "\"\"")),
        "the profile name \"\" cannot be used: it must have 1 to 64 ASCII letters, digits, '-', '_' or '.'"
    );
    assert_eq!(
        refusal::<Profile>(&ONBOARDING.replace("0.45", "0.65")),
        "reject_below is 0.65, which is above review_below, 0.6; it must not be higher"
    );
    assert_eq!(
        refusal::<Profile>(&format!("{ONBOARDING}\nfacematch = 1")),
        "unknown field `facematch`, expected one of `name`, `face_match`, `liveness`"
    );
}

#[test]
fn names_are_short_and_plain() {
    let bounds = Thresholds::new(0.4, 0.5).unwrap();
    let named = |name: &str| Profile::new(name, bounds, bounds);
    for name in ["a", "kiosk_2.1", "optimal-v0", &"x".repeat(64)] {
        assert_eq!(named(name).unwrap().name(), name);
    }
    for name in ["", " ", "two words", "line\nbreak", "émile", &"x".repeat(65)] {
        assert_eq!(named(name), Err(ProfileError::Name(name.to_owned())));
    }
}
