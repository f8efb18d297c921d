//! HEIC and AVIF files, box by box.

// Each test binary uses some of them, and none is seen outside of it.
#![allow(dead_code, unreachable_pub)]
// A sample that cannot be made fails the test that asked for it.
#![allow(clippy::unwrap_used)]

/// A box: its kind and its data.
pub type Part = ([u8; 4], Vec<u8>);

/// An item of a file.
#[derive(Clone)]
pub struct Item {
    pub kind: [u8; 4],
    pub data: Vec<u8>,
    pub properties: Vec<Part>,
}

/// A file: its items are numbered from 1.
#[derive(Clone)]
pub struct Heif {
    pub brand: [u8; 4],
    pub primary: u16,
    pub items: Vec<Item>,
    /// Kind, the item that refers, and those that it refers to.
    pub references: Vec<([u8; 4], u16, Vec<u16>)>,
}

/// The bytes of a box.
pub fn boxed(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = 8 + data.len() as u32;
    [&length.to_be_bytes(), &kind[..], data].concat()
}

fn full(kind: &[u8; 4], version: u8, flags: u8, data: &[u8]) -> Vec<u8> {
    boxed(kind, &[&[version, 0, 0, flags], data].concat())
}

/// The property of a size.
pub fn ispe(width: u32, height: u32) -> Part {
    let sides = [width, height].map(u32::to_be_bytes);
    (*b"ispe", [&[0; 4], sides.as_flattened()].concat())
}

/// The data of a grid item.
pub fn grid(rows: u8, columns: u8, width: u16, height: u16) -> Vec<u8> {
    let sides = [width, height].map(u16::to_be_bytes);
    [&[0, 0, rows - 1, columns - 1], sides.as_flattened()].concat()
}

/// The property of a crop to so many pixels, with this distance between the centres.
pub fn clap(width: u32, height: u32, x: i32, y: i32) -> Part {
    let numbers = [width, 1, height, 1, x.cast_unsigned(), 1, y.cast_unsigned(), 1];
    (*b"clap", numbers.map(u32::to_be_bytes).concat())
}

/// The property that says that an item is alpha.
pub fn alpha() -> Part {
    (
        *b"auxC",
        b"\0\0\0\0urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0".to_vec(),
    )
}

impl Heif {
    /// A file of one image.
    pub fn of(item: Item) -> Self {
        let brand = if item.kind == *b"av01" { *b"avif" } else { *b"heic" };
        Self {
            brand,
            primary: 1,
            items: vec![item],
            references: Vec::new(),
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let ftyp = boxed(
            b"ftyp",
            &[&self.brand[..], &[0; 4], b"mif1", &self.brand].concat(),
        );
        // The positions depend on the length of what holds them, not on their values.
        let length = self.meta(0).len();
        let meta = self.meta((ftyp.len() + length + 8) as u32);
        let data: Vec<u8> = self.items.iter().flat_map(|item| item.data.clone()).collect();
        [ftyp, meta, boxed(b"mdat", &data)].concat()
    }

    fn meta(&self, begin: u32) -> Vec<u8> {
        let mut hdlr = vec![0; 4];
        hdlr.extend(b"pict");
        hdlr.extend([0; 13]);
        let count = self.items.len() as u16;
        let numbered = || (1_u16..).zip(&self.items);
        let infe = numbered().flat_map(|(id, item)| {
            let data = [&id.to_be_bytes(), &[0, 0], &item.kind[..], &[0]].concat();
            full(b"infe", 2, 0, &data)
        });
        let iinf: Vec<u8> = count.to_be_bytes().into_iter().chain(infe).collect();
        let iref: Vec<u8> = self
            .references
            .iter()
            .flat_map(|(kind, from, to)| {
                let numbers = [*from, to.len() as u16].into_iter().chain(to.iter().copied());
                let data: Vec<u8> = numbers.flat_map(u16::to_be_bytes).collect();
                boxed(kind, &data)
            })
            .collect();
        let mut ipco = Vec::new();
        let mut ipma = u32::from(count).to_be_bytes().to_vec();
        let mut position = 0_u16;
        for (id, item) in numbered() {
            ipma.extend(id.to_be_bytes());
            ipma.push(item.properties.len() as u8);
            for (kind, data) in &item.properties {
                position += 1;
                ipma.extend(position.to_be_bytes());
                ipco.extend(boxed(kind, data));
            }
        }
        let iprp = [boxed(b"ipco", &ipco), full(b"ipma", 0, 1, &ipma)].concat();
        let mut iloc = vec![0x44, 0];
        iloc.extend(count.to_be_bytes());
        let mut at = begin;
        for (id, item) in numbered() {
            iloc.extend([id, 0, 1].map(u16::to_be_bytes).as_flattened());
            iloc.extend([at, item.data.len() as u32].map(u32::to_be_bytes).as_flattened());
            at += item.data.len() as u32;
        }
        let parts = [
            full(b"hdlr", 0, 0, &hdlr),
            full(b"pitm", 0, 0, &self.primary.to_be_bytes()),
            full(b"iinf", 0, 0, &iinf),
            full(b"iref", 0, 0, &iref),
            boxed(b"iprp", &iprp),
            full(b"iloc", 0, 0, &iloc),
        ];
        full(b"meta", 0, 0, &parts.concat())
    }

    /// The one image of a file that another program has written.
    pub fn item_of(file: &[u8]) -> Item {
        let meta = &find(file, b"meta")[4..];
        let properties = parts(find(find(meta, b"iprp"), b"ipco"));
        let is_av1 = properties.iter().any(|(kind, _)| kind == b"av1C");
        Item {
            kind: if is_av1 { *b"av01" } else { *b"hvc1" },
            data: find(file, b"mdat").to_vec(),
            properties,
        }
    }
}

fn parts(mut bytes: &[u8]) -> Vec<Part> {
    let mut found = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        found.push((rest[..4].try_into().unwrap(), rest[4..length - 4].to_vec()));
        bytes = &bytes[length..];
    }
    found
}

fn find<'a>(mut bytes: &'a [u8], wanted: &[u8; 4]) -> &'a [u8] {
    loop {
        let length = u32::from_be_bytes(*bytes.first_chunk().unwrap()) as usize;
        if bytes[4..8] == *wanted {
            return &bytes[8..length];
        }
        bytes = &bytes[length..];
    }
}
