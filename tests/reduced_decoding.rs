//! Decoding at a reduced size, on idle workers and with shared sessions: none of it changes a result.

use std::path::Path;
use std::process::ExitCode;
use std::thread;

use image::{ImageFormat, RgbImage, imageops};
use jpeg_encoder::{ColorType, Encoder};
use likeness::decision::Score;
use likeness::{
    BuildError, EmbedOptions, EmbeddedFace, Engine, EngineError, ImageRole, LivenessOptions, Timings,
    Verification, VerifyOptions,
};
use likeness_engine::detection::BoundingBox;
use likeness_engine::imaging::{EncodedImage, Image, ImageLimits, Interrupt, decode};
use likeness_engine::liveness::{LivenessError, LivenessModel};
use likeness_engine::runtime::{Execution, Provider, ProviderOptions};
use likeness_testing::{Failed, Outcome, Suite, ensure};

mod support;

use support::image as picture;

/// A portrait of 600x800, its face 313 pixels a side.
const PORTRAIT: &str = "faces/img11.jpg";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_shared_and_models("a_large_selfie_is_scored_at_a_reduced_size", large_selfie);
    suite.with_shared_and_models(
        "a_selfie_whose_face_needs_every_pixel_is_scored_whole",
        selfie_to_be_kept,
    );
    suite.with_shared_and_models(
        "a_photo_with_a_small_face_is_decoded_again_at_more_pixels",
        small_face,
    );
    suite.with_shared_and_models("a_custom_liveness_model_gets_every_pixel", own_liveness_model);
    suite.with_shared_and_models(
        "a_verification_of_large_images_reports_their_own_pixels",
        verification,
    );
    suite.with_shared_and_models(
        "on_an_idle_worker_or_one_after_the_other_the_result_is_the_same",
        idle_worker,
    );
    suite.with_shared_and_models(
        "workers_that_share_sessions_give_the_same_results",
        shared_sessions,
    );
    suite.with_shared_and_models("of_two_wrong_images_the_selfie_is_reported", two_wrong_images);
    suite.run()
}

fn engine() -> Result<Engine, BuildError> {
    Engine::builder().workers(1).build()
}

/// The portrait so many times as large, with `margin` times its size of grey around it on each side.
fn enlarged(shared: &Path, times: u32, margin: u32) -> Result<Vec<u8>, Failed> {
    let portrait = picture(shared, PORTRAIT)?;
    let portrait = image::load_from_memory_with_format(&portrait, ImageFormat::Jpeg)?.to_rgb8();
    let (width, height) = (portrait.width(), portrait.height());
    let mut canvas = RgbImage::from_pixel(
        (2 * margin + 1) * width,
        (2 * margin + 1) * height,
        image::Rgb([110, 115, 120]),
    );
    imageops::overlay(
        &mut canvas,
        &portrait,
        (margin * width).into(),
        (margin * height).into(),
    );
    let (width, height) = (times * canvas.width(), times * canvas.height());
    let large = imageops::resize(&canvas, width, height, imageops::FilterType::CatmullRom);
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes, 90).encode(
        &large,
        u16::try_from(width)?,
        u16::try_from(height)?,
        ColorType::Rgb,
    )?;
    Ok(bytes)
}

fn score(liveness: Option<Score>) -> Result<f64, Failed> {
    Ok(liveness.ok_or("no face")?.value())
}

fn at_a_part(bytes: &[u8], factor: u32) -> Result<Image, Failed> {
    let whole = decode(bytes, &ImageLimits::default())?;
    let side = whole.width().max(whole.height()).div_ceil(factor);
    let reduced =
        EncodedImage::open(bytes, &ImageLimits::default())?.decode_reduced(side, Interrupt::NEVER)?;
    ensure!(reduced.factor() == factor, "reduced by {}", reduced.factor());
    Ok(reduced.into_image())
}

/// 2400x3200: a quarter has 800 pixels, fewer than the first decode asks for; a half has a face of 626.
fn large_selfie(shared: &Path) -> Outcome {
    let (engine, options) = (engine()?, LivenessOptions::default());
    let bytes = enlarged(shared, 4, 0)?;
    let answer = engine.liveness(&bytes, &options)?;
    let expected = engine.liveness(&at_a_part(&bytes, 2)?, &options)?;
    let whole = engine.liveness(&decode(&bytes, &ImageLimits::default())?, &options)?;
    ensure!(
        answer.liveness == expected.liveness,
        "{:?} instead of {:?}",
        answer.liveness,
        expected.liveness
    );
    ensure!(
        answer.liveness != whole.liveness,
        "{:?} tells nothing",
        whole.liveness
    );
    ensure!(
        (answer.selfie.size.width, answer.selfie.size.height) == (2400, 3200),
        "{:?}",
        answer.selfie.size
    );
    Ok(())
}

/// 1800x2400 with a face of 313: at the half of the first decode it has 156.
fn selfie_to_be_kept(shared: &Path) -> Outcome {
    let (engine, options) = (engine()?, LivenessOptions::default());
    let bytes = enlarged(shared, 1, 1)?;
    let answer = score(engine.liveness(&bytes, &options)?.liveness)?;
    let whole = score(
        engine
            .liveness(&decode(&bytes, &ImageLimits::default())?, &options)?
            .liveness,
    )?;
    let part = score(engine.liveness(&at_a_part(&bytes, 2)?, &options)?.liveness)?;
    // The box was found in the half, so that the crop is a pixel off.
    ensure!(
        (answer - whole).abs() < (answer - part).abs(),
        "{answer} where the whole has {whole} and the half {part}"
    );
    Ok(())
}

/// 4200x5600 has a face of 313 and, at the eighth of the first decode, one of 39.
fn small_face(shared: &Path) -> Outcome {
    let engine = engine()?;
    let bytes = enlarged(shared, 1, 3)?;
    let embedding = |faces: Vec<EmbeddedFace>| {
        let first = faces.into_iter().next();
        first.map(|face| face.embedding).ok_or("no face")
    };
    let options = EmbedOptions::default();
    let answer = embedding(engine.embed(&bytes, &options)?)?;
    let whole = embedding(engine.embed(&decode(&bytes, &ImageLimits::default())?, &options)?)?;
    let part = embedding(engine.embed(&at_a_part(&bytes, 8)?, &options)?)?;
    let (answer, part) = (whole.similarity(&answer)?, whole.similarity(&part)?);
    ensure!(
        answer > 0.98 && part < 0.96,
        "similarity to the whole {answer}, at the size of the first decode {part}"
    );
    Ok(())
}

/// Scores the height of the image that it gets.
#[derive(Debug)]
struct Height;

impl LivenessModel for Height {
    fn score(&mut self, image: &Image, _: &BoundingBox) -> Result<f64, LivenessError> {
        Ok(f64::from(image.height()) / 1e4)
    }
}

fn own_liveness_model(shared: &Path) -> Outcome {
    let engine = Engine::builder().workers(1).liveness(|| Ok(Height)).build()?;
    let bytes = enlarged(shared, 4, 0)?;
    let answer = engine.liveness(&bytes, &LivenessOptions::default())?;
    ensure!(score(answer.liveness)? == 0.32, "{answer:?}");
    Ok(())
}

fn verification(shared: &Path) -> Outcome {
    let engine = engine()?;
    let options = VerifyOptions::default();
    let large = enlarged(shared, 6, 0)?;
    let whole = decode(&large, &ImageLimits::default())?;
    let answer = engine.verify(&large, &large, &options)?;
    let expected = engine.verify(&whole, &whole, &options)?;
    ensure!(answer.decision == expected.decision, "{:?}", answer.decision);
    for (found, wanted) in [
        (&answer.selfie, &expected.selfie),
        (&answer.photo, &expected.photo),
    ] {
        ensure!(found.size == wanted.size, "{:?}", found.size);
        let (found, wanted) = (&found.faces[0], &wanted.faces[0]);
        let boxes = [&found.bounding_box, &wanted.bounding_box];
        let [found_box, wanted_box] = boxes.map(|at| [at.x, at.y, at.width, at.height]);
        for (found, wanted) in found_box.into_iter().zip(wanted_box) {
            // Less than a pixel of the 320 that the detector sees on the longest side.
            ensure!(
                (found - wanted).abs() < 4800.0 / 320.0,
                "{found_box:?} instead of {wanted_box:?}"
            );
        }
    }
    Ok(())
}

fn idle_worker(shared: &Path) -> Outcome {
    // One worker has none beside it; of four, three are free.
    let [one, four] = [1, 4].map(|workers| Engine::builder().workers(workers).build());
    let (one, four) = (one?, four?);
    let mut nobody = Vec::new();
    Encoder::new(&mut nobody, 90).encode(&[128; 64 * 64], 64, 64, ColorType::Luma)?;
    let [portrait, same, other, couple] =
        [PORTRAIT, "faces/img2.jpg", "faces/img3.jpg", "faces/couple.jpg"].map(|name| picture(shared, name));
    let (portrait, same, other, couple) = (portrait?, same?, other?, couple?);
    for (selfie, photo) in [
        (&same, &portrait),
        (&same, &other),
        (&couple, &same),
        (&same, &couple),
        (&nobody, &portrait),
        (&portrait, &nobody),
    ] {
        for multiface in [false, true] {
            let options = VerifyOptions::default().with_photo_multiface(multiface);
            let [turn, side] = [&one, &four].map(|engine| {
                let mut answer = engine.verify(selfie, photo, &options)?;
                answer.timings = Timings::default();
                Ok::<_, EngineError>(format!("{answer:#?}"))
            });
            let (turn, side) = (turn?, side?);
            ensure!(
                turn == side,
                "one after the other:\n{turn}\nat the same time:\n{side}"
            );
        }
    }
    Ok(())
}

fn two_wrong_images(shared: &Path) -> Outcome {
    let good = picture(shared, PORTRAIT)?;
    let (bad, worse) = (good[..200].to_vec(), b"no image".to_vec());
    for workers in [1, 2] {
        let engine = Engine::builder().workers(workers).build()?;
        for (selfie, photo, wrong) in [
            (&bad, &worse, ImageRole::Selfie),
            (&worse, &bad, ImageRole::Selfie),
            (&good, &bad, ImageRole::Photo),
            (&bad, &good, ImageRole::Selfie),
        ] {
            let error = engine.verify(selfie, photo, &VerifyOptions::default());
            ensure!(
                matches!(&error, Err(EngineError::Image { role, .. }) if *role == wrong),
                "{workers} workers: {error:?}"
            );
        }
    }
    Ok(())
}

/// More threads than workers, so that requests wait for each other in the pool and at the models.
fn shared_sessions(shared: &Path) -> Outcome {
    let images = [
        "faces/img2.jpg",
        "faces/img11.jpg",
        "faces/img3.jpg",
        "faces/img4.jpg",
    ]
    .map(|name| picture(shared, name));
    let images: Vec<Vec<u8>> = images.into_iter().collect::<Result<_, _>>()?;
    let options = ProviderOptions {
        shared_sessions: Some(true),
        ..ProviderOptions::default()
    };
    let sharing = Engine::builder()
        .provider(Execution::new(Provider::Cpu, options))
        .workers(3)
        .build()?;
    let own = engine()?;
    let verify = |engine: &Engine, selfie: usize| {
        let photo = (selfie + 1) % images.len();
        engine.verify(&images[selfie], &images[photo], &VerifyOptions::default())
    };
    let selfies = || (0..images.len()).cycle().take(2 * images.len());
    let answers: Vec<_> = thread::scope(|scope| {
        let (sharing, verify) = (&sharing, &verify);
        let callers: Vec<_> = selfies()
            .map(|selfie| scope.spawn(move || verify(sharing, selfie)))
            .collect();
        callers.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    for (selfie, answer) in selfies().zip(answers) {
        let answer = answer.map_err(|_| "a thread panicked")??;
        let expected = verify(&own, selfie)?;
        let similarity = |answer: &Verification| {
            answer
                .similarity
                .map_or(f32::NAN, |similarity| similarity.value())
        };
        let (found, wanted) = (similarity(&answer), similarity(&expected));
        ensure!((found - wanted).abs() < 1e-5, "{found} instead of {wanted}");
        let (found, wanted) = (score(answer.liveness)?, score(expected.liveness)?);
        ensure!((found - wanted).abs() < 1e-4, "{found} instead of {wanted}");
        let (found, wanted) = (answer.selfie.faces.len(), expected.selfie.faces.len());
        ensure!(found == wanted, "{found} faces instead of {wanted}");
    }
    Ok(())
}
