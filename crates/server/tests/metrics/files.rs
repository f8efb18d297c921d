//! The dashboard and the alerts of `deploy/` name what a server really has, and are what Prometheus can read.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use likeness_testing::{Outcome, Suite, ensure, workspace};
use serde_json::Value;

use crate::traffic::{scrape, server, traffic};

/// What a server has where it is set up so: audit records, a certificate.
const SET_UP: [&str; 4] = [
    "likeness_audit_lag_seconds",
    "likeness_audit_lost_rows_total",
    "likeness_audit_pending_rows",
    "likeness_tls_certificate_not_after_timestamp_seconds",
];

pub(crate) fn tests(suite: &mut Suite) {
    suite.test("files::name_what_a_server_has", name_what_a_server_has);
    suite.test("files::alerts_are_in_the_operators_guide", in_the_guide);
    suite.with_program("files::alerts_pass_promtool", "promtool", |promtool| {
        let folder = workspace().join("deploy/prometheus");
        run(promtool, &folder, &["check", "rules", "alerts.yml"])?;
        for file in ["prometheus.yml", "../compose/prometheus.yml"] {
            run(promtool, &folder, &["check", "config", "--syntax-only", file])?;
        }
        Ok(())
    });
    suite.with_program("files::alerts_pass_their_tests", "promtool", |promtool| {
        let folder = workspace().join("deploy/prometheus");
        run(
            promtool,
            &folder,
            &["test", "rules", "alerts_test.yml", "alerts_drift_test.yml"],
        )
    });
    suite.with_program("files::the_dashboard_passes_promtool", "promtool", dashboard);
    suite.test("files::the_dashboard_can_be_drawn", drawn);
    suite.test("files::each_alert_has_a_test", each_has_a_test);
}

fn file(name: &str) -> Result<String, likeness_testing::Failed> {
    Ok(std::fs::read_to_string(workspace().join(name))?)
}

/// What is asked for in the dashboard.
fn expressions() -> Result<Vec<String>, likeness_testing::Failed> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    match value.as_str() {
                        Some(text) if key == "expr" => found.push(text.to_owned()),
                        _ => collect(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(
        &serde_json::from_str(&file("deploy/grafana/likeness.json")?)?,
        &mut found,
    );
    ensure!(found.len() > 30, "{found:?}");
    Ok(found)
}

/// Names of metrics in a text.
fn names(text: &str) -> BTreeSet<&str> {
    text.split(|character: char| !(character.is_ascii_alphanumeric() || character == '_'))
        .filter(|word| {
            ["likeness_", "process_"]
                .iter()
                .any(|prefix| word.starts_with(prefix))
        })
        .collect()
}

fn name_what_a_server_has() -> Outcome {
    let server = server();
    traffic(&server);
    let text = scrape(&server);
    let mut exposed = text.names();
    exposed.extend(SET_UP);
    let alerts = file("deploy/prometheus/alerts.yml")?;
    let dashboard = expressions()?.join("\n");
    // The lists to choose from are asked for as well.
    let whole = file("deploy/grafana/likeness.json")?;
    for (file, text) in [("alerts.yml", &alerts), ("likeness.json", &whole)] {
        let unknown: Vec<_> = names(text).difference(&exposed).copied().collect();
        ensure!(unknown.is_empty(), "{file} names {unknown:?}");
    }
    // And nothing is measured that nobody would see.
    let seen: BTreeSet<&str> = names(&alerts).union(&names(&dashboard)).copied().collect();
    let unseen: Vec<_> = exposed
        .iter()
        .filter(|name| name.starts_with("likeness_"))
        .filter(|name| {
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix));
            !seen
                .iter()
                .any(|seen| seen == *name || family.is_some_and(|family| seen.starts_with(family)))
        })
        .collect();
    ensure!(unseen.is_empty(), "neither alerts nor dashboard show {unseen:?}");
    Ok(())
}

fn alerts() -> Result<Vec<String>, likeness_testing::Failed> {
    let alerts: Vec<String> = file("deploy/prometheus/alerts.yml")?
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: ").map(ToOwned::to_owned))
        .collect();
    ensure!(alerts.len() > 15, "{alerts:?}");
    Ok(alerts)
}

fn in_the_guide() -> Outcome {
    let guide = file("docs/troubleshoot.md")?;
    for alert in alerts()? {
        ensure!(
            guide.contains(&format!("| `{alert}` |")),
            "docs/troubleshoot.md has no row for {alert}"
        );
    }
    Ok(())
}

fn each_has_a_test() -> Outcome {
    let tests =
        file("deploy/prometheus/alerts_test.yml")? + &file("deploy/prometheus/alerts_drift_test.yml")?;
    for alert in alerts()? {
        ensure!(
            tests.contains(&format!("alertname: {alert}\n        exp_alerts")),
            "no test has {alert} fire"
        );
    }
    Ok(())
}

/// Prometheus reads every expression, as a rule that records it.
fn dashboard(promtool: &Path) -> Outcome {
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (index, expression) in expressions()?.iter().enumerate() {
        let expression = expression
            .replace("$__rate_interval", "5m")
            .replace("$job", ".+")
            .replace("$instance", ".+");
        ensure!(!expression.contains('$'), "{expression}");
        let expression = serde_json::to_string(&expression)?;
        writeln!(rules, "      - record: panel:{index}\n        expr: {expression}")?;
    }
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("dashboard.yml"), rules)?;
    run(promtool, folder.path(), &["check", "rules", "dashboard.yml"])
}

/// What can be seen without Grafana: panels have ids and places of their own, and variables are there that are used.
fn drawn() -> Outcome {
    const COLUMNS: u64 = 24;
    let text = file("deploy/grafana/likeness.json")?;
    let dashboard: Value = serde_json::from_str(&text)?;
    let variables: BTreeSet<&str> = dashboard["templating"]["list"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|variable| variable["name"].as_str())
        .collect();
    for used in text.split('$').skip(1) {
        let name: String = used
            .trim_start_matches('{')
            .chars()
            .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
            .collect();
        // Those with two underscores are Grafana's own.
        ensure!(
            name.starts_with("__") || variables.contains(name.as_str()),
            "there is no variable {name:?}"
        );
    }
    let panels = dashboard["panels"].as_array().ok_or("no panels")?;
    let mut ids = BTreeSet::new();
    let mut cells = BTreeSet::new();
    for panel in panels {
        let title = &panel["title"];
        ensure!(ids.insert(panel["id"].as_u64()), "{title}: the id is another's");
        let place = |key: &str| panel["gridPos"][key].as_u64().ok_or(format!("{title}: no {key}"));
        let (x, y, width, height) = (place("x")?, place("y")?, place("w")?, place("h")?);
        ensure!(width > 0 && x + width <= COLUMNS, "{title} is too wide");
        for cell in (y..y + height).flat_map(|row| (x..x + width).map(move |column| (row, column))) {
            ensure!(cells.insert(cell), "{title} covers another panel");
        }
        let targets = panel["targets"].as_array();
        if panel["type"] == "row" {
            continue;
        }
        ensure!(
            panel["datasource"]["uid"] == "${datasource}",
            "{title}: a data source of its own"
        );
        let targets = targets
            .filter(|targets| !targets.is_empty())
            .ok_or(format!("{title} shows nothing"))?;
        let refs: BTreeSet<_> = targets.iter().map(|target| target["refId"].as_str()).collect();
        ensure!(refs.len() == targets.len(), "{title}: two queries of one name");
    }
    Ok(())
}

fn run(program: &Path, folder: &Path, arguments: &[&str]) -> Outcome {
    // A relative one begins at this test's folder, not at that one.
    let program: PathBuf = std::path::absolute(program)?;
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()?;
    ensure!(
        output.status.success(),
        "{arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
