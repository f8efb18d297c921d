//! The layout that the design prescribes: which crate may depend on which, and no import ring between modules.
//!
//! `LIKENESS_WORKSPACE=<folder> cargo test --test architecture` examines another checkout.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use imports::{Ring, rings};
use serde_json::Value;
use sources::{crate_of, crates, workspace};

#[path = "architecture/imports.rs"]
mod imports;
#[path = "support/sources.rs"]
mod sources;

/// What the design says:
///
/// > `onnx`, `imaging`, `runtime`, `decision`, `storage`, `api` on none of the others; `packs` on `onnx`; `heif` on `imaging`;
/// > `face` on `imaging`, `packs`; `detection`, `embedding`, `liveness` on `face`, `imaging`, `packs`, `runtime`; `quality` on `face`,
/// > `imaging`; `engine` on all of these but `storage` and `api`; `api` with its feature on `engine`; `evaluation` on
/// > `engine`; `server` on `engine`, `api`, `storage`; the command line on everything.
///
/// Each crate, what it depends on, and what it may depend on but does not need.
const DEPENDENCIES: &[(&str, &str, &str)] = &[
    ("onnx", "", ""),
    ("imaging", "", ""),
    ("heif", "imaging", ""),
    ("runtime", "", ""),
    ("decision", "", ""),
    ("storage", "", ""),
    ("packs", "onnx", ""),
    ("face", "imaging packs", ""),
    ("detection", "face imaging packs runtime", ""),
    ("embedding", "face imaging packs runtime", ""),
    ("liveness", "face imaging packs runtime", ""),
    ("quality", "face imaging", ""),
    // `packs` re-exports the optimization passes.
    (
        "engine",
        "decision detection embedding face heif imaging liveness packs quality runtime",
        "onnx",
    ),
    // Its feature `engine` alone depends on the engine.
    ("api", "engine?", ""),
    ("evaluation", "engine", ""),
    ("server", "api engine storage", ""),
    // The engine and the server re-export what the command line needs of the rest. Features turn on all but the engine.
    (
        "likeness",
        "api? engine evaluation? onnx? packs? server?",
        "decision detection embedding face heif imaging liveness quality runtime storage",
    ),
];

/// What a registry and docs.rs show of a crate, and what its archive holds, so that it can be published.
#[test]
fn each_published_crate_describes_itself() {
    let metadata = metadata();
    let mut faults = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        if package["publish"].as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        let name = package["name"].as_str().unwrap();
        let mut expect = |holds: bool, what: &str| {
            if !holds {
                faults.push(format!("{name}: {what}"));
            }
        };
        let count = |key: &str| package[key].as_array().map_or(0, Vec::len);
        expect(
            package["description"]
                .as_str()
                .is_some_and(|text| text.len() > 20),
            "no description",
        );
        let documentation = format!("https://docs.rs/{name}");
        expect(
            package["documentation"] == documentation.as_str(),
            "documentation",
        );
        expect(package["license"] == "Apache-2.0", "license");
        expect(package["rust_version"].is_string(), "rust-version");
        expect((1..=5).contains(&count("keywords")), "one to five keywords");
        expect((1..=5).contains(&count("categories")), "one to five categories");
        let keywords = package["keywords"].as_array().unwrap().iter();
        expect(
            keywords
                .clone()
                .all(|word| word.as_str().is_some_and(|word| word.len() <= 20)),
            "keywords have at most 20 letters",
        );
        expect(
            package["metadata"]["docs"]["rs"]["all-features"] == true,
            "[package.metadata.docs.rs] without all-features",
        );
        let manifest = std::path::Path::new(package["manifest_path"].as_str().unwrap());
        let folder = manifest.parent().unwrap();
        let readme = std::fs::read_to_string(folder.join("README.md")).unwrap_or_default();
        expect(
            package["readme"] == "README.md" && !readme.is_empty(),
            "no README.md",
        );
        expect(folder.join("LICENSE").is_file(), "no LICENSE");
        // What is compiled in lies beside the sources.
        let manifest: toml::Table = std::fs::read_to_string(manifest).unwrap().parse().unwrap();
        let include: Vec<&str> = manifest["package"]
            .get("include")
            .and_then(|list| list.as_array())
            .into_iter()
            .flatten()
            .filter_map(toml::Value::as_str)
            .collect();
        for part in ["/src", "/README.md", "/LICENSE"] {
            expect(include.contains(&part), &format!("include lacks {part}"));
        }
        for part in include {
            expect(
                folder.join(part.trim_start_matches('/')).exists(),
                &format!("include has {part}, which does not exist"),
            );
        }
        let gated = std::fs::read_to_string(folder.join("src/lib.rs")).unwrap_or_default();
        if gated.contains("cfg(feature") {
            expect(
                gated.contains("#![cfg_attr(docsrs, feature(doc_cfg))]"),
                "src/lib.rs does not have docs.rs show its features",
            );
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The facade's documentation has a row for each of its features.
#[test]
fn each_feature_of_the_facade_is_documented() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let facade = packages
        .iter()
        .find(|package| package["name"] == "likeness")
        .unwrap();
    let root = workspace();
    for page in ["src/lib.rs", "docs/embed.md"] {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        for feature in facade["features"].as_object().unwrap().keys() {
            let row = format!("| `{feature}` | ");
            assert!(
                feature == "default" || text.contains(&row),
                "{page} has no row for {feature}"
            );
        }
    }
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(workspace())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn each_crate_depends_on_the_crates_that_the_design_lists() {
    let metadata = metadata();
    let short = |value: &Value| value.as_str().unwrap().trim_start_matches("likeness-").to_owned();

    let mut found = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        // Unpublished packages are for suites and measurements: they may depend on everything.
        if package["publish"].as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let dependencies: BTreeSet<String> = dependencies
            .filter(|dependency| dependency["path"].is_string() && dependency["kind"].is_null())
            .map(|dependency| {
                let mark = if dependency["optional"] == true { "?" } else { "" };
                format!("{}{mark}", short(&dependency["name"]))
            })
            .collect();
        found.insert(short(&package["name"]), dependencies);
    }

    let mut faults = Vec::new();
    for (name, dependencies, _) in DEPENDENCIES {
        let Some(found) = found.remove(*name) else {
            faults.push(format!("there is no crate {name}"));
            continue;
        };
        let expected = dependencies.split_whitespace().map(str::to_owned).collect();
        faults.extend(
            found
                .difference(&expected)
                .map(|other| format!("{name} depends on {other}")),
        );
        faults.extend(
            expected
                .difference(&found)
                .map(|other| format!("{name} does not depend on {other}")),
        );
    }
    faults.extend(
        found
            .keys()
            .map(|name| format!("the design lists no crate {name}")),
    );
    assert!(
        faults.is_empty(),
        "unlike the design (`?`: by a feature only):\n  {}",
        faults.join("\n  ")
    );
}

#[test]
fn modules_import_each_other_in_no_ring() {
    let rings: Vec<String> = crates()
        .iter()
        .flat_map(rings)
        .map(|Ring { name, arrows }| format!("{name}\n  {}", arrows.join("\n  ")))
        .collect();
    assert!(rings.is_empty(), "{}", rings.join("\n"));
}

const NO_RING: [&str; 0] = [];

/// Returns the names of the rings in a crate that is written in one text.
fn rings_of(text: &str) -> Vec<String> {
    rings(&crate_of(text)).into_iter().map(|ring| ring.name).collect()
}

#[test]
fn modules_that_import_each_other_are_a_ring() {
    let text = "
        mod a { use crate::b::B; pub struct A; }
        mod b { pub struct B; fn f() { super::c::f() } }
        mod c { pub fn f() -> impl Sized { vec![crate::a::A] } }
        mod d { use crate::a; }
    ";
    assert_eq!(rings_of(text), ["made-up: a, b, c"]);
}

#[test]
fn a_ring_names_file_line_and_path_of_each_import() {
    let rings = rings(&crate_of(
        "mod a { use super::b::{B, C}; }\nmod b { use super::a; }",
    ));
    let arrows: Vec<&String> = rings.iter().flat_map(|ring| &ring.arrows).collect();
    assert_eq!(
        arrows,
        [
            "a -> b (made-up.rs:1, super::b)",
            "b -> a (made-up.rs:2, super::a)"
        ]
    );
}

#[test]
fn a_parent_and_its_child_are_no_ring() {
    let text = "
        use a::A;
        mod a { use crate::root; use self::inner::Inner; pub struct A; mod inner { use super::A; pub struct Inner; } }
        fn root() {}
    ";
    assert_eq!(rings_of(text), NO_RING);
}

#[test]
fn an_import_from_within_a_folder_counts_for_the_folder() {
    let text = "
        mod a { mod inner { use crate::b::inner::f; } pub fn f() {} }
        mod b { pub mod inner { pub fn f() {} } mod other { use crate::a; } }
    ";
    assert_eq!(rings_of(text), ["made-up: a, b"]);
}

#[test]
fn rings_within_a_folder_are_found() {
    let text = "mod a { mod b { use super::c::C; } mod c { use super::b; pub struct C; } }";
    assert_eq!(rings_of(text), ["made-up::a: b, c"]);
}

#[test]
fn test_code_does_not_count() {
    let text = "
        mod a { use crate::b; }
        mod b { #[cfg(test)] mod tests { use crate::a; } }
        mod c { use crate::b; impl C { #[cfg(test)] fn f() { crate::d::f() } } fn f() { #[cfg(test)] crate::d::f(); } }
        mod d { use crate::c; #[cfg(all(test, unix))] use crate::a; #[test] fn f() { crate::a::f() } }
    ";
    assert_eq!(rings_of(text), NO_RING);
}

#[test]
fn re_exports_are_followed_to_the_definition() {
    let by_name = "
        pub use b::B; mod a { use crate::B; pub struct A; } mod b { use crate::a::A; pub struct B; }
    ";
    assert_eq!(rings_of(by_name), ["made-up: a, b"]);
    let by_other_name = "
        mod a { use crate::c::Other; pub struct A; } mod b { use crate::a::A; pub struct B; }
        mod c { pub use crate::b::B as Other; }
    ";
    assert_eq!(rings_of(by_other_name), ["made-up: a, b"]);
    let by_glob = "
        pub use b::*; mod a { fn f() { crate::f() } pub struct A; } mod b { use crate::a::A; pub fn f() {} }
    ";
    assert_eq!(rings_of(by_glob), ["made-up: a, b"]);
}

#[test]
fn imports_of_a_facade_count_for_what_it_exports_only() {
    let text = "
        mod a { pub use inner::A; mod inner { pub struct A; } mod user { use crate::b::B; } }
        mod b { pub use std::fmt; pub struct B; }
        mod c { use crate::{a::A, b::fmt::Debug}; }
    ";
    assert_eq!(rings_of(text), NO_RING);
}

#[test]
fn paths_in_attributes_count() {
    let text = r#"mod a { #[serde(with = "crate::b::hex")] struct A; } mod b { use crate::a; }"#;
    assert_eq!(rings_of(text), ["made-up: a, b"]);
}

#[test]
fn paths_that_start_at_an_imported_module_count() {
    let text =
        "mod folder { mod a { use crate::folder; fn f() { folder::b::f() } } mod b { use super::a; } }";
    assert_eq!(rings_of(text), ["made-up::folder: a, b"]);
}
