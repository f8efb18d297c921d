//! PyTorch files in the zip format, written by hand, as PyTorch writes them; tests change what is wrong.

#![allow(
    dead_code,
    reason = "it is part of several test binaries, none of which uses all of it"
)]

/// A member of an archive, and what its records say of it.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Name in the local header.
    pub(crate) local_name: String,
    pub(crate) data: Vec<u8>,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    /// Checksum, size and place in the directory, where they are not the true ones.
    pub(crate) crc: Option<u32>,
    pub(crate) size: Option<u32>,
    pub(crate) at: Option<u32>,
}

impl Member {
    pub(crate) fn new(name: &str, data: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            local_name: name.to_owned(),
            data: data.to_vec(),
            flags: 0x808,
            method: 0,
            crc: None,
            size: None,
            at: None,
        }
    }
}

/// An archive of these members: sizes after the data and in the directory, zip64 records that nothing needs.
pub(crate) fn archive(members: &[Member]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    let u32_of = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    for member in members {
        let at = member.at.unwrap_or(u32_of(file.len()));
        let crc = crc32fast::hash(&member.data);
        let (data_len, name) = (u32_of(member.data.len()), member.local_name.as_bytes());
        file.extend(b"PK\x03\x04\0\0");
        file.extend(member.flags.to_le_bytes());
        file.extend(member.method.to_le_bytes());
        file.extend([0; 16]);
        file.extend((name.len() as u16).to_le_bytes());
        file.extend(6_u16.to_le_bytes());
        file.extend(name);
        file.extend(b"FB\x02\0ZZ");
        file.extend(&member.data);
        file.extend(b"PK\x07\x08");
        file.extend([crc, data_len, data_len].map(u32::to_le_bytes).concat());

        let (size, name) = (member.size.unwrap_or(data_len), member.name.as_bytes());
        directory.extend(b"PK\x01\x02\0\0\0\0");
        directory.extend(member.flags.to_le_bytes());
        directory.extend(member.method.to_le_bytes());
        directory.extend([0; 4]);
        directory.extend(
            [member.crc.unwrap_or(crc), size, size]
                .map(u32::to_le_bytes)
                .concat(),
        );
        directory.extend((name.len() as u16).to_le_bytes());
        directory.extend([0; 12]);
        directory.extend(at.to_le_bytes());
        directory.extend(name);
    }
    let (start, len, count) = (file.len(), directory.len(), members.len());
    file.extend(directory);
    let end = file.len();
    let u64s = |numbers: [usize; 4]| numbers.map(|number| (number as u64).to_le_bytes()).concat();
    file.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x1e\x03\x2d\0\0\0\0\0\0\0\0\0");
    file.extend(u64s([count, count, len, start]));
    file.extend(b"PK\x06\x07\0\0\0\0");
    file.extend((end as u64).to_le_bytes());
    file.extend(b"\x01\0\0\0PK\x05\x06\0\0\0\0");
    file.extend([count, count].map(|count| (count as u16).to_le_bytes()).concat());
    file.extend([len, start].map(|number| u32_of(number).to_le_bytes()).concat());
    file.extend([0; 2]);
    file
}

/// The members of a state dict: an object that is pickled as in the legacy format, and the elements of its storages, by key.
pub(crate) fn members(object: &[u8], storages: &[(&str, Vec<u8>)]) -> Vec<Member> {
    // The legacy format says of each storage that it is no part of another.
    let mut pickled = Vec::new();
    for (at, &byte) in object.iter().enumerate() {
        if !object[at..].starts_with(b"NtQ") {
            pickled.push(byte);
        }
    }
    let mut members = vec![Member::new("net/data.pkl", &pickled)];
    let storages = storages.iter();
    members.extend(storages.map(|(key, elements)| Member::new(&format!("net/data/{key}"), elements)));
    members.push(Member::new("net/version", b"3\n"));
    members
}
