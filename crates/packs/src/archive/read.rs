//! Taking a pack from an archive. It may come from anywhere: nothing is believed that is not checked, names are compared
//! and never used as paths, and only what the manifest names is taken.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use tar::{Entry, EntryType};

use super::{ArchiveError, BLOBS, SUMS_FILE, sums};
use crate::manifest::is_sha256;
use crate::store::{Located, MANIFEST_FILE, MANIFEST_LIMIT};
use crate::{Manifest, Store};

/// Read at a time.
const CHUNK: usize = 1 << 16;

/// Largest list of checksums: a line has some 150 bytes, and a pack some dozens of files.
const SUMS_LIMIT: u64 = 1 << 20;

/// An archive whose manifest has been read.
#[derive(Debug)]
pub(crate) struct Archive {
    path: PathBuf,
    manifest: Manifest,
    text: String,
    /// Checksums of the blobs that it says it has.
    listed: BTreeSet<String>,
}

impl Archive {
    /// Opens an archive and reads its manifest and its list of checksums, which come first.
    pub(crate) fn open(path: &Path) -> Result<Self, ArchiveError> {
        let mut tar = open(path)?;
        let mut entries = Entries::of(path, &mut tar)?;
        let text = entries.text(MANIFEST_FILE, MANIFEST_LIMIT)?;
        let manifest = Manifest::parse(&text)
            .map_err(|error| entries.fault(MANIFEST_FILE, &format!("is no manifest: {error}")))?;
        let sums = entries.text(SUMS_FILE, SUMS_LIMIT)?;
        let listed = listed(&sums).ok_or_else(|| ArchiveError::Entry {
            path: path.to_owned(),
            entry: SUMS_FILE.to_owned(),
            reason: "is not the list of checksums that an export writes".to_owned(),
            taken: 0,
        })?;
        let expected = blobs(&manifest);
        if let Some(other) = listed
            .iter()
            .find(|sha256| !expected.contains_key(sha256.as_str()))
        {
            return Err(entries.fault(&format!("{BLOBS}{other}"), "is not among the files of the pack"));
        }
        Ok(Self {
            path: path.to_owned(),
            manifest,
            text,
            listed,
        })
    }

    /// The pack that it holds, where that is the one that was asked for, in the edition that is known here.
    pub(crate) fn pack(&self, store: &Store, asked: Option<&str>) -> Result<Located, ArchiveError> {
        let found = &self.manifest.name;
        let (known, place) = match asked {
            Some(asked) if asked.contains(['/', '\\']) => (Some(store.manifest(asked)?), asked.to_owned()),
            Some(asked) if asked != found => {
                return Err(ArchiveError::OtherPack {
                    path: self.path.clone(),
                    asked: asked.to_owned(),
                    found: found.clone(),
                });
            }
            _ => (
                Manifest::builtin(found).transpose()?,
                "the one in this program".to_owned(),
            ),
        };
        let edition =
            |manifest: &Manifest| format!("version {}, digest {}", manifest.version, manifest.digest);
        if let Some(known) = known.filter(|known| *known != self.manifest) {
            return Err(ArchiveError::OtherEdition {
                path: self.path.clone(),
                pack: found.clone(),
                archive: edition(&self.manifest),
                place,
                here: edition(&known),
            });
        }
        Ok(Located {
            manifest: self.manifest.clone(),
            text: self.text.clone(),
            folder: None,
        })
    }

    /// Takes its blobs into a store, each when its bytes have been compared with its checksum, and says which were not
    /// there before.
    pub(crate) fn unpack(self, store: &Store, manifest: &Manifest) -> Result<Vec<String>, ArchiveError> {
        let mut taken = Vec::new();
        match self.unpack_into(store, manifest, &mut taken) {
            Ok(()) => Ok(taken),
            Err(error) => Err(error.after(taken.len())),
        }
    }

    fn unpack_into(
        &self,
        store: &Store,
        manifest: &Manifest,
        taken: &mut Vec<String>,
    ) -> Result<(), ArchiveError> {
        let limits = blobs(manifest);
        let mut tar = open(&self.path)?;
        let mut entries = Entries::of(&self.path, &mut tar)?;
        entries.text(MANIFEST_FILE, MANIFEST_LIMIT)?;
        entries.text(SUMS_FILE, SUMS_LIMIT)?;
        let mut awaited = self.listed.clone();
        while let Some((name, entry)) = entries.next()? {
            let sha256 = name.strip_prefix(BLOBS).unwrap_or_default().to_owned();
            if !awaited.remove(&sha256) {
                let reason = if self.listed.contains(&sha256) {
                    "is there twice"
                } else {
                    "does not belong there"
                };
                return Err(entries.fault(&name, reason));
            }
            let (least, most) = limits.get(sha256.as_str()).copied().unwrap_or_default();
            let size = entry.size();
            if size < least || size > most {
                let reason = format!(
                    "has {size} bytes, and the file of the pack {}",
                    described(least, most)
                );
                return Err(entries.fault(&name, &reason));
            }
            let was_there = store.holds(&sha256, most);
            self.take(&name, &sha256, entry, store)?;
            if !was_there {
                taken.push(sha256);
            }
        }
        match awaited.first() {
            Some(sha256) => {
                Err(self.damaged(format!("it ends before {BLOBS}{sha256}, which its list names")))
            }
            None => Ok(()),
        }
    }

    fn take(
        &self,
        name: &str,
        sha256: &str,
        mut entry: impl Read,
        store: &Store,
    ) -> Result<(), ArchiveError> {
        let mut partial = store.begin(sha256)?;
        let mut chunk = vec![0; CHUNK];
        loop {
            match entry.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => partial.write(&chunk[..read])?,
                Err(error) => {
                    partial.restart()?;
                    return Err(self.damaged(format!("{name}: {error}")));
                }
            }
        }
        let received = partial.length();
        match partial.finish()? {
            Ok(()) => Ok(()),
            Err(wrong) => Err(self.damaged(format!(
                "{name}: expected SHA-256 {sha256}, found {} in {received} bytes",
                wrong.found
            ))),
        }
    }

    fn damaged(&self, reason: String) -> ArchiveError {
        ArchiveError::Damaged {
            path: self.path.clone(),
            reason,
            taken: 0,
        }
    }
}

fn described(least: u64, most: u64) -> String {
    if least == most {
        format!("has {most}")
    } else {
        format!("may have {most}")
    }
}

/// The least and the most bytes of every blob of a pack.
fn blobs(manifest: &Manifest) -> BTreeMap<&str, (u64, u64)> {
    let models = manifest.models.iter().filter_map(|(name, model)| {
        let least = model.size.unwrap_or(0);
        Some((
            manifest.model_sha256(name)?,
            (least, manifest.model_max_bytes(name)),
        ))
    });
    let sources = manifest.sources.values().map(|source| {
        let least = source.size.unwrap_or(0);
        (source.sha256.as_str(), (least, source.max_bytes()))
    });
    models.chain(sources).collect()
}

/// The checksums of a list, where it is just as an export writes it.
fn listed(text: &str) -> Option<BTreeSet<String>> {
    let first = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let found: BTreeSet<String> = text.lines().map(first).collect();
    let sound =
        found.iter().all(|sha256| is_sha256(sha256)) && sums(found.iter().map(String::as_str)) == text;
    sound.then_some(found)
}

fn open(path: &Path) -> Result<tar::Archive<File>, ArchiveError> {
    let unreadable = |source| ArchiveError::Unreadable {
        path: path.to_owned(),
        source,
    };
    File::open(path).map(tar::Archive::new).map_err(unreadable)
}

/// The entries of an archive, which are plain files. Extended headers are not interpreted but refused as entries, so that
/// no header can make the reader allocate or rename.
struct Entries<'a> {
    path: &'a Path,
    entries: tar::Entries<'a, File>,
}

impl<'a> Entries<'a> {
    fn of(path: &'a Path, tar: &'a mut tar::Archive<File>) -> Result<Self, ArchiveError> {
        match tar.entries() {
            Ok(entries) => Ok(Self {
                path,
                entries: entries.raw(true),
            }),
            Err(error) => Err(damaged(path, &error)),
        }
    }

    fn next(&mut self) -> Result<Option<(String, Entry<'a, File>)>, ArchiveError> {
        let Some(entry) = self.entries.next() else {
            return Ok(None);
        };
        let entry = entry.map_err(|error| damaged(self.path, &error))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.header().entry_type() == EntryType::Regular {
            Ok(Some((name, entry)))
        } else {
            Err(self.fault(&name, "is no plain file"))
        }
    }

    /// The text of the next entry, which must have this name.
    fn text(&mut self, name: &str, limit: u64) -> Result<String, ArchiveError> {
        let Some((found, entry)) = self.next()? else {
            return Err(damaged(self.path, &format!("it ends before {name}")));
        };
        if found != name {
            return Err(self.fault(&found, &format!("is where {name} should be")));
        }
        let size = entry.size();
        if size > limit {
            return Err(self.fault(name, &format!("has more than {limit} bytes")));
        }
        let mut text = String::new();
        match entry.take(limit).read_to_string(&mut text) {
            Ok(read) if read as u64 == size => Ok(text),
            Ok(_) => Err(damaged(self.path, &format!("it ends within {name}"))),
            Err(error) => Err(damaged(self.path, &format!("{name}: {error}"))),
        }
    }

    fn fault(&self, entry: &str, reason: &str) -> ArchiveError {
        ArchiveError::Entry {
            path: self.path.to_owned(),
            entry: entry.to_owned(),
            reason: reason.to_owned(),
            taken: 0,
        }
    }
}

fn damaged(path: &Path, reason: &impl ToString) -> ArchiveError {
    ArchiveError::Damaged {
        path: path.to_owned(),
        reason: reason.to_string(),
        taken: 0,
    }
}
