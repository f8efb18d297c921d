//! Verifies from asynchronous code, with a deadline and cancellation: `cargo run --example async_tokio -- SELFIE PHOTO`.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::time::{Duration, Instant};

use likeness::{Budget, CancelFlag, Engine, EngineError, Verification, VerifyOptions};

/// Runs a verification on a blocking thread. Dropping the future, as when a client disconnects, cancels it.
async fn verify(
    engine: Engine,
    selfie: Vec<u8>,
    photo: Vec<u8>,
    timeout: Duration,
) -> Result<Verification, EngineError> {
    struct CancelOnDrop(CancelFlag);
    impl Drop for CancelOnDrop {
        fn drop(&mut self) {
            self.0.cancel();
        }
    }

    let cancel = CancelOnDrop(CancelFlag::default());
    let budget = Budget::unlimited()
        .with_deadline(Instant::now() + timeout)
        .with_cancel_flag(cancel.0.clone());
    let options = VerifyOptions::default().with_budget(budget);
    tokio::task::spawn_blocking(move || engine.verify(&selfie, &photo, &options))
        .await
        .unwrap_or_else(|panic| Err(EngineError::Inference(panic.into())))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(selfie), Some(photo)) = (arguments.next(), arguments.next()) else {
        return Err("usage: async_tokio SELFIE PHOTO".into());
    };
    // Building opens the models, which takes a second or two.
    let engine = tokio::task::spawn_blocking(|| Engine::builder().build()).await??;
    let (selfie, photo) = (tokio::fs::read(selfie).await?, tokio::fs::read(photo).await?);
    // An engine is cheap to clone: one per process.
    let verification = verify(engine.clone(), selfie, photo, Duration::from_secs(5)).await?;
    println!("{:?}", verification.decision.outcome());
    Ok(())
}
