//! HEIC and AVIF: what the boxes declare, without a decoder.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use likeness_imaging::{
    EncodedImage, Format, HeifDecoder, HeifFile, ImageLimits, ImagingError, Interrupt, probe,
};
use proptest::prelude::*;
use samples::{Heif, Item, alpha, boxed, clap, grid, ispe};

#[path = "samples/heif.rs"]
mod samples;

/// Paints every pixel grey.
#[derive(Debug)]
struct Grey;

impl HeifDecoder for Grey {
    fn decode(&self, file: &HeifFile<'_>, factor: u32, _: Interrupt<'_>) -> Result<Vec<u8>, ImagingError> {
        Ok(vec![127; file.pixel_bytes(factor) as usize])
    }
}

fn open<'a>(bytes: &'a [u8], limits: &ImageLimits) -> Result<EncodedImage<'a>, ImagingError> {
    let decoder: Arc<dyn HeifDecoder> = Arc::new(Grey);
    EncodedImage::open_with(bytes, limits, &decoder)
}

/// The format and the size that a file declares.
fn declared(file: &Heif) -> Result<(Format, u32, u32), ImagingError> {
    let bytes = file.bytes();
    let image = open(&bytes, &ImageLimits::default())?;
    let header = image.header();
    Ok((header.format, header.width, header.height))
}

fn reason(file: &Heif) -> String {
    declared(file).unwrap_err().to_string()
}

/// An image of eight bits at 4:2:0.
fn hevc(width: u32, height: u32) -> Item {
    let mut configuration = vec![0; 23];
    configuration[16] = 0xFD;
    (configuration[17], configuration[18]) = (0xF8, 0xF8);
    Item {
        kind: *b"hvc1",
        data: vec![1; 100],
        properties: vec![(*b"hvcC", configuration), ispe(width, height)],
    }
}

fn av1(width: u32, height: u32) -> Item {
    Item {
        kind: *b"av01",
        properties: vec![(*b"av1C", vec![0x81, 0, 0x0C, 0]), ispe(width, height)],
        ..hevc(width, height)
    }
}

/// A grid of two by two tiles.
fn tiled(width: u16, height: u16, tile: &Item) -> Heif {
    let whole = Item {
        kind: *b"grid",
        data: grid(2, 2, width, height),
        properties: vec![ispe(width.into(), height.into())],
    };
    let tiles = std::iter::repeat_n(tile.clone(), 4);
    Heif {
        items: std::iter::once(whole).chain(tiles).collect(),
        references: vec![(*b"dimg", 1, vec![2, 3, 4, 5])],
        ..Heif::of(tile.clone())
    }
}

#[test]
fn the_primary_image_is_declared() {
    assert_eq!(declared(&Heif::of(hevc(640, 480))), Ok((Format::Heic, 640, 480)));
    assert_eq!(declared(&Heif::of(av1(640, 480))), Ok((Format::Avif, 640, 480)));
    let mut two = Heif::of(hevc(640, 480));
    two.items.push(av1(20, 10));
    two.primary = 2;
    assert_eq!(declared(&two), Ok((Format::Avif, 20, 10)));
    // Of a sequence with a still image.
    let mut sequence = Heif::of(av1(640, 480));
    sequence.brand = *b"avis";
    let bytes = [sequence.bytes(), boxed(b"moov", b"\0\0\0\x08trak")].concat();
    let image = open(&bytes, &ImageLimits::default()).unwrap();
    assert_eq!((image.header().format, image.header().width), (Format::Avif, 640));
    assert_eq!(
        declared(&tiled(1_000, 700, &hevc(512, 512))),
        Ok((Format::Heic, 1_000, 700))
    );
}

#[test]
fn without_a_decoder_they_are_refused_by_name() {
    for (file, name) in [(Heif::of(hevc(8, 8)), "HEIC"), (Heif::of(av1(8, 8)), "AVIF")] {
        let bytes = file.bytes();
        let error = EncodedImage::open(&bytes, &ImageLimits::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{name} is not supported: send JPEG, PNG, WebP, BMP, TIFF or GIF; it is decoded where imaging.heif = \
                 \"system\""
            )
        );
        assert_eq!(probe(&bytes, &ImageLimits::default()), Err(error));
    }
}

#[test]
fn turns_and_crops_are_applied_in_the_order_of_the_file() {
    let turned = |properties: &[(&[u8; 4], &[u8])]| {
        let mut image = hevc(640, 480);
        let more = properties.iter().map(|(kind, data)| (**kind, data.to_vec()));
        image.properties.extend(more);
        let (_, width, height) = declared(&Heif::of(image)).unwrap();
        (width, height)
    };
    assert_eq!(turned(&[(b"irot", &[1])]), (480, 640));
    assert_eq!(turned(&[(b"irot", &[2])]), (640, 480));
    assert_eq!(turned(&[(b"irot", &[3]), (b"imir", &[0])]), (480, 640));
    let (_, crop) = clap(600, 100, -20, 190);
    assert_eq!(turned(&[(b"clap", &crop)]), (600, 100));
    assert_eq!(turned(&[(b"clap", &crop), (b"irot", &[1])]), (100, 600));
    let mut outside = hevc(640, 480);
    outside.properties.push(clap(600, 100, -21, 190));
    assert_eq!(
        reason(&Heif::of(outside)),
        "the HEIC file is damaged: its clean aperture is not within the image"
    );
}

#[test]
fn every_part_is_within_the_limits() {
    let too_large = |file: &Heif| matches!(declared(file), Err(ImagingError::TooLarge { .. }));
    assert!(too_large(&Heif::of(hevc(10_001, 1))));
    assert!(too_large(&Heif::of(hevc(u32::MAX, u32::MAX))));
    assert!(too_large(&Heif::of(av1(10_000, 10_000))));
    // The image is small, and what is decoded for it is not.
    assert!(too_large(&tiled(100, 100, &hevc(10_001, 1))));
    let mut cropped = hevc(20_000, 20_000);
    cropped.properties.push(clap(10, 10, 0, 0));
    assert!(too_large(&Heif::of(cropped)));
    let mut with_alpha = Heif::of(hevc(100, 100));
    let mut large = hevc(10_001, 1);
    large.properties.push(alpha());
    with_alpha.items.push(large);
    with_alpha.references = vec![(*b"auxl", 2, vec![1])];
    assert!(too_large(&with_alpha));
    with_alpha.items[1].properties.pop();
    assert_eq!(declared(&with_alpha), Ok((Format::Heic, 100, 100)));
}

#[test]
fn memory_is_checked_before_the_decoder_is_called() {
    let bytes = Heif::of(hevc(4_000, 3_000)).bytes();
    let image = open(&bytes, &ImageLimits::default().with_max_decode_bytes(100 << 20)).unwrap();
    let pixels = 4_000 * 3_000;
    let fixed = (28 << 20) + bytes.len() as u64;
    assert_eq!(image.decode_bytes(), (3 + 6) * pixels + fixed);
    assert!(matches!(
        image.decode(Interrupt::NEVER),
        Err(ImagingError::DecodeTooLarge {
            format: Format::Heic,
            ..
        })
    ));
    let image = open(&bytes, &ImageLimits::default()).unwrap();
    assert!(image.decode(Interrupt::NEVER).is_ok());
    // Ten bits take twice as much, and so do tiles that are larger than the image.
    let bytes_of = |file: Heif| {
        open(&file.bytes(), &ImageLimits::default())
            .unwrap()
            .decode_bytes()
    };
    let whole = bytes_of(Heif::of(hevc(1_024, 1_024)));
    let mut deep = hevc(1_024, 1_024);
    deep.properties[0].1[17] = 0xFA;
    assert_eq!(bytes_of(Heif::of(deep)) - whole, 6 << 20);
    assert!(bytes_of(tiled(100, 100, &hevc(4_096, 4_096))) > whole);
}

#[test]
fn what_is_not_decoded_is_named() {
    let mut overlay = Heif::of(hevc(8, 8));
    overlay.items[0].kind = *b"iovl";
    let message = reason(&overlay);
    assert!(
        message.starts_with("HEIC is not supported: its image is coded as `iovl`"),
        "{message}"
    );
    let sequence = [
        boxed(b"ftyp", b"msf1\0\0\0\0hevc"),
        boxed(b"moov", b"\0\0\0\x08trak"),
    ];
    let message = open(&sequence.concat(), &ImageLimits::default())
        .unwrap_err()
        .to_string();
    assert!(
        message.starts_with("HEIC is not supported: an image sequence"),
        "{message}"
    );
    let mut many = Heif::of(hevc(8, 8));
    many.items.extend(std::iter::repeat_n(hevc(8, 8), 4_096));
    let message = reason(&many);
    assert!(message.contains("more than 4096 items"), "{message}");
}

#[test]
fn contradictions_are_refused() {
    let damaged = |file: &Heif| matches!(declared(file), Err(ImagingError::Corrupt { .. }));
    let mut file = Heif::of(hevc(8, 8));
    file.primary = 7;
    assert!(damaged(&file), "no such item");
    let mut file = Heif::of(hevc(8, 8));
    file.items[0].properties.push(ispe(9, 9));
    assert!(damaged(&file), "two sizes");
    file.items[0].properties = vec![];
    assert!(damaged(&file), "no size");
    assert!(damaged(&Heif::of(hevc(8, 0))), "no pixels");
    let mut file = tiled(100, 100, &hevc(64, 64));
    file.items[0].data = grid(2, 2, 101, 100);
    assert!(damaged(&file), "the grid has another size than its item");
    file.items[0].data = grid(2, 3, 100, 100);
    assert!(damaged(&file), "a tile is missing");
    let mut file = tiled(100, 100, &hevc(64, 64));
    file.items[3] = av1(64, 64);
    assert!(damaged(&file), "tiles of two codecs");
    let mut file = tiled(100, 100, &hevc(64, 64));
    file.references[0].2[3] = 1;
    assert!(
        matches!(declared(&file), Err(ImagingError::Unsupported { .. })),
        "a grid in a grid"
    );
    let mut bytes = Heif::of(hevc(8, 8)).bytes();
    let meta = bytes[20..].to_vec();
    bytes.extend(&meta);
    assert!(open(&bytes, &ImageLimits::default()).is_err(), "two boxes `meta`");
}

#[test]
fn files_cut_anywhere_are_refused() {
    let whole = tiled(100, 100, &hevc(64, 64)).bytes();
    assert!(open(&whole, &ImageLimits::default()).is_ok());
    for length in 0..whole.len() {
        assert!(
            open(&whole[..length], &ImageLimits::default()).is_err(),
            "cut at {length}"
        );
    }
}

proptest! {
    #[test]
    fn no_change_of_a_file_makes_more_than_the_limits(at in 0_usize..700, value: u8, other in 0_usize..700) {
        let mut bytes = tiled(100, 100, &hevc(64, 64)).bytes();
        let length = bytes.len();
        bytes[at % length] = value;
        bytes[other % length] ^= value;
        let limits = ImageLimits::default().with_max_side(200);
        if let Ok(image) = open(&bytes, &limits) {
            let header = image.header();
            prop_assert!(header.width.max(header.height) <= 200);
            let _ = image.decode(Interrupt::NEVER);
        }
    }
}
