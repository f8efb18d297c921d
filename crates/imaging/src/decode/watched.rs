//! The bytes of a file as the decoding libraries read them: in small pieces, counted, and only while there is time.

use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};
use std::ops::Range;

use crate::Interrupt;

/// Bytes handed out at a time. Even a stream that expands a thousandfold makes four megabytes of so many.
const PIECE: usize = 4096;

/// How often a whole file may be read: decoders that look ahead read their headers twice.
const READS: u64 = 4;

/// Bytes that may be read besides: each jump within a small file takes a new piece.
const JUMPS: u64 = 64 * PIECE as u64;

/// A reader over a file in memory. It fails once the interrupt is due, or if a decoder reads more than any regular file of
/// this length needs.
pub(super) struct Watched<'a> {
    file: Cursor<&'a [u8]>,
    /// The piece that is handed out.
    piece: Range<u64>,
    left: u64,
    interrupt: Interrupt<'a>,
}

impl<'a> Watched<'a> {
    pub(super) fn new(bytes: &'a [u8], interrupt: Interrupt<'a>) -> Self {
        Self {
            file: Cursor::new(bytes),
            piece: 0..0,
            left: READS * bytes.len() as u64 + JUMPS,
            interrupt,
        }
    }
}

impl BufRead for Watched<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let at = self.file.position();
        if !self.piece.contains(&at) {
            if self.interrupt.is_due() {
                return Err(io::Error::other("interrupted"));
            }
            let length = self.file.fill_buf()?.len().min(PIECE) as u64;
            self.piece = at..at.saturating_add(length);
            self.left = self
                .left
                .checked_sub(length)
                .ok_or_else(|| io::Error::other("it refers to the same bytes again and again"))?;
        }
        let rest = self.file.fill_buf()?;
        Ok(&rest[..(self.piece.end - at) as usize])
    }

    fn consume(&mut self, amount: usize) {
        self.file.consume(amount);
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let amount = self.fill_buf()?.read(buffer)?;
        self.consume(amount);
        Ok(amount)
    }
}

impl Seek for Watched<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn reading_ends_in_the_middle_of_a_file_when_the_interrupt_is_due() {
        let (bytes, flag) = (vec![7; 3 * PIECE], AtomicBool::new(false));
        let mut reader = Watched::new(&bytes, Interrupt::NEVER.with_cancel_flag(&flag));
        let mut buffer = vec![0; PIECE];
        reader.read_exact(&mut buffer).unwrap();
        flag.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(reader.read_exact(&mut buffer).is_err());
    }

    #[test]
    fn a_file_is_not_read_over_and_over() {
        let bytes = vec![7; 1000 * PIECE];
        let mut reader = Watched::new(&bytes, Interrupt::NEVER);
        let mut times = 0;
        while reader.read_to_end(&mut Vec::new()).is_ok() {
            times += 1;
            reader.rewind().unwrap();
        }
        assert_eq!(times, READS);
    }

    #[test]
    fn positions_are_those_of_a_cursor() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut reader = Watched::new(&bytes, Interrupt::NEVER);
        let mut cursor = io::Cursor::new(&bytes);
        for to in [
            SeekFrom::Start(9),
            SeekFrom::Current(-3),
            SeekFrom::End(-1),
            SeekFrom::Current(7),
            SeekFrom::End(-999),
            SeekFrom::Start(u64::MAX),
        ] {
            assert_eq!(reader.seek(to).ok(), cursor.seek(to).ok(), "{to:?}");
            let mut bytes = [[0; 2]; 2];
            assert_eq!(
                reader.read(&mut bytes[0]).unwrap(),
                cursor.read(&mut bytes[1]).unwrap(),
                "{to:?}"
            );
            assert_eq!(bytes[0], bytes[1], "{to:?}");
        }
    }
}
