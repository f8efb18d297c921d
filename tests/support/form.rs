//! `multipart/form-data`, byte by byte.

use std::io::Cursor;

use image::{GrayImage, ImageFormat};
use likeness_testing::Failed;

const BOUNDARY: &str = "likeness-end-to-end-5d1f";

/// A PNG of one colour: a picture of any size, in few bytes and without a face.
pub(crate) fn flat(width: u32, height: u32) -> Result<Vec<u8>, Failed> {
    let mut bytes = Cursor::new(Vec::new());
    GrayImage::new(width, height).write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

/// The parts of a form.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form {
    parts: Vec<u8>,
}

impl Form {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The form of a biometric verification.
    pub(crate) fn pair(selfie: &[u8], photo: &[u8]) -> Self {
        Self::new().file("selfie", selfie).file("image", photo)
    }

    pub(crate) fn file(self, name: &str, bytes: &[u8]) -> Self {
        self.part(
            &format!("Content-Disposition: form-data; name=\"{name}\"; filename=\"picture\""),
            bytes,
        )
    }

    pub(crate) fn text(self, name: &str, value: &str) -> Self {
        self.part(
            &format!("Content-Disposition: form-data; name=\"{name}\""),
            value.as_bytes(),
        )
    }

    /// A part whose headers are these.
    pub(crate) fn part(mut self, head: &str, data: &[u8]) -> Self {
        self.parts
            .extend_from_slice(format!("--{BOUNDARY}\r\n{head}\r\n\r\n").as_bytes());
        self.parts.extend_from_slice(data);
        self.parts.extend_from_slice(b"\r\n");
        self
    }

    pub(crate) fn content_type() -> String {
        format!("multipart/form-data; boundary={BOUNDARY}")
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        [&self.parts, format!("--{BOUNDARY}--\r\n").as_bytes()].concat()
    }

    /// The head of a request with this form; `headers` are whole lines.
    pub(crate) fn head(&self, path: &str, headers: &str) -> Vec<u8> {
        head(
            path,
            &format!(
                "Content-Type: {}\r\nContent-Length: {}\r\n{headers}",
                Self::content_type(),
                self.body().len()
            ),
        )
    }

    pub(crate) fn request(&self, path: &str, headers: &str) -> Vec<u8> {
        [self.head(path, headers), self.body()].concat()
    }
}

/// The head of a POST request; `headers` are whole lines.
pub(crate) fn head(path: &str, headers: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nHost: likeness.example\r\n{headers}\r\n").into_bytes()
}
