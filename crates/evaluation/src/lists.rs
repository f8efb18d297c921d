//! Lists of comparisons and of presentations: CSV files with a header.

use std::collections::HashMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::{ReaderBuilder, StringRecord, Trim};
use serde::Serialize;

use crate::EvaluationError;

/// Two pictures and whether they show the same person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Index into [`PairList::files`].
    pub left: usize,
    /// Index into [`PairList::files`].
    pub right: usize,
    /// Whether it is the same person.
    pub same: bool,
}

/// How it is known whose pictures are whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownFrom {
    /// The columns `left_person` and `right_person`.
    Columns,
    /// The folder that a picture is in; the labels of all pairs agree with it.
    Folders,
    /// The genuine pairs: who is linked by them is one person, everybody else another. People come out too many where
    /// somebody's pictures are never compared with each other, and intervals a little too narrow.
    GenuinePairs,
}

/// The comparisons of a list, in its order, and the distinct pictures in the order in which they first appear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairList {
    /// Paths as the list has them.
    pub files: Vec<String>,
    /// The comparisons.
    pub pairs: Vec<Pair>,
    /// Each comparison's fold, counted from 0, where the list has a column `fold`.
    pub folds: Option<Vec<usize>>,
    /// Whose picture each of `files` is, counted from 0.
    pub person_of: Vec<u32>,
    /// How that is known.
    pub known_from: KnownFrom,
}

impl PairList {
    /// Reads a CSV file with the columns `left`, `right` and `label` (1 = same person, 0 = not), found by name, and
    /// optionally `fold`, or `left_person` and `right_person`. Other columns are left alone.
    ///
    /// # Errors
    /// [`EvaluationError::File`] where the file cannot be read, [`EvaluationError::List`] with the line of what cannot be
    /// understood, [`EvaluationError::Input`] where there is no pair.
    pub fn read(path: &Path) -> Result<Self, EvaluationError> {
        let mut table = Table::open(path)?;
        let (left, right, label) = (
            table.column("left")?,
            table.column("right")?,
            table.column("label")?,
        );
        let fold = table.optional_column("fold");
        let people = match (
            table.optional_column("left_person"),
            table.optional_column("right_person"),
        ) {
            (Some(left), Some(right)) => Some((left, right)),
            (None, None) => None,
            _ => return Err(table.header_fault("left_person and right_person go together")),
        };
        let mut files = Names::default();
        let mut person_names = Names::default();
        let mut person_by_column: HashMap<usize, u32> = HashMap::new();
        let mut pairs = Vec::new();
        let mut fold_names = Names::default();
        let mut folds = Vec::new();
        while let Some((line, record)) = table.next()? {
            let same = match table.field(&record, line, label)? {
                "1" => true,
                "0" => false,
                other => {
                    let reason = format!("label is {other:?}, but must be 1 (same person) or 0");
                    return Err(table.fault(line, reason));
                }
            };
            let pair = Pair {
                left: files.index(table.field(&record, line, left)?),
                right: files.index(table.field(&record, line, right)?),
                same,
            };
            if let Some(fold) = fold {
                folds.push(fold_names.index(table.field(&record, line, fold)?));
            }
            if let Some((left_person, right_person)) = people {
                let left_person = person_names.index(table.field(&record, line, left_person)?) as u32;
                let right_person = person_names.index(table.field(&record, line, right_person)?) as u32;
                if (left_person == right_person) != same {
                    return Err(table.fault(line, "the label contradicts left_person and right_person"));
                }
                for (file, person) in [(pair.left, left_person), (pair.right, right_person)] {
                    if *person_by_column.entry(file).or_insert(person) != person {
                        return Err(table.fault(line, "a picture was another person's in a line above"));
                    }
                }
            }
            pairs.push(pair);
        }
        if pairs.is_empty() {
            return Err(EvaluationError::Input(format!(
                "{}: there is no pair",
                path.display()
            )));
        }
        let files = files.names;
        let (person_of, known_from) = if people.is_some() {
            let person_of = (0..files.len())
                .map(|file| person_by_column.get(&file).copied().unwrap_or_default())
                .collect();
            (person_of, KnownFrom::Columns)
        } else if let Some(person_of) = by_folder(&files, &pairs) {
            (person_of, KnownFrom::Folders)
        } else {
            (by_genuine_pairs(files.len(), &pairs), KnownFrom::GenuinePairs)
        };
        Ok(Self {
            files,
            pairs,
            folds: fold.map(|_| folds),
            person_of,
            known_from,
        })
    }

    /// How many people there are.
    #[must_use]
    pub fn people(&self) -> usize {
        self.person_of.iter().max().map_or(0, |last| *last as usize + 1)
    }
}

/// A folder is a person where every picture is in one and no label contradicts that.
fn by_folder(files: &[String], pairs: &[Pair]) -> Option<Vec<u32>> {
    let mut folders = Names::default();
    let mut person_of = Vec::with_capacity(files.len());
    for file in files {
        let folder = Path::new(file).parent()?.to_str()?;
        if folder.is_empty() {
            return None;
        }
        person_of.push(folders.index(folder) as u32);
    }
    pairs
        .iter()
        .all(|pair| (person_of.get(pair.left) == person_of.get(pair.right)) == pair.same)
        .then_some(person_of)
}

fn by_genuine_pairs(files: usize, pairs: &[Pair]) -> Vec<u32> {
    // Union by pointing at the lower index; every chain ends at its lowest member.
    let mut parent: Vec<usize> = (0..files).collect();
    fn root(parent: &[usize], mut index: usize) -> usize {
        while let Some(&above) = parent.get(index) {
            if above == index {
                break;
            }
            index = above;
        }
        index
    }
    for pair in pairs.iter().filter(|pair| pair.same) {
        let (a, b) = (root(&parent, pair.left), root(&parent, pair.right));
        if let Some(above) = parent.get_mut(a.max(b)) {
            *above = a.min(b);
        }
    }
    let mut numbers = HashMap::new();
    (0..files)
        .map(|file| {
            let next = numbers.len() as u32;
            *numbers.entry(root(&parent, file)).or_insert(next)
        })
        .collect()
}

/// Distinct names in the order in which they first appear.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) names: Vec<String>,
    index: HashMap<String, usize>,
}

impl Names {
    pub(crate) fn index(&mut self, name: &str) -> usize {
        if let Some(&index) = self.index.get(name) {
            return index;
        }
        let index = self.names.len();
        self.names.push(name.to_owned());
        self.index.insert(name.to_owned(), index);
        index
    }
}

/// A CSV file whose columns are found by name. It is held in memory: what a record's position says of its line is wrong
/// after empty lines, so lines are counted in the bytes.
pub(crate) struct Table {
    path: PathBuf,
    bytes: Arc<[u8]>,
    reader: csv::Reader<Cursor<Arc<[u8]>>>,
    header: StringRecord,
}

/// Where a record begins, in bytes from the beginning of the file; there may be empty lines before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place(usize);

impl Table {
    pub(crate) fn open(path: &Path) -> Result<Self, EvaluationError> {
        let bytes: Arc<[u8]> = std::fs::read(path).map_err(EvaluationError::file(path))?.into();
        let reader = ReaderBuilder::new()
            .trim(Trim::All)
            .from_reader(Cursor::new(Arc::clone(&bytes)));
        let mut table = Self {
            path: path.to_owned(),
            bytes,
            reader,
            header: StringRecord::new(),
        };
        table.header = match table.reader.headers() {
            Ok(header) => header.clone(),
            Err(error) => return Err(table.fault_of(&error)),
        };
        Ok(table)
    }

    pub(crate) fn optional_column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column == name)
    }

    pub(crate) fn column(&self, name: &str) -> Result<usize, EvaluationError> {
        self.optional_column(name)
            .ok_or_else(|| self.header_fault(format!("the header has no column {name:?}")))
    }

    pub(crate) fn next(&mut self) -> Result<Option<(Place, StringRecord)>, EvaluationError> {
        let mut record = StringRecord::new();
        match self.reader.read_record(&mut record) {
            Ok(true) => {
                let place = Place(record.position().map_or(0, |position| position.byte() as usize));
                Ok(Some((place, record)))
            }
            Ok(false) => Ok(None),
            Err(error) => Err(self.fault_of(&error)),
        }
    }

    /// A field that must not be empty.
    pub(crate) fn field<'a>(
        &self,
        record: &'a StringRecord,
        place: Place,
        column: usize,
    ) -> Result<&'a str, EvaluationError> {
        match record.get(column) {
            Some(field) if !field.is_empty() => Ok(field),
            _ => {
                let name = self.header.get(column).unwrap_or_default();
                Err(self.fault(place, format!("{name} is empty")))
            }
        }
    }

    pub(crate) fn fault(&self, place: Place, reason: impl Into<String>) -> EvaluationError {
        let (before, rest) = self.bytes.split_at_checked(place.0).unwrap_or((&self.bytes, &[]));
        let empty = rest.iter().take_while(|byte| b"\r\n".contains(byte)).copied();
        let ends = before.iter().copied().chain(empty).filter(|&byte| byte == b'\n');
        EvaluationError::List {
            path: self.path.clone(),
            line: 1 + ends.count() as u64,
            reason: reason.into(),
        }
    }

    pub(crate) fn header_fault(&self, reason: impl Into<String>) -> EvaluationError {
        self.fault(Place(0), reason)
    }

    fn fault_of(&self, error: &csv::Error) -> EvaluationError {
        let place = Place(error.position().map_or(0, |position| position.byte() as usize));
        let reason = match error.kind() {
            csv::ErrorKind::UnequalLengths {
                expected_len, len, ..
            } => format!("{len} fields, but the header has {expected_len}"),
            csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
            _ => error.to_string(),
        };
        self.fault(place, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<PairList, EvaluationError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.csv");
        std::fs::write(&path, text).unwrap();
        PairList::read(&path)
    }

    #[test]
    fn columns_are_found_by_name_and_pictures_are_listed_once() {
        let list =
            read(b"\xef\xbb\xbflabel, right ,note,left\r\n1,b.jpg,x,a.jpg\r\n0, c.jpg ,\"y, z\",a.jpg\r\n")
                .unwrap();
        assert_eq!(list.files, ["a.jpg", "b.jpg", "c.jpg"]);
        let pair = |left, right, same| Pair { left, right, same };
        assert_eq!(list.pairs, [pair(0, 1, true), pair(0, 2, false)]);
        assert_eq!((list.folds, list.known_from), (None, KnownFrom::GenuinePairs));
        assert_eq!(list.person_of, [0, 0, 1]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, expected) in [
            ("left,right\na,b\n", ":1: the header has no column \"label\""),
            ("left,right,label\na,b,1\na,b,2\n", ":3: label is \"2\""),
            ("left,right,label\na,b\n", ":2: 2 fields, but the header has 3"),
            ("left,right,label\n\n\na,,1\n", ":4: right is empty"),
            ("left,right,label\n", "there is no pair"),
            ("", ":1: the header has no column \"left\""),
            (
                "left,right,label,left_person\na,b,1,x\n",
                ":1: left_person and right_person go together",
            ),
            (
                "left,right,label,left_person,right_person\na,b,1,x,y\n",
                ":2: the label contradicts",
            ),
            (
                "left,right,label,left_person,right_person\na,b,1,x,x\na,c,0,y,x\n",
                ":3: a picture was another person's",
            ),
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
        let error = read(b"left,right,label\na,\xff,1\n").unwrap_err().to_string();
        assert!(error.contains(":2: not UTF-8"), "{error}");
    }

    #[test]
    fn folds_are_numbered_as_they_appear() {
        let list = read(b"left,right,label,fold\na,b,1,x\na,c,0,y\na,d,0,x\n").unwrap();
        assert_eq!(list.folds, Some(vec![0, 1, 0]));
    }

    #[test]
    fn folders_are_people_unless_a_label_says_otherwise() {
        let list = read(b"left,right,label\np/1,p/2,1\np/1,q/1,0\nq/2,r/1,0\n").unwrap();
        assert_eq!((list.known_from, list.people()), (KnownFrom::Folders, 3));
        assert_eq!(list.person_of, [0, 0, 1, 1, 2]);
        let list = read(b"left,right,label\nx/1,x/2,1\nx/1,x/3,0\n").unwrap();
        assert_eq!((list.known_from, list.people()), (KnownFrom::GenuinePairs, 2));
    }

    #[test]
    fn who_is_linked_by_genuine_pairs_is_one_person() {
        let list = read(b"left,right,label\na,b,1\nc,d,1\ne,f,0\nd,a,1\n").unwrap();
        assert_eq!(list.person_of, [0, 0, 0, 0, 1, 2]);
    }

    #[test]
    fn columns_say_whose_pictures_they_are() {
        let list =
            read(b"left,right,label,left_person,right_person\na,b,0,x,y\nc,b,1,y,y\nd,a,1,x,x\n").unwrap();
        assert_eq!(list.known_from, KnownFrom::Columns);
        assert_eq!(list.person_of, [0, 1, 1, 0]);
    }
}
