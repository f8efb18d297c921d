//! The deployed files are valid by the schemas of Kubernetes, the Compose specification and CycloneDX.

use std::path::{Path, PathBuf};
use std::process::Command;

use likeness_testing::{Failed, Outcome, Suite, ensure, workspace};

use super::support::process::{Ended, Process};
use super::{done, python};

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_python(
        "schemas::every_manifest_is_valid_for_kubernetes",
        "schemas",
        kubernetes,
    );
    suite.with_python("schemas::the_compose_file_is_valid", "schemas", compose);
    suite.with_python("schemas::the_bill_of_materials_is_valid", "schemas", bill);
}

pub(crate) fn check(python: &Path, kind: &str, files: &[PathBuf]) -> Result<Ended, Failed> {
    Process::run(
        Command::new(python)
            .arg(workspace().join("scripts/check_schemas.py"))
            .arg(kind)
            .args(files),
    )
}

/// These files pass, and a text that is spoilt does not, with the named complaint: so nothing passes unseen.
fn pass(python: &Path, kind: &str, files: &[PathBuf], spoilt: &str, complaint: &str) -> Outcome {
    let ended = check(python, kind, files)?;
    ensure!(ended.code == Some(0), "{}", ended.stderr);
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), spoilt)?;
    let ended = check(python, kind, &[file.path().to_owned()])?;
    ensure!(
        ended.code == Some(1) && ended.stderr.contains(complaint),
        "spoilt, and not refused with {complaint:?}: {ended:?}"
    );
    Ok(())
}

pub(crate) fn spoil(text: &str, from: &str, to: &str) -> Result<String, Failed> {
    ensure!(text.contains(from), "no {from}");
    Ok(text.replacen(from, to, 1))
}

/// Every YAML file below a folder.
pub(crate) fn yaml(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(yaml(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
    Ok(found)
}

fn kubernetes(python: &Path) -> Outcome {
    let folder = workspace().join("deploy/kubernetes");
    let files = yaml(&folder)?;
    ensure!(files.len() >= 10, "{files:?}");
    let deployment = std::fs::read_to_string(folder.join("deployment.yaml"))?;
    let spoilt = spoil(&deployment, "runAsNonRoot:", "runAsNoneRoot:")?;
    pass(
        python,
        "kubernetes",
        &files,
        &spoilt,
        "'runAsNoneRoot' was unexpected",
    )
}

fn compose(python: &Path) -> Outcome {
    let file = workspace().join("deploy/compose/compose.yaml");
    let text = std::fs::read_to_string(&file)?;
    let mounted: Vec<_> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- .")?.split(':').next())
        .map(|path| file.with_file_name(format!(".{path}")))
        .collect();
    ensure!(mounted.len() == 2, "{mounted:?}");
    for path in mounted {
        ensure!(path.is_file(), "{} is mounted and not there", path.display());
    }
    let spoilt = spoil(&text, "read_only:", "readonly:")?;
    pass(python, "compose", &[file], &spoilt, "'readonly' was unexpected")
}

fn bill(interpreter: &Path) -> Outcome {
    let file = tempfile::NamedTempFile::new()?;
    done(python("scripts/sbom.py").arg(file.path()))?;
    let spoilt = spoil(
        &std::fs::read_to_string(file.path())?,
        "\"SHA-256\"",
        "\"SHA256\"",
    )?;
    let files = [file.path().to_owned()];
    pass(interpreter, "sbom", &files, &spoilt, "'SHA256' is not one of")
}
