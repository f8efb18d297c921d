//! The committed OpenAPI document is the one that the program prints, and responses are as it says.

use std::path::Path;
use std::process::{Command, ExitCode};

use likeness::server::openapi;
use likeness_testing::{Outcome, Suite, ensure, workspace};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test(
        "the_committed_document_is_the_one_that_the_program_prints",
        || committed("openapi.json", &openapi::document(), "openapi"),
    );
    suite.test("every_example_is_valid_by_its_schema", examples);
    suite.with_shared_models_and_python(
        "schemathesis_finds_no_response_that_is_not_described",
        "schemathesis",
        served,
    );
    suite.run()
}

fn committed(file: &str, made: &Value, command: &str) -> Outcome {
    let text = std::fs::read_to_string(workspace().join("docs").join(file))?;
    let found: Value = serde_json::from_str(&text)?;
    ensure!(
        found == *made,
        "docs/{file} is out of date: `likeness {command} > docs/{file}`, or `make openapi`"
    );
    Ok(())
}

/// Few requests, so that it takes seconds; `make schemathesis` sends more.
fn served(shared: &Path) -> Outcome {
    let output = Command::new(workspace().join("scripts/schemathesis.sh"))
        .env("LIKENESS", env!("CARGO_BIN_EXE_likeness"))
        .env("LIKENESS_SHARED", shared)
        .env("EXAMPLES", "2")
        .env("MAX_SECONDS", "10")
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // So that it does not pass by doing nothing.
    let document = openapi::document();
    let paths = document["paths"].as_object().into_iter().flatten();
    let operations: usize = paths
        .filter_map(|(_, methods)| methods.as_object().map(serde_json::Map::len))
        .sum();
    // It leaves out where it got the document from.
    ensure!(said.contains(&format!("Tested: {}", operations - 1)), "{said}");
    Ok(())
}

fn examples() -> Outcome {
    let document = openapi::document();
    let mut checked = 0;
    for operation in document["paths"].as_object().into_iter().flatten() {
        for method in operation.1.as_object().into_iter().flatten() {
            for (status, response) in method.1["responses"].as_object().into_iter().flatten() {
                // The page is not JSON.
                let Some(media) = response.pointer("/content/application~1json") else {
                    continue;
                };
                let mut schema = json!({ "allOf": [media["schema"]] });
                schema["components"] = document["components"].clone();
                let validator = jsonschema::draft202012::new(&schema)?;
                let many = media["examples"].as_object().into_iter().flatten();
                for example in many
                    .map(|(_, example)| &example["value"])
                    .chain(media.get("example"))
                {
                    if let Err(error) = validator.validate(example) {
                        return Err(format!("{} {status}: {error}", operation.0).into());
                    }
                    checked += 1;
                }
            }
        }
    }
    ensure!(checked > 20, "only {checked} examples");
    Ok(())
}
