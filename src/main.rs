//! The `likeness` command line.

mod cli;

#[allow(unsafe_code)]
fn main() -> std::process::ExitCode {
    // This program as started by itself, for one image: it has nothing of the rest.
    let mut arguments = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned());
    if arguments.next().as_deref() == Some(likeness::heif::COMMAND) {
        return likeness::heif::serve(&arguments.collect::<Vec<_>>());
    }
    // Nothing leaves the building, whatever the environment says: ONNX Runtime would report to its maker.
    // SAFETY: no other thread has been started yet.
    unsafe { std::env::set_var(likeness::runtime::ENV_NO_TELEMETRY, "1") };
    likeness::runtime::keep_freed_memory();
    cli::run()
}
