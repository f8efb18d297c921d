//! Checks of packs: every model is opened, compared with what its adapter needs, and run.

mod report;

use std::time::{Duration, Instant};

use likeness_detection::{Detectors, FaceDetector, Search};
use likeness_embedding::{self as embedding, Cohort, EmbeddingBinding, FaceEmbedder, FaceInImage};
use likeness_face::{BoundingBox, Landmarks, Point};
use likeness_imaging::{Image, Interrupt};
use likeness_liveness::{LivenessEnsemble, LivenessModel};
use likeness_packs::{LivenessCalibration, MatchCalibration, Pack};
use likeness_runtime::{ModelSession, Runtime, listed};

pub use report::{ModelCheck, PackCheck, VectorCheck};

use crate::error::ModelError;
use crate::info::{CohortInfo, PackInfo};
use crate::models::Entry;
use crate::self_test::{Pattern, compare};

/// Runs whose median is the speed; the first, in which ONNX Runtime takes its memory, is not among them.
const TIMED_RUNS: usize = 7;

/// Side of the image that the adapters are run on: detectors make their passes at 160, 320 and 640 pixels.
const IMAGE_SIDE: u32 = 640;

/// Two embeddings of one face, alone and in a batch, are the same direction but for rounding.
const SAME_FACE: f32 = 0.999;

/// Opens every model of a pack, compares its declared inputs and outputs with what its adapter needs, runs it through the
/// adapter and on the input of the self-test, and measures how long that takes on one thread. Problems are in
/// the report, which goes on with the next model.
#[must_use]
pub fn check(runtime: &Runtime, pack: &Pack) -> PackCheck {
    let manifest = pack.manifest();
    let calibration = &manifest.calibration;
    let models = Entry::all(manifest);
    PackCheck {
        pack: PackInfo::of(manifest),
        match_calibration: calibration
            .normalised
            .as_ref()
            .or(calibration.of_match.as_ref())
            .map(MatchCalibration::describe),
        cohort: pack.cohort().map(|bytes| {
            let cohort = Cohort::parse(bytes)?;
            cohort.check(&EmbeddingBinding::of(manifest))?;
            Ok(CohortInfo::of(&cohort))
        }),
        liveness_calibration: calibration
            .of_liveness
            .as_ref()
            .map(LivenessCalibration::describe),
        models: models
            .iter()
            .map(|entry| check_model(runtime, pack, entry))
            .collect(),
    }
}

fn check_model(runtime: &Runtime, pack: &Pack, entry: &Entry<'_>) -> ModelCheck {
    let (role, model) = (entry.role(), entry.model());
    let mut report = ModelCheck {
        role,
        model: model.to_owned(),
        adapter: entry.adapter(),
        input: String::new(),
        output: String::new(),
        fault: None,
        vector: VectorCheck::NotRun,
        median: None,
    };
    if let Err(fault) = examine(runtime, pack, entry, &mut report) {
        let fault = fault.to_string();
        let is_named = fault.contains(model) && fault.contains(role.as_str());
        // Whatever failed, the message names role and model.
        report.fault = Some(if is_named {
            fault
        } else {
            format!("{role} {model}: {fault}")
        });
    }
    report
}

fn examine(
    runtime: &Runtime,
    pack: &Pack,
    entry: &Entry<'_>,
    report: &mut ModelCheck,
) -> Result<(), ModelError> {
    let mut session = runtime.open(entry.model(), pack.model(entry.model())?)?;
    report.input = listed(session.inputs());
    report.output = listed(session.outputs());
    run_adapter(runtime, pack, entry)?;
    let (vector, median) = measure(&mut session, entry)?;
    report.vector = vector;
    report.median = Some(median);
    Ok(())
}

/// The self-test, and the median time of a run on its input.
fn measure(session: &mut ModelSession, entry: &Entry<'_>) -> Result<(VectorCheck, Duration), ModelError> {
    let pattern = Pattern::of(session, entry.size())?;
    let outputs = pattern.run(session)?;
    let vector = match entry.self_test() {
        None => VectorCheck::Missing,
        Some(vector) => match compare(&outputs, vector) {
            Ok(()) => VectorCheck::Right,
            Err(problem) => VectorCheck::Wrong(problem),
        },
    };
    drop(outputs);
    let mut times = Vec::with_capacity(TIMED_RUNS);
    for _ in 0..TIMED_RUNS {
        let begin = Instant::now();
        pattern.run(session)?;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    Ok((vector, times.get(TIMED_RUNS / 2).copied().unwrap_or_default()))
}

/// Opens a model as the engine does and runs it once on an image, so that its outputs are checked as well.
fn run_adapter(runtime: &Runtime, pack: &Pack, entry: &Entry<'_>) -> Result<(), ModelError> {
    let image = test_image()?;
    match entry {
        Entry::Detector(model) => {
            let models = std::slice::from_ref(*model);
            let mut detectors = Detectors::open_models(runtime, pack, models, None)?;
            detectors.detect(&image, Search::Thorough, Interrupt::NEVER)?;
        }
        Entry::Embedder(model) => {
            let mut embedder = embedding::open_model(runtime, pack, model)?;
            embed(&mut *embedder, &image)?;
        }
        Entry::Liveness(model) => {
            let side = IMAGE_SIDE as f32 / 4.0;
            let face = BoundingBox {
                x: side,
                y: side,
                width: side,
                height: side,
            };
            let mut liveness = LivenessEnsemble::open_models(runtime, pack, std::slice::from_ref(*model))?;
            liveness.score(&image, &face)?;
        }
    }
    Ok(())
}

/// Checks that a face is embedded alike alone and beside another.
fn embed(embedder: &mut dyn FaceEmbedder, image: &Image) -> Result<(), ModelError> {
    let (one, other) = (landmarks(200.0), landmarks(320.0));
    let face = |landmarks| FaceInImage { image, landmarks };
    let alone = embedder.embed(&[face(&one)])?;
    let together = embedder.embed(&[face(&other), face(&one)])?;
    let ([alone], [_, beside]) = (alone.as_slice(), together.as_slice()) else {
        return Err("the number of embeddings is not that of the faces".into());
    };
    let similarity = alone.similarity(beside)?;
    if similarity >= SAME_FACE {
        return Ok(());
    }
    let problem = format!(
        "a face's embedding depends on the faces beside it: alone and in a batch of two its similarity is {similarity}"
    );
    Err(problem.into())
}

/// Returns an image without symmetry.
fn test_image() -> Result<Image, ModelError> {
    let pixels = (0..IMAGE_SIDE * IMAGE_SIDE)
        .flat_map(|pixel| {
            let (x, y) = (pixel % IMAGE_SIDE, pixel / IMAGE_SIDE);
            [x / 3, y / 3, (x * y) / 512].map(|value| (value % 256) as u8)
        })
        .collect();
    Ok(Image::from_rgb8(IMAGE_SIDE, IMAGE_SIDE, pixels)?)
}

/// Returns plausible landmarks of a face of about 200 pixels.
fn landmarks(left: f32) -> Landmarks {
    let points = [
        (60.0, 70.0),
        (140.0, 70.0),
        (100.0, 115.0),
        (70.0, 160.0),
        (130.0, 160.0),
    ];
    points.map(|(x, y)| Point {
        x: left + x,
        y: 200.0 + y,
    })
}
