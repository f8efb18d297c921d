//! Taking a pack from an archive. The archive is untrusted: everything is verified, names are compared and never used as
//! paths, and only what the manifest names is taken.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use tar::{Entry, EntryType};

use super::{BLOBS, SUMS_FILE, sums};
use crate::digest::is_sha256;
use crate::store::{Located, MANIFEST_FILE, MANIFEST_LIMIT};
use crate::{MAX_COHORT_BYTES, Manifest, PackError, Store};

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 16;

/// Largest list of checksums: a line has some 150 bytes, and a pack some dozens of files.
const SUMS_LIMIT: u64 = 1 << 20;

/// An archive whose manifest has been read.
#[derive(Debug)]
pub(crate) struct Archive {
    path: PathBuf,
    manifest: Manifest,
    text: String,
    /// Checksums of the blobs in its list.
    listed: BTreeSet<String>,
}

impl Archive {
    /// Opens an archive and reads its manifest and its list of checksums, which come first.
    pub(crate) fn open(path: &Path) -> Result<Self, PackError> {
        let file = File::open(path).map_err(PackError::unreadable(path))?;
        let mut tar = tar::Archive::new(file);
        Self::read_head(path, &mut tar).map_err(|fault| fault.after(path, 0))
    }

    fn read_head(path: &Path, tar: &mut tar::Archive<File>) -> Result<Self, Fault> {
        let mut entries = Entries::of(tar)?;
        let text = entries.text(MANIFEST_FILE, MANIFEST_LIMIT)?;
        let manifest = Manifest::parse(&text)
            .map_err(|error| entry_fault(MANIFEST_FILE, format!("is not a manifest: {error}")))?;
        let listed = listed(&entries.text(SUMS_FILE, SUMS_LIMIT)?)
            .ok_or_else(|| entry_fault(SUMS_FILE, "is not the list of checksums of an export"))?;
        let expected = blobs(&manifest);
        let foreign = listed
            .iter()
            .find(|sha256| !expected.contains_key(sha256.as_str()));
        if let Some(sha256) = foreign {
            return Err(entry_fault(
                &format!("{BLOBS}{sha256}"),
                "is not among the files of the pack",
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            manifest,
            text,
            listed,
        })
    }

    /// Returns its pack, which must be the requested one, in the edition that is known here.
    pub(crate) fn pack(&self, store: &Store, requested: Option<&str>) -> Result<Located, PackError> {
        let name = &self.manifest.name;
        let invalid = |reason: String| PackError::Archive {
            path: self.path.clone(),
            reason,
        };
        let (known, place) = match requested {
            Some(path) if path.contains(['/', '\\']) => (Some(store.manifest(path)?), path),
            Some(other) if other != name => {
                return Err(invalid(format!("has model pack '{name}', not '{other}'")));
            }
            _ => (Manifest::builtin(name).transpose()?, "the one in this program"),
        };
        if let Some(known) = known.filter(|known| *known != self.manifest) {
            let edition =
                |manifest: &Manifest| format!("version {}, digest {}", manifest.version, manifest.digest);
            return Err(invalid(format!(
                "has model pack '{name}' {}, and {place} is {}: export it with the same version of likeness that will \
                 use it",
                edition(&self.manifest),
                edition(&known)
            )));
        }
        Ok(Located {
            manifest: self.manifest.clone(),
            text: self.text.clone(),
            folder: None,
        })
    }

    /// Takes its blobs into a model store, each verified, and returns those that were not there before.
    pub(crate) fn unpack(self, store: &Store, manifest: &Manifest) -> Result<Vec<String>, PackError> {
        let mut taken = Vec::new();
        let unpacked = self.unpack_into(store, manifest, &mut taken);
        unpacked.map_err(|fault| fault.after(&self.path, taken.len()))?;
        Ok(taken)
    }

    fn unpack_into(&self, store: &Store, manifest: &Manifest, taken: &mut Vec<String>) -> Result<(), Fault> {
        let limits = blobs(manifest);
        let file = File::open(&self.path).map_err(PackError::unreadable(&self.path))?;
        let mut tar = tar::Archive::new(file);
        let mut entries = Entries::of(&mut tar)?;
        entries.text(MANIFEST_FILE, MANIFEST_LIMIT)?;
        entries.text(SUMS_FILE, SUMS_LIMIT)?;
        let mut awaited = self.listed.clone();
        while let Some((name, entry)) = entries.next()? {
            let sha256 = name.strip_prefix(BLOBS).unwrap_or_default();
            if !awaited.remove(sha256) {
                let is_second = self.listed.contains(sha256);
                let reason = if is_second {
                    "is there twice"
                } else {
                    "does not belong there"
                };
                return Err(entry_fault(&name, reason));
            }
            let (least, most) = limits.get(sha256).copied().unwrap_or_default();
            let size = entry.size();
            if size < least || size > most {
                let modal = if least == most { "has" } else { "may have" };
                return Err(entry_fault(
                    &name,
                    format!("has {size} bytes, and the file of the pack {modal} {most}"),
                ));
            }
            let is_new = !store.holds(sha256, most);
            take(&name, sha256, entry, store)?;
            if is_new {
                taken.push(sha256.to_owned());
            }
        }
        match awaited.first() {
            Some(sha256) => Err(damaged(format!(
                "it ends before {BLOBS}{sha256}, which is in its list"
            ))),
            None => Ok(()),
        }
    }
}

fn take(name: &str, sha256: &str, mut entry: impl Read, store: &Store) -> Result<(), Fault> {
    let mut partial = store.begin(sha256)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match entry.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => partial.write(&chunk[..read])?,
            Err(error) => {
                partial.restart()?;
                return Err(damaged(format!("{name}: {error}")));
            }
        }
    }
    let received = partial.length();
    partial.finish()?.map_err(|found| {
        damaged(format!(
            "{name}: expected SHA-256 {sha256}, found {found} in {received} bytes"
        ))
    })
}

/// Why an archive is not taken.
enum Fault {
    /// A fault of the archive itself.
    Archive(String),
    /// Anything else.
    Other(PackError),
}

impl From<PackError> for Fault {
    fn from(error: PackError) -> Self {
        Self::Other(error)
    }
}

impl Fault {
    /// The error, found after so many files had been taken.
    fn after(self, path: &Path, files: usize) -> PackError {
        let reason = match self {
            Self::Archive(reason) => reason,
            Self::Other(error) => return error,
        };
        let taken = match files {
            0 => "nothing was taken from it".to_owned(),
            1 => "1 file before it was taken, verified, and stays in the model store".to_owned(),
            _ => format!("{files} files before it were taken, verified, and stay in the model store"),
        };
        PackError::Archive {
            path: path.to_owned(),
            reason: format!("{reason}; {taken}"),
        }
    }
}

fn damaged(reason: impl std::fmt::Display) -> Fault {
    Fault::Archive(format!(
        "incomplete or corrupt model archive: {reason}; copy it again"
    ))
}

fn entry_fault(entry: &str, reason: impl std::fmt::Display) -> Fault {
    Fault::Archive(format!("entry {entry:?} {reason}"))
}

/// The least and the most bytes of every blob of a pack.
fn blobs(manifest: &Manifest) -> BTreeMap<&str, (u64, u64)> {
    let models = manifest.models.iter().filter_map(|(name, model)| {
        let sizes = (model.size.unwrap_or(0), manifest.model_max_bytes(name));
        Some((manifest.model_sha256(name)?, sizes))
    });
    let sources = manifest.sources.values().map(|source| {
        let least = source.size.unwrap_or(0);
        (source.sha256.as_str(), (least, source.max_bytes()))
    });
    let cohort = manifest
        .cohort()
        .map(|cohort| (cohort.sha256.as_str(), (0, MAX_COHORT_BYTES)));
    models.chain(sources).chain(cohort).collect()
}

/// The checksums of a list, if it is exactly as an export writes it.
fn listed(text: &str) -> Option<BTreeSet<String>> {
    let first = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let found: BTreeSet<String> = text.lines().map(first).collect();
    let valid =
        found.iter().all(|sha256| is_sha256(sha256)) && sums(found.iter().map(String::as_str)) == text;
    valid.then_some(found)
}

/// The entries of an archive, which are plain files. Extended headers are not interpreted but rejected as entries, so that
/// no header can make the reader allocate or rename.
struct Entries<'a>(tar::Entries<'a, File>);

impl<'a> Entries<'a> {
    fn of(tar: &'a mut tar::Archive<File>) -> Result<Self, Fault> {
        let entries = tar.entries().map_err(damaged)?;
        Ok(Self(entries.raw(true)))
    }

    fn next(&mut self) -> Result<Option<(String, Entry<'a, File>)>, Fault> {
        let Some(entry) = self.0.next() else {
            return Ok(None);
        };
        let entry = entry.map_err(damaged)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.header().entry_type() == EntryType::Regular {
            Ok(Some((name, entry)))
        } else {
            Err(entry_fault(&name, "is not a plain file"))
        }
    }

    /// The text of the next entry, which must have this name.
    fn text(&mut self, name: &str, limit: u64) -> Result<String, Fault> {
        let Some((found, entry)) = self.next()? else {
            return Err(damaged(format!("it ends before {name}")));
        };
        if found != name {
            return Err(entry_fault(&found, format!("is in the place of {name}")));
        }
        let size = entry.size();
        if size > limit {
            return Err(entry_fault(name, format!("has more than {limit} bytes")));
        }
        let mut text = String::new();
        match entry.take(limit).read_to_string(&mut text) {
            Ok(read) if read as u64 == size => Ok(text),
            Ok(_) => Err(damaged(format!("it ends within {name}"))),
            Err(error) => Err(damaged(format!("{name}: {error}"))),
        }
    }
}
