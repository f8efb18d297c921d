//! What a strip or tile expands to.

use std::io::{self, BufRead, Read};

use flate2::bufread::ZlibDecoder;
use weezl::{BitOrder, LzwStatus, decode::Configuration};

use crate::decode::watched::Watched;
use crate::{Format, ImagingError};

/// Makes a reader of what a strip or tile expands to. Nothing behind its end is read.
pub(super) type Expand = for<'a> fn(Watched<'a>) -> Box<dyn Read + 'a>;

/// The reader for a value of the tag.
pub(super) fn expand(compression: u32) -> Result<Expand, ImagingError> {
    let unknown = match compression {
        1 => return Ok(|file| Box::new(file)),
        5 => return Ok(|file| Box::new(Lzw::new(file))),
        8 | 32_946 => return Ok(|file| Box::new(ZlibDecoder::new(file))),
        32_773 => return Ok(|file| Box::new(PackBits::new(file))),
        2..=4 => "fax compression".to_owned(),
        6 | 7 => "JPEG compression: send the JPEG".to_owned(),
        other => format!("the compression {other}"),
    };
    Err(Format::Tiff.unsupported(unknown))
}

struct Lzw<'a> {
    file: Watched<'a>,
    decoder: weezl::decode::Decoder,
}

impl<'a> Lzw<'a> {
    fn new(file: Watched<'a>) -> Self {
        let decoder = Configuration::with_tiff_size_switch(BitOrder::Msb, 8)
            .with_yield_on_full_buffer(true)
            .build();
        Self { file, decoder }
    }
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

struct PackBits<'a> {
    file: Watched<'a>,
    /// Bytes of the run that are still to come: as they are in the file, or so many times this one.
    left: usize,
    repeated: Option<u8>,
}

impl<'a> PackBits<'a> {
    fn new(file: Watched<'a>) -> Self {
        Self {
            file,
            left: 0,
            repeated: None,
        }
    }

    fn next_byte(&mut self) -> io::Result<Option<u8>> {
        self.file.by_ref().bytes().next().transpose()
    }
}

impl Read for PackBits<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            let Some(head) = self.next_byte()? else {
                return Ok(0);
            };
            (self.left, self.repeated) = match head {
                0..=127 => (usize::from(head) + 1, None),
                // Means nothing.
                128 => (0, None),
                129..=255 => match self.next_byte()? {
                    Some(byte) => (257 - usize::from(head), Some(byte)),
                    None => return Ok(0),
                },
            };
        }
        let amount = buffer.len().min(self.left);
        let buffer = &mut buffer[..amount];
        let read = match self.repeated {
            None => self.file.read(buffer)?,
            Some(byte) => {
                buffer.fill(byte);
                amount
            }
        };
        self.left -= read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Interrupt;

    /// Zeros make words that are longer than a row; noise makes short ones.
    #[test]
    fn lzw_expands_to_all_of_its_bytes_whatever_the_length_of_a_row() {
        let noise = (0..3000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8);
        for data in [vec![0; 3000], noise.collect()] {
            let encoded = weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8)
                .encode(&data)
                .unwrap();
            for length in 1..=200 {
                let mut stream = Lzw::new(Watched::new(&encoded, Interrupt::NEVER));
                let mut row = vec![1; length];
                for expected in data.chunks_exact(length) {
                    assert!(stream.read_exact(&mut row).is_ok(), "rows of {length} bytes");
                    assert_eq!(row, expected, "rows of {length} bytes");
                }
            }
        }
    }
}
