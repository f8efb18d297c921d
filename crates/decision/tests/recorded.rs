//! Recorded decisions under other thresholds come out as the same verification would.

#![allow(clippy::unwrap_used)]

use likeness_decision::{
    Code, Evidence, Finding, MeasuredFace, Outcome, Profile, QualityChecks, RecordedDecision,
    SameImageFinding, Score, Thresholds, decide,
};
use proptest::prelude::*;

fn any_thresholds() -> impl Strategy<Value = Thresholds> {
    (0.0..=1.0, 0.0..=1.0).prop_map(|(a, b): (f64, f64)| Thresholds::new(a.min(b), a.max(b)).unwrap())
}

fn any_finding() -> impl Strategy<Value = Finding> {
    prop::sample::select(&[Finding::Off, Finding::Warning, Finding::Review])
}

fn any_quality() -> impl Strategy<Value = QualityChecks> {
    let same_image = prop::sample::select(&[
        SameImageFinding::Off,
        SameImageFinding::Warning,
        SameImageFinding::Review,
        SameImageFinding::Reject,
    ]);
    (prop::collection::vec(any_finding(), 9), same_image).prop_map(|(findings, same_image)| {
        let mut checks = QualityChecks::default();
        let verdicts = [
            &mut checks.small_face.verdict,
            &mut checks.turned_face.verdict,
            &mut checks.blurred_face.verdict,
            &mut checks.underexposed_face.verdict,
            &mut checks.overexposed_face.verdict,
            &mut checks.cut_face.verdict,
            &mut checks.off_centre_face.verdict,
            &mut checks.no_surroundings.verdict,
            &mut checks.grey_selfie.verdict,
        ];
        for (verdict, finding) in verdicts.into_iter().zip(findings) {
            *verdict = finding;
        }
        checks.same_image.verdict = same_image;
        checks
    })
}

fn any_face() -> impl Strategy<Value = MeasuredFace> {
    prop::collection::vec(0.0..1.0f64, 11).prop_map(|numbers| MeasuredFace {
        inter_eye_distance: numbers[0] * 64.0,
        yaw: numbers[1] * 80.0,
        pitch: numbers[2] * 50.0,
        roll: numbers[3] * 30.0,
        sharpness: numbers[4],
        brightness: numbers[5] * 0.5,
        overexposed_share: numbers[6] * 0.4,
        visible_share: 0.8 + numbers[7] * 0.2,
        off_centre: numbers[8],
        surroundings: numbers[9] * 0.4,
        colour: numbers[10] * 0.04,
    })
}

fn any_areas() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(1.0..1e6f32, 0..3).prop_map(|mut areas| {
        areas.sort_by(|a, b| b.total_cmp(a));
        areas
    })
}

fn any_score() -> impl Strategy<Value = Score> {
    (0.0..=1.0).prop_map(|value: f64| Score::new(value).unwrap())
}

proptest! {
    #[test]
    fn the_outcome_is_that_of_the_decision_under_the_other_thresholds(
        thresholds in prop::collection::vec(any_thresholds(), 4),
        quality in any_quality(),
        areas in (any_areas(), any_areas()),
        faces in (any_face(), any_face()),
        scores in (any_score(), any_score()),
        is_multiface: bool,
        is_same_image: bool,
        rotations in prop::sample::select(&[(0, 0), (90, 0), (0, 180)]),
    ) {
        let profile = |face_match: usize, liveness: usize| {
            let profile = Profile::new("own", thresholds[face_match], thresholds[liveness]).unwrap();
            profile.with_quality(quality).unwrap()
        };
        let (recorded, other) = (profile(0, 1), profile(2, 3));
        let (has_selfie, has_photo) = (!areas.0.is_empty(), !areas.1.is_empty());
        let evidence = Evidence {
            selfie_face_areas: &areas.0,
            photo_face_areas: &areas.1,
            photo_multiface: is_multiface,
            face_match: Some(scores.0).filter(|_| has_selfie && has_photo),
            liveness: Some(scores.1).filter(|_| has_selfie),
            selfie_quality: Some(faces.0).filter(|_| has_selfie),
            photo_quality: Some(faces.1).filter(|_| has_photo),
            selfie_rotation: rotations.0,
            photo_rotation: rotations.1,
            same_image: is_same_image && has_selfie && has_photo,
        };
        let decision = decide(&recorded, &evidence).unwrap();
        let codes: Vec<Code> = decision.details.iter().map(|line| line.code).collect();
        // As a record has them.
        let shown = |score: Option<Score>| score.unwrap_or(Score::ZERO);
        let record = RecordedDecision::new(shown(evidence.face_match), shown(evidence.liveness), &codes);
        prop_assert_eq!(record.outcome(&recorded), decision.outcome());
        prop_assert_eq!(record.outcome(&other), decide(&other, &evidence).unwrap().outcome());
    }
}

#[test]
fn a_missing_face_is_no_low_score() {
    let off = Thresholds::new(0.0, 0.0).unwrap();
    let permissive = Profile::new("own", off, off).unwrap();
    let strict = Profile::builtin("strict-v0").unwrap();
    let record = RecordedDecision::new(Score::ZERO, Score::ONE, &[Code::NoFaceInImage]);
    assert_eq!(record.outcome(&permissive), Outcome::Reject);
    let record = RecordedDecision::new(
        Score::ONE,
        Score::ONE,
        &[Code::FailedFaceMatch, Code::BlurredFaceInImage],
    );
    assert_eq!(record.outcome(&strict), Outcome::Warning);
}
