//! `likeness completions` and `likeness man`.

use std::path::Path;
use std::process::Command;

use likeness_testing::{Failed, Outcome, Suite, ensure, ensure_eq, for_each};

use super::run;
use crate::support::process::likeness;

pub(crate) fn tests(suite: &mut Suite) {
    suite.test("completions_of_every_shell_name_every_command", scripts);
    suite.test(
        "an_unknown_shell_is_an_error_that_names_the_known_ones",
        unknown_shell,
    );
    suite.test("a_reader_that_has_left_is_no_error", left);
    suite.test("man_writes_a_page_for_every_command", pages);
    suite.test("man_says_which_folder_cannot_be_written", unwritable);
}

/// The commands below a command, as `--help` lists them.
fn commands(of: &[&str]) -> Result<Vec<String>, Failed> {
    let help = run(&[of, &["--help"]].concat())?.stdout;
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    Ok(names
        .filter(|name| !name.is_empty() && *name != "help")
        .map(ToOwned::to_owned)
        .collect())
}

fn left() -> Outcome {
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let mut command = likeness();
    let ended = command.args(["completions", "bash"]).stdout(writer).output()?;
    ensure!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
    Ok(())
}

fn scripts() -> Outcome {
    let top = commands(&[])?;
    ensure!(top.len() > 10, "{top:?}");
    let nested = commands(&["models"])?;
    for_each(
        ["bash", "zsh", "fish", "elvish", "powershell"].map(|shell| (shell, shell)),
        |shell| {
            let ended = run(&["completions", shell])?;
            ensure!(ended.code == Some(0) && ended.stderr.is_empty(), "{ended:?}");
            for name in top.iter().chain(&nested) {
                ensure!(
                    ended.stdout.contains(name.as_str()),
                    "{shell} does not complete {name}"
                );
            }
            ensure!(
                ended.stdout.contains("admin-listen"),
                "{shell} completes no flags"
            );
            Ok(())
        },
    )?;
    sound_bash(&run(&["completions", "bash"])?.stdout)
}

/// Has bash parse the script and complete the beginning of a command by it.
fn sound_bash(script: &str) -> Outcome {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("likeness");
    std::fs::write(&file, script)?;
    let bash = |arguments: &[&str]| {
        let ended = Command::new("bash").args(arguments).arg(&file).output()?;
        let (out, error) = (
            String::from_utf8_lossy(&ended.stdout).into_owned(),
            String::from_utf8_lossy(&ended.stderr).into_owned(),
        );
        ensure!(ended.status.success() && error.is_empty(), "{error}");
        Ok::<_, Failed>(out)
    };
    bash(&["-n"])?;
    let complete = r#"source "$0"; COMP_WORDS=(likeness hea); COMP_CWORD=1; _likeness likeness hea likeness; echo "${COMPREPLY[*]}""#;
    ensure_eq!(bash(&["-c", complete])?, "healthcheck\n");
    Ok(())
}

fn unknown_shell() -> Outcome {
    let ended = run(&["completions", "tcsh"])?;
    ensure!(ended.code == Some(2) && ended.stdout.is_empty(), "{ended:?}");
    ensure!(
        ended
            .stderr
            .contains("[possible values: bash, elvish, fish, powershell, zsh]"),
        "{ended:?}"
    );
    Ok(())
}

fn pages() -> Outcome {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("share/man1");
    let ended = run(&["man", "--out", out.to_str().ok_or("a path that is not UTF-8")?])?;
    ensure!(ended.code == Some(0) && ended.stdout.is_empty(), "{ended:?}");

    let mut expected = vec!["likeness.1".to_owned()];
    for command in commands(&[])? {
        expected.push(format!("likeness-{command}.1"));
        let below = commands(&[&command])?;
        expected.extend(below.iter().map(|name| format!("likeness-{command}-{name}.1")));
    }
    expected.sort();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&out)? {
        let entry = entry?;
        renders(&entry.path())?;
        found.push(entry.file_name().to_string_lossy().into_owned());
    }
    found.sort();
    ensure_eq!(found, expected);

    let page = std::fs::read_to_string(out.join("likeness-serve.1"))?;
    let source = concat!("\"likeness ", env!("CARGO_PKG_VERSION"), "\"");
    for part in [
        ".TH likeness-serve 1",
        source,
        "admin\\-listen",
        "LIKENESS_LISTEN",
    ] {
        ensure!(page.contains(part), "no {part} in {page}");
    }
    Ok(())
}

/// Has the formatter that this machine has render a page; one without any only checks that the pages are there.
fn renders(page: &Path) -> Outcome {
    let formatters: [&[&str]; 2] = [
        &["mandoc", "-T", "lint", "-W", "warning"],
        &["groff", "-man", "-ww", "-z", "-K", "utf8"],
    ];
    for formatter in formatters {
        let Ok(ended) = Command::new(formatter[0])
            .args(&formatter[1..])
            .arg(page)
            .output()
        else {
            continue;
        };
        let said = [ended.stdout, ended.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        ensure!(
            ended.status.success() && said.is_empty(),
            "{}: {said}",
            page.display()
        );
        return Ok(());
    }
    Ok(())
}

fn unwritable() -> Outcome {
    let file = tempfile::NamedTempFile::new()?;
    let place = file.path().display().to_string();
    let ended = run(&["man", "--out", &place])?;
    let expected = format!("likeness: cannot write man pages to {place}: ");
    ensure!(
        ended.code == Some(1) && ended.stderr.starts_with(&expected),
        "{ended:?}"
    );
    Ok(())
}
