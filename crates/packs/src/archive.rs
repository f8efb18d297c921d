//! A pack in one file, for closed networks: a plain tar with the manifest, the models and the sources.
//!
//! ```text
//! pack.toml                      the manifest
//! SHA256SUMS                     every blob's checksum, in the format of `sha256sum --check`
//! blobs/sha256/<64 digits>       models and sources by the SHA-256 of their bytes
//! ```
//!
//! The same pack gives the same bytes. `tar --extract` into an empty folder gives the blobs of a model store.
//!
//! An archive to read is untrusted: everything is verified, names are compared and never used as paths, and only what the
//! manifest names is taken.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use tar::{Entry, EntryType};

use crate::files::{is_sha256, read_verified};
use crate::store::{Located, MANIFEST_FILE, MANIFEST_LIMIT, read_model, write_atomically};
use crate::{Manifest, PackError, Store};

/// Name of the list of checksums.
const SUMS_FILE: &str = "SHA256SUMS";

/// Folder of the blobs.
const BLOBS: &str = "blobs/sha256/";

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 16;

/// Largest list of checksums: a line has some 150 bytes, and a pack some dozens of files.
const SUMS_LIMIT: u64 = 1 << 20;

/// The result of an export.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Exported {
    /// The pack.
    pub manifest: Manifest,
    /// Number of sources in the archive that are not models themselves.
    pub sources: usize,
    /// Size of the archive.
    pub bytes: u64,
}

/// The blobs to write by their SHA-256: the file of each, and the most bytes that it may have.
type Blobs<'a> = BTreeMap<&'a str, (PathBuf, u64)>;

/// Writes a complete pack, with those of its sources that are in the model store, into a file that appears when complete.
///
/// # Errors
/// A missing or wrong model of the pack, or why the file cannot be written.
pub fn export(store: &Store, pack: &str, out: &Path) -> Result<Exported, PackError> {
    let located = store.locate(pack)?;
    let manifest = &located.manifest;
    let mut blobs = Blobs::new();
    for model in manifest.models.keys() {
        let path = store.model_path(&located, model);
        read_model(&located, model, &path)?;
        let (sha256, limit) = manifest.blob(model);
        blobs.insert(sha256, (path, limit));
    }
    let models = blobs.len();
    for source in manifest.sources.values() {
        let (sha256, limit) = (source.sha256.as_str(), source.max_bytes());
        if store.holds(sha256, limit) {
            blobs.entry(sha256).or_insert_with(|| (store.blob(sha256), limit));
        }
    }
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty());
    write_atomically(folder.unwrap_or(Path::new(".")), out, |file| {
        write(file, out, &located, &blobs)
    })?;
    Ok(Exported {
        manifest: manifest.clone(),
        sources: blobs.len() - models,
        bytes: std::fs::metadata(out).map_or(0, |metadata| metadata.len()),
    })
}

fn write(file: &mut File, out: &Path, located: &Located, blobs: &Blobs<'_>) -> Result<(), PackError> {
    let failed = |error| PackError::unwritable(out)(error);
    let mut tar = tar::Builder::new(BufWriter::new(file));
    append(&mut tar, MANIFEST_FILE, located.text.as_bytes()).map_err(failed)?;
    let sums = sums(blobs.keys().copied());
    append(&mut tar, SUMS_FILE, sums.as_bytes()).map_err(failed)?;
    for (sha256, (path, limit)) in blobs {
        let bytes = read_verified(&located.manifest.name, path, sha256, *limit)?;
        append(&mut tar, &format!("{BLOBS}{sha256}"), &bytes).map_err(failed)?;
    }
    let written = tar.into_inner().and_then(|mut inner| inner.flush());
    written.map_err(failed)
}

/// Appends an entry with nothing in it of this machine, user or day.
fn append(tar: &mut tar::Builder<impl Write>, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    tar.append_data(&mut header, name, bytes)
}

/// The list of these blobs, which are in order.
fn sums<'a>(blobs: impl IntoIterator<Item = &'a str>) -> String {
    let blobs = blobs.into_iter();
    blobs
        .map(|sha256| format!("{sha256}  {BLOBS}{sha256}\n"))
        .collect()
}

/// An archive whose manifest has been read.
#[derive(Debug)]
pub(crate) struct Archive {
    path: PathBuf,
    /// Its pack.
    pub(crate) located: Located,
    /// Checksums of the blobs in its list.
    listed: BTreeSet<String>,
}

impl Archive {
    /// Opens an archive and reads its manifest and its list of checksums, which come first. The pack must be the requested
    /// one, in the edition that is known here.
    pub(crate) fn open(path: &Path, store: &Store, requested: Option<&str>) -> Result<Self, PackError> {
        let archive = Self::read(path).map_err(|fault| after(fault, 0))?;
        archive.check_pack(store, requested)?;
        Ok(archive)
    }

    fn read(path: &Path) -> Result<Self, PackError> {
        let mut tar = tar::Archive::new(File::open(path).map_err(PackError::unreadable(path))?);
        let mut entries = Entries::of(path, &mut tar)?;
        let text = entries.text(MANIFEST_FILE, MANIFEST_LIMIT)?;
        let manifest = Manifest::parse(&text)
            .map_err(|error| entry_fault(path, MANIFEST_FILE, format!("is not a manifest: {error}")))?;
        let listed = listed(&entries.text(SUMS_FILE, SUMS_LIMIT)?)
            .ok_or_else(|| entry_fault(path, SUMS_FILE, "is not the list of checksums of an export"))?;
        let expected = blobs(&manifest);
        let is_foreign = |sha256: &&String| !expected.contains_key(sha256.as_str());
        if let Some(sha256) = listed.iter().find(is_foreign) {
            let name = format!("{BLOBS}{sha256}");
            return Err(entry_fault(path, &name, "is not among the files of the pack"));
        }
        let (path, folder) = (path.to_owned(), None);
        let located = Located {
            manifest,
            text,
            folder,
        };
        Ok(Self {
            path,
            located,
            listed,
        })
    }

    fn check_pack(&self, store: &Store, requested: Option<&str>) -> Result<(), PackError> {
        let own = &self.located.manifest;
        let name = &own.name;
        let (known, place) = match requested {
            Some(path) if path.contains(['/', '\\']) => (Some(store.manifest(path)?), path),
            Some(other) if other != name => {
                let reason = format!("has model pack '{name}', not '{other}'");
                return Err(invalid(&self.path, reason));
            }
            _ => (Manifest::builtin(name).transpose()?, "the one in this program"),
        };
        let Some(known) = known.filter(|known| known != own) else {
            return Ok(());
        };
        let edition =
            |manifest: &Manifest| format!("version {}, digest {}", manifest.version, manifest.digest);
        let (found, expected) = (edition(own), edition(&known));
        let reason = format!(
            "has model pack '{name}' {found}, and {place} is {expected}: export it with the same version of likeness that \
             will use it"
        );
        Err(invalid(&self.path, reason))
    }

    /// Takes its blobs into a model store, each verified, and returns those that were not there before.
    pub(crate) fn unpack(&self, store: &Store) -> Result<Vec<String>, PackError> {
        let mut taken = Vec::new();
        let unpacked = self.unpack_into(store, &mut taken);
        unpacked.map_err(|fault| after(fault, taken.len()))?;
        Ok(taken)
    }

    fn unpack_into(&self, store: &Store, taken: &mut Vec<String>) -> Result<(), PackError> {
        let path = &self.path;
        let limits = blobs(&self.located.manifest);
        let mut tar = tar::Archive::new(File::open(path).map_err(PackError::unreadable(path))?);
        let mut entries = Entries::of(path, &mut tar)?;
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
                return Err(entry_fault(path, &name, reason));
            }
            let (least, most) = limits.get(sha256).copied().unwrap_or_default();
            let size = entry.size();
            if size < least || size > most {
                let modal = if least == most { "has" } else { "may have" };
                let reason = format!("has {size} bytes, and the file of the pack {modal} {most}");
                return Err(entry_fault(path, &name, reason));
            }
            let is_new = !store.holds(sha256, most);
            self.take(&name, sha256, entry, store)?;
            if is_new {
                taken.push(sha256.to_owned());
            }
        }
        let Some(sha256) = awaited.first() else {
            return Ok(());
        };
        let reason = format!("it ends before {BLOBS}{sha256}, which is in its list");
        Err(damaged(path, reason))
    }

    fn take(&self, name: &str, sha256: &str, mut entry: impl Read, store: &Store) -> Result<(), PackError> {
        let mut partial = store.begin(sha256)?;
        let mut chunk = vec![0; CHUNK];
        loop {
            match entry.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => partial.write(&chunk[..read])?,
                Err(error) => {
                    partial.restart()?;
                    return Err(damaged(&self.path, format!("{name}: {error}")));
                }
            }
        }
        let received = partial.length;
        partial.finish()?.map_err(|found| {
            let reason = format!("{name}: expected SHA-256 {sha256}, found {found} in {received} bytes");
            damaged(&self.path, reason)
        })
    }
}

fn invalid(path: &Path, reason: String) -> PackError {
    let path = path.to_owned();
    PackError::Archive { path, reason }
}

fn damaged(path: &Path, reason: impl Display) -> PackError {
    let reason = format!("incomplete or corrupt model archive: {reason}; copy it again");
    invalid(path, reason)
}

fn entry_fault(path: &Path, entry: &str, reason: impl Display) -> PackError {
    invalid(path, format!("entry {entry:?} {reason}"))
}

/// The error, found after so many files had been taken; a fault of the archive says so.
fn after(error: PackError, files: usize) -> PackError {
    let PackError::Archive { path, reason } = error else {
        return error;
    };
    let taken = match files {
        0 => "nothing was taken from it".to_owned(),
        1 => "1 file before it was taken, verified, and stays in the model store".to_owned(),
        _ => format!("{files} files before it were taken, verified, and stay in the model store"),
    };
    invalid(&path, format!("{reason}; {taken}"))
}

/// The least and the most bytes of every blob of a pack.
fn blobs(manifest: &Manifest) -> BTreeMap<&str, (u64, u64)> {
    let models = manifest.models.iter().map(|(name, model)| {
        let (sha256, most) = manifest.blob(name);
        (sha256, (model.size.unwrap_or(0), most))
    });
    let sources = manifest.sources.values().map(|source| {
        let least = source.size.unwrap_or(0);
        (source.sha256.as_str(), (least, source.max_bytes()))
    });
    models.chain(sources).collect()
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
struct Entries<'a> {
    path: &'a Path,
    entries: tar::Entries<'a, File>,
}

impl<'a> Entries<'a> {
    fn of(path: &'a Path, tar: &'a mut tar::Archive<File>) -> Result<Self, PackError> {
        let entries = tar.entries().map_err(|error| damaged(path, error))?.raw(true);
        Ok(Self { path, entries })
    }

    fn next(&mut self) -> Result<Option<(String, Entry<'a, File>)>, PackError> {
        let entry = self.entries.next().transpose();
        let Some(entry) = entry.map_err(|error| damaged(self.path, error))? else {
            return Ok(None);
        };
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.header().entry_type() == EntryType::Regular {
            Ok(Some((name, entry)))
        } else {
            Err(entry_fault(self.path, &name, "is not a plain file"))
        }
    }

    /// The text of the next entry, which must have this name.
    fn text(&mut self, name: &str, limit: u64) -> Result<String, PackError> {
        let path = self.path;
        let Some((found, entry)) = self.next()? else {
            return Err(damaged(path, format!("it ends before {name}")));
        };
        if found != name {
            return Err(entry_fault(path, &found, format!("is in the place of {name}")));
        }
        let size = entry.size();
        if size > limit {
            return Err(entry_fault(path, name, format!("has more than {limit} bytes")));
        }
        let mut text = String::new();
        match entry.take(limit).read_to_string(&mut text) {
            Ok(read) if read as u64 == size => Ok(text),
            Ok(_) => Err(damaged(path, format!("it ends within {name}"))),
            Err(error) => Err(damaged(path, format!("{name}: {error}"))),
        }
    }
}
