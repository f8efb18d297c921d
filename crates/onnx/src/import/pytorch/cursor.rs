//! A place in the file, from which bytes are taken.

use super::PyTorchError;

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

    /// Bytes that are not yet taken.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `count` bytes, not copied.
    pub(super) fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], PyTorchError> {
        let taken = self
            .at
            .checked_add(count)
            .and_then(|end| self.bytes.get(self.at..end))
            .ok_or(PyTorchError::Truncated {
                at: self.bytes.len(),
                what,
            })?;
        self.at += count;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], PyTorchError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, PyTorchError> {
        let [byte] = self.array(what)?;
        Ok(byte)
    }

    /// Up to the next line feed, which is taken too; at most `longest` bytes.
    pub(super) fn line(&mut self, longest: usize, what: &'static str) -> Result<&'a [u8], PyTorchError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.iter().take(longest + 1).position(|&byte| byte == b'\n') {
            Some(length) => {
                let line = self.take(length, what)?;
                self.take(1, what)?;
                Ok(line)
            }
            None if rest.len() > longest => Err(PyTorchError::TooMuch {
                what: "bytes in a line",
                limit: longest,
            }),
            None => Err(PyTorchError::Truncated {
                at: self.bytes.len(),
                what,
            }),
        }
    }
}
