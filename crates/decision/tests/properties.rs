//! What holds for every score, every profile and every set of faces.

#![allow(clippy::unwrap_used)]

use likeness_decision::{
    Code, Decision, Detail, Evidence, MeasuredFace, Outcome, Profile, Score, Thresholds, Verdict, decide,
};
use proptest::prelude::*;

fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        -0.1..1.1,
        (0..=100_000u32).prop_map(|n| f64::from(n) / 1e5)
    ]
}

fn any_score() -> impl Strategy<Value = Score> {
    (0.0..=1.0).prop_map(|value: f64| Score::new(value).unwrap())
}

/// Bounds with few and with many decimals.
fn any_thresholds() -> impl Strategy<Value = Thresholds> {
    let bound = prop_oneof![(0..=100u32).prop_map(|n| f64::from(n) / 100.0), 0.0..=1.0];
    (bound.clone(), bound).prop_map(|(a, b)| Thresholds::new(a.min(b), a.max(b)).unwrap())
}

fn any_profile() -> impl Strategy<Value = Profile> {
    prop_oneof![
        prop::sample::select(&Profile::BUILTIN_NAMES).prop_map(|name| Profile::builtin(name).unwrap()),
        (any_thresholds(), any_thresholds())
            .prop_map(|(face_match, liveness)| Profile::new("own", face_match, liveness).unwrap()),
    ]
}

/// Areas in order, largest first.
fn any_areas() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(0.0..1e8f32, 0..5).prop_map(|mut areas| {
        areas.sort_by(|a, b| b.total_cmp(a));
        areas
    })
}

/// Evidence that does not contradict itself, and its decision.
fn judged(
    profile: &Profile,
    selfie: &[f32],
    photo: &[f32],
    photo_multiface: bool,
    face_match: Score,
    liveness: Score,
) -> Decision {
    let evidence = Evidence {
        selfie_face_areas: selfie,
        photo_face_areas: photo,
        photo_multiface,
        face_match: (!selfie.is_empty() && !photo.is_empty()).then_some(face_match),
        liveness: (!selfie.is_empty()).then_some(liveness),
        selfie_quality: None,
        photo_quality: None,
        selfie_rotation: 0,
        photo_rotation: 0,
        same_image: false,
    };
    decide(profile, &evidence).unwrap()
}

/// R, S and V of `…: R < S (actual) < V`.
fn numbers(line: &Detail) -> [f64; 3] {
    let (_, numbers) = line.description.split_once(": ").unwrap();
    let mut parts = numbers
        .split(" < ")
        .map(|part| part.trim_end_matches(" (actual)").parse().unwrap());
    [
        parts.next().unwrap(),
        parts.next().unwrap(),
        parts.next().unwrap(),
    ]
}

fn line_of(decision: &Decision, code: Code) -> Option<&Detail> {
    decision.details.iter().find(|line| line.code == code)
}

proptest! {
    #[test]
    fn a_score_is_finite_in_range_and_has_four_decimals(value in any_float()) {
        match Score::new(value) {
            Ok(score) => {
                prop_assert!(value.is_finite());
                prop_assert!((0.0..=1.0).contains(&score.value()));
                prop_assert!(score.value().is_sign_positive());
                prop_assert!((score.value() - value).abs() <= 0.000_051);
                prop_assert!(score.to_string().len() <= "0.1234".len());
                prop_assert_eq!(score.to_string().parse::<f64>().unwrap(), score.value());
                prop_assert_eq!(Score::new(score.value()).unwrap(), score);
            }
            Err(_) => prop_assert!(!(0.0..=1.0).contains(&value)),
        }
    }

    #[test]
    fn rounding_keeps_the_order(a in 0.0..=1.0, b in 0.0..=1.0) {
        let (low, high) = (f64::min(a, b), f64::max(a, b));
        prop_assert!(Score::new(low).unwrap() <= Score::new(high).unwrap());
    }

    #[test]
    fn thresholds_are_in_range_and_in_order_or_refused(a in any_float(), b in any_float()) {
        match Thresholds::new(a, b) {
            Ok(bounds) => {
                prop_assert!(0.0 <= bounds.reject_below());
                prop_assert!(bounds.reject_below() <= bounds.review_below());
                prop_assert!(bounds.review_below() <= 1.0);
            }
            Err(error) => {
                let usable = |bound| (0.0..=1.0).contains(&bound);
                prop_assert!(!usable(a) || !usable(b) || a > b);
                prop_assert!(error.to_string().contains("_below"));
            }
        }
    }

    #[test]
    fn a_higher_score_is_never_a_worse_outcome(
        profile in any_profile(),
        selfie in any_areas(),
        photo in any_areas(),
        multiface: bool,
        face_matches in (any_score(), any_score()),
        livenesses in (any_score(), any_score()),
    ) {
        let (worse, better) = (face_matches.0.min(face_matches.1), face_matches.0.max(face_matches.1));
        let of = |score| judged(&profile, &selfie, &photo, multiface, score, livenesses.0);
        prop_assert!(of(better).outcome() <= of(worse).outcome());
        prop_assert!(of(better).reject_score <= of(worse).reject_score);

        let (worse, better) = (livenesses.0.min(livenesses.1), livenesses.0.max(livenesses.1));
        let of = |score| judged(&profile, &selfie, &photo, multiface, face_matches.0, score);
        prop_assert!(of(better).outcome() <= of(worse).outcome());
        prop_assert!(of(better).reject_score <= of(worse).reject_score);
    }

    #[test]
    fn the_verdict_follows_from_the_three_numbers_of_its_text(
        profile in any_profile(),
        face_match in any_score(),
        liveness in any_score(),
    ) {
        let decision = judged(&profile, &[9.0], &[9.0], false, face_match, liveness);
        for (code, score, bounds) in [
            (Code::FailedFaceMatch, face_match, profile.face_match()),
            (Code::FailedSelfieLiveness, liveness, profile.liveness()),
        ] {
            match line_of(&decision, code) {
                Some(line) => {
                    let [reject_below, shown, review_below] = numbers(line);
                    prop_assert_eq!(reject_below, bounds.reject_below());
                    prop_assert_eq!(shown, score.value());
                    prop_assert_eq!(review_below, bounds.review_below());
                    prop_assert!(shown < review_below);
                    let verdict = if shown < reject_below { Verdict::Reject } else { Verdict::Review };
                    prop_assert_eq!(line.verdict, verdict);
                }
                None => prop_assert!(score.value() >= bounds.review_below()),
            }
        }
    }

    #[test]
    fn the_scores_are_the_highest_confidence_of_their_lines(
        profile in any_profile(),
        selfie in any_areas(),
        photo in any_areas(),
        multiface: bool,
        face_match in any_score(),
        liveness in any_score(),
    ) {
        let decision = judged(&profile, &selfie, &photo, multiface, face_match, liveness);
        let highest = |verdict| {
            let lines = decision.details.iter().filter(|line| line.verdict == verdict);
            lines.map(|line| line.confidence.value()).fold(0.0, f64::max)
        };
        prop_assert_eq!(decision.reject_score.value(), highest(Verdict::Reject));
        prop_assert_eq!(decision.review_score.value(), highest(Verdict::Review));
        prop_assert_eq!(decision.warning_score.value(), highest(Verdict::Warning));

        let outcome = if decision.reject_score > Score::ZERO {
            Outcome::Reject
        } else if decision.review_score > Score::ZERO {
            Outcome::Review
        } else if decision.warning_score > Score::ZERO {
            Outcome::Warning
        } else {
            Outcome::Pass
        };
        prop_assert_eq!(decision.outcome(), outcome);

        let places: Vec<_> =
            decision.details.iter().map(|line| Code::ALL.iter().position(|code| *code == line.code)).collect();
        prop_assert!(places.is_sorted_by(|before, after| before < after), "{:?}", decision.details);
    }

    #[test]
    fn a_image_without_a_face_is_never_passed(
        profile in any_profile(),
        other in any_areas(),
        multiface: bool,
        liveness in any_score(),
    ) {
        for (selfie, photo) in [(&[][..], &other[..]), (&other[..], &[][..])] {
            let decision = judged(&profile, selfie, photo, multiface, Score::ONE, liveness);
            prop_assert_eq!(decision.outcome(), Outcome::Reject);
            prop_assert!(line_of(&decision, Code::FailedFaceMatch).is_none());
        }
    }

    #[test]
    fn any_floats_are_judged_or_refused_and_never_pass_unless_finite(
        profile in any_profile(),
        selfie in prop::collection::vec(any::<u32>().prop_map(f32::from_bits), 0..4),
        photo in prop::collection::vec(any::<u32>().prop_map(f32::from_bits), 0..4),
        multiface: bool,
        face_match in prop::option::of(any_float()),
        liveness in prop::option::of(any_float()),
    ) {
        let evidence = Evidence {
            selfie_face_areas: &selfie,
            photo_face_areas: &photo,
            photo_multiface: multiface,
            face_match: face_match.and_then(|value| Score::new(value).ok()),
            liveness: liveness.and_then(|value| Score::new(value).ok()),
            selfie_quality: None,
            photo_quality: None,
            selfie_rotation: 0,
            photo_rotation: 0,
            same_image: false,
        };
        if let Ok(decision) = decide(&profile, &evidence)
            && decision.outcome() == Outcome::Pass
        {
            prop_assert!(face_match.is_some_and(f64::is_finite));
            prop_assert!(liveness.is_some_and(f64::is_finite));
            prop_assert!(selfie.iter().chain(&photo).all(|area| area.is_finite()));
        }
    }

    #[test]
    fn a_findings_numbers_are_on_the_wrong_side_of_its_bound_and_it_is_no_reject(
        numbers in prop::array::uniform11(any_float()),
    ) {
        let [
            inter_eye_distance, yaw, pitch, roll, sharpness, brightness, overexposed_share, visible_share, off_centre,
            surroundings, colour,
        ] = numbers;
        let face = MeasuredFace {
            inter_eye_distance: inter_eye_distance * 100.0,
            yaw: yaw * 100.0,
            pitch: pitch * 100.0,
            roll: roll * 100.0,
            sharpness,
            brightness,
            overexposed_share,
            visible_share,
            off_centre,
            surroundings,
            colour,
        };
        let evidence = Evidence {
            selfie_face_areas: &[9.0],
            photo_face_areas: &[9.0],
            photo_multiface: false,
            face_match: Some(Score::ONE),
            liveness: Some(Score::ONE),
            selfie_quality: Some(face),
            photo_quality: None,
            selfie_rotation: 0,
            photo_rotation: 0,
            same_image: false,
        };
        let finite = [face.inter_eye_distance, face.yaw, face.pitch, face.roll]
            .iter()
            .chain(&numbers[4..])
            .all(|number| number.is_finite());
        let decision = decide(&Profile::optimal_v0(), &evidence);
        prop_assert_eq!(decision.is_ok(), finite);
        for line in decision.iter().flat_map(|decision| &decision.details) {
            if line.code == Code::GreySelfie {
                prop_assert!(colour < 0.02);
                prop_assert_eq!(line.verdict, Verdict::Warning);
                continue;
            }
            let by_default = if line.code == Code::NoSurroundingsInSelfie { Verdict::Review } else { Verdict::Warning };
            prop_assert_eq!(line.verdict, by_default);
            let (_, numbers) = line.description.split_once(": ").unwrap();
            for part in numbers.split(", ") {
                let (actual, bound) = part.split_once(" (actual) ").unwrap();
                let actual: f64 = actual.split(' ').find_map(|word| word.parse().ok()).unwrap();
                let wrong = match bound.split_once(' ').unwrap() {
                    ("<", bound) => actual < bound.parse().unwrap(),
                    (">", bound) => actual > bound.parse().unwrap(),
                    other => panic!("{other:?}"),
                };
                prop_assert!(wrong, "{}", line.description);
            }
        }
    }
}
