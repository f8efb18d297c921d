//! The committed description of the API is the program's, and bodies are as it says.

use std::process::ExitCode;

use likeness::server::openapi;
use likeness_testing::{Outcome, Suite, ensure, workspace};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("openapi::the_committed_document_is_the_programs", || {
        committed("openapi.json", &openapi::document(), "openapi")
    });
    suite.test("openapi::the_committed_collection_is_the_programs", || {
        let file = "likeness.postman_collection.json";
        committed(file, &openapi::postman_collection(), "openapi --postman")
    });
    suite.test("openapi::every_example_is_as_its_schema_says", examples);
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

fn examples() -> Outcome {
    let document = openapi::document();
    let mut checked = 0;
    for operation in document["paths"].as_object().into_iter().flatten() {
        for method in operation.1.as_object().into_iter().flatten() {
            for (status, answer) in method.1["responses"].as_object().into_iter().flatten() {
                // The page is no JSON.
                let Some(media) = answer.pointer("/content/application~1json") else {
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
