//! The `likeness` command line.

mod cli;

fn main() -> std::process::ExitCode {
    likeness::runtime::keep_freed_memory();
    cli::run()
}
