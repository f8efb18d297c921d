//! The commands and samples of the documentation work as they are written.
//!
//! Every block that is marked `sh` of the pages in [`GUIDE`] is run, in order, by one shell in a fresh folder; those marked
//! `sh no-run` are for other machines. The folder has what the pages assume: the binary on the path, ONNX Runtime, the
//! models, and two images. Only the ports differ, so that the test does not depend on other listeners of this machine.

use std::fmt::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use likeness_testing::{Failed, Outcome, Suite, ensure, workspace};
use serde_json::Value;

use support::process::{Process, likeness};

mod support;

/// The pages whose commands are run, one after the other.
const GUIDE: [&str; 3] = ["docs/install.md", "docs/configure.md", "docs/operate.md"];
/// Two images of one person, by the names that the pages give them.
const IMAGES: [(&str, &str); 2] = [("selfie.jpg", "faces/img2.jpg"), ("photo.jpg", "faces/img11.jpg")];
/// The ports of the pages.
const PORTS: [&str; 2] = ["8080", "9090"];

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_shared_and_models("the_commands_of_the_guide_work_as_written", follow);
    suite.with_shared_and_models(
        "the_sample_response_of_the_readme_is_the_real_one",
        sample_response,
    );
    suite.with_shared_and_models("the_sample_output_of_the_readme_is_the_real_one", sample_output);
    suite.run()
}

/// A block of commands, and the page and line that it begins at.
#[derive(Debug)]
struct Block {
    page: &'static str,
    line: usize,
    commands: String,
}

/// The blocks of a page with this mark.
fn blocks(page: &'static str, text: &str, wanted: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, Block)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(mark)) => {
                let commands = String::new();
                open = Some((
                    mark,
                    Block {
                        page,
                        line: number,
                        commands,
                    },
                ));
            }
            (Some(_), Some("")) => blocks.extend(
                open.take()
                    .filter(|(mark, _)| *mark == wanted)
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

/// One script of all blocks. It reports its position, and ends what it left running.
fn script(blocks: &[Block]) -> Result<String, Failed> {
    let mut script =
        String::from("set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n");
    for block in blocks {
        let Block { page, line, commands } = block;
        write!(script, "echo '== {page}:{line}' >&2\n{commands}")?;
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
    let mut commands = Vec::new();
    for page in GUIDE {
        let found = blocks(page, &std::fs::read_to_string(workspace().join(page))?, "sh");
        ensure!(!found.is_empty(), "{page} has no block to run");
        commands.extend(found);
    }

    let folder = tempfile::tempdir()?;
    for (name, sample) in IMAGES {
        std::fs::copy(shared.join("data").join(sample), folder.path().join(name))?;
    }
    let ended = Process::run(&mut shell(folder.path(), &script(&commands)?)?)?;
    ensure!(
        ended.code == Some(0),
        "the shell ended with {:?}\n{}\n{}",
        ended.code,
        ended.stdout,
        ended.stderr
    );
    Ok(())
}

/// A shell in a folder of its own that finds the binary, the library and the models.
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

/// The first block of the README with this mark that contains this text.
fn readme_block(mark: &str, contains: &str) -> Result<String, Failed> {
    let readme = std::fs::read_to_string(workspace().join("README.md"))?;
    let block = blocks("README.md", &readme, mark)
        .into_iter()
        .find(|block| block.commands.contains(contains));
    block
        .map(|block| block.commands)
        .ok_or_else(|| format!("README.md has no block {mark} with {contains}").into())
}

/// The words of a text that begin with this prefix, without it.
fn words<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    text.split_whitespace()
        .filter_map(|word| word.strip_prefix(prefix))
        .collect()
}

/// The command line writes the body that the service would answer with.
fn sample_response(shared: &Path) -> Outcome {
    let request = readme_block("sh", "curl")?;
    let (selfie, photo) = (
        words(&request, "selfie=@../shared/"),
        words(&request, "image=@../shared/"),
    );
    ensure!(selfie.len() == 1 && photo.len() == 1, "{request}");
    let ended = Process::run(
        likeness()
            .args(["verify", "--json"])
            .args([shared.join(selfie[0]), shared.join(photo[0])]),
    )?;
    let sample = redacted(&readme_block("json", "response_data")?)?;
    let actual = redacted(&ended.stdout)?;
    ensure!(
        sample == actual,
        "README.md shows {sample:#}, the program answers {actual:#}"
    );
    Ok(())
}

/// A body without what each request has anew.
fn redacted(body: &str) -> Result<Value, Failed> {
    let mut body: Value = serde_json::from_str(body)?;
    for key in ["api_req_uid", "processed_at", "requested_at"] {
        let found = body.get_mut(key).ok_or_else(|| format!("no {key}"))?;
        *found = Value::Null;
    }
    Ok(body)
}

fn sample_output(shared: &Path) -> Outcome {
    let sample = readme_block("sh", "$ likeness verify")?;
    let (command, output) = sample.split_once('\n').ok_or("no output")?;
    let images: Vec<PathBuf> = words(command, "../shared/")
        .iter()
        .map(|image| shared.join(image))
        .collect();
    ensure!(images.len() == 2, "{command}");
    let ended = Process::run(likeness().arg("verify").args(images))?;
    ensure!(
        ended.stdout == output,
        "README.md shows {output:?}, the program prints {:?}",
        ended.stdout
    );
    Ok(())
}
