//! Packs of one's own: tiny models made on the spot, opened as packs are, whose answers can be worked out by hand.

mod cohort;

use std::process::ExitCode;

use likeness_engine::detection::{self, Detectors, Face, FaceDetector, Point, Search};
use likeness_engine::embedding::{self, Embedding, FaceInImage};
use likeness_engine::imaging::{Image, Interrupt, PixelRect, crop_resize_bilinear};
use likeness_engine::liveness::{LivenessEnsemble, LivenessModel};
use likeness_engine::packs::{Pack, Store, StoreSearch};
use likeness_engine::runtime::{LibrarySearch, Provider, Runtime};
use likeness_engine::{
    BuildError, EmbedOptions, Engine, EngineBuilder, EngineError, LivenessOptions, Role, VectorCheck,
    VerifyOptions, check, default_passes,
};
use likeness_testing::onnx::{InputShape, RedFaces, Vectors};
use likeness_testing::{Failed, Outcome, Suite, TestPack, ensure};
use tempfile::TempDir;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    // Set-up brings models and ONNX Runtime together.
    suite.with_models("a_pack_of_ones_own_verifies_two_images", verifies);
    suite.with_models("a_pack_without_calibration_is_refused_unless_told", uncalibrated);
    suite.with_models("a_calibration_of_liveness_is_applied", calibrated_liveness);
    suite.with_models(
        "a_wrong_model_is_refused_with_what_is_needed_and_found",
        wrong_models,
    );
    suite.with_models("what_a_model_does_not_declare_is_found_by_a_run", undeclared);
    suite.with_models("a_check_says_what_it_found", checked);
    suite.with_models("scrfd_of_any_size_or_a_fixed_one_sees_the_same", scrfd);
    suite.with_models("yunet_decodes_as_scrfd_does", yunet);
    suite.with_models("detectors_confirm_each_other", detectors);
    suite.with_models("pixels_are_scaled_as_the_manifest_says", preprocessing);
    suite.with_models(
        "a_model_for_one_face_at_a_time_is_given_one_at_a_time",
        one_at_a_time,
    );
    suite.with_models("embedders_count_by_their_weights", embedders);
    suite.with_models("liveness_models_count_by_their_weights", liveness_models);
    cohort::add_to(&mut suite);
    suite.run()
}

const SCRFD: &str = r#"
    adapter = "scrfd"
    input = { channels = "rgb", mean = [127.5, 127.5, 127.5], std = [128.0, 128.0, 128.0] }
    score_threshold = 0.5
    nms_iou = 0.4
"#;

const YUNET: &str = r#"
    adapter = "yunet"
    input = { channels = "rgb", mean = [127.5, 127.5, 127.5], std = [128.0, 128.0, 128.0] }
    score_threshold = 0.5
    nms_iou = 0.4
"#;

const ARCFACE: &str = r#"
    adapter = "aligned-crop"
    input = { channels = "rgb", mean = [127.5, 127.5, 127.5], std = [127.5, 127.5, 127.5] }
    size = 112
    dimensions = 3
    template = "arcface"
"#;

const TWO_CLASSES: &str = r#"
    adapter = "scaled-crop"
    input = { channels = "bgr" }
    size = 80
    crop_scale = 2.7
    classes = 2
    live_class = 1
"#;

const CALIBRATION: &str = r#"
    [calibration.match]
    people = 3
    genuine_comparisons = 4
    impostor_comparisons = 5
    measured = { from = 0.1, to = 0.9 }
    provenance = { name = "test", method = "by hand", data = "none", date = "2026-11-25" }
    points = [
        { similarity = 0.2, confidence = 0.4, false_match_rate = 1e-3 },
        { similarity = 0.8, confidence = 0.6, false_match_rate = 1e-4 },
    ]
"#;

fn red_faces() -> Vec<u8> {
    RedFaces::of(InputShape::one_of_any_size()).scrfd()
}

/// Logits of 1 : 3.
fn live() -> Vec<u8> {
    Vectors::constant(InputShape::squares(80), &[0.0, 3f32.ln()]).onnx()
}

fn means() -> Vec<u8> {
    Vectors::means(InputShape::squares(112)).onnx()
}

/// A pack whose models are all right.
fn sound(name: &str) -> TestPack {
    TestPack::new(name)
        .detector("scrfd_tiny", red_faces(), SCRFD)
        .embedder("arcface_tiny", means(), ARCFACE)
        .liveness("live_tiny", live(), TWO_CLASSES)
}

fn runtime() -> Result<Runtime, Failed> {
    Ok(Runtime::load(&LibrarySearch::new(), Provider::Cpu)?)
}

/// The pack as it is read from a folder.
fn load(pack: &TestPack) -> Result<(TempDir, Pack), Failed> {
    let folder = tempfile::tempdir()?;
    pack.write(&folder.path().join("pack"))?;
    let path = format!("{}/pack", folder.path().display());
    let pack = Store::at(folder.path()).load(&path)?;
    Ok((folder, pack))
}

/// A builder for the pack, which lies in the folder.
fn builder(pack: &TestPack) -> Result<(TempDir, EngineBuilder), Failed> {
    let folder = tempfile::tempdir()?;
    pack.write(folder.path())?;
    let builder = Engine::builder()
        .store(StoreSearch::new().with_folder(folder.path()))
        .pack(format!("{}/", folder.path().display()))
        .workers(1);
    Ok((folder, builder))
}

/// An image of one colour with a red square of 32 pixels at a place that is a multiple of 32.
fn image(width: u32, height: u32, colour: [u8; 3], (left, top): (u32, u32)) -> Result<Image, Failed> {
    let pixels = (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| {
            let is_red = (left..left + 32).contains(&x) && (top..top + 32).contains(&y);
            if is_red { [255, 0, 0] } else { colour }
        })
        .collect();
    Ok(Image::from_rgb8(width, height, pixels)?)
}

/// A face whose landmarks are those of the template in a crop of `side` pixels at (`left`, `top`).
fn landmarks(template: [[f64; 2]; 5], left: f64, top: f64, side: f64) -> [Point; 5] {
    template.map(|[x, y]| Point {
        x: (left + x * side) as f32,
        y: (top + y * side) as f32,
    })
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-4
}

fn verifies() -> Outcome {
    let (_folder, builder) = builder(&sound("own").with(CALIBRATION))?;
    let engine = builder.clone().build()?;
    engine.warm_up()?;
    let (green, blue) = (
        image(320, 320, [0, 200, 0], (128, 128))?,
        image(320, 320, [0, 0, 200], (128, 128))?,
    );
    let same = engine.verify(&green, &green, &VerifyOptions::default())?;
    ensure!(
        same.similarity.is_some_and(|s| near(s.value().into(), 1.0)),
        "{same:?}"
    );
    ensure!(
        same.liveness.is_some_and(|score| near(score.value(), 0.75)),
        "{same:?}"
    );
    let [face] = same.selfie.faces.as_slice() else {
        return Err(format!("{same:?}").into());
    };
    // A cell to the left and upwards, two to the right and downwards.
    let bounds = face.bounding_box;
    ensure!(
        (bounds.x, bounds.y, bounds.width, bounds.height) == (96.0, 96.0, 96.0, 96.0),
        "{bounds:?}"
    );
    let other = engine.verify(&green, &blue, &VerifyOptions::default())?;
    ensure!(
        other.similarity.map(|s| s.value()) < same.similarity.map(|s| s.value())
            && other.face_match < same.face_match,
        "{other:?}"
    );
    // A store that is not there is not missed: all files lie beside the manifest.
    let elsewhere = StoreSearch::new().with_folder("no/such/store");
    builder.store(elsewhere).build()?;
    let info = engine.info();
    let pack = info.pack.as_ref().ok_or("no pack")?;
    ensure!(
        pack.name == "own" && pack.commercial_use && pack.licenses == ["Apache-2.0"],
        "{info:?}"
    );
    ensure!(
        engine.labels().match_calibration.starts_with("test (2026-11-25"),
        "{info:?}"
    );
    Ok(())
}

fn uncalibrated() -> Outcome {
    let (_folder, builder) = builder(&sound("own"))?;
    let error = builder.clone().build().err().ok_or("it was built")?;
    ensure!(
        matches!(&error, BuildError::Uncalibrated { pack } if pack == "own"),
        "{error:?}"
    );
    let expected = "pack 'own' has no match calibration: measure one with `likeness calibrate match` on your images and \
                    name it with --calibration";
    ensure!(error.to_string() == expected, "{error}");

    let engine = builder.uncalibrated(true).build()?;
    engine.warm_up()?;
    ensure!(!engine.is_calibrated(), "it is calibrated");
    let green = image(320, 320, [0, 200, 0], (128, 128))?;
    let refused = engine.verify(&green, &green, &VerifyOptions::default());
    ensure!(matches!(refused, Err(EngineError::Uncalibrated)), "{refused:?}");
    let faces = engine.embed(&green, &EmbedOptions::default())?;
    let [face] = faces.as_slice() else {
        return Err(format!("{faces:?}").into());
    };
    ensure!(
        near(face.embedding.similarity(&face.embedding)?.into(), 1.0),
        "{face:?}"
    );
    let compared = engine.compare(&face.embedding, &face.embedding);
    ensure!(matches!(compared, Err(EngineError::Uncalibrated)), "{compared:?}");
    let live = engine.liveness(&green, &LivenessOptions::default())?;
    ensure!(
        live.liveness.is_some_and(|score| near(score.value(), 0.75)),
        "{live:?}"
    );
    Ok(())
}

fn calibrated_liveness() -> Outcome {
    let calibration = r#"
        [calibration.liveness]
        measured = { from = 0.0, to = 1.0 }
        provenance = { name = "test", method = "by hand", data = "none", date = "2026-11-25" }
        presentations = [{ species = "live", presentations = 100 }]
        points = [
            { probability = 0.75, liveness = 0.4, apcer = 0.02, bpcer = 0.0 },
            { probability = 0.9, liveness = 0.6, apcer = 0.01, bpcer = 0.0 },
        ]
    "#;
    let (_folder, builder) = builder(&sound("own").with(CALIBRATION).with(calibration))?;
    let green = image(320, 320, [0, 200, 0], (128, 128))?;
    let score = |engine: &Engine| -> Result<f64, Failed> {
        let check = engine.liveness(&green, &LivenessOptions::default())?;
        Ok(check.liveness.ok_or("no face")?.value())
    };
    let engine = builder.clone().build()?;
    ensure!(near(score(&engine)?, 0.4), "{}", score(&engine)?);
    ensure!(
        engine.labels().liveness_calibration.starts_with("test ("),
        "{:?}",
        engine.info()
    );
    // Calibrations are fitted to what the models say themselves.
    let raw = builder.raw_scores(true).build()?;
    ensure!(
        near(score(&raw)?, 0.75) && !raw.is_calibrated(),
        "{}",
        score(&raw)?
    );
    Ok(())
}

/// What building an engine of a pack and checking it say, which must be the same.
fn refusal(pack: &TestPack) -> Result<String, Failed> {
    let (_folder, builder) = builder(pack)?;
    let built = builder.uncalibrated(true).build();
    let error = built.err().ok_or("an engine was built of it")?.to_string();
    // As the program checks a pack: with the passes that an engine applies.
    let (_folder, pack) = load(pack)?;
    let report = check(&runtime()?, &pack.optimized(&default_passes(Provider::Cpu)));
    let faults: Vec<String> = report.faults().collect();
    ensure!(
        !report.is_well() && faults == [error.clone()],
        "{error} and {faults:?}"
    );
    ensure!(report.to_string().contains(&format!("FAIL  {error}")), "{report}");
    Ok(error)
}

fn with_detector(onnx: Vec<u8>, keys: &str) -> TestPack {
    TestPack::new("wrong")
        .detector("found", onnx, keys)
        .embedder("arcface_tiny", means(), ARCFACE)
        .liveness("live_tiny", live(), TWO_CLASSES)
}

fn with_embedder(onnx: Vec<u8>) -> TestPack {
    TestPack::new("wrong")
        .detector("scrfd_tiny", red_faces(), SCRFD)
        .embedder("w600k", onnx, ARCFACE)
        .liveness("live_tiny", live(), TWO_CLASSES)
}

fn with_liveness(onnx: Vec<u8>) -> TestPack {
    TestPack::new("wrong")
        .detector("scrfd_tiny", red_faces(), SCRFD)
        .embedder("arcface_tiny", means(), ARCFACE)
        .liveness("silent", onnx, TWO_CLASSES)
}

fn wrong_models() -> Outcome {
    let squares = InputShape::squares;
    let any = InputShape::one_of_any_size();
    let cases = [
        (
            with_embedder(Vectors::means(squares(128)).onnx()),
            "embedder w600k: the adapter aligned-crop needs input [N,3,112,112], the model has [N,3,128,128]",
        ),
        (
            with_embedder(Vectors::constant(squares(112), &[1.0; 8]).onnx()),
            "embedder w600k: the adapter aligned-crop needs output [N,3], the model has [N,8]",
        ),
        (
            with_embedder(Vectors::means(squares(112)).of_half_precision().onnx()),
            "embedder w600k: the adapter aligned-crop needs input [N,3,112,112] of f32, the model has Float16 [N,3,112,112]",
        ),
        (
            with_embedder(Vectors::means(squares(112)).with_second_input().onnx()),
            "embedder w600k: the adapter aligned-crop needs one input [N,3,112,112], the model has 2 inputs: \
             [N,3,112,112] [3]",
        ),
        (
            with_embedder(
                Vectors::means(InputShape {
                    batch: Some(4),
                    side: Some(112),
                })
                .onnx(),
            ),
            "embedder w600k: the adapter aligned-crop needs input [N,3,112,112], the model has [4,3,112,112]",
        ),
        (
            with_liveness(Vectors::constant(squares(80), &[0.0; 3]).onnx()),
            "liveness model silent: the adapter scaled-crop needs output [N,2], the model has [N,3]",
        ),
        (
            with_detector(RedFaces::of(any).without_landmarks().scrfd(), SCRFD),
            "landmarks are required: use a *_kps / bnkps export",
        ),
        (
            with_detector(RedFaces::of(any).yunet(), SCRFD),
            "detector found: the adapter scrfd needs 9 outputs",
        ),
        (
            with_detector(red_faces(), YUNET),
            "detector found: the adapter yunet needs output cls_8 [N,cells,1], the model has none of that name",
        ),
        (
            with_detector(RedFaces::of(InputShape::one_square(300)).scrfd(), SCRFD),
            "detector found: the adapter scrfd needs an input of any size, or of one of 320 to 2560 pixels",
        ),
        (
            with_detector(means(), SCRFD),
            "detector found: the adapter scrfd needs an input of any size",
        ),
        (
            with_embedder(b"no ONNX at all".to_vec()),
            "cannot open model w600k",
        ),
    ];
    for (pack, expected) in cases {
        let error = match refusal(&pack) {
            Ok(error) => error,
            // What the other side calls it: the check names the role where ONNX Runtime does not.
            Err(failed) if expected.starts_with("cannot open") => {
                failed.message().unwrap_or_default().to_owned()
            }
            Err(failed) => return Err(failed),
        };
        ensure!(error.contains(expected), "{error}\ninstead of {expected}");
    }
    Ok(())
}

fn undeclared() -> Outcome {
    let squares = InputShape::squares;
    for (pack, expected) in [
        (
            with_embedder(Vectors::constant(squares(112), &[1.0; 8]).undeclared().onnx()),
            "embedder w600k: the adapter aligned-crop needs output [1,3], the model has [1,8]",
        ),
        (
            with_liveness(Vectors::constant(squares(80), &[0.0; 3]).undeclared().onnx()),
            "liveness model silent: the adapter scaled-crop needs output [1,2], the model has [1,3]",
        ),
        (
            with_detector(
                RedFaces::of(InputShape::one_of_any_size())
                    .without_sigmoid()
                    .scrfd(),
                SCRFD,
            ),
            "detector found: the adapter scrfd needs scores between 0 and 1, a sigmoid behind them",
        ),
    ] {
        let (_folder, loaded) = load(&pack)?;
        let report = check(&runtime()?, &loaded);
        let faults: Vec<String> = report.faults().collect();
        ensure!(faults.len() == 1 && faults[0].contains(expected), "{faults:?}");
        // An engine of it comes to nothing as well: the service warms up before it opens its port.
        let (_folder, builder) = builder(&pack)?;
        let warmed = builder.uncalibrated(true).build()?.warm_up();
        ensure!(matches!(warmed, Err(EngineError::Inference(_))), "{warmed:?}");
    }
    // Numbers that are none of what the manifest calls them.
    let keys = format!("{TWO_CLASSES}\noutput = \"probabilities\"");
    let pack = TestPack::new("wrong")
        .detector("scrfd_tiny", red_faces(), SCRFD)
        .embedder("arcface_tiny", means(), ARCFACE)
        .liveness("silent", live(), &keys);
    let (_folder, pack) = load(&pack)?;
    let faults: Vec<String> = check(&runtime()?, &pack).faults().collect();
    ensure!(
        faults.len() == 1
            && faults[0].starts_with("liveness silent: ")
            && faults[0].contains("not probabilities"),
        "{faults:?}"
    );
    Ok(())
}

fn checked() -> Outcome {
    let vector = |first: f32| {
        format!(
            "{TWO_CLASSES}\nself_test = {{ output = \"answer\", values = [{first:.3}, 1.0986], tolerance = 1e-3 }}"
        )
    };
    let pack = |first: f32| {
        TestPack::new("own")
            .detector("scrfd_tiny", red_faces(), SCRFD)
            .embedder("arcface_tiny", means(), ARCFACE)
            .liveness("live_tiny", live(), &vector(first))
    };
    let (_folder, right) = load(&pack(0.0))?;
    let report = check(&runtime()?, &right);
    ensure!(report.is_well(), "{report}");
    let roles: Vec<Role> = report.models.iter().map(|model| model.role).collect();
    ensure!(
        roles == [Role::Detector, Role::Embedder, Role::Liveness],
        "{roles:?}"
    );
    let vectors: Vec<&VectorCheck> = report.models.iter().map(|model| &model.vector).collect();
    ensure!(
        vectors == [&VectorCheck::Missing, &VectorCheck::Missing, &VectorCheck::Right],
        "{vectors:?}"
    );
    ensure!(
        report.models.iter().all(|model| model.median.is_some()),
        "{report}"
    );
    let text = report.to_string();
    for expected in [
        "no vector",
        "[N,3,112,112]",
        "match calibration: none; before the pack can verify",
        "All models can be used.",
    ] {
        ensure!(text.contains(expected), "{expected} is not in {text}");
    }
    let (_folder, wrong) = load(&pack(1.0))?;
    let report = check(&runtime()?, &wrong);
    let faults: Vec<String> = report.faults().collect();
    ensure!(
        faults == ["liveness live_tiny: self-test: number 0 of output 'answer' is 0 instead of 1"],
        "{faults:?}"
    );
    Ok(())
}

/// The faces that the first detector of a pack sees in one pass.
fn seen(onnx: Vec<u8>, image: &Image, side: u32) -> Result<Vec<Face>, Failed> {
    let (_folder, pack) = load(&with_detector(onnx, SCRFD))?;
    Ok(Detectors::open(&runtime()?, &pack, None)?.detect_at(image, side)?)
}

fn scrfd() -> Outcome {
    let fixed = || RedFaces::of(InputShape::one_square(320));
    let any = || RedFaces::of(InputShape::one_of_any_size());
    // Padded, as it is, shrunk to half.
    for (size, side) in [(256, 640), (320, 640), (640, 320)] {
        let mut all = Vec::new();
        for onnx in [
            any().scrfd(),
            any().without_batch().scrfd(),
            fixed().scrfd(),
            fixed().without_batch().scrfd(),
        ] {
            let mut shown = image(size, size, [0, 0, 0], (64, 64))?;
            if side < size {
                // At half the size the square is a cell.
                let cell = image(side, side, [0, 0, 0], (64, 64))?;
                let whole = PixelRect {
                    left: 0,
                    top: 0,
                    width: side,
                    height: side,
                };
                shown = crop_resize_bilinear(&cell, whole, size, size);
            }
            all.push(seen(onnx, &shown, side)?);
        }
        ensure!(all[0].len() == 1, "{size}: {:?}", all[0]);
        ensure!(all.iter().all(|faces| *faces == all[0]), "{size}: {all:?}");
    }
    // Larger than the network's input: in six tiles, of which the one from (480, 0) has a cell where the square is.
    let wide = image(800, 560, [0, 0, 0], (640, 96))?;
    let (tiled, whole) = (
        seen(fixed().scrfd(), &wide, 800)?,
        seen(any().scrfd(), &wide, 800)?,
    );
    ensure!(whole.len() == 1 && tiled == whole, "{tiled:?} {whole:?}");
    // Two anchors a cell, of which only one sees it; the landmarks are where they should be.
    for (found, [x, y]) in whole[0].landmarks.iter().zip(RedFaces::LANDMARKS) {
        ensure!(
            (found.x - (640.0 + 32.0 * x)).abs() < 0.1 && (found.y - (96.0 + 32.0 * y)).abs() < 0.1,
            "{found:?}"
        );
    }
    Ok(())
}

fn yunet() -> Outcome {
    let shown = image(320, 320, [0, 0, 0], (128, 96))?;
    let onnx = RedFaces::of(InputShape::one_square(320)).yunet();
    let (_folder, pack) = load(&with_detector(onnx, YUNET))?;
    let found =
        Detectors::open(&runtime()?, &pack, None)?.detect(&shown, Search::Primary, Interrupt::NEVER)?;
    let expected = seen(red_faces(), &shown, 320)?;
    ensure!(found.len() == 1 && expected.len() == 1, "{found:?} {expected:?}");
    let overlap = found[0].bounding_box.iou(&expected[0].bounding_box);
    ensure!(overlap > 0.999, "{found:?} {expected:?}");
    for (a, b) in found[0].landmarks.iter().zip(&expected[0].landmarks) {
        ensure!((a.x - b.x).hypot(a.y - b.y) < 0.01, "{found:?} {expected:?}");
    }
    Ok(())
}

fn detectors() -> Outcome {
    let shown = image(320, 320, [0, 0, 0], (128, 96))?;
    let blind = || RedFaces::of(InputShape::one_of_any_size()).blind().scrfd();
    let detect = |pack: TestPack, threshold: Option<f32>| -> Result<Vec<Face>, Failed> {
        let pack = pack
            .embedder("arcface_tiny", means(), ARCFACE)
            .liveness("live_tiny", live(), TWO_CLASSES);
        let (_folder, pack) = load(&pack)?;
        Ok(Detectors::open(&runtime()?, &pack, threshold)?.detect(
            &shown,
            Search::Primary,
            Interrupt::NEVER,
        )?)
    };
    let one = || TestPack::new("several").detector("red", red_faces(), SCRFD);
    let alone = detect(one(), None)?;
    let yunet = RedFaces::of(InputShape::one_of_any_size()).yunet();
    let confirmed = detect(one().detector("yunet", yunet, YUNET), None)?;
    ensure!(
        alone.len() == 1 && confirmed.len() == 1,
        "{alone:?} {confirmed:?}"
    );
    ensure!(
        confirmed[0].bounding_box.iou(&alone[0].bounding_box) > 0.999
            && (confirmed[0].score - alone[0].score).abs() < 1e-4,
        "{alone:?} {confirmed:?}"
    );
    // Three of four see it: 0.95 * 3 / 4; of equals one of two: 0.95 / 2, which is too little.
    let heavy = format!("{SCRFD}\nweight = 3.0");
    let outvoted = TestPack::new("several")
        .detector("red", red_faces(), &heavy)
        .detector("blind", blind(), SCRFD);
    let faces = detect(outvoted, None)?;
    ensure!(
        faces.len() == 1 && (faces[0].score - alone[0].score * 0.75).abs() < 1e-4,
        "{faces:?}"
    );
    let tied = || one().detector("blind", blind(), SCRFD);
    ensure!(detect(tied(), None)?.is_empty(), "one of two is enough");
    ensure!(
        detect(tied(), Some(0.4))?.len() == 1,
        "the threshold that is given is not used"
    );
    Ok(())
}

/// The embedding of a face in an image of one colour.
fn embedded(pack: &Pack, colour: [u8; 3], faces: usize) -> Result<Vec<Embedding>, Failed> {
    let shown = Image::from_rgb8(200, 200, colour.repeat(200 * 200))?;
    let template = pack.manifest().embedders[0].template.points();
    let all: Vec<[Point; 5]> = (0..faces)
        .map(|face| landmarks(template, 20.0 + face as f64, 20.0, 130.0))
        .collect();
    let faces: Vec<FaceInImage<'_>> = all
        .iter()
        .map(|landmarks| FaceInImage {
            image: &shown,
            landmarks,
        })
        .collect();
    Ok(embedding::open(&runtime()?, pack)?.embed(&faces)?)
}

fn of_embedders(embedders: &[(Vec<u8>, String)]) -> TestPack {
    let pack = TestPack::new("embedders").detector("scrfd_tiny", red_faces(), SCRFD);
    let pack = embedders
        .iter()
        .enumerate()
        .fold(pack, |pack, (index, (onnx, keys))| {
            pack.embedder(&format!("embedder_{index}"), onnx.clone(), keys)
        });
    pack.liveness("live_tiny", live(), TWO_CLASSES)
}

fn preprocessing() -> Outcome {
    // The model answers with the means of its planes: what the pixels became.
    let expected = |planes: [f32; 3]| Embedding::new(planes.to_vec());
    for (input, planes) in [
        (r#"{ channels = "rgb" }"#, [200.0, 100.0, 50.0]),
        (r#"{ channels = "bgr" }"#, [50.0, 100.0, 200.0]),
        (
            r#"{ channels = "rgb", mean = [100.0, 50.0, 0.0], std = [2.0, 1.0, 0.5] }"#,
            [50.0, 50.0, 100.0],
        ),
        (
            r#"{ channels = "bgr", mean = [100.0, 50.0, 0.0], std = [2.0, 1.0, 0.5] }"#,
            [-25.0, 50.0, 400.0],
        ),
    ] {
        let keys = format!(
            "adapter = \"aligned-crop\"\ninput = {input}\nsize = 112\ndimensions = 3\ntemplate = \"arcface\""
        );
        for onnx in [
            means(),
            Vectors::means(InputShape::squares(112))
                .in_four_dimensions()
                .onnx(),
        ] {
            let (_folder, pack) = load(&of_embedders(&[(onnx, keys.clone())]))?;
            let found = embedded(&pack, [200, 100, 50], 1)?;
            let similarity = found[0].similarity(&expected(planes)?)?;
            ensure!(near(similarity.into(), 1.0), "{input}: {:?}", found[0].values());
        }
    }
    Ok(())
}

fn one_at_a_time() -> Outcome {
    let one = Vectors::means(InputShape::one_square(112)).onnx();
    let (_folder, pack) = load(&of_embedders(&[(one, ARCFACE.to_owned())]))?;
    let (_other, any) = load(&of_embedders(&[(means(), ARCFACE.to_owned())]))?;
    for faces in [1, 2, 9] {
        let (single, batched) = (
            embedded(&pack, [9, 99, 199], faces)?,
            embedded(&any, [9, 99, 199], faces)?,
        );
        ensure!(single.len() == faces && batched.len() == faces, "{faces}");
        for (a, b) in single.iter().zip(&batched) {
            ensure!(near(a.similarity(b)?.into(), 1.0), "{faces}");
        }
    }
    Ok(())
}

fn embedders() -> Outcome {
    let turned = Vectors::of(
        InputShape::one_square(112),
        &[0.0, 1.0, 0.3, 1.0, 0.0, 0.2, 0.0, 0.5, 1.0],
        &[0.1, 0.0, -0.2],
    );
    let models = [
        (means(), format!("{ARCFACE}\nweight = 1.0")),
        (turned.onnx(), format!("{ARCFACE}\nweight = 3.0")),
    ];
    let (red, grey) = ([250, 20, 40], [90, 100, 80]);
    let similarity = |pack: &TestPack| -> Result<f64, Failed> {
        let (_folder, pack) = load(pack)?;
        let (a, b) = (embedded(&pack, red, 2)?, embedded(&pack, grey, 1)?);
        Ok(a[1].similarity(&b[0])?.into())
    };
    let each = [
        similarity(&of_embedders(&models[..1]))?,
        similarity(&of_embedders(&models[1..]))?,
    ];
    let joined = similarity(&of_embedders(&models))?;
    let expected = (each[0] + 3.0 * each[1]) / 4.0;
    ensure!(
        near(joined, expected) && !near(each[0], each[1]),
        "{joined} of {each:?}"
    );
    Ok(())
}

fn liveness_models() -> Outcome {
    let shown = image(320, 320, [0, 200, 0], (128, 128))?;
    let face = detection::BoundingBox {
        x: 100.0,
        y: 100.0,
        width: 60.0,
        height: 60.0,
    };
    let three = |live_class: usize| {
        format!(
            "adapter = \"scaled-crop\"\ninput = {{ channels = \"bgr\" }}\nsize = 80\ncrop_scale = 2.7\nclasses = 3\n\
             live_class = {live_class}\noutput = \"probabilities\"\nweight = 3.0"
        )
    };
    // Probabilities 1/8, 2/8 and 5/8, a model of one image at a time.
    let logits = [0.0, 2f32.ln(), 5f32.ln()];
    let softmax = Vectors::constant(InputShape::one_square(80), &logits).with_softmax();
    for (live_class, expected) in [(0, 0.125), (1, 0.25), (2, 0.625)] {
        let pack = TestPack::new("several")
            .detector("scrfd_tiny", red_faces(), SCRFD)
            .embedder("arcface_tiny", means(), ARCFACE)
            .liveness("two", live(), TWO_CLASSES)
            .liveness("three", softmax.onnx(), &three(live_class));
        let (_folder, pack) = load(&pack)?;
        let score = LivenessEnsemble::open(&runtime()?, &pack)?.score(&shown, &face)?;
        ensure!(
            near(score, (0.75 + 3.0 * expected) / 4.0),
            "{score} for {expected}"
        );
    }
    // The log-odds of 3/4 and 5/8 are those of 3 and 5/3; a certain model counts for 10.
    let certain = Vectors::constant(InputShape::one_square(80), &[90.0, 0.0]);
    let square = "adapter = \"square-crop\"\ninput = { channels = \"rgb\", std = [255.0, 255.0, 255.0] }\nsize = 80\n\
                  crop_scale = 1.5\nclasses = 2\nlive_class = 0";
    let pack = TestPack::new("fused")
        .key("fusion = \"mean-log-odds\"")
        .detector("scrfd_tiny", red_faces(), SCRFD)
        .embedder("arcface_tiny", means(), ARCFACE)
        .liveness("two", live(), TWO_CLASSES)
        .liveness("three", softmax.onnx(), &three(2))
        .liveness("certain", certain.onnx(), square);
    let (_folder, pack) = load(&pack)?;
    let score = LivenessEnsemble::open(&runtime()?, &pack)?.score(&shown, &face)?;
    let odds = (3_f64.ln() + 3.0 * (5.0 / 3.0_f64).ln() + 10.0) / 5.0;
    ensure!(near(score, 1.0 / (1.0 + (-odds).exp())), "{score}");
    Ok(())
}
