//! The `multipart/form-data` reader: a body has the same parts in whatever chunks it arrives, and the reader holds little of it.
//!
//! An input is the `Content-Type` up to the first line break, then the body.

#![no_main]

use std::time::Duration;

use likeness_fuzz::Bound;
use likeness_server::fuzzing::{self, Event, MAX_HEAD_BYTES, MAX_PARTS};

likeness_fuzz::target!(seeds, run);

fn seeds() -> Vec<Vec<u8>> {
    likeness_fuzz::seeds::texts(&[
        "multipart/form-data; boundary=B\npreamble\r\n--B \t\r\nContent-Disposition: form-data; name=\"selfie\"; filename=\"a\\\"b\"\r\n\
         Content-Type: image/jpeg\r\n\r\nbytes\r\n--\r\n--B\r\ncontent-disposition:form-data;name=threshold\r\n\r\n0.5\r\n--B--\r\nepilogue",
        "multipart/form-data; charset=utf-8; boundary=\"a b\"\n--a b\r\nContent-Disposition: form-data;\r\n name=\"image\"\r\n\
         Content-Transfer-Encoding: binary\r\n\r\n\r\n--a b--",
        "multipart/form-data; boundary=B\n--B\r\n\r\n--B--",
    ])
}

/// Checks the order of the events and digests them.
#[derive(Debug, Default, PartialEq)]
struct Parts {
    complete: usize,
    /// Names and bytes, each with its length.
    digest: u64,
    length: u64,
    open: bool,
}

impl Parts {
    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            // FNV-1a.
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.length += bytes.len() as u64;
    }

    fn close(&mut self) {
        let length = std::mem::take(&mut self.length);
        self.add(&length.to_le_bytes());
        self.length = 0;
    }
}

impl Parts {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Begin(name) => {
                assert!(!self.open && name.len() <= MAX_HEAD_BYTES);
                self.open = true;
                self.add(name);
                self.close();
            }
            Event::Data(bytes) => {
                assert!(self.open);
                self.add(bytes);
            }
            Event::End => {
                assert!(self.open);
                self.open = false;
                self.complete += 1;
                assert!(self.complete <= MAX_PARTS);
                self.close();
            }
        }
    }
}

fn run(input: &[u8]) {
    let end = input
        .iter()
        .position(|&byte| byte == b'\n')
        .unwrap_or(input.len());
    let (content_type, body) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let read = |chunk: usize| {
        // A chunk, the parameters of a header, and what collections hold while they grow.
        let memory = 8 * chunk.min(body.len()) + 64 * (MAX_HEAD_BYTES + content_type.len());
        let time = Duration::from_secs(1);
        let mut parts = Parts::default();
        let outcome = Bound { memory, time }
            .keep(|| fuzzing::multipart(content_type, body.chunks(chunk), |event| parts.event(event)));
        // On errors, the parts seen so far may differ.
        (outcome.map(|()| parts), chunk)
    };
    let (whole, _) = read(usize::MAX);
    for (parts, chunk) in [1, 2, 7, 1 + body.len() / 3].map(read) {
        assert_eq!(parts, whole, "in chunks of {chunk} bytes and in one");
    }
}
