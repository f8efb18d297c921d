//! The committed description of the API is that of the program, and what the service answers is as it says.

use std::process::ExitCode;

use jsonschema::Validator;
use likeness_testing::{Failed, Outcome, Suite, ensure};
use serde_json::{Value, json};

mod support;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("the committed document is the program's", || {
        committed("docs/openapi.json", &likeness::server::openapi::document(), "openapi")
    });
    suite.test("the committed Postman collection is the program's", || {
        committed(
            "docs/likeness.postman_collection.json",
            &likeness::server::openapi::postman_collection(),
            "openapi --postman",
        )
    });
    suite.test("every example matches its schema", examples_match);
    suite.run()
}
