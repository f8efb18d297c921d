//! `likeness audit export`.

use std::collections::BTreeSet;

use likeness_testing::{Outcome, Suite, ensure};
use serde_json::Value;

use crate::run::{LIVENESS, audit, selfie, serve, stop};
use crate::support::server::APP;
use crate::support::storage::Storage;

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_any_models("csv_has_every_field_that_json_has", csv);
}

fn csv() -> Outcome {
    let storage = Storage::new()?;
    let server = serve(&storage, |_| {})?;
    let request = selfie()?.request(LIVENESS, &format!("{}X-Request-ID: mine-1\r\n", APP.headers()));
    ensure!(server.send(&request)?.status == 200, "a verification");
    stop(&server)?;
    let export = |more: &[&str]| audit(&storage, &[&["export", "--since", "2020-01-01"], more].concat());
    let lines = export(&[])?.stdout;
    let mut fields = BTreeSet::new();
    for line in lines.lines() {
        collect(&serde_json::from_str(line)?, "", &mut fields);
    }
    // What a whole service has not lost does not show.
    fields.insert("lost".to_owned());
    // The console's; tests/console.rs exports them.
    fields.extend(["source", "action", "session", "detail"].map(ToOwned::to_owned));
    let table = export(&["--format", "csv"])?.stdout;
    let columns: BTreeSet<String> = table
        .lines()
        .next()
        .ok_or("no header")?
        .split(',')
        .map(ToOwned::to_owned)
        .collect();
    let differ: Vec<_> = fields.symmetric_difference(&columns).collect();
    ensure!(differ.is_empty(), "only one of the two has {differ:?}");
    ensure!(
        table.lines().count() == lines.lines().count() + 1,
        "{lines}\n{table}"
    );
    let own = export(&["--format", "csv", "--app", APP.id])?.stdout;
    ensure!(own.lines().count() == 2 && own.contains("mine-1"), "{own}");
    let files = export(&["--format", "csv", "--app", APP.id, "--from", "files"])?.stdout;
    ensure!(files == own, "{files}\n{own}");
    Ok(())
}

/// The names of a line's fields: those inside others after a dot, those of the event as if they were the line's.
fn collect(value: &Value, path: &str, fields: &mut BTreeSet<String>) {
    let Some(object) = value.as_object() else {
        fields.insert(path.to_owned());
        return;
    };
    for (key, value) in object {
        let path = match (path, key.as_str()) {
            ("", "event") => String::new(),
            ("", key) => key.to_owned(),
            (path, key) => format!("{path}.{key}"),
        };
        collect(value, &path, fields);
    }
}
