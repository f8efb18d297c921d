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

    /// Takes the next `count` bytes.
    pub(super) fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], OnnxError> {
        let taken = self
            .at
            .checked_add(count)
            .and_then(|end| self.bytes.get(self.at..end))
            .ok_or(OnnxError::Truncated {
                at: self.bytes.len(),
                what,
            })?;
        self.at += count;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], OnnxError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, OnnxError> {
        let [byte] = self.array(what)?;
        Ok(byte)
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, OnnxError> {
        self.array(what).map(u32::from_le_bytes)
    }

    /// Takes a line of at most `longest` bytes, and its line feed.
    pub(super) fn line(&mut self, longest: usize, what: &'static str) -> Result<&'a [u8], OnnxError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.iter().take(longest + 1).position(|&byte| byte == b'\n') {
            Some(length) => {
                let line = self.take(length, what)?;
                self.take(1, what)?;
                Ok(line)
            }
            None if rest.len() > longest => Err(OnnxError::TooLarge {
                what: "bytes in a line",
                limit: longest,
            }),
            None => Err(OnnxError::Truncated {
                at: self.bytes.len(),
                what,
            }),
        }
    }
}
