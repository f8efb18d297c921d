//! Verifies a selfie against a photo: `cargo run --example verify -- SELFIE PHOTO`.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use likeness::{Engine, VerifyOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(selfie), Some(photo)) = (arguments.next(), arguments.next()) else {
        return Err("usage: verify SELFIE PHOTO".into());
    };
    let engine = Engine::builder().workers(1).build()?;
    let verification = engine.verify(
        &std::fs::read(selfie)?,
        &std::fs::read(photo)?,
        &VerifyOptions::default(),
    )?;
    println!("{}", verification.decision.outcome().as_str());
    // A score is there only where there is a face to compute it from.
    if let Some(confidence) = verification.face_match {
        println!("match confidence {confidence}");
    }
    if let Some(liveness) = verification.liveness {
        println!("liveness score {liveness}");
    }
    for detail in &verification.decision.details {
        println!(
            "{} {}: {}",
            detail.verdict.as_str(),
            detail.code.as_str(),
            detail.description
        );
    }
    Ok(())
}
