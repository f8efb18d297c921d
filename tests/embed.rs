//! The guide for embedders works as it is written: its commands and files make a crate outside of the workspace, which is built
//! and run. `make test-embed` runs this: it builds the engine anew, as another crate has other features.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, ExitCode};

use likeness_testing::{Failed, Outcome, Suite, ensure, ensure_eq, workspace};

const PAGE: &str = "docs/embed.md";

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.with_shared("the_guide_for_embedders_works_as_written", follow);
    suite.run()
}

/// A shell script of the page: its commands are run, and the files that begin with their name are written.
fn script(page: &str) -> Result<String, Failed> {
    let mut script = String::from("set -euo pipefail\n");
    for (number, block) in page
        .split("\n```")
        .enumerate()
        .filter(|(number, _)| number % 2 == 1)
    {
        let (mark, content) = block.split_once('\n').ok_or("a block without lines")?;
        let name = content.lines().next().and_then(|line| line.strip_prefix("// "));
        match (mark, name) {
            ("sh", _) => writeln!(script, "{content}")?,
            (mark, Some(name)) if mark.starts_with("rust") => {
                let folder = Path::new(name).parent().unwrap_or(Path::new("."));
                let folder = folder.display();
                writeln!(
                    script,
                    "mkdir -p {folder}\ncat > {name} <<'END-{number}'\n{content}\nEND-{number}"
                )?;
            }
            _ => {}
        }
    }
    // The versions of this checkout, which the registry need not be asked for.
    Ok(script.replacen(
        "cd face-check\n",
        "cd face-check\ncp ../likeness/Cargo.lock .\n",
        1,
    ))
}

fn follow(shared: &Path) -> Outcome {
    let folder = tempfile::tempdir()?;
    for (name, sample) in [("selfie.jpg", "faces/img2.jpg"), ("photo.jpg", "faces/img11.jpg")] {
        std::fs::copy(shared.join("data").join(sample), folder.path().join(name))?;
    }
    link(&workspace(), &folder.path().join("likeness"))?;
    let target = workspace().join("target/embed");
    let shell = |script: &str| {
        let mut shell = Command::new("bash");
        // What cargo sets for this test is not for that crate.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG")
                || text.starts_with("CARGO_MANIFEST")
                || text.starts_with("LIKENESS")
            {
                shell.env_remove(&name);
            }
        }
        shell
            .args(["-c", script])
            .current_dir(folder.path())
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_NET_OFFLINE", "true")
            .env("LIKENESS_MODEL_MIRROR", shared.join("upstream"))
            .env_remove("ORT_DYLIB_PATH")
            .output()
    };
    let page = std::fs::read_to_string(workspace().join(PAGE))?;
    let ended = shell(&script(&page)?)?;
    let (said, error) = (
        String::from_utf8_lossy(&ended.stdout).into_owned(),
        String::from_utf8_lossy(&ended.stderr).into_owned(),
    );
    ensure!(ended.status.success(), "{:?}\n{said}\n{error}", ended.status);
    for part in [
        "libonnxruntime.so: ",
        "pass\nmatch confidence 0.9",
        "test result: ok. 1 passed",
    ] {
        ensure!(said.contains(part), "no {part:?} in {said}\n{error}");
    }

    // Where nothing has been fetched, the error is for people.
    let program = target.join("release/face-check");
    let ended = shell(&format!("{} selfie.jpg photo.jpg", program.display()))?;
    ensure_eq!(ended.status.code(), Some(1));
    ensure_eq!(
        String::from_utf8_lossy(&ended.stderr).trim_end(),
        "Error: cannot load ONNX Runtime from likeness-files/onnxruntime/libonnxruntime.so: no such file"
    );
    Ok(())
}

#[cfg(unix)]
fn link(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn link(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_dir(target, link)
}
