use std::io::Write;
use std::sync::{Condvar, Mutex, OnceLock};

use serde_json::Value;

use super::TIMEOUT;

struct Lines {
    lines: Mutex<Vec<String>>,
    added: Condvar,
}

static LINES: Lines = Lines {
    lines: Mutex::new(Vec::new()),
    added: Condvar::new(),
};

/// Keeps all that is logged in this process from now on.
pub(crate) fn capture() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
            .with_writer(|| Writer)
            .init();
    });
}

/// Waits for the line of the request that brought this `X-Request-ID`.
pub(crate) fn wait_for(correlation_id: &str) -> Value {
    let mut lines = LINES.lines.lock().unwrap();
    loop {
        let found = lines
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|line| line["correlation_id"] == correlation_id);
        if let Some(found) = found {
            return found;
        }
        let (next, timeout) = LINES.added.wait_timeout(lines, TIMEOUT).unwrap();
        assert!(!timeout.timed_out(), "no line for {correlation_id}");
        lines = next;
    }
}

/// All that was logged.
pub(crate) fn all() -> String {
    LINES.lines.lock().unwrap().concat()
}

struct Writer;

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // The subscriber writes whole lines.
        LINES
            .lines
            .lock()
            .unwrap()
            .push(String::from_utf8_lossy(bytes).into_owned());
        LINES.added.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
