//! An embedder brings an ONNX Runtime environment of its own. A process can have one only, so this is a binary by itself.

use std::path::Path;
use std::process::ExitCode;

use likeness::{Engine, VerifyOptions};
use likeness_engine::packs::StoreSearch;
use likeness_engine::runtime::{LibrarySearch, Runtime, RuntimeError, ort};
use likeness_testing::{Outcome, Suite, ensure};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_shared_and_models(
        "an_engine_works_in_the_embedders_environment",
        embedders_environment,
    );
    suite.run()
}

fn embedders_environment(shared: &Path) -> Outcome {
    let environment = ort::init_from(likeness_testing::library())?
        .with_name("embedder")
        .with_telemetry(false)
        .build()?;
    let runtime = Runtime::from_environment(environment);
    let engine = Engine::builder()
        .runtime(runtime.clone())
        .store(StoreSearch::new())
        .workers(1)
        .build()?;
    ensure!(engine.labels().runtime_library.is_none(), "{:?}", engine.info());

    let read = |name: &str| std::fs::read(shared.join("data/faces").join(name));
    let answer = engine.verify(&read("img2.jpg")?, &read("img11.jpg")?, &VerifyOptions::default())?;
    ensure!(answer.decision.details.is_empty(), "{:?}", answer.decision);

    let refused = runtime.open("no model", b"not an ONNX file");
    ensure!(matches!(refused, Err(RuntimeError::Model { .. })), "{refused:?}");
    // The environment is taken: another one cannot be loaded beside it, which must be an error and no crash.
    let second = Runtime::load(&LibrarySearch::new(), likeness_engine::runtime::Provider::Cpu);
    ensure!(second.is_err(), "{second:?}");
    Ok(())
}
