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

#[test]
fn each_crate_depends_on_the_crates_that_the_design_lists() {
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
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
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
