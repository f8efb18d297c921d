//! The protocol between the program and the process: little-endian numbers.
//!
//! The program sends an order and the file, the process a reply: a status and two numbers, then pixels or a message.

use likeness_imaging::HeifFile;

/// The first argument of the process.
pub const COMMAND: &str = "decode-heif";

/// The argument after it if the process is to say only which library it has.
pub(crate) const REPORT: &str = "--report";

/// Longest message of the process in bytes.
pub(crate) const MAX_MESSAGE: usize = 300;

/// Bytes of a reply before its pixels or message.
pub(crate) const HEAD: usize = 9;

/// What the boxes of a file declare, and the limits that follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Longest side of anything that is decoded.
    pub(crate) longest_side: u32,
    /// Pixels along one of the reply.
    pub(crate) factor: u32,
    /// Bytes of memory for the decoder.
    pub(crate) memory: u64,
    /// Bytes of the file that follows.
    pub(crate) length: u64,
}

impl Order {
    pub(crate) const BYTES: usize = 32;

    pub(crate) fn of(file: &HeifFile<'_>, factor: u32) -> Self {
        Self {
            width: file.width,
            height: file.height,
            longest_side: file.longest_side,
            factor,
            memory: file.decoder_bytes(),
            length: file.bytes.len() as u64,
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let sides = [self.width, self.height, self.longest_side, self.factor].map(u32::to_le_bytes);
        let numbers = [self.memory, self.length].map(u64::to_le_bytes);
        let all = sides.as_flattened().iter().chain(numbers.as_flattened());
        let mut bytes = [0; Self::BYTES];
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let number = |at: usize, length: usize| {
            let bytes = bytes[at..at + length].iter().rev();
            bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
        };
        Self {
            width: number(0, 4) as u32,
            height: number(4, 4) as u32,
            longest_side: number(8, 4) as u32,
            factor: number(12, 4) as u32,
            memory: number(16, 8),
            length: number(24, 8),
        }
    }
}

/// How a reply begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    /// RGB pixels of an image of this size follow, as many as the order asks for.
    Pixels(u32, u32),
    /// A message of so many bytes follows: which library there is.
    Library(usize),
    /// The same: the file is damaged.
    Damaged(usize),
    /// The same: there is no library.
    NoLibrary(usize),
    /// The same: the process cannot confine itself.
    Unconfined(usize),
}

impl Head {
    pub(crate) fn to_bytes(self) -> [u8; HEAD] {
        let (status, first, second) = match self {
            Self::Pixels(width, height) => (0, width, height),
            Self::Library(length) => (1, length as u32, 0),
            Self::Damaged(length) => (2, length as u32, 0),
            Self::NoLibrary(length) => (3, length as u32, 0),
            Self::Unconfined(length) => (4, length as u32, 0),
        };
        let mut bytes = [status; HEAD];
        bytes[1..5].copy_from_slice(&first.to_le_bytes());
        bytes[5..].copy_from_slice(&second.to_le_bytes());
        bytes
    }

    /// `None`: no process of this version has sent it.
    pub(crate) fn from_bytes(bytes: [u8; HEAD]) -> Option<Self> {
        let [status, a, b, c, d, e, f, g, h] = bytes;
        let (first, second) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let length = first as usize;
        let is_message = length <= MAX_MESSAGE && second == 0;
        match status {
            0 => Some(Self::Pixels(first, second)),
            1 if is_message => Some(Self::Library(length)),
            2 if is_message => Some(Self::Damaged(length)),
            3 if is_message => Some(Self::NoLibrary(length)),
            4 if is_message => Some(Self::Unconfined(length)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_replies_come_back_as_they_were_sent() {
        let order = Order {
            width: 1,
            height: 0x0203_0405,
            longest_side: u32::MAX,
            factor: 8,
            memory: 0x0102_0304_0506_0708,
            length: 9,
        };
        assert_eq!(Order::from_bytes(order.to_bytes()), order);
        for head in [
            Head::Pixels(7, u32::MAX),
            Head::Library(0),
            Head::Damaged(1),
            Head::NoLibrary(MAX_MESSAGE),
            Head::Unconfined(2),
        ] {
            assert_eq!(Head::from_bytes(head.to_bytes()), Some(head));
        }
    }

    #[test]
    fn what_no_process_sends_is_refused() {
        let longer = Head::Damaged(MAX_MESSAGE + 1).to_bytes();
        let texts = [*b"#!/bin/sh", *b"usage: no", [1, 1, 0, 0, 0, 1, 0, 0, 0]];
        for bytes in texts.into_iter().chain([longer]) {
            assert_eq!(Head::from_bytes(bytes), None, "{bytes:?}");
        }
    }
}
