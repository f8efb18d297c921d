//! The `multipart/form-data` reader: a body has the same parts in whatever chunks it arrives, and the reader holds it once.
//!
//! An input is the `Content-Type` up to the first line break, then the body.

#![no_main]

use std::time::Duration;

use likeness_fuzz::Bound;
use likeness_server::fuzzing::{self, MAX_HEAD_BYTES, MAX_PARTS};

likeness_fuzz::target!(seeds, run);

fn seeds() -> Vec<Vec<u8>> {
    likeness_fuzz::seeds::texts(&[
        "multipart/form-data; boundary=B\npreamble\r\n--B \t\r\nContent-Disposition: form-data; name=\"selfie\"; filename=\"a\\\"b\"\r\n\
         Content-Type: image/jpeg\r\n\r\nbytes\r\n--\r\n--B\r\ncontent-disposition:form-data;name=threshold\r\n\r\n0.5\r\n--B--\r\nepilogue",
        "multipart/form-data; charset=utf-8; boundary=\"a b\"\n--a b\r\nContent-Disposition: form-data;\r\n name=\"image\"\r\n\
         Content-Transfer-Encoding: binary\r\n\r\n\r\n--a b--",
        "multipart/form-data; boundary=B\n--B\r\n\r\n--B--",
        "multipart/form-data\n--B \t\r\nContent-Disposition: form-data; name=\"selfie\"\r\n\r\nbytes\r\n--B--",
    ])
}

fn run(input: &[u8]) {
    let end = input
        .iter()
        .position(|&byte| byte == b'\n')
        .unwrap_or(input.len());
    let (content_type, body) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let read = |chunk: usize| {
        // The body as it grows and its parts, the parameters of a header, and what collections hold while they grow.
        let memory = 8 * body.len() + 64 * (MAX_HEAD_BYTES + content_type.len());
        let time = Duration::from_secs(1);
        let parts = Bound { memory, time }.keep(|| fuzzing::multipart(content_type, body.chunks(chunk)));
        if let Ok(parts) = &parts {
            assert!(parts.len() <= MAX_PARTS);
            assert!(parts.iter().all(|(name, _)| name.len() <= MAX_HEAD_BYTES));
            let length: usize = parts.iter().map(|(name, data)| name.len() + data.len()).sum();
            assert!(length <= body.len());
        }
        (parts, chunk)
    };
    let (whole, _) = read(usize::MAX);
    for (parts, chunk) in [1, 2, 7, 1 + body.len() / 3].map(read) {
        assert_eq!(parts, whole, "in chunks of {chunk} bytes and in one");
    }
}
