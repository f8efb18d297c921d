//! Profiles as operators write them, and what they are told when they slip.

#![allow(clippy::unwrap_used)]

use likeness_decision::{
    AtLeast, AtMost, Finding, PoseWithin, Profile, ProfileError, QualityBoundError, QualityChecks, SameImage,
    SameImageFinding, Thresholds,
};

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
        "unknown field `facematch`, expected one of `name`, `face_match`, `liveness`, `quality`"
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

/// The profile with these lines as its table `quality`.
fn with_quality(lines: &str) -> String {
    format!("{ONBOARDING}\n[quality]\n{lines}")
}

#[test]
fn a_profile_without_quality_has_the_documented_checks() {
    let verdict = Finding::Warning;
    let documented = QualityChecks {
        small_face: AtLeast { below: 32.0, verdict },
        turned_face: PoseWithin {
            yaw_above: 40.0,
            pitch_above: 25.0,
            roll_above: 15.0,
            verdict,
        },
        blurred_face: AtLeast { below: 0.5, verdict },
        underexposed_face: AtLeast { below: 0.25, verdict },
        overexposed_face: AtMost { above: 0.2, verdict },
        cut_face: AtLeast { below: 0.9, verdict },
        off_centre_face: AtMost { above: 0.65, verdict },
        no_surroundings: AtLeast {
            below: 0.2,
            verdict: Finding::Review,
        },
        grey_selfie: AtLeast { below: 0.02, verdict },
        same_image: SameImage {
            verdict: SameImageFinding::Warning,
        },
    };
    for text in [ONBOARDING.to_owned(), with_quality("")] {
        assert_eq!(*toml::from_str::<Profile>(&text).unwrap().quality(), documented);
    }
    for name in Profile::BUILTIN_NAMES {
        let profile = Profile::builtin(name).unwrap();
        assert_eq!(*profile.quality(), documented);
        // Through the check that an operator's bounds go through.
        assert_eq!(profile.clone().with_quality(documented).unwrap(), profile);
    }
}

#[test]
fn what_a_quality_check_leaves_out_stays_as_it_is() {
    let profile: Profile = toml::from_str(&with_quality(
        r#"
            small_face = { below = 60, verdict = "review" }
            turned_face = { yaw_above = 30 }
            off_centre_face = { verdict = "off" }
            no_surroundings = { below = 0.3 }
            same_image = { verdict = "reject" }
        "#,
    ))
    .unwrap();
    let mut expected = QualityChecks {
        small_face: AtLeast {
            below: 60.0,
            verdict: Finding::Review,
        },
        ..QualityChecks::default()
    };
    expected.turned_face.yaw_above = 30.0;
    expected.off_centre_face.verdict = Finding::Off;
    expected.no_surroundings.below = 0.3;
    expected.same_image.verdict = SameImageFinding::Reject;
    assert_eq!(*profile.quality(), expected);
    let text = toml::to_string(&profile).unwrap();
    assert_eq!(toml::from_str::<Profile>(&text).unwrap(), profile);
}

#[test]
fn quality_checks_are_checked() {
    for (line, message) in [
        (
            "small_face = { below = -1 }",
            "quality.small_face.below is -1, but must be a number from 0 to 10000",
        ),
        (
            "turned_face = { roll_above = 181 }",
            "quality.turned_face.roll_above is 181, but must be a number from 0 to 180",
        ),
        (
            "blurred_face = { below = inf }",
            "quality.blurred_face.below is inf, but must be a number from 0 to 10",
        ),
        (
            "underexposed_face = { below = 64 }",
            "quality.underexposed_face.below is 64, but must be a number from 0 to 1",
        ),
        (
            "overexposed_face = { above = nan }",
            "quality.overexposed_face.above is NaN, but must be a number from 0 to 1",
        ),
        (
            "cut_face = { below = 1.01 }",
            "quality.cut_face.below is 1.01, but must be a number from 0 to 1",
        ),
        (
            "off_centre_face = { above = 50 }",
            "quality.off_centre_face.above is 50, but must be a number from 0 to 1",
        ),
        (
            "no_surroundings = { below = 11 }",
            "quality.no_surroundings.below is 11, but must be a number from 0 to 10",
        ),
        (
            "grey_selfie = { below = -0.1 }",
            "quality.grey_selfie.below is -0.1, but must be a number from 0 to 10",
        ),
        (
            "same_image = { below = 0.5 }",
            "unknown field `below`, expected `verdict`",
        ),
        (
            "cut_face = { above = 0.5 }",
            "unknown field `above`, expected `below` or `verdict`",
        ),
        (
            "tiny_face = { below = 1 }",
            "unknown field `tiny_face`, expected one of `small_face`, `turned_face`, `blurred_face`, \
             `underexposed_face`, `overexposed_face`, `cut_face`, `off_centre_face`, `no_surroundings`, `grey_selfie`, \
             `same_image`",
        ),
        // A finding is never a reason to turn somebody away.
        (
            "cut_face = { verdict = 'reject' }",
            "unknown variant `reject`, expected one of `off`, `warning`, `review`",
        ),
    ] {
        assert_eq!(refusal::<Profile>(&with_quality(line)), message);
    }
    let mut checks = QualityChecks::default();
    checks.cut_face.below = 2.0;
    assert_eq!(
        Profile::optimal_v0().with_quality(checks),
        Err(ProfileError::Quality(QualityBoundError {
            key: "cut_face.below",
            value: 2.0,
            highest: 1.0
        }))
    );
    // Negative zero is a zero, and shown as one.
    let zero: Profile = toml::from_str(&with_quality("cut_face = { below = -0.0 }")).unwrap();
    assert!(zero.quality().cut_face.below.is_sign_positive());
}
