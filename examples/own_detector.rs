//! Verifies with a detector of one's own beside the pack's embedder and liveness models:
//! `cargo run --example own_detector -- SELFIE PHOTO`.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use likeness::detection::{BoundingBox, DetectionError, Face, FaceDetector, Point, Search};
use likeness::imaging::{Image, Interrupt};
use likeness::{Engine, VerifyOptions};

/// Takes for granted that every image is a portrait, as a booth with a fixed camera may.
struct Portrait;

impl FaceDetector for Portrait {
    fn detect(
        &mut self,
        image: &Image,
        _search: Search,
        interrupt: Interrupt<'_>,
    ) -> Result<Vec<Face>, DetectionError> {
        // A detector that takes longer checks the interrupt between its steps.
        interrupt.check()?;
        let (width, height) = (image.width() as f32, image.height() as f32);
        let at = |x: f32, y: f32| Point {
            x: x * width,
            y: y * height,
        };
        Ok(vec![Face {
            bounding_box: BoundingBox {
                x: 0.25 * width,
                y: 0.2 * height,
                width: 0.5 * width,
                height: 0.6 * height,
            },
            score: 1.0,
            // Right eye, left eye, nose tip, right and left mouth corner.
            landmarks: [
                at(0.4, 0.42),
                at(0.6, 0.42),
                at(0.5, 0.54),
                at(0.42, 0.64),
                at(0.58, 0.64),
            ],
        }])
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(selfie), Some(photo)) = (arguments.next(), arguments.next()) else {
        return Err("usage: own_detector SELFIE PHOTO".into());
    };
    // The factory is called once for each worker.
    let engine = Engine::builder().workers(1).detector(|| Ok(Portrait)).build()?;
    let verification = engine.verify(
        &std::fs::read(selfie)?,
        &std::fs::read(photo)?,
        &VerifyOptions::default(),
    )?;
    println!("{:?}", verification.decision.outcome());
    Ok(())
}
