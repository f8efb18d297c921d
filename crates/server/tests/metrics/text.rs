//! The text of the metrics.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use likeness_testing::{Outcome, Suite, ensure};

use crate::traffic::{METRICS_TOKEN, operate, scrape, server, traffic};

pub(crate) fn tests(suite: &mut Suite) {
    suite.test("text::has_these_names_helps_and_labels", || {
        names_helps_and_labels();
        Ok(())
    });
    suite.with_program("text::passes_promtool", "promtool", passes_promtool);
}

/// Operators build dashboards on these: what changes here breaks theirs.
fn names_helps_and_labels() {
    let server = server();
    traffic(&server);
    let text = scrape(&server);
    let mut lines = BTreeSet::new();
    for line in text.text.lines() {
        // What the process knows of itself depends on the system.
        if line.contains("process_") || line.is_empty() {
            continue;
        }
        if line.starts_with('#') {
            lines.insert(line.to_owned());
            continue;
        }
        let (name, labels) = line.split_once('{').unwrap_or((line, ""));
        let name = name.split(' ').next().unwrap();
        let labels: Vec<&str> = labels
            .split("=\"")
            .filter_map(|part| part.rsplit(['"', ',', '{']).next())
            .filter(|label| !label.is_empty() && !label.starts_with('}'))
            .collect();
        lines.insert(format!("{name} {}", labels.join(" ")).trim_end().to_owned());
    }
    let lines: Vec<String> = lines.into_iter().collect();
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("metrics", lines.join("\n"));
    });
}

fn passes_promtool(promtool: &Path) -> Outcome {
    let server = server();
    traffic(&server);
    let text = operate(&server, "GET", "/metrics", Some(METRICS_TOKEN))
        .body
        .clone();
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().ok_or("no standard input")?.write_all(&text)?;
    let output = child.wait_with_output()?;
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(output.status.success() && said.is_empty(), "{said}");
    Ok(())
}
