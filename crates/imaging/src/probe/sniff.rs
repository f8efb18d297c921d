//! Telling formats apart by their first bytes.

use crate::error::ImagingError;
use crate::format::Format;

/// Returns the format that the bytes' signature announces, whatever a file name or a content type may say.
///
/// # Errors
///
/// [`ImagingError::Empty`] without bytes, [`ImagingError::Unsupported`] for an image or document format that is
/// recognised and not decoded (HEIC, AVIF, JPEG 2000, JPEG XL, PDF, SVG, Photoshop), [`ImagingError::NotAnImage`] for
/// anything else.
pub fn sniff(bytes: &[u8]) -> Result<Format, ImagingError> {
    let format = match bytes {
        [] => return Err(ImagingError::Empty),
        [0xFF, 0xD8, 0xFF, ..] => Format::Jpeg,
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Format::Png,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Format::WebP,
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Format::Gif,
        // 42 is TIFF, 43 is BigTIFF.
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Format::Tiff,
        _ if is_bmp(bytes) => Format::Bmp,
        _ => {
            return Err(match (heif_format(bytes), foreign(bytes)) {
                (Some(format), _) => refused(format),
                (None, Some(format)) => ImagingError::Unsupported {
                    format,
                    reason: ACCEPTED.to_owned(),
                },
                (None, None) => ImagingError::NotAnImage,
            });
        }
    };
    Ok(format)
}

const ACCEPTED: &str = "send JPEG, PNG, WebP, BMP, TIFF or GIF";

/// The error of a HEIC or AVIF file where no decoder was brought.
pub(super) fn refused(format: Format) -> ImagingError {
    format.unsupported(format!(
        "{ACCEPTED}; it is decoded where imaging.heif = \"system\""
    ))
}

/// Returns whether the signature announces HEIC or AVIF. Which it is, the items of the file say.
pub(crate) fn heif_format(bytes: &[u8]) -> Option<Format> {
    match foreign(bytes)? {
        "HEIC" => Some(Format::Heic),
        "AVIF" => Some(Format::Avif),
        _ => None,
    }
}

/// Many texts begin with these two letters; the length of the second header has only a few values.
fn is_bmp(bytes: &[u8]) -> bool {
    bytes.starts_with(b"BM")
        && matches!(
            bytes.get(14..18),
            Some([12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0])
        )
}

/// The name of a format that is known and not decoded.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => iso_media(bytes),
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] | [0xFF, 0x4F, 0xFF, 0x51, ..] => Some("JPEG 2000"),
        [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] | [0xFF, 0x0A, ..] => Some("JPEG XL"),
        [b'%', b'P', b'D', b'F', b'-', ..] => Some("PDF"),
        [b'8', b'B', b'P', b'S', 0, 1 | 2, ..] => Some("Photoshop"),
        _ if is_svg(bytes) => Some("SVG"),
        _ => None,
    }
}

/// The still-image brands of the file type box of ISO/IEC 14496-12; `mif1` alone says only that it holds images,
/// and the compatible brands say how they are coded.
fn iso_media(bytes: &[u8]) -> Option<&'static str> {
    let length = bytes
        .first_chunk::<4>()
        .map_or(0, |length| u32::from_be_bytes(*length) as usize);
    let brands = bytes.get(8..length.clamp(8, 256).min(bytes.len()))?;
    let mut found = None;
    for brand in brands.chunks_exact(4) {
        match brand {
            b"avif" | b"avis" => return Some("AVIF"),
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"hevm" | b"hevs" | b"mif1"
            | b"msf1" => found = Some("HEIC"),
            b"jp2 " | b"jpx " => found = Some("JPEG 2000"),
            _ => {}
        }
    }
    found
}

fn is_svg(bytes: &[u8]) -> bool {
    let bytes = bytes
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(bytes)
        .trim_ascii_start();
    let head = &bytes[..bytes.len().min(1024)];
    head.starts_with(b"<") && head.windows(4).any(|window| window.eq_ignore_ascii_case(b"<svg"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_content() {
        for (bytes, format) in [
            (&b"\xFF\xD8\xFF\xE0"[..], Format::Jpeg),
            (b"\x89PNG\r\n\x1a\n", Format::Png),
            (b"RIFF\x10\0\0\0WEBPVP8 ", Format::WebP),
            (b"GIF87a", Format::Gif),
            (b"GIF89a", Format::Gif),
            (b"II*\0\x08\0\0\0", Format::Tiff),
            (b"MM\0*\0\0\0\x08", Format::Tiff),
            (b"II+\0\x08\0\0\0", Format::Tiff),
            (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", Format::Bmp),
        ] {
            assert_eq!(sniff(bytes), Ok(format), "{bytes:?}");
        }
    }

    #[test]
    fn formats_that_are_not_decoded_are_named() {
        for (bytes, name) in [
            (&b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..], "HEIC"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
            (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
            (b"\0\0\0\x14ftypavif\0\0\0\0avif", "AVIF"),
            (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
            (b"\xFF\x4F\xFF\x51\0", "JPEG 2000"),
            (b"\xFF\x0A\xFA", "JPEG XL"),
            (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
            (b"%PDF-1.7", "PDF"),
            (b"8BPS\0\x01", "Photoshop"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
            (b"\xEF\xBB\xBF <?xml version='1.0'?>\n<!-- a -->\n<SVG/>", "SVG"),
        ] {
            assert!(
                matches!(sniff(bytes), Err(ImagingError::Unsupported { format, .. }) if format == name),
                "{name}: {:?}",
                sniff(bytes)
            );
        }
    }

    #[test]
    fn anything_else_is_not_an_image() {
        assert_eq!(sniff(b""), Err(ImagingError::Empty));
        for bytes in [
            &b"hello"[..],
            b"BMW builds cars and motorcycles",
            b"GIF88a",
            b"RIFF\x10\0\0\0WAVEfmt ",
            b"\0\0\0\x18ftypisom\0\0\0\0isommp41",
            b"\xFF",
            b"\0",
            b"<html><body>no image</body></html>",
            b"\x89PNG\r\n\x1a",
            b"\xff\xff\xff\xffftyp",
            b"\0\0\0\0ftyp",
        ] {
            assert_eq!(sniff(bytes), Err(ImagingError::NotAnImage), "{bytes:?}");
        }
    }

    #[test]
    fn names_are_the_usual_ones() {
        let names = [
            Format::Jpeg,
            Format::Png,
            Format::WebP,
            Format::Bmp,
            Format::Tiff,
            Format::Gif,
        ]
        .map(|f| f.to_string());
        assert_eq!(names, ["JPEG", "PNG", "WebP", "BMP", "TIFF", "GIF"]);
    }
}
