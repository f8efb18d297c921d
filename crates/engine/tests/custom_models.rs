//! An engine of the embedder's own models: what they answer is not trusted, and nobody waits for ever.

#![allow(clippy::unwrap_used)]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use likeness_engine::decision::{Code, Profile, QualityChecks};
use likeness_engine::detection::{BoundingBox, DetectionError, Face, FaceDetector, Landmarks, Point, Search};
use likeness_engine::embedding::{
    Embedding, EmbeddingBinding, EmbeddingError, FaceEmbedder, FaceInImage, FaceTemplate, TemplateError,
};
use likeness_engine::imaging::{Image, ImageLimits, ImagingError, Interrupt, Rotation};
use likeness_engine::liveness::{LivenessError, LivenessModel};
use likeness_engine::packs::ScoreCurve;
use likeness_engine::{
    Budget, BuildError, CancelFlag, EmbedOptions, Engine, EngineBuilder, EngineError, EnrolOptions,
    VerifyOptions,
};

/// Finds the same faces in every image.
struct Finds(Vec<Face>);

impl FaceDetector for Finds {
    fn detect(&mut self, _: &Image, _: Search, _: Interrupt<'_>) -> Result<Vec<Face>, DetectionError> {
        Ok(self.0.clone())
    }
}

/// Embeds a face as the direction of its first landmark.
struct Direction;

impl FaceEmbedder for Direction {
    fn embed(&mut self, faces: &[FaceInImage<'_>]) -> Result<Vec<Embedding>, EmbeddingError> {
        faces
            .iter()
            .map(|face| Embedding::new(vec![face.landmarks[0].x, face.landmarks[0].y]))
            .collect()
    }
}

struct Live(f64);

impl LivenessModel for Live {
    fn score(&mut self, _: &Image, _: &BoundingBox) -> Result<f64, LivenessError> {
        Ok(self.0)
    }
}

fn face(side: f32, (x, y): (f32, f32)) -> Face {
    let mut landmarks = Landmarks::default();
    landmarks[0] = Point { x, y };
    let bounding_box = BoundingBox {
        x: 1.0,
        y: 1.0,
        width: side,
        height: side,
    };
    Face {
        bounding_box,
        score: 0.9,
        landmarks,
    }
}

fn builder(faces: Vec<Face>, live: f64) -> EngineBuilder {
    let calibration = ScoreCurve::through(&[(0.3, 0.4), (0.4, 0.6)]).unwrap();
    Engine::builder()
        .workers(2)
        .detector(move || Ok(Finds(faces.clone())))
        .embedder(calibration, || Ok(Direction))
        .liveness(move || Ok(Live(live)))
}

fn image() -> Image {
    Image::from_rgb8(100, 100, vec![0; 100 * 100 * 3]).unwrap()
}

#[test]
fn neither_a_library_nor_a_pack_is_needed() {
    let engine = builder(vec![face(50.0, (1.0, 0.0))], 0.9).build().unwrap();
    // The image is black and the landmarks are no face's: what a profile finds in that is not the question.
    let profile = Profile::default().with_quality(QualityChecks::off()).unwrap();
    let answer = engine
        .verify(
            &image(),
            &image(),
            &VerifyOptions::default().with_profile(profile),
        )
        .unwrap();
    assert!(answer.decision.details.is_empty(), "{:?}", answer.decision);
    assert_eq!(
        (
            answer.similarity.map(|similarity| similarity.value()),
            answer.matched_face
        ),
        (Some(1.0), Some(0))
    );
    assert!(engine.info().pack.is_none() && engine.info().runtime.is_none());
    assert_eq!(engine.labels().pack, "custom");
}

#[test]
fn the_best_of_several_faces_is_named() {
    // The largest is the selfie's own, too: the other two are less similar, then as similar.
    let faces = vec![
        face(50.0, (1.0, 1.0)),
        face(40.0, (1.0, 0.0)),
        face(30.0, (2.0, 2.0)),
    ];
    let engine = builder(faces.clone(), 0.9).build().unwrap();
    let options = VerifyOptions::default().with_photo_multiface(true);
    let answer = engine.verify(&image(), &image(), &options).unwrap();
    assert_eq!((answer.photo.faces.len(), answer.matched_face), (3, Some(0)));
    // No more are looked at than the builder says.
    let engine = builder(faces, 0.9).max_faces(2).build().unwrap();
    let answer = engine.verify(&image(), &image(), &options).unwrap();
    assert_eq!((answer.photo.faces.len(), answer.selfie.faces.len()), (2, 2));
}

#[test]
fn all_faces_are_detected_largest_first_without_the_other_models() {
    let faces = vec![face(50.0, (1.0, 1.0)), face(40.0, (1.0, 0.0))];
    let engine = builder(faces.clone(), f64::NAN).build().unwrap();
    let report = engine.detect(&image(), &Budget::unlimited()).unwrap();
    assert_eq!((report.faces_found, &report.faces[..]), (2, &faces[..]));
    assert!(report.quality.is_some());
    let answer = engine.detect(&image(), &Budget::unlimited().with_deadline(Instant::now()));
    assert!(matches!(answer, Err(EngineError::DeadlineExceeded)), "{answer:?}");
}

#[test]
fn numbers_that_are_none_are_an_error_and_never_a_pass() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut wrong_box = face(50.0, (1.0, 0.0));
        wrong_box.bounding_box.width = bad;
        let mut wrong_score = face(50.0, (1.0, 0.0));
        wrong_score.score = bad;
        for wrong in [wrong_box, wrong_score, face(50.0, (bad, 0.0))] {
            let engine = builder(vec![wrong], 0.9).build().unwrap();
            let answer = engine.verify(&image(), &image(), &VerifyOptions::default());
            assert!(matches!(answer, Err(EngineError::Inference(_))), "{answer:?}");
        }
        let engine = builder(vec![face(50.0, (1.0, 0.0))], f64::from(bad))
            .build()
            .unwrap();
        let answer = engine.verify(&image(), &image(), &VerifyOptions::default());
        assert!(matches!(answer, Err(EngineError::Inference(_))), "{answer:?}");
    }
}

#[test]
fn a_face_outside_of_the_image_is_none() {
    let mut outside = face(50.0, (1.0, 0.0));
    outside.bounding_box.x = 200.0;
    let engine = builder(vec![outside], 0.9).build().unwrap();
    assert!(
        engine
            .embed(&image(), &EmbedOptions::default())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn pixels_are_held_to_the_limits_as_files_are() {
    let limits = ImageLimits::default().with_max_side(99);
    let engine = builder(vec![], 0.9).limits(limits).build().unwrap();
    let answer = engine.embed(&image(), &EmbedOptions::default());
    assert!(
        matches!(
            answer,
            Err(EngineError::Image {
                source: ImagingError::TooLarge { .. },
                ..
            })
        ),
        "{answer:?}"
    );
}

#[test]
fn settings_out_of_range_are_named() {
    for (builder, named) in [
        (builder(vec![], 0.9).workers(0), "workers"),
        (builder(vec![], 0.9).max_faces(0), "max_faces"),
        (builder(vec![], 0.9).min_face_score(f32::NAN), "min_face_score"),
    ] {
        match builder.build() {
            Err(BuildError::Setting(message)) => assert!(message.starts_with(named), "{message}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn many_may_warm_up_at_the_same_time() {
    let engine = builder(vec![], 0.9).build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    engine.warm_up().unwrap();
                    engine.embed(&image(), &EmbedOptions::default()).unwrap();
                }
            });
        }
    });
}

/// Tells that it was called and waits to be let go.
struct Blocks {
    called: Sender<()>,
    go: Receiver<()>,
}

impl FaceDetector for Blocks {
    fn detect(&mut self, _: &Image, _: Search, _: Interrupt<'_>) -> Result<Vec<Face>, DetectionError> {
        self.called.send(()).unwrap();
        self.go.recv().unwrap();
        Ok(Vec::new())
    }
}

#[test]
fn who_waits_for_a_worker_can_be_cancelled_and_has_a_deadline() {
    let (called, was_called) = channel();
    let (release, go) = channel();
    let blocks = std::sync::Mutex::new(Some(Blocks { called, go }));
    let engine = builder(vec![], 0.9)
        .workers(1)
        .detector(move || blocks.lock().unwrap().take().ok_or_else(|| "only one".into()))
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| engine.embed(&image(), &EmbedOptions::default()).unwrap());
        was_called.recv().unwrap();

        let soon = Budget::unlimited().with_deadline(Instant::now() + Duration::from_millis(10));
        let answer = engine.embed(&image(), &EmbedOptions::default().with_budget(soon));
        assert!(matches!(answer, Err(EngineError::DeadlineExceeded)), "{answer:?}");

        let flag = CancelFlag::default();
        let budget = Budget::unlimited().with_cancel_flag(flag.clone());
        let waiting = scope.spawn(|| engine.embed(&image(), &EmbedOptions::default().with_budget(budget)));
        flag.cancel();
        let answer = waiting.join().unwrap();
        assert!(matches!(answer, Err(EngineError::Cancelled)), "{answer:?}");
        release.send(()).unwrap();
    });
}

/// Sees one face in the upper left corner of images that are higher than wide, once they are turned by 270 degrees.
struct Sideways;

impl FaceDetector for Sideways {
    fn detect(&mut self, image: &Image, _: Search, _: Interrupt<'_>) -> Result<Vec<Face>, DetectionError> {
        let upright = image.width() < image.height();
        let mut found = face(40.0, (10.0, 5.0));
        found.bounding_box.height = 50.0;
        found.score = if upright { 0.95 } else { 0.7 };
        Ok(vec![found])
    }

    fn upright_rotation(
        &mut self,
        image: &Image,
        _: Interrupt<'_>,
    ) -> Result<Option<Rotation>, DetectionError> {
        Ok((image.width() > image.height()).then_some(Rotation::ThreeQuarters))
    }
}

/// Is live where the crop comes from an image that is higher than wide.
struct LiveUpright;

impl LivenessModel for LiveUpright {
    fn score(&mut self, image: &Image, face: &BoundingBox) -> Result<f64, LivenessError> {
        let upright = image.width() < image.height() && face.height > face.width;
        Ok(if upright { 0.9 } else { 0.1 })
    }
}

#[test]
fn an_image_on_its_side_is_judged_upright_and_reported_as_sent() {
    let calibration = ScoreCurve::through(&[(0.3, 0.4), (0.4, 0.6)]).unwrap();
    let engine = Engine::builder()
        .workers(1)
        .detector(|| Ok(Sideways))
        .embedder(calibration, || Ok(Direction))
        .liveness(|| Ok(LiveUpright))
        .build()
        .unwrap();
    let sized = |width: u32, height: u32| {
        Image::from_rgb8(width, height, vec![0; (width * height * 3) as usize]).unwrap()
    };
    let profile = Profile::default().with_quality(QualityChecks::off()).unwrap();
    let options = VerifyOptions::default().with_profile(profile);
    let answer = engine
        .verify(&sized(200, 100), &sized(100, 200), &options)
        .unwrap();

    assert_eq!(answer.selfie.rotation, Some(Rotation::ThreeQuarters));
    assert_eq!(answer.photo.rotation, None);
    assert_eq!(
        (answer.selfie.size.width, answer.selfie.size.height),
        (200, 100),
        "the size as sent"
    );
    // 40 x 50 px at 1, 1 of the turned image of 100 x 200: a clockwise quarter turn leads back to the image as sent.
    let sent = answer.selfie.faces[0];
    let bounds = BoundingBox {
        x: 149.0,
        y: 1.0,
        width: 50.0,
        height: 40.0,
    };
    assert_eq!((sent.bounding_box, sent.score), (bounds, 0.95));
    assert_eq!(sent.landmarks[0], Point { x: 195.0, y: 10.0 });
    assert_eq!(answer.liveness.unwrap().value(), 0.9);
    assert_eq!(
        answer.similarity.unwrap().value(),
        1.0,
        "both are embedded upright"
    );
    let lines = answer.decision.details;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(
        (lines[0].code.as_str(), lines[0].description.as_str()),
        (
            "ROTATED_IMAGE_IN_SELFIE",
            "The selfie image lies on its side: turned by 270 degrees"
        )
    );
}

/// Sees a face only in an image that it fills.
struct SeesWhatFills;

impl FaceDetector for SeesWhatFills {
    fn detect(&mut self, _: &Image, _: Search, _: Interrupt<'_>) -> Result<Vec<Face>, DetectionError> {
        Ok(Vec::new())
    }

    fn filling_face(&mut self, _: &Image, _: Interrupt<'_>) -> Result<Option<Face>, DetectionError> {
        Ok(Some(face(120.0, (1.0, 0.0))))
    }
}

#[test]
fn a_face_that_fills_the_photo_is_compared_and_in_a_selfie_there_is_none() {
    let engine = builder(vec![], 0.9)
        .detector(|| Ok(SeesWhatFills))
        .build()
        .unwrap();
    let answer = engine
        .verify(&image(), &image(), &VerifyOptions::default())
        .unwrap();
    assert!(answer.selfie.faces.is_empty(), "{answer:?}");
    let photo: Vec<_> = answer.photo.faces.iter().map(|face| face.bounding_box).collect();
    // Clipped to the image as sent.
    assert!(
        matches!(photo.as_slice(), [only] if only.width <= 100.0),
        "{photo:?}"
    );
}

#[test]
fn the_same_pixels_or_bytes_are_the_same_image() {
    let engine = builder(vec![face(50.0, (1.0, 0.0))], 0.9).build().unwrap();
    let other = Image::from_rgb8(100, 100, vec![1; 100 * 100 * 3]).unwrap();
    let verify = |selfie: &Image, photo: &Image| {
        let answer = engine.verify(selfie, photo, &VerifyOptions::default()).unwrap();
        let has_line = answer
            .decision
            .details
            .iter()
            .any(|line| line.code == Code::SameImage);
        assert_eq!(has_line, answer.same_image);
        answer.same_image
    };
    assert!(verify(&image(), &image().clone()));
    assert!(!verify(&image(), &other));
    let white: Vec<u8> =
        b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;".to_vec();
    let options = VerifyOptions::default();
    assert!(
        engine
            .verify(&white, &white.clone(), &options)
            .unwrap()
            .same_image
    );
}

#[test]
fn a_custom_embedder_has_no_templates() {
    let engine = builder(vec![face(50.0, (1.0, 0.0))], 0.9).build().unwrap();
    let enrolment = engine.enrol(&image(), &EnrolOptions::default());
    assert!(
        matches!(
            enrolment,
            Err(EngineError::Template(TemplateError::CustomEmbedder))
        ),
        "{enrolment:?}"
    );
    let binding = EmbeddingBinding {
        embedder: [0; 32],
        alignment: [0; 32],
    };
    let template = FaceTemplate::new(binding, &Embedding::new(vec![1.0, 0.0]).unwrap()).unwrap();
    let verified = engine.verify_against(&template, &image(), &VerifyOptions::default());
    assert!(
        matches!(
            verified,
            Err(EngineError::Template(TemplateError::CustomEmbedder))
        ),
        "{verified:?}"
    );
}
