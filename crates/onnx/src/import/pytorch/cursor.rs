//! A position in the file.

use crate::OnnxError;

pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The number of bytes ahead.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn truncated(&self, what: &'static str) -> OnnxError {
        let at = self.bytes.len();
        OnnxError::Truncated { at, what }
    }

    /// Takes the next `count` bytes.
    pub(super) fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], OnnxError> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or(self.truncated(what))?;
        self.at += count;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], OnnxError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, OnnxError> {
        self.array(what).map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, OnnxError> {
        self.array(what).map(u32::from_le_bytes)
    }

    /// Takes a line of at most `longest` bytes, and its line feed.
    pub(super) fn line(&mut self, longest: usize, what: &'static str) -> Result<&'a [u8], OnnxError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.iter().take(longest + 1).position(|&byte| byte == b'\n') {
            Some(length) => Ok(&self.take(length + 1, what)?[..length]),
            None if rest.len() > longest => Err(OnnxError::TooLarge {
                what: "bytes in a line",
                limit: longest,
            }),
            None => Err(self.truncated(what)),
        }
    }
}
