//! What the documentation says of the code is so.

#![allow(clippy::unwrap_used)]

use likeness::api::ErrorCode;
use likeness::decision::{Code, Profile, QualityChecks};
use likeness::packs::Manifest;

fn text(file: &str) -> String {
    std::fs::read_to_string(likeness_testing::workspace().join(file)).unwrap()
}

#[test]
fn docs_api_has_every_error_code_with_its_status() {
    let page = text("docs/api.md");
    for code in ErrorCode::ALL {
        let row = format!("| `{}` | {} |", code.as_str(), code.status());
        assert!(page.contains(&row), "docs/api.md has no row {row}");
    }
}

#[test]
fn docs_api_has_every_code_of_a_decision() {
    let page = text("docs/api.md");
    for code in Code::ALL {
        let code = format!("`{code}`");
        let row = page
            .lines()
            .find(|line| line.starts_with("| `") && line.contains(&code));
        assert!(row.is_some(), "docs/api.md has no row with {code}");
    }
}

#[test]
fn docs_quality_has_the_default_bounds() {
    let page = text("docs/quality.md");
    let checks = QualityChecks::default();
    let pose = checks.turned_face;
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
    ] {
        let row = page.lines().find(|line| {
            line.starts_with(&format!("| `{code}`"))
                && line.contains(&format!("`{key}`"))
                && line.ends_with(&format!("| {default} |"))
        });
        assert!(
            row.is_some(),
            "docs/quality.md has no row with {code}, {key} and {default}"
        );
    }
}

#[test]
fn docs_api_has_the_bounds_of_every_profile() {
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
fn files_that_the_documentation_links_to_are_there() {
    for page in [
        "README.md",
        "docs/accuracy.md",
        "docs/api.md",
        "docs/architecture.md",
        "docs/evaluation.md",
        "docs/models.md",
        "docs/operations.md",
        "docs/quality.md",
        "models/open-1/README.md",
    ] {
        let folder = likeness_testing::workspace()
            .join(page)
            .parent()
            .unwrap()
            .to_owned();
        let text = text(page);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("http") && !target.starts_with('#')) {
            assert!(folder.join(target).exists(), "{page} links to {target}");
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
fn docs_packs_has_entries_that_can_be_used() {
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
