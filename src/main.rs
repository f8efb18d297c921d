//! The `likeness` command line.

mod cli;

#[allow(unsafe_code)]
fn main() -> std::process::ExitCode {
    // Nothing leaves the building, whatever the environment says: ONNX Runtime would report to its maker.
    // SAFETY: no other thread has been started yet.
    unsafe { std::env::set_var(likeness::runtime::ENV_NO_TELEMETRY, "1") };
    likeness::runtime::keep_freed_memory();
    cli::run()
}
