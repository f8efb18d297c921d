//! Headers of a request, from text.

use likeness_server::fuzzing::http::{HeaderMap, HeaderName, HeaderValue};

/// Parses lines of `name: value`, skipping those that are not valid in HTTP.
#[must_use]
pub fn header_map(lines: &[u8]) -> HeaderMap {
    let pairs = lines.split(|&byte| byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        Some((name, value))
    });
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name, value);
    }
    headers
}
