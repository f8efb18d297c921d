//! Agreement with the golden outputs of an independent reference pipeline, stage by stage: each stage is given the
//! golden output of the one before, so that a stage is judged by itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::OnceLock;

use likeness_engine::detection::{BoundingBox, Detectors, Face, Landmarks, Point};
use likeness_engine::embedding::{self, Cohort, Embedding, EmbeddingBinding, FaceInImage};
use likeness_engine::imaging::{self, Image, ImageLimits};
use likeness_engine::liveness::{LivenessEnsemble, LivenessModel, Vote, fuse};
use likeness_engine::packs::{CropFit, LivenessFusion, Manifest, Pack, StoreSearch};
use likeness_engine::runtime::{LibrarySearch, Provider, Runtime};
use likeness_engine::{EmbedOptions, Engine, default_passes};
use likeness_testing::{Failed, Outcome, Suite, ensure};
use serde_json::Value;

#[path = "golden/registry.rs"]
mod registry;

/// An image that shows two dogs and no person: what is found there is a false positive of the reference too.
const NO_HUMAN_FACE: &str = "groups/dogs.jpg";

/// Golden faces below this score may be missed: they sit on the detector's threshold.
const SURE_GOLDEN_SCORE: f32 = 0.65;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_shared_and_models(
        "detection_in_reference_mode_agrees_with_every_golden_face",
        |shared| for_each_golden(shared, detection_agrees),
    );
    suite.with_shared_and_models("alignment_and_embedding_of_golden_landmarks_agree", |shared| {
        for_each_golden(shared, embedding_agrees)
    });
    suite.with_shared(
        "levels_and_normalised_similarities_of_golden_embeddings_agree",
        cohort_agrees,
    );
    suite.with_shared_and_models("liveness_of_golden_boxes_agrees", |shared| {
        for_each_golden(shared, liveness_agrees)
    });
    suite.with_shared_and_models("each_liveness_model_of_golden_boxes_agrees", |shared| {
        for_each_golden(shared, liveness_models_agree)
    });
    suite.with_shared_and_models("the_fused_liveness_of_golden_boxes_agrees", |shared| {
        for_each_golden(shared, fused_liveness_agrees)
    });
    suite.with_shared("the_fusion_of_golden_probabilities_agrees", |shared| {
        for_each_golden(shared, fusion_agrees)
    });
    suite.with_shared_and_models("the_default_path_finds_every_golden_primary_face", |shared| {
        for_each_golden(shared, primary_is_found)
    });
    suite.with_shared_and_models("a_thorough_search_finds_every_golden_face", |shared| {
        for_each_golden(shared, every_face_is_found)
    });
    registry::add_to(&mut suite);
    suite.run()
}

/// What the reference says of one image.
struct Golden {
    name: String,
    image: Image,
    faces: Vec<Face>,
    embedding: Option<Embedding>,
    live: Option<f64>,
    /// Live probability of each model of open-2, by name.
    liveness_models: BTreeMap<String, f64>,
    /// Their fused score.
    liveness_fused: Option<f64>,
}

fn numbers(value: &Value) -> Vec<f32> {
    value
        .as_array()
        .map(|list| list.iter().filter_map(Value::as_f64).map(|n| n as f32).collect())
        .unwrap_or_default()
}

impl Golden {
    fn read(shared: &Path, name: &str, entry: &Value) -> Result<Self, Failed> {
        let bytes = std::fs::read(shared.join("data").join(name))
            .or_else(|_| std::fs::read(shared.join("data/liveness").join(name)))?;
        let image = imaging::decode(&bytes, &ImageLimits::default())?;
        let size = (entry["width"].as_u64(), entry["height"].as_u64());
        ensure!(
            size == (Some(image.width().into()), Some(image.height().into())),
            "{name}: {}x{} instead of {size:?}",
            image.width(),
            image.height()
        );
        let faces = entry["faces"]
            .as_array()
            .map(|faces| faces.iter().map(face).collect())
            .unwrap_or_default();
        let primary = &entry["primary"];
        let embedding = primary
            .get("embedding")
            .map(|values| Embedding::new(numbers(values)))
            .transpose()?;
        let live = primary.get("liveness").and_then(|classes| classes[1].as_f64());
        let models = primary.get("liveness_models").and_then(Value::as_object);
        let model = |(name, live): (&String, &Value)| Some((name.clone(), live.as_f64()?));
        Ok(Self {
            name: name.to_owned(),
            image,
            faces,
            embedding,
            live,
            liveness_models: models.into_iter().flatten().filter_map(model).collect(),
            liveness_fused: primary.get("liveness_fused").and_then(Value::as_f64),
        })
    }
}

fn face(entry: &Value) -> Face {
    let bounds = numbers(&entry["box"]);
    let points = numbers(&entry["landmarks"]);
    let mut landmarks = Landmarks::default();
    for (landmark, point) in landmarks.iter_mut().zip(points.chunks_exact(2)) {
        *landmark = Point {
            x: point[0],
            y: point[1],
        };
    }
    Face {
        bounding_box: BoundingBox {
            x: bounds[0],
            y: bounds[1],
            width: bounds[2],
            height: bounds[3],
        },
        score: entry["score"].as_f64().unwrap_or_default() as f32,
        landmarks,
    }
}

/// The centroids of the reference, as NumPy writes them: 224 x 256 numbers in single precision.
fn golden_centroids(shared: &Path) -> Result<Vec<Embedding>, Failed> {
    let bytes = std::fs::read(shared.join("golden/cohort.npy"))?;
    let length = bytes.get(8..10).ok_or("cohort.npy is too short")?;
    let head = 10 + usize::from(u16::from_le_bytes([length[0], length[1]]));
    let values: Vec<f32> = bytes[head..]
        .chunks_exact(4)
        .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
        .collect();
    ensure!(values.len() == 224 * 256, "{} numbers", values.len());
    let rows = values.chunks_exact(256).map(|row| Embedding::new(row.to_vec()));
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Given the reference's centroids and embeddings, its levels and normalised similarities are found, within 1e-3.
fn cohort_agrees(shared: &Path) -> Outcome {
    const TOLERANCE: f64 = 1e-3;
    let read = |file: &str| -> Result<Value, Failed> {
        let text = std::fs::read_to_string(shared.join("golden").join(file))?;
        Ok(serde_json::from_str(&text)?)
    };
    let (reference, golden) = (read("reference.json")?, read("cohort.json")?);
    let manifest = Manifest::builtin("open-1").ok_or("open-1 is built in")??;
    let k = golden["k"].as_u64().ok_or("no k")? as usize;
    let bytes = Cohort::encode(&EmbeddingBinding::of(&manifest), k, &golden_centroids(shared)?)?;
    let cohort = Cohort::parse(&bytes)?;
    let embedding = |name: &str| Embedding::new(numbers(&reference[name]["primary"]["embedding"]));
    let levels = golden["level"].as_object().ok_or("no levels")?;
    ensure!(levels.len() > 70, "{} levels", levels.len());
    for (name, expected) in levels {
        let found = f64::from(cohort.level(&embedding(name)?)?);
        let expected = expected.as_f64().unwrap_or(f64::NAN);
        ensure!(
            (found - expected).abs() <= TOLERANCE,
            "{name}: {found}, not {expected}"
        );
    }
    let pairs = golden["pairs"].as_array().ok_or("no pairs")?;
    ensure!(pairs.len() > 270, "{} pairs", pairs.len());
    for pair in pairs {
        let side = |side: &str| embedding(&format!("faces/{}", pair[side].as_str().unwrap_or_default()));
        let similarity = cohort.similarity(&side("left")?, &side("right")?)?;
        let found = [similarity.cosine, similarity.value()].map(f64::from);
        let expected = [&pair["cosine"], &pair["normalised"]].map(|value| value.as_f64().unwrap_or(f64::NAN));
        let near = |index: usize| (found[index] - expected[index]).abs() <= TOLERANCE;
        ensure!(near(0) && near(1), "{pair}: {found:?}");
    }
    Ok(())
}

/// Runs a check on every golden image and reports all that fail.
fn for_each_golden(shared: &Path, check: impl Fn(&Golden) -> Outcome) -> Outcome {
    let text = std::fs::read_to_string(shared.join("golden/reference.json"))?;
    let reference: Value = serde_json::from_str(&text)?;
    let entries = reference.as_object().ok_or("reference.json is no object")?;
    ensure!(entries.len() > 70, "only {} golden images", entries.len());
    let mut failures = Vec::new();
    for (name, entry) in entries.iter().filter(|(name, _)| *name != NO_HUMAN_FACE) {
        if let Err(failure) = Golden::read(shared, name, entry).and_then(|golden| check(&golden)) {
            failures.push(format!("{name}: {}", failure.message().unwrap_or("failed")));
        }
    }
    ensure!(
        failures.is_empty(),
        "{} of {} images:\n{}",
        failures.len(),
        entries.len(),
        failures.join("\n")
    );
    Ok(())
}

/// What executes the models: the provider of the environment, as in `make test-openvino`.
fn provider() -> Result<Provider, Failed> {
    Ok(likeness_testing::provider().parse()?)
}

fn runtime() -> Result<Runtime, Failed> {
    Ok(Runtime::load(&LibrarySearch::new(), provider()?)?)
}

fn pack() -> Result<&'static Pack, Failed> {
    static PACK: OnceLock<Pack> = OnceLock::new();
    loaded("open-1", &PACK)
}

/// The pack of five liveness models.
fn five() -> Result<&'static Pack, Failed> {
    static PACK: OnceLock<Pack> = OnceLock::new();
    loaded("open-2", &PACK)
}

fn loaded(name: &str, slot: &'static OnceLock<Pack>) -> Result<&'static Pack, Failed> {
    if let Some(pack) = slot.get() {
        return Ok(pack);
    }
    let pack = StoreSearch::new().find()?.load(name)?;
    let pack = pack.optimized(&default_passes(provider()?));
    Ok(slot.get_or_init(|| pack))
}

fn detection_agrees(golden: &Golden) -> Outcome {
    let found = Detectors::open(&runtime()?, pack()?, None)?.detect_at(&golden.image, 640)?;
    for expected in golden.faces.iter().filter(|face| face.score >= SURE_GOLDEN_SCORE) {
        let (overlap, nearest) = nearest(&found, expected);
        ensure!(
            overlap >= 0.95,
            "a face at {:?} overlaps by {overlap}",
            expected.bounding_box
        );
        let Some(nearest) = nearest else { continue };
        let [right_eye, left_eye, ..] = expected.landmarks;
        let between_eyes = distance(right_eye, left_eye);
        for (a, b) in nearest.landmarks.iter().zip(&expected.landmarks) {
            let off = distance(*a, *b) / between_eyes;
            ensure!(
                off <= 0.06,
                "a landmark at {b:?} is off by {off} of the distance between the eyes"
            );
        }
    }
    Ok(())
}

fn nearest<'a>(found: &'a [Face], expected: &Face) -> (f32, Option<&'a Face>) {
    found
        .iter()
        .map(|face| (face.bounding_box.iou(&expected.bounding_box), Some(face)))
        .fold(
            (0.0, None),
            |best, next| if next.0 > best.0 { next } else { best },
        )
}

fn distance(a: Point, b: Point) -> f32 {
    (a.x - b.x).hypot(a.y - b.y)
}

fn embedding_agrees(golden: &Golden) -> Outcome {
    let (Some(expected), Some(face)) = (&golden.embedding, golden.faces.first()) else {
        return Ok(());
    };
    let mut embedder = embedding::open(&runtime()?, pack()?)?;
    let one = FaceInImage {
        image: &golden.image,
        landmarks: &face.landmarks,
    };
    let alone = embedder.embed(&[one])?;
    let similarity = alone[0].similarity(expected)?;
    ensure!(similarity >= 0.999, "cosine {similarity}");
    // Its neighbours in the batch are another image's, and how many there are differs.
    let grey = Image::from_rgb8(64, 64, vec![77; 64 * 64 * 3])?;
    let landmarks = face.landmarks.map(|Point { x, y }| Point {
        x: x / 50.0,
        y: y / 40.0,
    });
    let neighbour = FaceInImage {
        image: &grey,
        landmarks: &landmarks,
    };
    for batch in [vec![one, neighbour], vec![neighbour, one, neighbour, neighbour]] {
        let together = embedder.embed(&batch)?;
        let closest = together
            .iter()
            .map(|other| alone[0].similarity(other))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .fold(-1.0, f32::max);
        // Others may compute a batch in another order than one.
        let is_same = together.contains(&alone[0]) || (provider()? != Provider::Cpu && closest >= 0.999_99);
        ensure!(is_same, "the batch changes the embedding: cosine {closest}");
    }
    Ok(())
}

fn liveness_agrees(golden: &Golden) -> Outcome {
    let (Some(expected), Some(face)) = (golden.live, golden.faces.first()) else {
        return Ok(());
    };
    // The reference cuts as the models' makers do; the default pack cuts wider at the image's border.
    let score = LivenessEnsemble::open(&runtime()?, pack()?)?
        .with_crop_fit(CropFit::Shrink)
        .score(&golden.image, &face.bounding_box)?;
    ensure!(
        (score - expected).abs() <= 0.04,
        "live probability {score} instead of {expected}"
    );
    Ok(())
}

fn liveness_models_agree(golden: &Golden) -> Outcome {
    let Some(face) = golden.faces.first() else {
        return Ok(());
    };
    let models = &five()?.manifest().liveness;
    ensure!(
        golden.liveness_models.len() == models.len(),
        "{:?}",
        golden.liveness_models
    );
    for model in models {
        let name = &model.model;
        let expected = golden
            .liveness_models
            .get(name)
            .ok_or_else(|| format!("no {name}"))?;
        let score = LivenessEnsemble::open_models(&runtime()?, five()?, std::slice::from_ref(model))?
            .with_crop_fit(CropFit::Shrink)
            .score(&golden.image, &face.bounding_box)?;
        ensure!(
            (score - expected).abs() <= 0.04,
            "{}: live probability {score} instead of {expected}",
            model.model
        );
    }
    Ok(())
}

fn fused_liveness_agrees(golden: &Golden) -> Outcome {
    let (Some(expected), Some(face)) = (golden.liveness_fused, golden.faces.first()) else {
        return Ok(());
    };
    let score = LivenessEnsemble::open(&runtime()?, five()?)?
        .with_crop_fit(CropFit::Shrink)
        .score(&golden.image, &face.bounding_box)?;
    ensure!(
        (score - expected).abs() <= 0.03,
        "score {score} instead of {expected}"
    );
    Ok(())
}

fn fusion_agrees(golden: &Golden) -> Outcome {
    let Some(expected) = golden.liveness_fused else {
        return Ok(());
    };
    let probabilities = golden.liveness_models.values();
    let votes: Vec<Vote> = probabilities
        .map(|&probability| Vote::of_probability(probability, 1.0))
        .collect();
    let score = fuse(LivenessFusion::MeanLogOdds, &votes);
    ensure!(
        (score - expected).abs() <= 0.001,
        "score {score} instead of {expected}"
    );
    Ok(())
}

fn engine() -> Result<&'static Engine, Failed> {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    if let Some(engine) = ENGINE.get() {
        return Ok(engine);
    }
    let engine = Engine::builder().provider(provider()?).build()?;
    Ok(ENGINE.get_or_init(|| engine))
}

fn primary_is_found(golden: &Golden) -> Outcome {
    let Some(expected) = golden.faces.first() else {
        return Ok(());
    };
    let found = engine()?.embed(&golden.image, &EmbedOptions::default())?;
    let Some(primary) = found.first() else {
        return Err("no face".into());
    };
    let expected = expected
        .bounding_box
        .clipped(golden.image.width(), golden.image.height());
    let overlap = primary.face.bounding_box.iou(&expected);
    ensure!(overlap >= 0.7, "{}: overlaps by {overlap}", golden.name);
    Ok(())
}

fn every_face_is_found(golden: &Golden) -> Outcome {
    let found = engine()?.embed(&golden.image, &EmbedOptions::default().with_all_faces(true))?;
    let found: Vec<Face> = found.into_iter().map(|embedded| embedded.face).collect();
    for expected in golden.faces.iter().filter(|face| face.score >= SURE_GOLDEN_SCORE) {
        let bounding_box = expected
            .bounding_box
            .clipped(golden.image.width(), golden.image.height());
        let (overlap, _) = nearest(
            &found,
            &Face {
                bounding_box,
                ..*expected
            },
        );
        ensure!(overlap >= 0.6, "a face at {bounding_box:?} overlaps by {overlap}");
    }
    Ok(())
}
