//! The form of a request: its headers, its body in chunks, and the values of its fields.
//!
//! An input is header lines up to an empty line, then the body. The first byte of the body is the size of its chunks.

#![no_main]

use std::time::Duration;

use likeness_fuzz::Bound;
use likeness_fuzz::headers::header_map;
use likeness_server::fuzzing;

likeness_fuzz::target!(seeds, run);

const FILE: usize = 2_000;
const BODY: u64 = 8_000;

fn seeds() -> Vec<Vec<u8>> {
    likeness_fuzz::seeds::texts(&[
        "Content-Type: multipart/form-data; boundary=B\n\n\x40--B\r\nContent-Disposition: form-data; name=\"selfie\"\r\n\r\nSELFIE\r\n\
         --B\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nIMAGE\r\n\
         --B\r\nContent-Disposition: form-data; name=\"image_multiface\"\r\n\r\ntrue\r\n\
         --B\r\nContent-Disposition: form-data; name=\"threshold\"\r\n\r\n 1e-1 \r\n\
         --B\r\nContent-Disposition: form-data; name=\"profile\"\r\n\r\nstrict\r\n--B--",
        "Content-Type: multipart/form-data; boundary=B\nContent-Encoding: identity\n\n\x02--B\r\n\
         Content-Disposition: form-data; name=\"threshold\"\r\n\r\n\r\n--B--",
        "Content-Encoding: gzip\n\n\x01",
    ])
}

fn run(input: &[u8]) {
    let end = input
        .windows(2)
        .position(|pair| pair == b"\n\n")
        .unwrap_or(input.len());
    let headers = header_map(&input[..end]);
    let (chunk, body) = input
        .get(end + 2..)
        .and_then(<[u8]>::split_first)
        .unwrap_or((&0, &[]));
    let bound = Bound {
        memory: 16 * input.len() + 1_000_000,
        time: Duration::from_secs(1),
    };
    let chunks = body.chunks(usize::from(*chunk).max(1));
    let form = bound.keep(|| fuzzing::form(&headers, chunks, FILE, BODY));
    let Ok(form) = form else { return };
    assert!(body.len() as u64 <= BODY);
    for file in [form.selfie, form.image].into_iter().flatten() {
        assert!(!file.is_empty() && file.len() <= FILE);
    }
    if let Ok(Some(threshold)) = form.threshold {
        assert!((0.0..=1.0).contains(&threshold) && threshold.is_sign_positive());
    }
    if let Ok(Some(profile)) = form.profile {
        assert!(!profile.is_empty() && profile.trim() == profile);
    }
}
