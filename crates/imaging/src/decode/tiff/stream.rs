//! What a strip or tile expands to.

use std::io::{self, BufRead, Read};

use flate2::bufread::ZlibDecoder;
use weezl::{BitOrder, LzwStatus, decode::Configuration};

use super::{corrupt, unsupported};
use crate::decode::watched::Watched;
use crate::{ImagingError, Interrupt};

/// How the bytes of a strip or tile are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
}

impl Compression {
    /// By the value of the tag.
    pub(super) fn of(value: u32) -> Result<Self, ImagingError> {
        let unknown = match value {
            1 => return Ok(Self::None),
            5 => return Ok(Self::Lzw),
            8 | 32_946 => return Ok(Self::Deflate),
            32_773 => return Ok(Self::PackBits),
            2..=4 => "fax compression".to_owned(),
            6 | 7 => "JPEG compression: send the JPEG".to_owned(),
            other => format!("the compression {other}"),
        };
        Err(unsupported(unknown))
    }
}

/// The bytes that a strip or tile expands to. Nothing behind its end is read.
pub(super) enum Stream<'a> {
    None(Watched<'a>),
    Lzw(Lzw<'a>),
    Deflate(Box<ZlibDecoder<Watched<'a>>>),
    PackBits(PackBits<'a>),
}

impl<'a> Stream<'a> {
    pub(super) fn new(compression: Compression, chunk: &'a [u8], interrupt: Interrupt<'a>) -> Self {
        let file = Watched::new(chunk, interrupt);
        match compression {
            Compression::None => Self::None(file),
            Compression::Lzw => Self::Lzw(Lzw {
                file,
                decoder: Configuration::with_tiff_size_switch(BitOrder::Msb, 8)
                    .with_yield_on_full_buffer(true)
                    .build(),
            }),
            Compression::Deflate => Self::Deflate(Box::new(ZlibDecoder::new(file))),
            Compression::PackBits => Self::PackBits(PackBits {
                file,
                run: Run::Literal(0),
            }),
        }
    }

    /// Fills a row.
    pub(super) fn read_exact(&mut self, row: &mut [u8]) -> Result<(), ImagingError> {
        match self {
            Self::None(file) => file.read_exact(row),
            Self::Lzw(stream) => stream.read_exact(row),
            Self::Deflate(stream) => stream.read_exact(row),
            Self::PackBits(stream) => stream.read_exact(row),
        }
        .map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                corrupt("a strip or tile was cut short")
            } else {
                corrupt(&error.to_string())
            }
        })
    }
}

pub(super) struct Lzw<'a> {
    file: Watched<'a>,
    decoder: weezl::decode::Decoder,
}

impl Read for Lzw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut stalled = false;
        loop {
            let result = self.decoder.decode_bytes(self.file.fill_buf()?, buffer);
            self.file.consume(result.consumed_in);
            match result.status {
                Ok(_) if result.consumed_out > 0 => return Ok(result.consumed_out),
                Ok(LzwStatus::Ok) => stalled = false,
                // The decoder also reports no progress after it decoded a word that is longer than the buffer, from bits
                // that it held. The next call writes that word.
                Ok(LzwStatus::NoProgress) if !stalled => stalled = true,
                Ok(LzwStatus::NoProgress | LzwStatus::Done) => return Ok(0),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

pub(super) struct PackBits<'a> {
    file: Watched<'a>,
    run: Run,
}

enum Run {
    /// So many bytes as they are.
    Literal(usize),
    /// So many times the same.
    Repeat(usize, u8),
}

impl PackBits<'_> {
    fn next_byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.file.fill_buf()?.first().copied();
        self.file.consume(byte.iter().len());
        Ok(byte)
    }
}

impl Read for PackBits<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Run::Literal(0) | Run::Repeat(0, _) = self.run {
            let Some(head) = self.next_byte()? else {
                return Ok(0);
            };
            self.run = match head {
                0..=127 => Run::Literal(usize::from(head) + 1),
                // Means nothing.
                128 => Run::Literal(0),
                129..=255 => match self.next_byte()? {
                    Some(byte) => Run::Repeat(257 - usize::from(head), byte),
                    None => return Ok(0),
                },
            };
        }
        match &mut self.run {
            Run::Literal(left) => {
                let amount = buffer.len().min(*left);
                let read = self.file.read(&mut buffer[..amount])?;
                *left -= read;
                Ok(read)
            }
            Run::Repeat(left, byte) => {
                let amount = buffer.len().min(*left);
                buffer[..amount].fill(*byte);
                *left -= amount;
                Ok(amount)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Zeros make words that are longer than a row; noise makes short ones.
    #[test]
    fn lzw_expands_to_all_of_its_bytes_whatever_the_length_of_a_row() {
        let noise = (0..3000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8);
        for data in [vec![0; 3000], noise.collect()] {
            let encoded = weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8)
                .encode(&data)
                .unwrap();
            for length in 1..=200 {
                let mut stream = Stream::new(Compression::Lzw, &encoded, Interrupt::NEVER);
                let mut row = vec![1; length];
                for expected in data.chunks_exact(length) {
                    assert_eq!(stream.read_exact(&mut row), Ok(()), "rows of {length} bytes");
                    assert_eq!(row, expected, "rows of {length} bytes");
                }
            }
        }
    }
}
