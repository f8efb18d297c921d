//! Live people who are refused, and what is found beside.

use std::path::Path;

use likeness_engine::Engine;

use crate::{Failure, PASSED, images, live, name, read, score};

const FOLDERS: [&str; 2] = ["faces", "liveness/nuaa/live"];

pub(crate) fn print(data: &Path) -> Result<(), Failure> {
    let engine = Engine::builder().workers(1).build()?;
    for folder in FOLDERS {
        let (mut faces, mut refused) = (0, Vec::new());
        for path in images(&data.join(folder), 1)? {
            let check = live(&engine, &read(&path)?)?;
            if check.selfie.faces.is_empty() {
                continue;
            }
            faces += 1;
            if score(&check) < PASSED {
                let codes: Vec<&str> = check.findings.iter().map(|line| line.code.as_str()).collect();
                refused.push(format!(
                    "  {}: {}: {}",
                    name(&path),
                    score(&check),
                    codes.join(", ")
                ));
            }
        }
        println!("{folder}: {faces} images, {} below {PASSED}:", refused.len());
        for line in refused {
            println!("{line}");
        }
    }
    Ok(())
}
