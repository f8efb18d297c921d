//! The pack `registry-1`, stage by stage, against the golden outputs of the independent pipeline beside it.

use std::path::Path;
use std::sync::OnceLock;

use likeness_engine::detection::{Detectors, Face};
use likeness_engine::embedding::{self, Embedding, FaceInImage};
use likeness_engine::imaging::{self, Image, ImageLimits};
use likeness_engine::liveness::{LivenessEnsemble, LivenessModel};
use likeness_engine::packs::Pack;
use likeness_testing::{Failed, Outcome, Suite, ensure, for_each};
use serde_json::Value;

use super::{distance, face, loaded, nearest, numbers, runtime};

/// Golden faces below this score are not compared.
const SURE: f32 = 0.8;

/// Images whose liveness changes by more than the tolerance where single pixels of the crop differ by one grey level.
const BRITTLE: [&str; 5] = [
    "faces/img4.jpg",
    "faces/img5.jpg",
    "faces/img40.jpg",
    "faces/img57.jpg",
    "faces/selfie-many-people.jpg",
];

type Stage = fn(&Golden) -> Outcome;

pub(crate) fn add_to(suite: &mut Suite) {
    let stages: [(&str, Stage); 3] = [
        ("detection_of_registry_1_agrees_in_one_pass", detection_agrees),
        (
            "embeddings_of_registry_1_of_golden_landmarks_agree",
            embedding_agrees,
        ),
        ("liveness_of_registry_1_of_golden_boxes_agrees", liveness_agrees),
    ];
    for (name, stage) in stages {
        suite.with_shared_and_registry(name, move |shared| {
            let text = std::fs::read_to_string(shared.join("registry/golden.json"))?;
            let golden: Value = serde_json::from_str(&text)?;
            let entries = golden.as_object().ok_or("golden.json is no object")?;
            ensure!(entries.len() > 60, "only {} golden images", entries.len());
            let named = entries.iter().map(|entry| (entry.0, entry));
            for_each(named, |entry| stage(&Golden::read(shared, entry)?))
        });
    }
}

/// What the reference says of one image.
struct Golden {
    name: String,
    image: Image,
    /// The faces of one pass at a longest side.
    passes: [(u32, Vec<Face>); 2],
    primary: Option<Primary>,
}

struct Primary {
    face: Face,
    embedding: Embedding,
    live: f64,
}

impl Golden {
    fn read(shared: &Path, (name, entry): (&String, &Value)) -> Result<Self, Failed> {
        let bytes = std::fs::read(shared.join("data").join(name))?;
        let faces = |pass: &str| {
            let found = entry[pass]
                .as_array()
                .map(|faces| faces.iter().map(face).collect());
            found.ok_or_else(|| format!("no {pass}"))
        };
        let primary = entry.get("primary").map(|primary| {
            Ok::<_, Failed>(Primary {
                face: face(primary),
                embedding: Embedding::new(numbers(&primary["embedding"]))?,
                live: primary["liveness"][0].as_f64().ok_or("no liveness")?,
            })
        });
        Ok(Self {
            name: name.clone(),
            image: imaging::decode(&bytes, &ImageLimits::default())?,
            passes: [(320, faces("pass_320")?), (640, faces("pass_640")?)],
            primary: primary.transpose()?,
        })
    }
}

fn pack() -> Result<&'static Pack, Failed> {
    static PACK: OnceLock<Pack> = OnceLock::new();
    loaded("registry-1", &PACK)
}

fn detection_agrees(golden: &Golden) -> Outcome {
    let mut detector = Detectors::open(&runtime()?, pack()?, None)?;
    for (side, faces) in &golden.passes {
        let found = detector.detect_at(&golden.image, *side)?;
        for expected in faces.iter().filter(|face| face.score >= SURE) {
            let (overlap, nearest) = nearest(&found, expected);
            let box_ = expected.bounding_box;
            ensure!(
                overlap >= 0.9,
                "at {side}: a face at {box_:?} overlaps by {overlap}"
            );
            let Some(nearest) = nearest else { continue };
            let off = (nearest.score - expected.score).abs();
            ensure!(
                off <= 0.03,
                "at {side}: the score of a face at {box_:?} is off by {off}"
            );
            let [right_eye, left_eye, ..] = expected.landmarks;
            let between_eyes = distance(right_eye, left_eye);
            for (a, b) in nearest.landmarks.iter().zip(&expected.landmarks) {
                let off = distance(*a, *b) / between_eyes;
                ensure!(
                    off <= 0.1,
                    "at {side}: a landmark at {b:?} is off by {off} of the distance between the eyes"
                );
            }
        }
    }
    Ok(())
}

fn embedding_agrees(golden: &Golden) -> Outcome {
    let Some(primary) = &golden.primary else {
        return Ok(());
    };
    let face = FaceInImage {
        image: &golden.image,
        landmarks: &primary.face.landmarks,
    };
    let found = embedding::open(&runtime()?, pack()?)?.embed(&[face])?;
    let similarity = found[0].similarity(&primary.embedding)?;
    ensure!(similarity >= 0.999, "cosine {similarity}");
    Ok(())
}

fn liveness_agrees(golden: &Golden) -> Outcome {
    let Some(primary) = &golden.primary else {
        return Ok(());
    };
    if BRITTLE.contains(&golden.name.as_str()) {
        return Ok(());
    }
    let score =
        LivenessEnsemble::open(&runtime()?, pack()?)?.score(&golden.image, &primary.face.bounding_box)?;
    let expected = primary.live;
    ensure!(
        (score - expected).abs() <= 0.04,
        "live probability {score} instead of {expected}"
    );
    Ok(())
}
