//! HEIC and AVIF: the boxes of ISO/IEC 14496-12 and the items of ISO/IEC 23008-12 (HEIF).
//!
//! Nothing here decodes: it finds the primary item, its size and that of every part that a decoder would decode with it
//! (tiles of a grid, alpha), and the turns and crops that the file orders. The depth of nesting is that of the functions; all
//! counts are bounded.

use std::collections::BTreeMap;

use crate::heif::HeifFile;
use crate::{Format, ImageLimits, ImagingError};

/// Boxes of one container. A phone's image has a thousand at most: some for each of its tiles.
const MAX_BOXES: usize = 16_384;

/// Items of a file: tiles, thumbnails, metadata. A grid of 48 megapixels has 192 tiles.
const MAX_ITEMS: usize = 4_096;

/// The names of alpha as an auxiliary image, by MIAF and by HEVC.
const ALPHA: [&[u8]; 2] = [
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
    b"urn:mpeg:hevc:2015:auxid:1",
];

/// Reads the boxes of a file that its brand says to be of this format, and checks every size against the limits.
pub(crate) fn read<'a>(
    bytes: &'a [u8],
    brand: Format,
    limits: &ImageLimits,
) -> Result<HeifFile<'a>, ImagingError> {
    let file = File::read(bytes, brand)?;
    let primary = file.coded(file.primary, limits)?;
    let alpha = file.alpha()?.map(|id| file.coded(id, limits)).transpose()?;
    let (width, height) = file.transformed(primary.size)?;
    limits.check_size(width, height)?;
    let sides = alpha.iter().fold(primary.longest_side, |longest, alpha| {
        longest.max(alpha.longest_side)
    });
    Ok(HeifFile {
        bytes,
        format: primary.format,
        width,
        height,
        longest_side: sides,
        planes: primary.planes() + alpha.as_ref().map_or(0, Coded::planes),
        conversion: pixels(primary.size)
            * match (primary.is_deep, alpha.is_some()) {
                (false, false) => 6,
                (false, true) => 10,
                (true, false) => 12,
                (true, true) => 20,
            },
    })
}

/// An item that is decoded: an image, or a grid of images.
struct Coded {
    format: Format,
    size: (u32, u32),
    /// Of itself and of its tiles, in pixels.
    longest_side: u32,
    /// The pixels of the largest image that is decoded at a time.
    largest: u64,
    /// Bits of all samples of a pixel, as decoders keep them: in whole bytes.
    pixel_bits: u64,
    /// Whether samples have more than eight bits.
    is_deep: bool,
}

impl Coded {
    /// Bytes of its planes: those of the codec, and the copy that they become a part of.
    fn planes(&self) -> u64 {
        (self.largest + pixels(self.size)) * self.pixel_bits / 8
    }
}

fn pixels((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

/// The parts of a file's box `meta`.
struct File<'a> {
    bytes: &'a [u8],
    brand: Format,
    primary: u32,
    /// The type of each item.
    items: BTreeMap<u32, [u8; 4]>,
    /// The boxes that properties are.
    properties: Vec<([u8; 4], &'a [u8])>,
    /// The positions of an item's properties, from 1, coded in as many bytes as the second number says.
    associations: BTreeMap<u32, (&'a [u8], usize)>,
    references: Option<&'a [u8]>,
    locations: Option<&'a [u8]>,
    data: Option<&'a [u8]>,
}

impl<'a> File<'a> {
    fn read(bytes: &'a [u8], brand: Format) -> Result<Self, ImagingError> {
        let meta = match only(bytes, *b"meta", brand)? {
            Some(meta) => full(meta, brand)?.2,
            None if only(bytes, *b"moov", brand)?.is_some() => {
                return Err(
                    brand.unsupported("an image sequence without a primary image: send a still image")
                );
            }
            None => return Err(brand.corrupt("it has no box `meta`")),
        };
        let part = |kind| only(meta, kind, brand);
        let needed = |kind: [u8; 4]| {
            let name = String::from_utf8_lossy(&kind).into_owned();
            part(kind)?.ok_or_else(|| brand.corrupt(format!("it has no box `{name}`")))
        };
        let (version, _, primary) = full(needed(*b"pitm")?, brand)?;
        let primary = Reader(primary).number(if version == 0 { 2 } else { 4 });
        let properties = needed(*b"iprp")?;
        let container = only(properties, *b"ipco", brand)?.unwrap_or_default();
        Ok(Self {
            bytes,
            brand,
            primary: primary.ok_or_else(|| cut(brand))? as u32,
            items: items(needed(*b"iinf")?, brand)?,
            properties: boxes(container, brand).collect::<Result<_, _>>()?,
            associations: associations(properties, brand)?,
            references: part(*b"iref")?,
            locations: part(*b"iloc")?,
            data: part(*b"idat")?,
        })
    }

    /// An item's properties in the order in which transformations are applied.
    fn properties(&self, id: u32) -> impl Iterator<Item = ([u8; 4], &'a [u8])> {
        const ESSENTIAL: [u8; 2] = [0x7F, 0xFF];
        let (positions, length) = self.associations.get(&id).copied().unwrap_or((&[], 1));
        let positions = positions.chunks_exact(length).map(|position| match position {
            [high, low] => usize::from(high & ESSENTIAL[0]) << 8 | usize::from(*low),
            [position] => usize::from(position & ESSENTIAL[0]),
            _ => 0,
        });
        positions.filter_map(|position| self.properties.get(position.checked_sub(1)?).copied())
    }

    /// The size that an item declares.
    fn size(&self, id: u32, limits: &ImageLimits) -> Result<(u32, u32), ImagingError> {
        let mut sizes = self.properties(id).filter(|(kind, _)| kind == b"ispe");
        let size = match (sizes.next(), sizes.next()) {
            (Some((_, size)), None) => full(size, self.brand)?.2,
            (None, _) => return Err(self.brand.corrupt("an image of it declares no size")),
            (Some(_), Some(_)) => return Err(self.brand.contradiction()),
        };
        let mut reader = Reader(size);
        let (width, height) = reader.pair(4).ok_or_else(|| cut(self.brand))?;
        if width == 0 || height == 0 {
            return Err(self.brand.corrupt("it has no pixels"));
        }
        limits.check_size(width, height)?;
        Ok((width, height))
    }

    /// What is decoded for an item.
    fn coded(&self, id: u32, limits: &ImageLimits) -> Result<Coded, ImagingError> {
        match self.kind(id)? {
            b"grid" => self.grid(id, limits),
            _ => self.image(id, limits),
        }
    }

    fn kind(&self, id: u32) -> Result<&[u8; 4], ImagingError> {
        let damage = || self.brand.corrupt("it refers to an item that it does not have");
        self.items.get(&id).ok_or_else(damage)
    }

    fn image(&self, id: u32, limits: &ImageLimits) -> Result<Coded, ImagingError> {
        let format = match self.kind(id)? {
            b"hvc1" => Format::Heic,
            b"av01" => Format::Avif,
            other => {
                let name = String::from_utf8_lossy(other).replace(char::is_control, "?");
                let reason = format!(
                    "its image is coded as `{name}`, and only hvc1, av01 and grids of these are decoded"
                );
                return Err(self.brand.unsupported(reason));
            }
        };
        let size = self.size(id, limits)?;
        let (pixel_bits, is_deep) = self.layout(id);
        Ok(Coded {
            format,
            size,
            longest_side: size.0.max(size.1),
            largest: pixels(size),
            pixel_bits,
            is_deep,
        })
    }

    /// Bits of a pixel in planes of whole bytes, and whether samples have more than eight, by the codec's configuration. Where
    /// that is missing or cut: the most.
    fn layout(&self, id: u32) -> (u64, bool) {
        let layout = self.properties(id).find_map(|(kind, data)| {
            // Samples of a pixel in halves, and whether they have more than eight bits.
            Some(match &kind {
                b"hvcC" => {
                    let deep = data.get(17)? & 7 != 0 || data.get(18)? & 7 != 0;
                    ([2, 3, 4, 6][usize::from(data.get(16)? & 3)], deep)
                }
                b"av1C" => {
                    let flags = data.get(2)?;
                    let halves = match (flags >> 2 & 7, flags & 0x10) {
                        (_, 0x10) => 2,
                        (3 | 7, _) => 3,
                        (2 | 6, _) => 4,
                        _ => 6,
                    };
                    (halves, flags & 0x40 != 0)
                }
                _ => return None,
            })
        });
        let (halves, deep) = layout.unwrap_or((6, true));
        (halves * 4 * if deep { 2 } else { 1 }, deep)
    }

    fn grid(&self, id: u32, limits: &ImageLimits) -> Result<Coded, ImagingError> {
        let damage = || self.brand.corrupt("its grid is damaged");
        let size = self.size(id, limits)?;
        let (rows, columns, output) = self.item_data(id).and_then(descriptor).ok_or_else(damage)?;
        if output != size {
            return Err(self.brand.contradiction());
        }
        let tiles = self.referred(*b"dimg", id)?.ok_or_else(damage)?;
        if tiles.len() != rows * columns {
            return Err(damage());
        }
        let mut whole = Coded {
            format: self.brand,
            size,
            longest_side: size.0.max(size.1),
            largest: 0,
            pixel_bits: 0,
            is_deep: false,
        };
        for (index, tile) in tiles.into_iter().enumerate() {
            let tile = self.image(tile, limits)?;
            if index > 0 && tile.format != whole.format {
                return Err(self.brand.contradiction());
            }
            whole.format = tile.format;
            whole.longest_side = whole.longest_side.max(tile.longest_side);
            whole.largest = whole.largest.max(tile.largest);
            whole.pixel_bits = whole.pixel_bits.max(tile.pixel_bits);
            whole.is_deep |= tile.is_deep;
        }
        Ok(whole)
    }

    /// The items that an item refers to.
    fn referred(&self, kind: [u8; 4], from: u32) -> Result<Option<Vec<u32>>, ImagingError> {
        let mut found = None;
        self.each_reference(kind, |of, to| {
            if of == from {
                found.get_or_insert(to);
            }
        })?;
        Ok(found)
    }

    /// The item with the alpha of the primary one.
    fn alpha(&self) -> Result<Option<u32>, ImagingError> {
        let mut found = None;
        self.each_reference(*b"auxl", |from, to| {
            let is_alpha = || {
                let mut properties = self.properties(from).filter(|(kind, _)| kind == b"auxC");
                properties.any(|(_, data)| is_alpha_name(data.get(4..).unwrap_or_default()))
            };
            if found.is_none() && to.contains(&self.primary) && is_alpha() {
                found = Some(from);
            }
        })?;
        Ok(found)
    }

    fn each_reference(
        &self,
        kind: [u8; 4],
        mut found: impl FnMut(u32, Vec<u32>),
    ) -> Result<(), ImagingError> {
        let Some(references) = self.references else {
            return Ok(());
        };
        let (version, _, references) = full(references, self.brand)?;
        let length = if version == 0 { 2 } else { 4 };
        for reference in boxes(references, self.brand) {
            let (of, data) = reference?;
            if of != kind {
                continue;
            }
            let mut reader = Reader(data);
            let mut read = || {
                let from = reader.number(length)? as u32;
                let count = reader.number(2)? as usize;
                let to = reader.take(count * length)?.chunks_exact(length);
                let to = to.map(|id| id.iter().fold(0, |id, byte| id << 8 | u32::from(*byte)));
                Some((from, to.take(MAX_ITEMS).collect()))
            };
            let (from, to) = read().ok_or_else(|| cut(self.brand))?;
            found(from, to);
        }
        Ok(())
    }

    /// The data of an item that lies in one piece, as the few bytes of a grid do.
    fn item_data(&self, wanted: u32) -> Option<&'a [u8]> {
        let (version, _, data) = full(self.locations?, self.brand).ok()?;
        let mut reader = Reader(data);
        let lengths = reader.number(2)?;
        let length = |shift: u32| (lengths >> shift & 15) as usize;
        let (offset, size, base) = (length(12), length(8), length(4));
        let index = if version == 0 { 0 } else { length(0) };
        let wide = if version < 2 { 2 } else { 4 };
        let items = reader.number(wide)?;
        for _ in 0..items.min(MAX_ITEMS as u64) {
            let id = reader.number(wide)? as u32;
            let method = if version == 0 { 0 } else { reader.number(2)? & 15 };
            reader.number(2)?;
            let base = reader.number(base)?;
            let extents = reader.number(2)? as usize;
            let mut extents = Reader(reader.take(extents * (index + offset + size))?);
            if id != wanted {
                continue;
            }
            extents.number(index)?;
            let begin = usize::try_from(base.checked_add(extents.number(offset)?)?).ok()?;
            let length = usize::try_from(extents.number(size)?).ok()?;
            let source = match method {
                0 => self.bytes,
                1 => self.data?,
                _ => return None,
            };
            return source.get(begin..)?.get(..length);
        }
        None
    }

    /// The size once the primary item is cropped and turned.
    fn transformed(&self, (mut width, mut height): (u32, u32)) -> Result<(u32, u32), ImagingError> {
        for (kind, data) in self.properties(self.primary) {
            match &kind {
                b"irot" if data.first().ok_or_else(|| cut(self.brand))? & 1 == 1 => {
                    (width, height) = (height, width);
                }
                b"clap" => {
                    let damage = || self.brand.corrupt("its clean aperture is not within the image");
                    (width, height) = cropped(data, (width, height)).ok_or_else(damage)?;
                }
                _ => {}
            }
        }
        Ok((width, height))
    }
}

/// Whether a text that ends with a zero, or with the box, is a name of alpha. No more is read of it than the names have: a file
/// may refer to a long text many times.
fn is_alpha_name(text: &[u8]) -> bool {
    let ends = |rest: &[u8]| rest.first().is_none_or(|byte| *byte == 0);
    ALPHA
        .iter()
        .any(|name| text.strip_prefix(*name).is_some_and(ends))
}

/// Rows, columns and size of a grid.
fn descriptor(data: &[u8]) -> Option<(usize, usize, (u32, u32))> {
    let mut reader = Reader(data);
    let (version, flags) = (reader.number(1)?, reader.number(1)?);
    let (rows, columns) = reader.pair(1)?;
    let size = reader.pair(if flags & 1 == 0 { 2 } else { 4 })?;
    (version == 0).then_some((rows as usize + 1, columns as usize + 1, size))
}

/// The size of a clean aperture: whole pixels, within the image.
fn cropped(data: &[u8], (width, height): (u32, u32)) -> Option<(u32, u32)> {
    let mut reader = Reader(data);
    let mut fraction = || {
        let (numerator, denominator) = reader.pair(4)?;
        (denominator.cast_signed() > 0)
            .then(|| (i128::from(numerator.cast_signed()), i128::from(denominator)))
    };
    let (across, down) = (fraction()?, fraction()?);
    let (x, y) = (fraction()?, fraction()?);
    let side = |(length, of): (i128, i128), (offset, parts): (i128, i128), side: u32| {
        let cropped = length / of;
        // The distance between the centres is half the difference, at most: nothing is outside then.
        let room = i128::from(side) - cropped;
        let is_within = cropped >= 1 && 2 * offset.abs() <= room * parts;
        (length % of == 0 && is_within).then(|| u32::try_from(cropped).ok())?
    };
    Some((side(across, x, width)?, side(down, y, height)?))
}

/// The types of the items. Items without one are not images.
fn items(iinf: &[u8], brand: Format) -> Result<BTreeMap<u32, [u8; 4]>, ImagingError> {
    let (version, _, entries) = full(iinf, brand)?;
    let entries = entries.get(if version == 0 { 2 } else { 4 }..);
    let mut items = BTreeMap::new();
    for entry in boxes(entries.ok_or_else(|| cut(brand))?, brand) {
        let (kind, data) = entry?;
        let (version, _, data) = full(data, brand)?;
        if kind != *b"infe" || version < 2 {
            continue;
        }
        let mut reader = Reader(data);
        let mut read = || {
            let id = reader.number(if version == 2 { 2 } else { 4 })? as u32;
            reader.number(2)?;
            Some((id, *reader.take(4)?.first_chunk()?))
        };
        let (id, kind) = read().ok_or_else(|| cut(brand))?;
        if items.len() == MAX_ITEMS {
            return Err(brand.unsupported(format!("it has more than {MAX_ITEMS} items")));
        }
        if items.insert(id, kind).is_some() {
            return Err(brand.contradiction());
        }
    }
    Ok(items)
}

fn associations(iprp: &[u8], brand: Format) -> Result<BTreeMap<u32, (&[u8], usize)>, ImagingError> {
    let mut found = BTreeMap::new();
    for part in boxes(iprp, brand) {
        let (kind, data) = part?;
        if kind != *b"ipma" {
            continue;
        }
        let (version, flags, data) = full(data, brand)?;
        let length = if flags & 1 == 0 { 1 } else { 2 };
        let mut reader = Reader(data);
        let entries = reader.number(4).ok_or_else(|| cut(brand))?;
        for _ in 0..entries {
            let mut read = || {
                let id = reader.number(if version == 0 { 2 } else { 4 })? as u32;
                let count = reader.number(1)? as usize;
                Some((id, reader.take(count * length)?))
            };
            let (id, positions) = read().ok_or_else(|| cut(brand))?;
            if found.len() == MAX_ITEMS || found.insert(id, (positions, length)).is_some() {
                return Err(brand.contradiction());
            }
        }
    }
    Ok(found)
}

/// The data of the one box of this kind; `None` where there is none.
fn only(bytes: &[u8], wanted: [u8; 4], brand: Format) -> Result<Option<&[u8]>, ImagingError> {
    let mut found = None;
    for part in boxes(bytes, brand) {
        let (kind, data) = part?;
        if kind == wanted && found.replace(data).is_some() {
            return Err(brand.contradiction());
        }
    }
    Ok(found)
}

/// Version, flags and content of a full box.
fn full(data: &[u8], brand: Format) -> Result<(u8, u32, &[u8]), ImagingError> {
    let (head, content) = data.split_first_chunk::<4>().ok_or_else(|| cut(brand))?;
    let [version, flags @ ..] = head;
    let [high, middle, low] = flags.map(u32::from);
    Ok((*version, high << 16 | middle << 8 | low, content))
}

fn cut(brand: Format) -> ImagingError {
    brand.corrupt("a box of it was cut short")
}

/// The boxes that follow each other, each with its kind and its data.
fn boxes(bytes: &[u8], brand: Format) -> impl Iterator<Item = Result<([u8; 4], &[u8]), ImagingError>> {
    let mut rest = Reader(bytes);
    let mut count = 0;
    std::iter::from_fn(move || {
        if rest.0.is_empty() {
            return None;
        }
        count += 1;
        if count > MAX_BOXES {
            rest = Reader(&[]);
            return Some(Err(
                brand.unsupported(format!("it has more than {MAX_BOXES} boxes"))
            ));
        }
        let next = rest.next_box();
        if next.is_none() {
            rest = Reader(&[]);
        }
        Some(next.ok_or_else(|| cut(brand)))
    })
}

/// Bytes that are read from the front, numbers with the high byte first.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of up to eight bytes; without any, 0.
    fn number(&mut self, length: usize) -> Option<u64> {
        let bytes = self.take(length)?.iter();
        Some(bytes.fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn pair(&mut self, length: usize) -> Option<(u32, u32)> {
        Some((self.number(length)? as u32, self.number(length)? as u32))
    }

    fn next_box(&mut self) -> Option<([u8; 4], &'a [u8])> {
        let size = self.number(4)?;
        let kind = *self.take(4)?.first_chunk()?;
        let length = match size {
            // To the end.
            0 => self.0.len(),
            1 => usize::try_from(self.number(8)?.checked_sub(16)?).ok()?,
            size => usize::try_from(size.checked_sub(8)?).ok()?,
        };
        Some((kind, self.take(length)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_alpha_end_with_a_zero_or_with_their_box() {
        for name in ALPHA {
            assert!(is_alpha_name(name));
            assert!(is_alpha_name(&[name, &b"\0more"[..]].concat()));
            assert!(!is_alpha_name(&[name, &b"more"[..]].concat()));
            assert!(!is_alpha_name(&name[..name.len() - 1]));
        }
        assert!(!is_alpha_name(b""));
    }
}
