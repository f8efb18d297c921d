//! Apps of the configuration file, read again.

use likeness_testing::{Outcome, Suite, TestDatabase, ensure};

use super::rotation::{ask, headers};
use crate::support::storage::{Storage, text};

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_any_models("reload::a_key_in_the_file_is_replaced_while_serving", replaced);
}

fn replaced() -> Outcome {
    let storage = Storage::of(&TestDatabase::sqlite()?)?;
    let stored = text(&storage.json(&["create", "stored", "--no-wait"])?, "key")?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("likeness.toml");
    let write = |key: &str| {
        let app = |id: &str| format!("[[apps]]\nid = '{id}'\nkey = '{key}'\n");
        std::fs::write(&file, [app("branch"), app("other")].concat())
    };
    write("first-key-0123456789")?;
    let server = storage.serve(|command| {
        command.arg("--config").arg(&file).arg("--demo");
    })?;
    let demo = server
        .stdout
        .wait_for("the demo app's key", |line| line.contains("app_key: "))?;
    let demo = demo.trim().trim_start_matches("app_key: ").to_owned();
    write("second-key-0123456789")?;
    server.hang_up()?;
    server.log.wait_for("the new settings", |line| {
        line.contains("settings reloaded") && line.contains("apps")
    })?;
    for (app, key, status) in [
        ("branch", "first-key-0123456789", 401),
        ("branch", "second-key-0123456789", 200),
        ("other", "second-key-0123456789", 200),
        ("stored", &stored, 200),
        ("demo", &demo, 200),
    ] {
        let found = ask(&server, &headers(app, key))?;
        ensure!(found == status, "{app} with {key}: {found}");
    }
    Ok(())
}
