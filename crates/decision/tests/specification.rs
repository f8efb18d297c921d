//! The rules of the HTTP contract for decisions, as tables.

#![allow(clippy::unwrap_used)]

use likeness_decision::{
    Code, Decision, DecisionError, Evidence, Finding, ImageRole, MeasuredFace, Measurement, Outcome, Profile,
    QualityChecks, SameImageFinding, Score, Thresholds, Verdict, decide, photo_findings, selfie_findings,
};

/// One face in each image and two good scores: passes under every profile.
fn good() -> Evidence<'static> {
    Evidence {
        selfie_face_areas: &[68_000.0],
        photo_face_areas: &[5_400.0],
        photo_multiface: false,
        face_match: Some(Score::ONE),
        liveness: Some(Score::ONE),
        selfie_quality: None,
        photo_quality: None,
        selfie_rotation: 0,
        photo_rotation: 0,
        same_image: false,
    }
}

fn score(value: f64) -> Option<Score> {
    Some(Score::new(value).unwrap())
}

/// Under `optimal-v0`.
fn judge(evidence: &Evidence<'_>) -> Decision {
    decide(&Profile::optimal_v0(), evidence).unwrap()
}

/// `CODE verdict confidence: text`, a line each.
fn lines(decision: &Decision) -> Vec<String> {
    let show = |line: &likeness_decision::Detail| {
        format!(
            "{} {} {}: {}",
            line.code, line.verdict, line.confidence, line.description
        )
    };
    decision.details.iter().map(show).collect()
}

fn scores(decision: &Decision) -> [f64; 3] {
    [
        decision.reject_score.value(),
        decision.review_score.value(),
        decision.warning_score.value(),
    ]
}

#[test]
fn profiles_have_the_bounds_of_the_contract() {
    let table = [
        ("permissive-v0", (0.30, 0.40), (0.30, 0.50)),
        ("optimal-v0", (0.40, 0.56), (0.40, 0.60)),
        ("strict-v0", (0.56, 0.70), (0.60, 0.80)),
    ];
    assert_eq!(Profile::BUILTIN_NAMES, table.map(|row| row.0));
    for (name, face_match, liveness) in table {
        let profile = Profile::builtin(name).unwrap();
        assert_eq!(profile.name(), name);
        // Through `new`, so that the built-in bounds are checked as an operator's are.
        assert_eq!(
            *profile.face_match(),
            Thresholds::new(face_match.0, face_match.1).unwrap()
        );
        assert_eq!(
            *profile.liveness(),
            Thresholds::new(liveness.0, liveness.1).unwrap()
        );
        let again = Profile::new(name, *profile.face_match(), *profile.liveness()).unwrap();
        assert_eq!(again, profile);
    }
    assert_eq!(Profile::default(), Profile::optimal_v0());
    assert_eq!(Profile::builtin("Optimal-v0"), None);
    assert_eq!(Profile::builtin(""), None);
}

#[test]
fn the_documented_sample_to_the_letter() {
    let decision = judge(&Evidence {
        face_match: score(0.4803),
        liveness: score(0.0026),
        ..good()
    });
    assert_eq!(
        lines(&decision),
        [
            "FAILED_FACE_MATCH review 1.0: \
             Faces do not match; threshold failed: 0.4 < 0.4803 (actual) < 0.56",
            "FAILED_SELFIE_LIVENESS reject 1.0: \
             Selfie liveness threshold failed: 0.4 < 0.0026 (actual) < 0.6",
        ]
    );
    assert_eq!(scores(&decision), [1.0, 1.0, 0.0]);
    assert_eq!(decision.outcome(), Outcome::Reject);
}

#[test]
fn what_each_profile_makes_of_a_face_match() {
    use Outcome::{Pass, Reject, Review};
    // score, then permissive, optimal, strict
    let table = [
        (0.0, [Reject, Reject, Reject]),
        (0.2999, [Reject, Reject, Reject]),
        (0.29994, [Reject, Reject, Reject]),
        (0.29995, [Review, Reject, Reject]),
        (0.3, [Review, Reject, Reject]),
        (0.39994, [Review, Reject, Reject]),
        (0.39996, [Pass, Review, Reject]),
        (0.4, [Pass, Review, Reject]),
        (0.5599, [Pass, Review, Reject]),
        (0.55994, [Pass, Review, Reject]),
        (0.55995, [Pass, Pass, Review]),
        (0.56, [Pass, Pass, Review]),
        (0.6999, [Pass, Pass, Review]),
        (0.69994, [Pass, Pass, Review]),
        (0.69995, [Pass, Pass, Pass]),
        (0.7, [Pass, Pass, Pass]),
        (1.0, [Pass, Pass, Pass]),
    ];
    for (value, outcomes) in table {
        for (name, outcome) in Profile::BUILTIN_NAMES.into_iter().zip(outcomes) {
            let profile = Profile::builtin(name).unwrap();
            let decision = decide(
                &profile,
                &Evidence {
                    face_match: score(value),
                    ..good()
                },
            )
            .unwrap();
            assert_eq!(decision.outcome(), outcome, "{value} under {name}");
        }
    }
}

#[test]
fn what_each_profile_makes_of_liveness() {
    use Outcome::{Pass, Reject, Review};
    let table = [
        (0.0, [Reject, Reject, Reject]),
        (0.29994, [Reject, Reject, Reject]),
        (0.29995, [Review, Reject, Reject]),
        (0.39994, [Review, Reject, Reject]),
        (0.39996, [Review, Review, Reject]),
        (0.49994, [Review, Review, Reject]),
        (0.49995, [Pass, Review, Reject]),
        (0.59994, [Pass, Review, Reject]),
        (0.59995, [Pass, Pass, Review]),
        (0.79994, [Pass, Pass, Review]),
        (0.79995, [Pass, Pass, Pass]),
        (1.0, [Pass, Pass, Pass]),
    ];
    for (value, outcomes) in table {
        for (name, outcome) in Profile::BUILTIN_NAMES.into_iter().zip(outcomes) {
            let profile = Profile::builtin(name).unwrap();
            let decision = decide(
                &profile,
                &Evidence {
                    liveness: score(value),
                    ..good()
                },
            )
            .unwrap();
            assert_eq!(decision.outcome(), outcome, "{value} under {name}");
        }
    }
}

#[test]
fn the_text_shows_the_rounded_score_that_was_judged() {
    let text = |value| {
        judge(&Evidence {
            face_match: score(value),
            ..good()
        })
        .details
        .remove(0)
    };
    for (value, verdict, shown) in [
        (0.0, Verdict::Reject, "0.4 < 0.0 (actual) < 0.56"),
        (0.000_04, Verdict::Reject, "0.4 < 0.0 (actual) < 0.56"),
        (0.000_06, Verdict::Reject, "0.4 < 0.0001 (actual) < 0.56"),
        (0.399_94, Verdict::Reject, "0.4 < 0.3999 (actual) < 0.56"),
        (0.399_96, Verdict::Review, "0.4 < 0.4 (actual) < 0.56"),
        (0.5, Verdict::Review, "0.4 < 0.5 (actual) < 0.56"),
        (0.559_94, Verdict::Review, "0.4 < 0.5599 (actual) < 0.56"),
    ] {
        let line = text(value);
        assert_eq!(line.verdict, verdict, "{value}");
        assert_eq!(
            line.description,
            format!("Faces do not match; threshold failed: {shown}")
        );
    }
}

#[test]
fn the_text_shows_the_bounds_in_their_shortest_form() {
    let text = |reject, review| {
        let bounds = Thresholds::new(reject, review).unwrap();
        let profile = Profile::new("own", bounds, bounds).unwrap();
        let decision = decide(
            &profile,
            &Evidence {
                liveness: Some(Score::ZERO),
                ..good()
            },
        )
        .unwrap();
        decision.details[0].description.clone()
    };
    assert_eq!(
        text(0.0, 1.0),
        "Selfie liveness threshold failed: 0 < 0.0 (actual) < 1"
    );
    assert_eq!(
        text(-0.0, 0.5),
        "Selfie liveness threshold failed: 0 < 0.0 (actual) < 0.5"
    );
    assert_eq!(
        text(1e-7, 0.123_456),
        "Selfie liveness threshold failed: 0.0000001 < 0.0 (actual) < 0.123456"
    );
}

#[test]
fn no_face_leaves_the_scores_out() {
    let no_selfie = Evidence {
        selfie_face_areas: &[],
        face_match: None,
        liveness: None,
        ..good()
    };
    assert_eq!(
        lines(&judge(&no_selfie)),
        ["NO_FACE_IN_SELFIE reject 1.0: No face detected in the selfie image"]
    );

    let no_photo = Evidence {
        photo_face_areas: &[],
        face_match: None,
        ..good()
    };
    assert_eq!(
        lines(&judge(&no_photo)),
        ["NO_FACE_IN_IMAGE reject 1.0: No face detected in the photo image"]
    );

    let neither = Evidence {
        photo_face_areas: &[],
        ..no_selfie
    };
    assert_eq!(
        lines(&judge(&neither)),
        [
            "NO_FACE_IN_SELFIE reject 1.0: No face detected in the selfie image",
            "NO_FACE_IN_IMAGE reject 1.0: No face detected in the photo image",
        ]
    );
    assert_eq!(scores(&judge(&neither)), [1.0, 0.0, 0.0]);
}

#[test]
fn liveness_is_judged_without_a_face_in_the_photo() {
    let evidence = Evidence {
        photo_face_areas: &[],
        face_match: None,
        liveness: score(0.5),
        ..good()
    };
    assert_eq!(
        lines(&judge(&evidence)),
        [
            "FAILED_SELFIE_LIVENESS review 1.0: Selfie liveness threshold failed: 0.4 < 0.5 (actual) < 0.6",
            "NO_FACE_IN_IMAGE reject 1.0: No face detected in the photo image",
        ]
    );
    assert_eq!(scores(&judge(&evidence)), [1.0, 1.0, 0.0]);
}

#[test]
fn a_second_face_counts_from_a_quarter_of_the_first() {
    for (areas, several) in [
        (&[400.0][..], false),
        (&[400.0, 99.9], false),
        (&[400.0, 99.9, 99.9], false),
        (&[400.0, 100.0], true),
        (&[400.0, 400.0], true),
    ] {
        let selfie = judge(&Evidence {
            selfie_face_areas: areas,
            ..good()
        });
        let photo = judge(&Evidence {
            photo_face_areas: areas,
            ..good()
        });
        let none: [&str; 0] = [];
        if several {
            assert_eq!(
                lines(&selfie),
                ["MULTIPLE_FACES_IN_SELFIE review 1.0: Multiple faces detected in the selfie image: 2"]
            );
            assert_eq!(scores(&selfie), [0.0, 1.0, 0.0]);
            assert_eq!(selfie.outcome(), Outcome::Review);
            assert_eq!(
                lines(&photo),
                ["MULTIPLE_FACES_IN_IMAGE warning 1.0: Multiple faces detected in the photo image: 2"]
            );
            assert_eq!(scores(&photo), [0.0, 0.0, 1.0]);
            assert_eq!(photo.outcome(), Outcome::Warning);
        } else {
            assert_eq!(lines(&selfie), none, "{areas:?}");
            assert_eq!(lines(&photo), none, "{areas:?}");
        }
    }
}

#[test]
fn the_text_counts_every_face_that_was_found() {
    // The third is too small to count as another person, but it was found.
    let decision = judge(&Evidence {
        selfie_face_areas: &[400.0, 100.0, 1.0],
        ..good()
    });
    assert_eq!(
        decision.details[0].description,
        "Multiple faces detected in the selfie image: 3"
    );
}

#[test]
fn several_faces_in_the_photo_are_no_warning_where_they_were_asked_for() {
    let areas = &[400.0, 400.0];
    let decision = judge(&Evidence {
        photo_face_areas: areas,
        photo_multiface: true,
        ..good()
    });
    assert_eq!(decision.details, []);
    // In a selfie they always are.
    let decision = judge(&Evidence {
        selfie_face_areas: areas,
        photo_multiface: true,
        ..good()
    });
    assert_eq!(decision.outcome(), Outcome::Review);
}

#[test]
fn lines_stand_in_the_order_of_the_codes() {
    let areas = &[400.0, 400.0];
    let everything = Evidence {
        selfie_face_areas: areas,
        photo_face_areas: areas,
        photo_multiface: false,
        face_match: Some(Score::ZERO),
        liveness: Some(Score::ZERO),
        selfie_quality: None,
        photo_quality: None,
        selfie_rotation: 0,
        photo_rotation: 0,
        same_image: false,
    };
    let codes: Vec<_> = judge(&everything).details.iter().map(|line| line.code).collect();
    assert_eq!(
        codes,
        [
            Code::FailedFaceMatch,
            Code::FailedSelfieLiveness,
            Code::MultipleFacesInSelfie,
            Code::MultipleFacesInImage
        ]
    );
    assert_eq!(scores(&judge(&everything)), [1.0, 1.0, 1.0]);

    let no_photo = Evidence {
        photo_face_areas: &[],
        face_match: None,
        ..everything
    };
    let codes: Vec<_> = judge(&no_photo).details.iter().map(|line| line.code).collect();
    assert_eq!(
        codes,
        [
            Code::FailedSelfieLiveness,
            Code::NoFaceInImage,
            Code::MultipleFacesInSelfie
        ]
    );
}

#[test]
fn passing_leaves_no_trace() {
    for name in Profile::BUILTIN_NAMES {
        let decision = decide(&Profile::builtin(name).unwrap(), &good()).unwrap();
        assert_eq!(decision.details, []);
        assert_eq!(scores(&decision), [0.0, 0.0, 0.0]);
        assert_eq!(decision.outcome(), Outcome::Pass);
    }
}

#[test]
fn evidence_that_contradicts_itself_is_an_error() {
    let no_selfie = Evidence {
        selfie_face_areas: &[],
        face_match: None,
        liveness: None,
        ..good()
    };
    let no_photo = Evidence {
        photo_face_areas: &[],
        face_match: None,
        ..good()
    };
    let table = [
        (
            Evidence {
                face_match: None,
                ..good()
            },
            DecisionError::MissingScore(Measurement::FaceMatch),
        ),
        (
            Evidence {
                liveness: None,
                ..good()
            },
            DecisionError::MissingScore(Measurement::Liveness),
        ),
        (
            Evidence {
                liveness: None,
                ..no_photo
            },
            DecisionError::MissingScore(Measurement::Liveness),
        ),
        (
            Evidence {
                face_match: Some(Score::ONE),
                ..no_selfie
            },
            DecisionError::ScoreWithoutFace(Measurement::FaceMatch),
        ),
        (
            Evidence {
                face_match: Some(Score::ONE),
                ..no_photo
            },
            DecisionError::ScoreWithoutFace(Measurement::FaceMatch),
        ),
        (
            Evidence {
                liveness: Some(Score::ONE),
                ..no_selfie
            },
            DecisionError::ScoreWithoutFace(Measurement::Liveness),
        ),
        (
            Evidence {
                selfie_face_areas: &[1.0, 2.0],
                ..good()
            },
            DecisionError::NotLargestFirst(ImageRole::Selfie),
        ),
        (
            Evidence {
                photo_face_areas: &[3.0, 1.0, 2.0],
                ..good()
            },
            DecisionError::NotLargestFirst(ImageRole::Photo),
        ),
        (
            Evidence {
                photo_face_areas: &[3.0, -1.0],
                ..good()
            },
            DecisionError::ImpossibleArea {
                role: ImageRole::Photo,
                index: 1,
                area: -1.0,
            },
        ),
        (
            Evidence {
                selfie_face_areas: &[f32::INFINITY],
                ..good()
            },
            DecisionError::ImpossibleArea {
                role: ImageRole::Selfie,
                index: 0,
                area: f32::INFINITY,
            },
        ),
    ];
    for (evidence, error) in table {
        assert_eq!(
            decide(&Profile::optimal_v0(), &evidence),
            Err(error),
            "{evidence:?}"
        );
    }
    let not_a_number = Evidence {
        selfie_face_areas: &[f32::NAN],
        ..good()
    };
    assert!(decide(&Profile::optimal_v0(), &not_a_number).is_err());
}

#[test]
fn scores_are_rounded_once_to_four_decimals() {
    for (value, rounded) in [
        (0.480_349_9, 0.4803),
        (0.480_35, 0.4804),
        (0.55995, 0.56),
        (0.55994, 0.5599),
        (0.39996, 0.4),
        (0.99995, 1.0),
        (0.00005, 0.0001),
        (0.000_049, 0.0),
        (1.0, 1.0),
        (0.0, 0.0),
        // An arithmetic slip of a model.
        (1.000_000_1, 1.0),
        (-0.000_000_1, 0.0),
    ] {
        assert_eq!(Score::new(value).unwrap().value(), rounded, "{value}");
    }
    for zero in [-0.0, -1e-9] {
        assert!(Score::new(zero).unwrap().value().is_sign_positive());
    }
}

#[test]
fn what_is_no_number_from_0_to_1_is_no_score() {
    for value in [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        1.000_01,
        -0.000_01,
        100.0,
    ] {
        let refused = Score::new(value).unwrap_err();
        assert_eq!(refused.0.to_bits(), value.to_bits());
    }
    assert_eq!(
        Score::new(f64::NAN).unwrap_err().to_string(),
        "NaN is not a score: it must be a finite number from 0 to 1"
    );
}

#[test]
fn equal_bounds_leave_no_room_for_a_review() {
    let bounds = Thresholds::new(0.5, 0.5).unwrap();
    assert_eq!(bounds.verdict(score(0.4999).unwrap()), Some(Verdict::Reject));
    assert_eq!(bounds.verdict(score(0.5).unwrap()), None);
    let off = Thresholds::new(0.0, 0.0).unwrap();
    assert_eq!(off.verdict(Score::ZERO), None);
}

#[test]
fn verdicts_and_outcomes_are_ordered_by_gravity() {
    assert!(Verdict::Warning < Verdict::Review && Verdict::Review < Verdict::Reject);
    assert!(Outcome::Pass < Outcome::Warning);
    for verdict in [Verdict::Warning, Verdict::Review, Verdict::Reject] {
        assert_eq!(verdict.as_str(), Outcome::from(verdict).as_str());
    }
}

/// A face that no check finds anything about.
const GOOD_FACE: MeasuredFace = MeasuredFace {
    inter_eye_distance: 90.0,
    yaw: 3.0,
    pitch: -5.0,
    roll: 2.0,
    sharpness: 0.85,
    brightness: 0.8,
    overexposed_share: 0.0,
    visible_share: 1.0,
    off_centre: 0.2,
    surroundings: 0.6,
    colour: 0.1,
};

/// Good evidence with these faces in selfie and photo.
fn faces(selfie: MeasuredFace, photo: MeasuredFace) -> Evidence<'static> {
    Evidence {
        selfie_quality: Some(selfie),
        photo_quality: Some(photo),
        ..good()
    }
}

/// Faces with one fault each; code without the image, and text with `{}` for it.
fn faults() -> [(MeasuredFace, &'static str, &'static str); 9] {
    let good = GOOD_FACE;
    [
        (
            MeasuredFace {
                inter_eye_distance: 21.4399,
                ..good
            },
            "SMALL_FACE",
            "Face too small in the {} image: 21.4 px between the eyes (actual) < 32",
        ),
        (
            MeasuredFace { yaw: -48.25, ..good },
            "TURNED_FACE",
            "Face turned away in the {} image: yaw 48.3 degrees (actual) > 40",
        ),
        (
            MeasuredFace {
                pitch: 26.0,
                roll: -175.0,
                ..good
            },
            "TURNED_FACE",
            "Face turned away in the {} image: pitch 26 degrees (actual) > 25, roll 175 degrees (actual) > 15",
        ),
        (
            MeasuredFace {
                sharpness: 0.31262,
                ..good
            },
            "BLURRED_FACE",
            "Face blurred in the {} image: sharpness 0.3126 (actual) < 0.5",
        ),
        (
            MeasuredFace {
                brightness: 0.1176,
                ..good
            },
            "UNDEREXPOSED_FACE",
            "Face underexposed in the {} image: brightness 0.1176 (actual) < 0.25",
        ),
        (
            MeasuredFace {
                overexposed_share: 0.5,
                ..good
            },
            "OVEREXPOSED_FACE",
            "Face overexposed in the {} image: 0.5 of it too bright (actual) > 0.2",
        ),
        (
            MeasuredFace {
                visible_share: 0.7,
                ..good
            },
            "CUT_FACE",
            "Face cut by the border of the {} image: 0.7 of it visible (actual) < 0.9",
        ),
        (
            MeasuredFace {
                visible_share: 0.0,
                ..good
            },
            "CUT_FACE",
            "Face cut by the border of the {} image: 0 of it visible (actual) < 0.9",
        ),
        (
            MeasuredFace {
                off_centre: 0.7234,
                ..good
            },
            "OFF_CENTRE_FACE",
            "Face far from the middle of the {} image: 0.7234 half sides away (actual) > 0.65",
        ),
    ]
}

#[test]
fn each_fault_of_a_face_is_a_warning_of_its_own() {
    for (fault, code, text) in faults() {
        let decision = judge(&faces(fault, GOOD_FACE));
        assert_eq!(
            lines(&decision),
            [format!(
                "{code}_IN_SELFIE warning 1.0: {}",
                text.replace("{}", "selfie")
            )]
        );
        assert_eq!(scores(&decision), [0.0, 0.0, 1.0]);
        assert_eq!(decision.outcome(), Outcome::Warning);

        let decision = judge(&faces(GOOD_FACE, fault));
        if code == "OFF_CENTRE_FACE" {
            // Where a face is in a photo says nothing.
            assert_eq!(decision.details, []);
        } else {
            assert_eq!(
                lines(&decision),
                [format!(
                    "{code}_IN_IMAGE warning 1.0: {}",
                    text.replace("{}", "photo")
                )]
            );
        }
    }
}

#[test]
fn a_profile_may_make_a_finding_a_review_or_switch_it_off() {
    for (fault, _, _) in faults() {
        for (finding, expected) in [
            (Finding::Off, [0.0, 0.0, 0.0]),
            (Finding::Warning, [0.0, 0.0, 1.0]),
            (Finding::Review, [0.0, 1.0, 0.0]),
        ] {
            let mut checks = QualityChecks::default();
            checks.small_face.verdict = finding;
            checks.turned_face.verdict = finding;
            checks.blurred_face.verdict = finding;
            checks.underexposed_face.verdict = finding;
            checks.overexposed_face.verdict = finding;
            checks.cut_face.verdict = finding;
            checks.off_centre_face.verdict = finding;
            if finding == Finding::Off {
                checks.no_surroundings.verdict = finding;
                checks.grey_selfie.verdict = finding;
                checks.same_image.verdict = SameImageFinding::Off;
                assert_eq!(checks, QualityChecks::off());
            }
            let profile = Profile::optimal_v0().with_quality(checks).unwrap();
            let decision = decide(&profile, &faces(fault, GOOD_FACE)).unwrap();
            assert_eq!(scores(&decision), expected, "{decision:?}");
        }
    }
}

#[test]
fn a_bound_itself_is_good_enough_and_so_is_what_is_rounded_to_it() {
    let at_the_bounds = MeasuredFace {
        inter_eye_distance: 31.95,
        yaw: 40.049,
        pitch: -25.0,
        roll: 15.0,
        sharpness: 0.49996,
        brightness: 0.25,
        overexposed_share: 0.20004,
        visible_share: 0.9,
        off_centre: 0.65,
        surroundings: 0.19995,
        colour: 0.01995,
    };
    assert_eq!(judge(&faces(at_the_bounds, at_the_bounds)).details, []);
    let just_beyond = MeasuredFace {
        inter_eye_distance: 31.94,
        yaw: -40.05,
        sharpness: 0.49994,
        overexposed_share: 0.20005,
        ..at_the_bounds
    };
    let codes: Vec<_> = judge(&faces(just_beyond, GOOD_FACE))
        .details
        .iter()
        .map(|line| line.code)
        .collect();
    assert_eq!(
        codes,
        [
            Code::SmallFaceInSelfie,
            Code::TurnedFaceInSelfie,
            Code::BlurredFaceInSelfie,
            Code::OverexposedFaceInSelfie
        ]
    );
}

#[test]
fn findings_follow_the_other_lines_the_selfies_first() {
    let worst = MeasuredFace {
        inter_eye_distance: 1.0,
        yaw: 90.0,
        pitch: 90.0,
        roll: 90.0,
        sharpness: 0.0,
        brightness: 0.0,
        overexposed_share: 1.0,
        visible_share: 0.0,
        off_centre: 2.0,
        surroundings: 0.0,
        colour: 0.0,
    };
    let areas = &[400.0, 400.0];
    let everything = Evidence {
        selfie_face_areas: areas,
        photo_face_areas: areas,
        face_match: Some(Score::ZERO),
        liveness: Some(Score::ZERO),
        selfie_rotation: 180,
        photo_rotation: 270,
        same_image: true,
        ..faces(worst, worst)
    };
    let decision = judge(&everything);
    let codes: Vec<_> = decision.details.iter().map(|line| line.code).collect();
    let no_face = |code: &&Code| matches!(code, Code::NoFaceInSelfie | Code::NoFaceInImage);
    let expected: Vec<_> = Code::ALL.iter().filter(|code| !no_face(code)).copied().collect();
    assert_eq!(codes, expected);
    assert_eq!(scores(&decision), [1.0, 1.0, 1.0]);
    // However poor the images, that is no reject.
    let decision = judge(&faces(worst, worst));
    assert_eq!(decision.outcome(), Outcome::Review);
}

#[test]
fn quality_that_is_no_number_or_of_no_face_is_an_error() {
    type Change = fn(&mut MeasuredFace) -> &mut f64;
    let numbers: [(&str, Change); 11] = [
        ("inter-eye distance", |face| &mut face.inter_eye_distance),
        ("yaw", |face| &mut face.yaw),
        ("pitch", |face| &mut face.pitch),
        ("roll", |face| &mut face.roll),
        ("sharpness", |face| &mut face.sharpness),
        ("brightness", |face| &mut face.brightness),
        ("overexposed share", |face| &mut face.overexposed_share),
        ("visible share", |face| &mut face.visible_share),
        ("distance from the middle", |face| &mut face.off_centre),
        ("margin around", |face| &mut face.surroundings),
        ("colour", |face| &mut face.colour),
    ];
    // Also where the check is off: a number that is none says that something is broken.
    let off = Profile::optimal_v0().with_quality(QualityChecks::off()).unwrap();
    for (quality, change) in numbers {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut broken = GOOD_FACE;
            *change(&mut broken) = value;
            for (role, evidence) in [
                (ImageRole::Selfie, faces(broken, GOOD_FACE)),
                (ImageRole::Photo, faces(GOOD_FACE, broken)),
            ] {
                for profile in [&Profile::optimal_v0(), &off] {
                    let error = decide(profile, &evidence).unwrap_err();
                    assert_eq!(
                        error.to_string(),
                        format!("the {quality} of the face in the {role} is {value}")
                    );
                }
            }
        }
    }
    let no_photo = Evidence {
        photo_face_areas: &[],
        face_match: None,
        ..faces(GOOD_FACE, GOOD_FACE)
    };
    assert_eq!(
        decide(&Profile::optimal_v0(), &no_photo),
        Err(DecisionError::QualityWithoutFace(ImageRole::Photo))
    );
    let no_selfie = Evidence {
        selfie_face_areas: &[],
        face_match: None,
        liveness: None,
        ..faces(GOOD_FACE, GOOD_FACE)
    };
    assert_eq!(
        decide(&Profile::optimal_v0(), &no_selfie),
        Err(DecisionError::QualityWithoutFace(ImageRole::Selfie))
    );
}

#[test]
fn an_image_that_was_turned_upright_is_a_warning_after_all_others() {
    let decision = judge(&Evidence {
        liveness: score(0.1),
        selfie_rotation: 90,
        photo_rotation: 180,
        ..good()
    });
    assert_eq!(
        lines(&decision)[1..],
        [
            "ROTATED_IMAGE_IN_SELFIE warning 1.0: The selfie image lies on its side: turned by 90 degrees",
            "ROTATED_IMAGE_IN_IMAGE warning 1.0: The photo image lies on its side: turned by 180 degrees",
        ]
    );
    assert_eq!(decision.warning_score, Score::ONE);
}

#[test]
fn a_selfie_that_liveness_cannot_judge_says_so_beside_its_score() {
    let selfie = MeasuredFace {
        surroundings: 0.05123,
        colour: 0.0,
        ..GOOD_FACE
    };
    let decision = judge(&Evidence {
        liveness: score(0.06),
        ..faces(selfie, selfie)
    });
    assert_eq!(
        lines(&decision),
        [
            "FAILED_SELFIE_LIVENESS reject 1.0: Selfie liveness threshold failed: 0.4 < 0.06 (actual) < 0.6",
            "NO_SURROUNDINGS_IN_SELFIE review 1.0: Too little around the face in the selfie image to judge liveness: \
             0.0512 of the face's size (actual) < 0.2",
            "GREY_SELFIE warning 1.0: The selfie image has no colour",
        ]
    );
    // A live face whose surroundings are not shown is no pass; of a photo nothing is asked.
    assert_eq!(scores(&judge(&faces(selfie, GOOD_FACE))), [0.0, 1.0, 1.0]);
    assert_eq!(judge(&faces(GOOD_FACE, selfie)).details, []);
}

#[test]
fn a_profile_says_what_becomes_of_selfies_that_liveness_cannot_judge() {
    let selfie = MeasuredFace {
        surroundings: 0.0,
        colour: 0.0,
        ..GOOD_FACE
    };
    for (finding, expected) in [
        (Finding::Off, [0.0, 0.0, 0.0]),
        (Finding::Warning, [0.0, 0.0, 1.0]),
        (Finding::Review, [0.0, 1.0, 0.0]),
    ] {
        let mut checks = QualityChecks::default();
        checks.no_surroundings.verdict = finding;
        checks.grey_selfie.verdict = finding;
        let profile = Profile::optimal_v0().with_quality(checks).unwrap();
        let decision = decide(&profile, &faces(selfie, GOOD_FACE)).unwrap();
        assert_eq!(scores(&decision), expected, "{decision:?}");
    }
}

#[test]
fn the_same_image_twice_is_a_warning_and_what_a_profile_makes_of_it() {
    let evidence = Evidence {
        same_image: true,
        ..good()
    };
    assert_eq!(
        lines(&judge(&evidence)),
        ["SAME_IMAGE warning 1.0: Selfie and photo are the same image"]
    );
    for (verdict, expected) in [
        (SameImageFinding::Off, [0.0, 0.0, 0.0]),
        (SameImageFinding::Warning, [0.0, 0.0, 1.0]),
        (SameImageFinding::Review, [0.0, 1.0, 0.0]),
        (SameImageFinding::Reject, [1.0, 0.0, 0.0]),
    ] {
        let mut checks = QualityChecks::default();
        checks.same_image.verdict = verdict;
        let profile = Profile::optimal_v0().with_quality(checks).unwrap();
        let decision = decide(&profile, &evidence).unwrap();
        assert_eq!(scores(&decision), expected, "{decision:?}");
    }
    // Two copies of an image without a face are the same image too.
    let nobody = Evidence {
        selfie_face_areas: &[],
        photo_face_areas: &[],
        face_match: None,
        liveness: None,
        ..evidence
    };
    let codes: Vec<_> = judge(&nobody).details.iter().map(|line| line.code).collect();
    assert_eq!(
        codes,
        [Code::NoFaceInSelfie, Code::NoFaceInImage, Code::SameImage]
    );
}

#[test]
fn what_is_found_about_a_selfie_alone_is_what_a_decision_about_it_says() {
    let selfie = MeasuredFace {
        sharpness: 0.1,
        surroundings: 0.1,
        colour: 0.0,
        ..GOOD_FACE
    };
    let checks = QualityChecks::default();
    let alone = selfie_findings(&checks, &selfie, 90).unwrap();
    let decision = judge(&Evidence {
        selfie_rotation: 90,
        ..faces(selfie, GOOD_FACE)
    });
    assert_eq!((alone.len(), &alone), (4, &decision.details));
    assert_eq!(selfie_findings(&checks, &GOOD_FACE, 0), Ok(vec![]));
    let broken = MeasuredFace {
        colour: f64::NAN,
        ..GOOD_FACE
    };
    assert!(selfie_findings(&checks, &broken, 0).is_err());
}

#[test]
fn what_is_found_about_a_photo_alone_is_what_a_decision_about_it_says() {
    let photo = MeasuredFace {
        sharpness: 0.1,
        ..GOOD_FACE
    };
    let checks = QualityChecks::default();
    let areas = [400.0, 300.0];
    let alone = photo_findings(&checks, &areas, Some(&photo), 90).unwrap();
    let decision = judge(&Evidence {
        photo_face_areas: &areas,
        photo_rotation: 90,
        ..faces(GOOD_FACE, photo)
    });
    assert_eq!((alone.len(), &alone), (3, &decision.details));
    assert_eq!(photo_findings(&checks, &[400.0], Some(&GOOD_FACE), 0), Ok(vec![]));
    let nobody = photo_findings(&checks, &[], None, 0).unwrap();
    assert_eq!(
        nobody.iter().map(|line| line.code).collect::<Vec<_>>(),
        [Code::NoFaceInImage]
    );
    assert_eq!(
        photo_findings(&checks, &[], Some(&photo), 0),
        Err(DecisionError::QualityWithoutFace(ImageRole::Photo))
    );
    assert!(photo_findings(&checks, &[1.0, 2.0], None, 0).is_err());
}
