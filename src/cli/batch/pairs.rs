//! The pairs of a batch: the rows of a CSV list, or the folders of a folder. One is read at a time.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use csv::{ByteRecord, Reader, ReaderBuilder, Trim};
use likeness::server::audit::disarmed;

use crate::cli::Failure;

/// Most bytes of a row: several paths and an id. A quote that is not closed would take in the rest of the file.
const MAX_ROW_BYTES: usize = 64 * 1024;

/// A selfie and a photo to verify it against.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pair {
    /// The id of the list, else the number of the row, from 1.
    pub(crate) id: String,
    /// Path of the selfie, as in the list.
    pub(crate) selfie: String,
    /// Path of the photo, as in the list.
    pub(crate) photo: String,
    /// Name of the decision profile; empty: the default one.
    pub(crate) profile: String,
    /// What is wrong with the row, if anything.
    pub(crate) fault: Option<String>,
}

impl Pair {
    /// Returns the cells by which a line of the results names the pair.
    pub(crate) fn cells(&self) -> [String; 4] {
        [&self.id, &self.selfie, &self.photo, &self.profile].map(|text| cell(text))
    }
}

/// Text as a cell of the results: without control characters, so that each line is one result, and no formula.
pub(crate) fn cell(text: &str) -> String {
    disarmed(text.replace(char::is_control, " "))
}

/// Reads pairs one after the other.
pub(crate) struct Pairs {
    source: Source,
    default_profile: String,
}

enum Source {
    List(Box<List>),
    Folder(Folder),
}

impl Pairs {
    /// Opens a list, whose header is checked, or a folder.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let source = if path.is_dir() {
            Source::Folder(Folder::open(path)?)
        } else {
            Source::List(Box::new(List::open(path)?))
        };
        Ok(Self {
            source,
            default_profile: String::new(),
        })
    }

    /// Sets the profile of pairs that name none.
    pub(crate) fn with_default_profile(mut self, profile: String) -> Self {
        self.default_profile = profile;
        self
    }

    /// Returns how many pairs there are, by reading the list from its beginning.
    pub(crate) fn count(path: &Path) -> Result<u64, Failure> {
        match Self::open(path)?.source {
            Source::List(mut list) => {
                let mut count = 0;
                while list.read()? {
                    count += 1;
                }
                Ok(count)
            }
            Source::Folder(folder) => Ok(folder.names.len() as u64),
        }
    }
}

impl Iterator for Pairs {
    type Item = Result<Pair, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match &mut self.source {
            Source::List(list) => list.next_pair().transpose(),
            Source::Folder(folder) => folder.names.next().map(|name| Ok(in_folder(&folder.root, &name))),
        };
        next.map(|pair| {
            pair.map(|mut pair| {
                if pair.profile.is_empty() {
                    pair.profile.clone_from(&self.default_profile);
                }
                pair
            })
        })
    }
}

/// A CSV list with the columns `selfie` and `photo`, and optionally `profile` and `id`, by name.
struct List {
    path: PathBuf,
    reader: Reader<Bounded<BufReader<File>>>,
    columns: Columns,
    record: ByteRecord,
    row: u64,
}

/// Where the columns are.
struct Columns {
    selfie: usize,
    photo: usize,
    profile: Option<usize>,
    id: Option<usize>,
    all: usize,
}

impl List {
    fn open(path: &Path) -> Result<Self, Failure> {
        let wrong = |reason: String| format!("{}: {reason}", path.display());
        let file = File::open(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let bounded = Bounded {
            inner: BufReader::new(file),
            left: MAX_ROW_BYTES,
        };
        let mut reader = ReaderBuilder::new()
            .trim(Trim::All)
            .flexible(true)
            .from_reader(bounded);
        let header = reader
            .byte_headers()
            .map_err(|error| wrong(error.to_string()))?
            .clone();
        let find = |name: &str| header.iter().position(|column| column == name.as_bytes());
        let need = |name: &str| {
            find(name).ok_or_else(|| {
                wrong(format!(
                    "the header has no column {name:?}: it should read selfie,photo or selfie,photo,profile,id"
                ))
            })
        };
        Ok(Self {
            columns: Columns {
                selfie: need("selfie")?,
                photo: need("photo")?,
                profile: find("profile"),
                id: find("id"),
                all: header.len(),
            },
            path: path.to_owned(),
            reader,
            record: ByteRecord::new(),
            row: 0,
        })
    }

    /// Reads the next row; `false` at the end.
    fn read(&mut self) -> Result<bool, Failure> {
        self.reader.get_mut().left = MAX_ROW_BYTES;
        self.row += 1;
        let read = self.reader.read_byte_record(&mut self.record);
        Ok(read.map_err(|error| format!("{}: row {}: {error}", self.path.display(), self.row))?)
    }

    fn next_pair(&mut self) -> Result<Option<Pair>, Failure> {
        Ok(self.read()?.then(|| self.columns.pair(&self.record, self.row)))
    }
}

impl Columns {
    fn pair(&self, record: &ByteRecord, row: u64) -> Pair {
        let text = |column: usize| {
            let bytes = record.get(column).unwrap_or_default();
            String::from_utf8_lossy(bytes).into_owned()
        };
        let optional = |column: Option<usize>| column.map(text).unwrap_or_default();
        let mut pair = Pair {
            id: optional(self.id),
            selfie: text(self.selfie),
            photo: text(self.photo),
            profile: optional(self.profile),
            fault: None,
        };
        if pair.id.is_empty() {
            pair.id = row.to_string();
        }
        pair.fault = if record.len() != self.all {
            Some(format!(
                "the row has {} fields, the header has {}",
                record.len(),
                self.all
            ))
        } else if record.iter().any(|field| std::str::from_utf8(field).is_err()) {
            Some("the row is not UTF-8".to_owned())
        } else if pair.selfie.is_empty() || pair.photo.is_empty() {
            Some("the row names no selfie or no photo".to_owned())
        } else {
            None
        };
        pair
    }
}

/// Lets no more than so many bytes pass.
struct Bounded<R> {
    inner: R,
    left: usize,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(format!(
                "it has more than {MAX_ROW_BYTES} bytes; is a quote not closed?"
            )));
        }
        let length = buffer.len().min(self.left);
        let read = self.inner.read(buffer.get_mut(..length).unwrap_or_default())?;
        self.left -= read;
        Ok(read)
    }
}

/// A folder with a folder for each pair, whose name is the id, with a file `selfie.*` and a file `photo.*`.
struct Folder {
    root: PathBuf,
    names: std::vec::IntoIter<Box<str>>,
}

impl Folder {
    /// Reads the names of the folders; hidden ones and files are ignored.
    fn open(root: &Path) -> Result<Self, Failure> {
        let unreadable = |error: io::Error| format!("cannot read {}: {error}", root.display());
        let mut names = Vec::new();
        for entry in std::fs::read_dir(root).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Err(format!("{}: the name is not UTF-8", entry.path().display()).into());
            };
            if !name.starts_with('.') && entry.file_type().map_err(unreadable)?.is_dir() {
                names.push(Box::from(name));
            }
        }
        names.sort_unstable();
        Ok(Self {
            root: root.to_owned(),
            names: names.into_iter(),
        })
    }
}

fn in_folder(root: &Path, name: &str) -> Pair {
    let mut pair = Pair {
        id: name.to_owned(),
        ..Pair::default()
    };
    let found = [("selfie", &mut pair.selfie), ("photo", &mut pair.photo)]
        .into_iter()
        .try_for_each(|(stem, path)| {
            *path = only_file(&root.join(name), stem).map(|file| format!("{name}/{file}"))?;
            Ok(())
        });
    pair.fault = found.err();
    pair
}

/// Returns the name of the only file with this stem.
fn only_file(folder: &Path, stem: &str) -> Result<String, String> {
    let unreadable = |error: io::Error| format!("cannot read {}: {error}", folder.display());
    let mut found = None;
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.file_stem().is_none_or(|name| name != stem) {
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| format!("the name of {} is not UTF-8", path.display()))?;
        if found.replace(name.to_owned()).is_some() {
            return Err(format!("the folder has several files {stem}.*"));
        }
    }
    found.ok_or_else(|| format!("the folder has no file {stem}.*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &[u8]) -> Result<Vec<Pair>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.csv");
        std::fs::write(&path, text).unwrap();
        let pairs: Result<Vec<Pair>, Failure> =
            Pairs::open(&path).map_err(|error| error.to_string())?.collect();
        let pairs = pairs.map_err(|error| error.to_string())?;
        assert_eq!(Pairs::count(&path).unwrap(), pairs.len() as u64);
        Ok(pairs)
    }

    fn pair([id, selfie, photo, profile]: [&str; 4], fault: Option<&str>) -> Pair {
        Pair {
            id: id.to_owned(),
            selfie: selfie.to_owned(),
            photo: photo.to_owned(),
            profile: profile.to_owned(),
            fault: fault.map(str::to_owned),
        }
    }

    #[test]
    fn columns_are_found_by_name_and_an_id_is_the_row_where_there_is_none() {
        let bom = "\u{feff}photo,note,selfie,id\r\np1,x,s1,one\r\n\r\n\"p,2\",y,s2,\r\n";
        let pairs = list(bom.as_bytes()).unwrap();
        assert_eq!(
            pairs,
            [
                pair(["one", "s1", "p1", ""], None),
                pair(["2", "s2", "p,2", ""], None)
            ]
        );
    }

    #[test]
    fn a_bad_row_is_a_pair_with_a_fault() {
        let text = b"selfie,photo,profile\na,b\na,b,c,d\n,b,c\na,\xff,c\na,b,strict-v0\n";
        let faults: Vec<Option<String>> = list(text).unwrap().into_iter().map(|pair| pair.fault).collect();
        let expected = [
            Some("the row has 2 fields, the header has 3"),
            Some("the row has 4 fields, the header has 3"),
            Some("the row names no selfie or no photo"),
            Some("the row is not UTF-8"),
            None,
        ];
        assert_eq!(faults, expected.map(|fault| fault.map(str::to_owned)));
    }

    #[test]
    fn a_list_that_is_none_is_refused() {
        let error = list(b"left,right\n").unwrap_err();
        assert!(error.contains("the header has no column \"selfie\""), "{error}");
        let mut endless = b"selfie,photo\na,b\n\"c,d\n".to_vec();
        endless.resize(300_000, b'x');
        let error = list(&endless).unwrap_err();
        assert!(
            error.contains("row 2") && error.contains("is a quote not closed?"),
            "{error}"
        );
    }

    #[test]
    fn a_folder_has_a_folder_for_each_pair() {
        let root = tempfile::tempdir().unwrap();
        for (folder, files) in [
            ("b", &["selfie.jpg", "photo.png", "notes.txt"][..]),
            ("a", &["selfie.jpg"]),
            ("c", &["selfie.jpg", "selfie.png", "photo.png"]),
            (".hidden", &[]),
        ] {
            let folder = root.path().join(folder);
            std::fs::create_dir(&folder).unwrap();
            for file in files {
                std::fs::write(folder.join(file), b"").unwrap();
            }
        }
        std::fs::write(root.path().join("readme.txt"), b"").unwrap();
        let pairs: Vec<Pair> = Pairs::open(root.path())
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(
            pairs,
            [
                pair(
                    ["a", "a/selfie.jpg", "", ""],
                    Some("the folder has no file photo.*")
                ),
                pair(["b", "b/selfie.jpg", "b/photo.png", ""], None),
                pair(["c", "", "", ""], Some("the folder has several files selfie.*")),
            ]
        );
        assert_eq!(Pairs::count(root.path()).unwrap(), 3);
    }

    #[test]
    fn cells_are_one_line_and_no_formula() {
        let cells = pair(["=1+1", "a\nb", "\t@x", "-v"], None).cells();
        assert_eq!(cells, ["'=1+1", "a b", " @x", "'-v"]);
    }
}
