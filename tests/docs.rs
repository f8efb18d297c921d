//! The documentation says what the code does: every setting, error, metric, alert and log message has its row, and every link
//! and path leads somewhere.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use likeness::api::ErrorCode;
use likeness::decision::{Code, Profile, QualityChecks};
use likeness::packs::Manifest;
use likeness::runtime::ProviderOptions;
use likeness::server::REFERENCE;

fn root() -> PathBuf {
    likeness_testing::workspace()
}

fn text(file: &str) -> String {
    let text = std::fs::read_to_string(root().join(file));
    assert!(text.is_ok(), "{file}: {text:?}");
    text.unwrap()
}

/// All files below a folder, but for what is built, fetched or hidden.
fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with('.') || ["target", "store", "node_modules"].contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The files of the checkout with these endings, by their paths from its root.
fn files(endings: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    files_below(&root(), &mut found);
    let mut files: Vec<String> = found
        .iter()
        .map(|path| {
            path.strip_prefix(root())
                .unwrap()
                .to_string_lossy()
                .replace('\\', "/")
        })
        .filter(|name| endings.iter().any(|ending| name.ends_with(ending)))
        .collect();
    files.sort();
    files
}

/// The sources of the program, without its tests.
fn sources() -> Vec<String> {
    files(&[".rs"])
        .into_iter()
        .filter(|name| name.starts_with("src/") || (name.starts_with("crates/") && name.contains("/src/")))
        .filter(|name| !name.starts_with("crates/testing/") && !name.ends_with("tests.rs"))
        .map(|name| {
            let text = text(&name);
            text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned()
        })
        .collect()
}

/// The rows of a page's tables.
fn rows(page: &str) -> Vec<String> {
    text(page)
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(ToOwned::to_owned)
        .collect()
}

/// Fails with all that is missing, so that one run shows the whole.
fn complete(what: &str, missing: &[String]) {
    assert!(missing.is_empty(), "{what}:\n{}", missing.join("\n"));
}

#[test]
fn every_error_code_is_in_the_reference_and_has_cause_and_remedy() {
    for page in ["docs/api.md", "docs/troubleshoot.md"] {
        let page_text = text(page);
        for code in ErrorCode::ALL {
            let row = format!("| `{}` | {} |", code.as_str(), code.status());
            assert!(page_text.contains(&row), "{page} has no row {row}");
        }
    }
}

#[test]
fn every_decision_code_is_in_the_reference() {
    let rows = rows("docs/api.md");
    for code in Code::ALL {
        let code = format!("`{code}`");
        let row = rows.iter().find(|row| row.contains(&code));
        assert!(row.is_some(), "docs/api.md has no row with {code}");
    }
}

#[test]
fn the_reference_has_the_thresholds_of_every_profile() {
    let page = text("docs/api.md");
    for name in Profile::BUILTIN_NAMES {
        let profile = Profile::builtin(name).unwrap();
        let (face_match, liveness) = (profile.face_match(), profile.liveness());
        let row = format!(
            "| `{name}` | {:.2} / {:.2} | {:.2} / {:.2} |",
            face_match.reject_below(),
            face_match.review_below(),
            liveness.reject_below(),
            liveness.review_below()
        );
        assert!(page.contains(&row), "docs/api.md has no row {row}");
    }
}

#[test]
fn the_default_thresholds_of_image_quality_are_documented() {
    let checks = QualityChecks::default();
    let pose = checks.turned_face;
    let rows = rows("docs/configure.md");
    for (code, key, default) in [
        (
            "SMALL_FACE",
            "small_face.below",
            checks.small_face.below.to_string(),
        ),
        (
            "TURNED_FACE",
            "turned_face.yaw_above",
            format!("{}, {}, {}", pose.yaw_above, pose.pitch_above, pose.roll_above),
        ),
        (
            "BLURRED_FACE",
            "blurred_face.below",
            checks.blurred_face.below.to_string(),
        ),
        (
            "UNDEREXPOSED_FACE",
            "underexposed_face.below",
            checks.underexposed_face.below.to_string(),
        ),
        (
            "OVEREXPOSED_FACE",
            "overexposed_face.above",
            checks.overexposed_face.above.to_string(),
        ),
        ("CUT_FACE", "cut_face.below", checks.cut_face.below.to_string()),
        (
            "OFF_CENTRE_FACE",
            "off_centre_face.above",
            checks.off_centre_face.above.to_string(),
        ),
        (
            "NO_SURROUNDINGS",
            "no_surroundings.below",
            checks.no_surroundings.below.to_string(),
        ),
        (
            "GREY_SELFIE",
            "grey_selfie.below",
            checks.grey_selfie.below.to_string(),
        ),
        ("SAME_IMAGE", "same_image.verdict", "warning".to_owned()),
    ] {
        let row = rows.iter().find(|row| {
            row.starts_with(&format!("| `{code}`"))
                && row.contains(&format!("`{key}`"))
                && row.ends_with(&format!("| {default} |"))
        });
        assert!(
            row.is_some(),
            "docs/configure.md has no row with {code}, {key} and {default}"
        );
    }
}

/// A key of the reference file, with its default where it is not commented out.
struct Key {
    path: String,
    default: Option<String>,
}

fn keys_of_the_reference() -> Vec<Key> {
    let mut section = String::new();
    let mut keys = Vec::new();
    for line in REFERENCE.lines() {
        let (line, is_default) = match line.strip_prefix("# ") {
            Some(line) => (line, false),
            None => (line, true),
        };
        if let Some(name) = line.strip_prefix('[') {
            name.trim_start_matches('[')
                .split(']')
                .next()
                .unwrap()
                .clone_into(&mut section);
            continue;
        }
        let Some((key, value)) = line.split_once(" = ") else {
            continue;
        };
        let is_key = key.starts_with(|first: char| first.is_ascii_lowercase())
            && key
                .chars()
                .all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || each == '_');
        // The parts of `[profiles.quality]` have a table of their own.
        if !is_key || section == "profiles.quality" {
            continue;
        }
        let value = value.split(" #").next().unwrap().trim_end();
        keys.push(Key {
            path: if section.is_empty() {
                key.to_owned()
            } else {
                format!("{section}.{key}")
            },
            default: is_default.then(|| value.to_owned()),
        });
    }
    let options = ProviderOptions::default().table().map(|(option, ..)| Key {
        path: format!("engine.{option}"),
        default: None,
    });
    keys.extend(options);
    keys
}

#[test]
fn every_setting_is_documented_with_its_default() {
    let rows = rows("docs/configure.md");
    let keys = keys_of_the_reference();
    assert!(keys.len() > 60, "{} keys", keys.len());
    let missing: Vec<String> = keys
        .iter()
        .filter(|key| {
            !rows.iter().any(|row| {
                row.starts_with(&format!("| `{}` |", key.path))
                    && key
                        .default
                        .as_ref()
                        .is_none_or(|default| row.contains(&format!("| `{default}` |")))
            })
        })
        .map(|key| match &key.default {
            Some(default) => format!("| `{}` | … | `{default}` | …", key.path),
            None => format!("| `{}` | …", key.path),
        })
        .collect();
    complete("docs/configure.md lacks these rows", &missing);
}

#[test]
fn every_flag_of_serve_is_documented() {
    let help = Command::new(env!("CARGO_BIN_EXE_likeness"))
        .args(["serve", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let flags: BTreeSet<&str> = help
        .split_whitespace()
        .filter(|word| word.starts_with("--") && *word != "--help")
        .map(|word| word.trim_end_matches([',', '.', ';', ')']))
        .collect();
    assert!(flags.len() > 8, "{help}");
    let rows = rows("docs/configure.md");
    let missing: Vec<String> = flags
        .iter()
        .filter(|flag| {
            !rows.iter().any(|row| {
                row.starts_with(&format!("| `{flag} <")) || row.starts_with(&format!("| `{flag}`"))
            })
        })
        .map(ToString::to_string)
        .collect();
    complete("docs/configure.md has no row for these flags", &missing);
}

#[test]
fn every_environment_variable_is_documented() {
    let pages: String = files(&[".md"])
        .iter()
        .filter(|name| name.starts_with("docs/"))
        .map(|name| text(name))
        .collect();
    let mut variables = BTreeSet::new();
    for source in sources() {
        for literal in source.split('"') {
            let is_name = literal.starts_with("LIKENESS_")
                // The build script sets these for the compiler.
                && !literal.starts_with("LIKENESS_BUILD_")
                && literal
                    .bytes()
                    .all(|each| each.is_ascii_uppercase() || each.is_ascii_digit() || each == b'_');
            if is_name {
                variables.insert(literal.to_owned());
            }
        }
    }
    assert!(variables.len() > 8, "{variables:?}");
    let missing: Vec<String> = variables
        .into_iter()
        .filter(|name| !pages.contains(name.as_str()))
        .collect();
    complete("no page in docs/ names these variables", &missing);
}

/// A text with single spaces only.
fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The fixed parts of a message with placeholders, without code marks.
fn fixed_parts(message: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = message;
    loop {
        let (part, behind) = rest.split_once('{').unwrap_or((rest, ""));
        let part = spaced(&part.replace('`', ""));
        if part.chars().filter(|each| each.is_alphabetic()).count() >= 4 {
            parts.push(part);
        }
        match behind.split_once('}') {
            Some((_, next)) => rest = next,
            None => return parts,
        }
    }
}

/// The entries of a snapshot of `tests/wording.rs`, which holds what the sources say.
fn snapshot(name: &str) -> Vec<String> {
    let text = text(&format!("tests/snapshots/{name}.snap"));
    let body = text.split("\n---\n").nth(1).unwrap();
    body.lines().map(ToOwned::to_owned).collect()
}

/// The text of a section of a page.
fn section(page: &str, heading: &str) -> String {
    let page = text(page);
    let section = page.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    section.split("\n## ").next().unwrap().to_owned()
}

/// The first cells of the rows of a section of `docs/troubleshoot.md`, without code marks.
fn messages_of_section(heading: &str) -> Vec<String> {
    section("docs/troubleshoot.md", heading)
        .lines()
        .filter(|line| {
            line.starts_with("| ") && !line.starts_with("| message") && !line.starts_with("| class")
        })
        .map(|line| line.replace('`', ""))
        .collect()
}

fn has_parts(row: &str, parts: &[String]) -> bool {
    parts.iter().all(|part| row.contains(part.as_str()))
}

#[test]
fn every_warning_and_error_in_the_log_is_explained() {
    let rows = messages_of_section("Log messages");
    let messages: Vec<(String, Vec<String>)> = snapshot("log_messages")
        .iter()
        .filter_map(|line| {
            let (level, rest) = line.split_once(' ')?;
            let (message, _) = rest.trim_start().rsplit_once(" [")?;
            ["warn", "error", "$level"]
                .contains(&level)
                .then(|| (message.to_owned(), fixed_parts(message)))
        })
        .filter(|(message, parts)| !parts.is_empty() && message != "(no message)")
        .collect();
    assert!(messages.len() > 30, "{messages:?}");
    let missing: Vec<String> = messages
        .iter()
        .filter(|(_, parts)| !rows.iter().any(|row| has_parts(row, parts)))
        .map(|(message, _)| message.clone())
        .collect();
    complete("docs/troubleshoot.md does not explain", &missing);

    let stale: Vec<String> = rows
        .into_iter()
        .filter(|row| !messages.iter().any(|(_, parts)| has_parts(row, parts)))
        .collect();
    complete("docs/troubleshoot.md explains what the log does not say", &stale);
}

#[test]
fn every_error_for_operators_is_explained() {
    const TYPES: [&str; 10] = [
        "AuditError",
        "BuildError",
        "ConfigError",
        "LogsError",
        "PackError",
        "RuntimeError",
        "ServeError",
        "StorageError",
        "TlsError",
        "TracesError",
    ];
    let rows: Vec<String> = rows("docs/troubleshoot.md")
        .iter()
        .map(|row| row.replace('`', ""))
        .collect();
    let mut unseen = BTreeSet::from(TYPES);
    let mut missing = Vec::new();
    for entry in snapshot("errors") {
        let Some((variant, message)) = entry.split_once(": ") else {
            continue;
        };
        let name = variant.split("::").next().unwrap();
        if !TYPES.contains(&name) {
            continue;
        }
        unseen.remove(name);
        // What follows is the remedy, or a list.
        let headline = message.split([';', '(']).next().unwrap();
        let parts: Vec<String> = fixed_parts(headline)
            .iter()
            .flat_map(|part| part.split(": "))
            .map(|part| part.trim_matches(|each: char| !each.is_alphanumeric()).to_owned())
            .filter(|part| !part.is_empty())
            .take(2)
            .collect();
        if !rows.iter().any(|row| has_parts(row, &parts)) {
            missing.push(format!("{entry} (by {parts:?})"));
        }
    }
    assert!(unseen.is_empty(), "no such errors: {unseen:?}");
    complete("docs/troubleshoot.md has no row for", &missing);
}

#[test]
fn every_target_that_contributors_are_told_of_exists() {
    let makefile = text("Makefile");
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter_map(|line| Some(line.split_once(':')?.0))
        .collect();
    let page = text("CONTRIBUTING.md");
    let named = page.split("make ").skip(1).filter_map(|rest| {
        let end = rest.find(|letter: char| !letter.is_ascii_lowercase() && letter != '-')?;
        Some(&rest[..end])
    });
    let missing: Vec<String> = named
        .filter(|target| !targets.contains(target))
        .map(ToOwned::to_owned)
        .collect();
    complete("targets that the Makefile lacks", &missing);
    let ci = text(".ci/run");
    for command in first_column(&section("CONTRIBUTING.md", "What CI runs")) {
        assert!(ci.contains(command), ".ci/run does not run {command}");
    }
}

/// The code in the first column of tables.
fn first_column(text: &str) -> impl Iterator<Item = &str> {
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| row.split(" | ").next().unwrap().split('`').skip(1).step_by(2))
}

#[test]
fn each_check_of_a_release_is_documented() {
    let script = text("scripts/check_release.py");
    let checks = script
        .split("CHECKS = {")
        .nth(1)
        .unwrap()
        .split("\n}")
        .next()
        .unwrap();
    let names = checks
        .lines()
        .filter_map(|line| line.trim().strip_prefix('"')?.split_once('"'));
    let names = BTreeSet::from_iter(names.map(|(name, _)| name));
    assert!(names.contains("fresh"), "{names:?}");
    let section = section("CONTRIBUTING.md", "Releasing");
    assert_eq!(first_column(&section).collect::<BTreeSet<_>>(), names);
}

#[test]
fn every_place_that_names_the_version_names_this_one() {
    let version = env!("CARGO_PKG_VERSION");
    for (file, line) in [
        ("Cargo.toml", "version = \"VERSION\""),
        ("bindings/python/Cargo.toml", "version = \"VERSION\""),
        ("deploy/helm/likeness/Chart.yaml", "version: VERSION"),
        ("deploy/helm/likeness/Chart.yaml", "appVersion: VERSION"),
        ("deploy/kubernetes/kustomization.yaml", "    newTag: VERSION"),
        ("docs/install.md", "tar -xf likeness-VERSION-x86_64-linux.tar.gz"),
        ("docs/install.md", "cd likeness-VERSION-x86_64-linux"),
    ] {
        let expected = line.replace("VERSION", version);
        assert!(
            text(file).lines().any(|each| each == expected),
            "{file} lacks {expected:?}"
        );
    }
    for line in text("Cargo.toml")
        .lines()
        .filter(|line| line.contains("path = \"crates/"))
    {
        let is_testing = line.starts_with("likeness-testing ");
        assert!(
            is_testing || line.contains(&format!("version = \"{version}\"")),
            "{line}"
        );
    }
    for lock in ["Cargo.lock", "fuzz/Cargo.lock", "bindings/python/Cargo.lock"] {
        let expected = format!("name = \"likeness-engine\"\nversion = \"{version}\"");
        assert!(text(lock).contains(&expected), "{lock} has another version");
    }
}

/// The anchors of a page, as GitHub makes them of its headings.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut in_code = false;
    let mut anchors = BTreeSet::new();
    for line in text(page).lines() {
        if line.starts_with("```") {
            in_code = !in_code;
        }
        if in_code || !line.starts_with('#') {
            continue;
        }
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let anchor = heading
            .chars()
            .filter(|each| each.is_alphanumeric() || [' ', '-', '_'].contains(each))
            .map(|each| if each == ' ' { '-' } else { each })
            .collect();
        anchors.insert(anchor);
    }
    anchors
}

#[test]
fn every_link_and_anchor_leads_somewhere() {
    let pages = files(&[".md"]);
    assert!(pages.len() > 12, "{pages:?}");
    let mut broken = Vec::new();
    for page in &pages {
        let folder = root().join(page).parent().unwrap().to_owned();
        let text = text(page);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("http")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() {
                root().join(page)
            } else {
                folder.join(file)
            };
            let Ok(file) = file.canonicalize() else {
                broken.push(format!("{page}: {target}"));
                continue;
            };
            let name = file.strip_prefix(root().canonicalize().unwrap()).unwrap();
            if !anchor.is_empty() && !anchors(&name.to_string_lossy()).contains(anchor) {
                broken.push(format!("{page}: {target} (no such heading)"));
            }
        }
    }
    complete("broken links", &broken);
}

#[test]
fn every_mention_of_a_page_names_a_page_and_a_heading_that_exist() {
    let mut broken = Vec::new();
    for file in files(&[
        ".rs",
        ".toml",
        ".yml",
        ".yaml",
        ".py",
        ".sh",
        ".service",
        ".conf",
        "Makefile",
        "Dockerfile",
    ]) {
        let text = text(&file);
        for rest in text.split("docs/").skip(1) {
            let end = rest
                .find(|each: char| !each.is_ascii_alphanumeric() && !['-', '_', '.'].contains(&each))
                .unwrap_or(rest.len());
            let page = rest[..end].trim_end_matches('.');
            if !page.ends_with(".md") && !page.ends_with(".json") {
                continue;
            }
            if !root().join("docs").join(page).exists() {
                broken.push(format!("{file}: docs/{page}"));
                continue;
            }
            let heading = rest[end..]
                .strip_prefix(", \"")
                .and_then(|rest| rest.split('"').next());
            let heading = heading.map(|heading| heading.split_whitespace().collect::<Vec<_>>().join("-"));
            if let Some(anchor) = heading.map(|heading| heading.to_lowercase())
                && !anchors(&format!("docs/{page}")).contains(&anchor)
            {
                broken.push(format!("{file}: docs/{page} has no heading {anchor}"));
            }
        }
    }
    complete("mentions of pages that do not exist", &broken);
}

#[test]
fn every_path_in_the_pages_for_developers_exists() {
    const FOLDERS: [&str; 12] = [
        "bindings/",
        "benches/",
        "crates/",
        "deploy/",
        "docs/",
        "examples/",
        "fuzz/",
        "models/",
        "scripts/",
        "src/",
        "tests/",
        "tools/",
    ];
    let mut missing = BTreeSet::new();
    for page in ["docs/architecture.md", "CONTRIBUTING.md"] {
        // Blocks of commands hold no paths in backquotes.
        let prose: String = text(page).split("```").step_by(2).collect();
        let paths = prose.split('`').skip(1).step_by(2);
        let paths = paths.map(|path| path.split(' ').next().unwrap());
        missing.extend(
            paths
                .filter(|path| FOLDERS.iter().any(|folder| path.starts_with(folder)))
                .filter(|path| !root().join(path).exists())
                .map(|path| format!("{page}: {path}")),
        );
    }
    complete(
        "paths that do not exist",
        &missing.into_iter().collect::<Vec<_>>(),
    );
}

#[test]
fn every_kind_of_change_names_at_most_three_files() {
    let page = text("docs/architecture.md");
    let walk = page.split("\n## Where do I change …").nth(1).unwrap();
    let rows: Vec<&str> = walk
        .split("\n## ")
        .next()
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("| a"))
        .collect();
    assert_eq!(rows.len(), 11, "{rows:?}");
    for row in rows {
        let change = row.split(" | ").nth(1).unwrap();
        let paths = change
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|path| path.contains('/'));
        let count = paths.count();
        assert!((1..=3).contains(&count), "{count} paths: {row}");
    }
}

#[test]
fn pages_begin_with_their_purpose_and_have_short_paragraphs() {
    for page in files(&[".md"]).iter().filter(|name| name.starts_with("docs/")) {
        let text = text(page);
        let mut lines = text.lines();
        assert!(lines.next().unwrap().starts_with("# "), "{page} has no title");
        assert_eq!(lines.next(), Some(""), "{page}");
        let purpose = lines.next().unwrap_or_default();
        assert!(
            purpose.starts_with(|first: char| first.is_ascii_uppercase()),
            "{page} does not begin with its purpose: {purpose}"
        );
        let (mut in_code, mut length) = (false, 0);
        for line in text.lines() {
            if line.starts_with("```") {
                in_code = !in_code;
            }
            let is_prose = !in_code
                && !line.is_empty()
                && !line.starts_with(['|', '#', '<', '`'])
                && !line.starts_with("    ");
            let begins = line.starts_with("- ")
                || line
                    .split_once(". ")
                    .is_some_and(|(number, _)| number.parse::<u8>().is_ok());
            length = match (is_prose, begins) {
                (true, true) => 1,
                (true, false) => length + 1,
                (false, _) => 0,
            };
            assert!(
                length <= 5,
                "{page} has a paragraph of more than five lines: {line}"
            );
        }
    }
}

/// An entry for each role, and files for every model.
fn manifest_of(entries: &[&str]) -> String {
    let mut text = "format = 2\nname = \"docs\"\nversion = \"1\"\ncommercial_use = true\n".to_owned();
    let mut models: Vec<&str> = entries
        .iter()
        .flat_map(|entry| entry.lines())
        .filter_map(|line| line.strip_prefix("model = \"")?.strip_suffix('"'))
        .collect();
    models.sort_unstable();
    models.dedup();
    for model in models {
        text += &format!(
            "[sources.\"{model}.onnx\"]\nsha256 = \"{}\"\nlicense = \"MIT\"\nattribution = \"docs\"\n[models.{model}]\n\
             import = {{ from = \"onnx\", file = \"{model}.onnx\" }}\n",
            "0".repeat(64)
        );
    }
    text + &entries.join("\n")
}

#[test]
fn the_example_entries_of_packs_are_valid() {
    let page = text("docs/packs.md");
    let examples: Vec<&str> = page
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(examples.len() >= 4, "{examples:?}");
    let others = [
        ("[[detector]]", "scrfd"),
        ("[[embedder]]", "sface"),
        ("[[liveness]]", "my_liveness"),
    ];
    for example in &examples {
        let mut entries = vec![*example];
        for (role, model) in others {
            let other = examples
                .iter()
                .find(|other| other.starts_with(role) && other.contains(model));
            if !example.starts_with(role) {
                entries.push(other.unwrap());
            }
        }
        if let Err(error) = Manifest::parse(&manifest_of(&entries)) {
            panic!("{example}: {error}");
        }
    }
}

#[test]
fn every_built_in_pack_has_a_card() {
    for pack in Manifest::builtin_names() {
        assert!(text(&format!("models/{pack}/README.md")).starts_with(&format!("# Model pack `{pack}`")));
    }
}
