//! The operator's guide, followed from top to bottom in a fresh folder, as it is written.
//!
//! Every block of `docs/operations.md` that is marked `sh` is run, in order, by one shell; those marked `sh no-run` are
//! for other machines. What the guide takes for granted is there: the binary on the path, ONNX Runtime, the models, and two
//! pictures. Only the ports are others, so that the test does not depend on what else listens on this machine.

use std::fmt::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use likeness_testing::{Failed, Outcome, Suite, ensure, workspace};

use support::image as picture;
use support::process::{Process, likeness};
use support::responses::SAME_PERSON;

mod support;

const GUIDE: &str = "docs/operations.md";
/// The ports of the guide.
const PORTS: [&str; 2] = ["8080", "9090"];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_shared_and_models("the_operators_guide_works_as_written", follow);
    suite.run()
}

/// A block of commands, and the line that it begins at.
#[derive(Debug)]
struct Block {
    line: usize,
    commands: String,
}

fn blocks(guide: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, Block)> = None;
    for (number, line) in (1..).zip(guide.lines()) {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(mark)) => {
                let commands = String::new();
                open = Some((
                    mark,
                    Block {
                        line: number,
                        commands,
                    },
                ));
            }
            (Some(_), Some("")) => blocks.extend(
                open.take()
                    .filter(|(mark, _)| *mark == "sh")
                    .map(|(_, block)| block),
            ),
            (Some((_, block)), _) => {
                block.commands.push_str(line);
                block.commands.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// One script of all blocks. It says where it is, and ends what it left running.
fn script(blocks: &[Block]) -> Result<String, Failed> {
    let mut script =
        String::from("set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n");
    for block in blocks {
        write!(script, "echo '== {GUIDE}:{}' >&2\n{}", block.line, block.commands)?;
    }
    // None is given back before all are taken.
    let free = PORTS
        .iter()
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<Vec<_>, _>>()?;
    for (port, free) in PORTS.iter().zip(&free) {
        script = script.replace(&format!(":{port}"), &format!(":{}", free.local_addr()?.port()));
    }
    Ok(script)
}

fn follow(shared: &Path) -> Outcome {
    let guide = std::fs::read_to_string(workspace().join(GUIDE))?;
    let blocks = blocks(&guide);
    ensure!(blocks.len() > 1, "{GUIDE} has {} blocks to run", blocks.len());

    let folder = tempfile::tempdir()?;
    for (name, sample) in [("selfie.jpg", SAME_PERSON.0), ("photo.jpg", SAME_PERSON.1)] {
        std::fs::write(folder.path().join(name), picture(shared, sample)?)?;
    }
    let ended = Process::run(&mut shell(folder.path(), &script(&blocks)?)?)?;
    ensure!(
        ended.code == Some(0),
        "the shell ended with {:?}\n{}\n{}",
        ended.code,
        ended.stdout,
        ended.stderr
    );
    Ok(())
}

/// A shell that finds the binary and what belongs to it, in a folder of its own.
fn shell(folder: &Path, script: &str) -> Result<Command, Failed> {
    let likeness = likeness();
    let binary = PathBuf::from(likeness.get_program());
    let binaries = binary.parent().ok_or("the binary is in no folder")?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(
        [binaries.to_owned()]
            .into_iter()
            .chain(std::env::split_paths(&path)),
    )?;
    let mut shell = Command::new("bash");
    for (name, value) in likeness.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.args(["-c", script]).current_dir(folder).env("PATH", path);
    if std::env::var_os("LIKENESS_MODELS").is_none() {
        shell.env("LIKENESS_MODELS", workspace().join("models/store"));
    }
    Ok(shell)
}
