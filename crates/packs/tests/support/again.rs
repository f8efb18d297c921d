//! A test in a process of its own, with another mask or other limits than that of the suite.

use std::process::Command;

/// Set in that process.
const AGAIN: &str = "LIKENESS_TEST_AGAIN";

/// Runs the test of this name again in a process whose shell has said `first`, and fails where it fails. True in that
/// process, where the test is to be made.
pub(crate) fn again_after(first: &str, test: &str) -> bool {
    if std::env::var_os(AGAIN).is_some() {
        return true;
    }
    let ended = Command::new("sh")
        .args(["-c", &format!("{first}; exec \"$0\" --exact \"$1\"")])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(AGAIN, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && said.contains("1 passed"), "{said}");
    false
}
