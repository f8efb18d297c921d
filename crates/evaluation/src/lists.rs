//! The input of an evaluation: lists of comparisons and of presentations (CSV), and folders of people.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord, Trim};
use indexmap::IndexSet;
use serde::Serialize;

use crate::error::{EvaluationError, Result};

/// The species of bona fide presentations in a list.
pub const LIVE: &str = "live";

/// Endings of files that are taken for images; other files in a person's folder are ignored.
const EXTENSIONS: [&str; 9] = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "gif", "jpe"];

/// How it is known which person an image shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownFrom {
    /// From the columns `left_person` and `right_person`.
    Columns,
    /// From the image's folder; the labels of all pairs agree with it.
    Folders,
    /// From the genuine pairs: images that they link show one person, every other image another. People whose images are
    /// never compared are counted twice, and intervals come out a little too narrow.
    GenuinePairs,
    /// Not known: each image counts as a person of its own, so there are impostor comparisons only.
    Images,
}

/// The group of each image of an evaluation, by any labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// The distinct groups in the order in which they first appear.
    pub names: Vec<String>,
    /// Index into `names` for each image.
    pub group_of: Vec<u32>,
}

impl Groups {
    /// Takes the name of each image's group.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut distinct = IndexSet::new();
        let names = names.into_iter();
        let group_of = names.map(|name| index(&mut distinct, name) as u32).collect();
        Self {
            names: Vec::from_iter(distinct),
            group_of,
        }
    }

    /// Reads the groups of `files` from a CSV file with the columns `file` and `group`, by name. Other columns, and lines
    /// about other files, are ignored. Fails with [`EvaluationError::List`] for an invalid line, with
    /// [`EvaluationError::Input`] where a file has no group.
    pub fn read(path: &Path, files: &[String]) -> Result<Self> {
        let mut groups = HashMap::new();
        read_csv(path, &["file", "group"], &[], |row| {
            let file = row.get("file");
            match groups.insert(file.to_owned(), row.get("group").to_owned()) {
                None => Ok(()),
                Some(_) => Err(format!("{file} is already in a line above")),
            }
        })?;
        let mut without = files.iter().filter(|file| !groups.contains_key(*file));
        if let Some(first) = without.next() {
            let reason = format!(
                "{} of the {} images have no group, first {first}; name them as the list does, or relative to the folder",
                without.count() + 1,
                files.len()
            );
            return Err(invalid(path, &reason));
        }
        Ok(Self::new(
            files
                .iter()
                .filter_map(|file| groups.get(file))
                .map(String::as_str),
        ))
    }

    /// Returns the group of an image.
    pub(crate) fn group(&self, image: usize) -> u32 {
        self.group_of.get(image).copied().unwrap_or_default()
    }

    /// Returns the values of a group's images, from those of all.
    pub(crate) fn of_group<'a, T>(&'a self, group: u32, all: &'a [T]) -> impl Iterator<Item = &'a T> {
        let all = self.group_of.iter().zip(all);
        all.filter_map(move |(&of, value)| (of == group).then_some(value))
    }

    /// Returns the indices of the groups with their names.
    pub(crate) fn each(&self) -> impl Iterator<Item = (u32, &String)> {
        (0..).zip(&self.names)
    }
}

/// Distinct images, each with the person it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct People {
    /// Paths of the images, relative to the root of the evaluation.
    pub files: Vec<String>,
    /// The person that each of `files` shows, counted from 0.
    pub person_of: Vec<u32>,
    /// How that is known.
    pub known_from: KnownFrom,
    /// The group of each of `files`, where they have any.
    pub groups: Option<Groups>,
}

impl People {
    /// Finds the images of a folder and of the folders in it, in the order of their names. Each counts as a person of its
    /// own. Hidden files and files without an image's ending are ignored, and links to folders are not followed. Fails where
    /// there is no image or a name is not UTF-8.
    pub fn find_images(root: &Path) -> Result<Self> {
        let files = find_images(root)?;
        Ok(Self {
            person_of: (0..).take(files.len()).collect(),
            files,
            known_from: KnownFrom::Images,
            groups: None,
        })
    }

    /// Reads a CSV file with the column `file`, found by name, and optionally `person` and `group`. Without `person` each
    /// image counts as a person of its own. Other columns are ignored. Fails with [`EvaluationError::List`] for an invalid
    /// line, with [`EvaluationError::Input`] where there is no image.
    pub fn read_list(path: &Path) -> Result<Self> {
        let (mut files, mut people) = (IndexSet::new(), IndexSet::new());
        let (mut person_of, mut groups) = (Vec::new(), Vec::new());
        read_csv(path, &["file"], &["person", "group"], |row| {
            let file = add_file(&mut files, row)?;
            person_of.push(match row.get("person") {
                "" => file,
                person => index(&mut people, person) as u32,
            });
            groups.push(row.get("group").to_owned());
            Ok(())
        })?;
        if files.is_empty() {
            return Err(invalid(path, "the list has no image"));
        }
        Ok(Self {
            files: Vec::from_iter(files),
            person_of,
            known_from: match people.is_empty() {
                true => KnownFrom::Images,
                false => KnownFrom::Columns,
            },
            groups: column_of_groups(&groups),
        })
    }

    /// Reads a folder with one folder of images for each person, in the order of their names. Hidden files and files
    /// without an image's ending are ignored. Fails where there is no image or a name is not UTF-8.
    pub fn read(root: &Path) -> Result<Self> {
        let (mut files, mut person_of) = (Vec::new(), Vec::new());
        let mut people = IndexSet::new();
        for folder in entries(root)?.iter().filter(|path| path.is_dir()) {
            for image in entries(folder)? {
                let extension = image.extension().unwrap_or_default().to_ascii_lowercase();
                if image.is_dir() || !EXTENSIONS.iter().any(|known| extension == *known) {
                    continue;
                }
                let file = image.strip_prefix(root).unwrap_or(&image).to_str();
                let (Some(file), Some(person)) = (file, folder.to_str()) else {
                    return Err(invalid(&image, "the name is not UTF-8"));
                };
                files.push(file.to_owned());
                person_of.push(index(&mut people, person) as u32);
            }
        }
        if files.is_empty() {
            let reason = "no images found; expected one folder of images for each person";
            return Err(invalid(root, reason));
        }
        Ok(Self {
            files,
            person_of,
            known_from: KnownFrom::Folders,
            groups: None,
        })
    }

    /// Returns the number of people.
    #[must_use]
    pub fn count(&self) -> usize {
        self.person_of.iter().max().map_or(0, |last| *last as usize + 1)
    }

    /// Returns the person that an image shows.
    pub(crate) fn person(&self, image: usize) -> u32 {
        self.person_of.get(image).copied().unwrap_or_default()
    }

    /// Returns the path of an image.
    pub(crate) fn file(&self, image: usize) -> &str {
        self.files.get(image).map_or("", String::as_str)
    }
}

/// Two images, and whether they show the same person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Index into [`People::files`].
    pub left: usize,
    /// Index into [`People::files`].
    pub right: usize,
    /// Whether both show the same person.
    pub same: bool,
}

/// A list of comparisons, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairList {
    /// The distinct images in the order in which they first appear.
    pub people: People,
    /// The comparisons.
    pub pairs: Vec<Pair>,
    /// The fold of each comparison, counted from 0, where the list has a column `fold`.
    pub folds: Option<Vec<usize>>,
}

impl PairList {
    /// Reads a CSV file with the columns `left`, `right` and `label` (1 = same person, 0 = different people), found by name,
    /// and optionally `fold`, `left_person` and `right_person`, `left_group` and `right_group`. Other columns are ignored.
    /// Fails with [`EvaluationError::List`] for an invalid line, with [`EvaluationError::Input`] where there is no pair.
    pub fn read(path: &Path) -> Result<Self> {
        let (mut files, mut people, mut fold_names) = (IndexSet::new(), IndexSet::new(), IndexSet::new());
        let (mut pairs, mut folds) = (Vec::new(), Vec::new());
        let (mut by_column, mut group_of) = (HashMap::new(), HashMap::new());
        let columns = ["left", "right", "label"];
        let optional = ["fold", "left_person", "right_person", "left_group", "right_group"];
        read_csv(path, &columns, &optional, |row| {
            let pair = Pair {
                left: index(&mut files, row.get("left")),
                right: index(&mut files, row.get("right")),
                same: match row.get("label") {
                    "1" => Ok(true),
                    "0" => Ok(false),
                    other => Err(format!(
                        "label is {other:?}; use 1 (same person) or 0 (different people)"
                    )),
                }?,
            };
            pairs.push(pair);
            if !row.get("fold").is_empty() {
                folds.push(index(&mut fold_names, row.get("fold")));
            }
            match (row.get("left_group"), row.get("right_group")) {
                ("", "") => {}
                ("", _) | (_, "") => return Err("left_group and right_group need each other".to_owned()),
                (left, right) => {
                    for (file, group) in [(pair.left, left), (pair.right, right)] {
                        if group_of.entry(file).or_insert_with(|| group.to_owned()) != group {
                            return Err("an image has another group in a line above".to_owned());
                        }
                    }
                }
            }
            let people_of = match (row.get("left_person"), row.get("right_person")) {
                ("", "") => return Ok(()),
                ("", _) | (_, "") => return Err("left_person and right_person need each other".to_owned()),
                people => people,
            };
            if (people_of.0 == people_of.1) != pair.same {
                return Err("the label contradicts left_person and right_person".to_owned());
            }
            for (file, person) in [(pair.left, people_of.0), (pair.right, people_of.1)] {
                let person = index(&mut people, person) as u32;
                if *by_column.entry(file).or_insert(person) != person {
                    return Err("an image has another person in a line above".to_owned());
                }
            }
            Ok(())
        })?;
        if pairs.is_empty() {
            return Err(invalid(path, "the list has no pair"));
        }
        let files = Vec::from_iter(files);
        let by_column = (0..files.len()).map(|file| by_column.get(&file).copied());
        let by_column: Option<Vec<u32>> = by_column.collect();
        let (person_of, known_from) = if let Some(person_of) = by_column {
            (person_of, KnownFrom::Columns)
        } else if let Some(person_of) = by_folder(&files, &pairs) {
            (person_of, KnownFrom::Folders)
        } else {
            (by_genuine_pairs(files.len(), &pairs), KnownFrom::GenuinePairs)
        };
        let groups = (0..files.len()).map(|file| group_of.get(&file).map(String::as_str));
        let groups: Option<Vec<&str>> = groups.collect();
        Ok(Self {
            people: People {
                files,
                person_of,
                known_from,
                groups: groups.map(Groups::new),
            },
            pairs,
            folds: (!folds.is_empty()).then_some(folds),
        })
    }

    /// Returns the images of the list, to compare each with all others. Fails where the people are known from the genuine
    /// pairs only, which is not certain enough.
    pub fn into_people(self) -> Result<People> {
        if self.people.known_from == KnownFrom::GenuinePairs {
            return Err(EvaluationError::Input(
                "comparing all pairs needs the person of each image: one folder for each person, or the columns \
                 left_person and right_person"
                    .to_owned(),
            ));
        }
        Ok(self.people)
    }
}

/// Returns the people where every image is in a folder and no label contradicts that each folder is a person.
fn by_folder(files: &[String], pairs: &[Pair]) -> Option<Vec<u32>> {
    let mut folders = IndexSet::new();
    let mut person_of = Vec::with_capacity(files.len());
    for file in files {
        let folder = Path::new(file).parent()?.to_str()?;
        if folder.is_empty() {
            return None;
        }
        person_of.push(index(&mut folders, folder) as u32);
    }
    let agrees = |pair: &Pair| (person_of.get(pair.left) == person_of.get(pair.right)) == pair.same;
    pairs.iter().all(agrees).then_some(person_of)
}

/// Returns the people where images that genuine pairs link show one person.
fn by_genuine_pairs(files: usize, pairs: &[Pair]) -> Vec<u32> {
    // Union-find; every chain ends at its lowest member.
    let mut parent: Vec<usize> = (0..files).collect();
    let root = |parent: &[usize], mut index: usize| {
        while let Some(&above) = parent.get(index)
            && above != index
        {
            index = above;
        }
        index
    };
    for pair in pairs.iter().filter(|pair| pair.same) {
        let (a, b) = (root(&parent, pair.left), root(&parent, pair.right));
        if let Some(above) = parent.get_mut(a.max(b)) {
            *above = a.min(b);
        }
    }
    let mut roots = IndexSet::new();
    let mut number = |file| roots.insert_full(root(&parent, file)).0 as u32;
    (0..files).map(&mut number).collect()
}

/// A list of presentations, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelList {
    /// Paths of the images, relative to the root of the evaluation.
    pub files: Vec<String>,
    /// The species of each file, [`LIVE`] for bona fide presentations.
    pub species: Vec<String>,
    /// The subject of each file, counted from 0: the column `person`, or each file a subject of its own.
    pub subjects: Vec<u32>,
    /// Whether the list has a column `person`.
    pub has_people: bool,
    /// The group of each file, where they have any.
    pub groups: Option<Groups>,
}

impl LabelList {
    /// Reads a CSV file with the columns `file` and `species` (`live` for bona fide, any other word names the attack
    /// species), found by name, and optionally `person` and `group`. Fails with [`EvaluationError::List`] for an invalid line, with
    /// [`EvaluationError::Input`] where there is no presentation.
    pub fn read(path: &Path) -> Result<Self> {
        let (mut species, mut subjects, mut groups) = (Vec::new(), Vec::new(), Vec::new());
        let (mut files, mut people) = (IndexSet::new(), IndexSet::new());
        read_csv(path, &["file", "species"], &["person", "group"], |row| {
            let number = add_file(&mut files, row)?;
            groups.push(row.get("group").to_owned());
            species.push(row.get("species").to_owned());
            subjects.push(match row.get("person") {
                "" => number,
                person => index(&mut people, person) as u32,
            });
            Ok(())
        })?;
        if files.is_empty() {
            return Err(invalid(path, "the list has no presentation"));
        }
        Ok(Self {
            files: Vec::from_iter(files),
            species,
            subjects,
            has_people: !people.is_empty(),
            groups: column_of_groups(&groups),
        })
    }
}

/// Adds the file of a row to those above, and returns its index.
pub(crate) fn add_file(files: &mut IndexSet<String>, row: &Row<'_>) -> Result<u32, String> {
    let (index, is_new) = files.insert_full(row.get("file").to_owned());
    match is_new {
        true => Ok(index as u32),
        false => Err(format!("{} is already in a line above", row.get("file"))),
    }
}

/// Returns the groups of a column; `None` where a list has no such column, so that all are empty.
fn column_of_groups(names: &[String]) -> Option<Groups> {
    let has_column = names.iter().any(|name| !name.is_empty());
    has_column.then(|| Groups::new(names.iter().map(String::as_str)))
}

/// Returns the images of a folder and of the folders in it, in the order of their names. Hidden files and files without an
/// image's ending are ignored, and links to folders are not followed. Fails where there is none or a name is not UTF-8.
pub(crate) fn find_images(root: &Path) -> Result<Vec<String>> {
    let (mut files, mut rest) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = rest.pop() {
        for path in entries(&folder)? {
            let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
            if path.is_dir() {
                if !path.is_symlink() {
                    rest.push(path);
                }
            } else if EXTENSIONS.iter().any(|known| extension == *known) {
                let file = path.strip_prefix(root).unwrap_or(&path).to_str();
                let file = file.ok_or_else(|| invalid(&path, "the name is not UTF-8"))?;
                files.push(file.to_owned());
            }
        }
    }
    if files.is_empty() {
        return Err(invalid(root, "no images found"));
    }
    files.sort();
    Ok(files)
}

pub(crate) fn invalid(path: &Path, reason: &str) -> EvaluationError {
    EvaluationError::Input(format!("{}: {reason}", path.display()))
}

/// Returns the index of a name among distinct names in the order in which they first appear.
pub(crate) fn index(names: &mut IndexSet<String>, name: &str) -> usize {
    match names.get_index_of(name) {
        Some(index) => index,
        None => names.insert_full(name.to_owned()).0,
    }
}

/// Returns the entries of a folder by name, without hidden ones.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(EvaluationError::file(folder))? {
        let entry = entry.map_err(EvaluationError::file(folder))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// The header and a row of a CSV file, in which no known column is empty.
pub(crate) struct Row<'a>(&'a StringRecord, &'a StringRecord);

impl<'a> Row<'a> {
    /// Returns a field by the name of its column; empty where the file has no such column.
    pub(crate) fn get(&self, name: &str) -> &'a str {
        let column = self.0.iter().position(|column| column == name);
        column.and_then(|column| self.1.get(column)).unwrap_or_default()
    }
}

/// Calls `visit` for each row of a CSV file. An error that it returns is reported with the row's line.
pub(crate) fn read_csv(
    path: &Path,
    required: &[&str],
    optional: &[&str],
    mut visit: impl FnMut(&Row<'_>) -> Result<(), String>,
) -> Result<()> {
    let bytes = std::fs::read(path).map_err(EvaluationError::file(path))?;
    // The reader's own line numbers do not count the empty lines before a record.
    let fault = |position: Option<&csv::Position>, reason: String| {
        let begin = position.map_or(0, csv::Position::byte) as usize;
        let (before, rest) = bytes.split_at_checked(begin).unwrap_or((&bytes, &[]));
        let empty = rest.iter().take_while(|byte| b"\r\n".contains(byte));
        EvaluationError::List {
            path: path.to_owned(),
            line: 1 + before.iter().chain(empty).filter(|&&byte| byte == b'\n').count() as u64,
            reason,
        }
    };
    let malformed = |error: csv::Error| {
        let reason = match error.kind() {
            csv::ErrorKind::UnequalLengths {
                expected_len, len, ..
            } => format!("{len} fields, but the header has {expected_len}"),
            csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
            _ => error.to_string(),
        };
        fault(error.position(), reason)
    };
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(bytes.as_slice());
    let header = reader.headers().map_err(malformed)?.clone();
    let known = |name: &&str| header.iter().any(|column| column == *name);
    if let Some(missing) = required.iter().find(|name| !known(name)) {
        return Err(fault(None, format!("the header has no column {missing:?}")));
    }
    let columns: Vec<&str> = required.iter().chain(optional).copied().filter(known).collect();
    for record in reader.into_records() {
        let record = record.map_err(malformed)?;
        let row = Row(&header, &record);
        let visited = match columns.iter().find(|name| row.get(name).is_empty()) {
            Some(empty) => Err(format!("{empty} is empty")),
            None => visit(&row),
        };
        visited.map_err(|reason| fault(record.position(), reason))?;
    }
    Ok(())
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
    fn columns_are_found_by_name_and_images_are_listed_once() {
        let list =
            read(b"\xef\xbb\xbflabel, right ,note,left\r\n1,b.jpg,x,a.jpg\r\n0, c.jpg ,\"y, z\",a.jpg\r\n")
                .unwrap();
        assert_eq!(list.people.files, ["a.jpg", "b.jpg", "c.jpg"]);
        let pair = |left, right, same| Pair { left, right, same };
        assert_eq!(list.pairs, [pair(0, 1, true), pair(0, 2, false)]);
        assert_eq!(list.folds, None);
        assert_eq!(list.people.known_from, KnownFrom::GenuinePairs);
        assert_eq!(list.people.person_of, [0, 0, 1]);
    }

    #[test]
    fn an_invalid_line_is_reported_with_its_number() {
        for (text, expected) in [
            ("left,right\na,b\n", ":1: the header has no column \"label\""),
            ("left,right,label\na,b,1\na,b,2\n", ":3: label is \"2\""),
            ("left,right,label\na,b\n", ":2: 2 fields, but the header has 3"),
            ("left,right,label\n\n\na,,1\n", ":4: right is empty"),
            ("left,right,label,fold\na,b,1,\n", ":2: fold is empty"),
            ("left,right,label\n", "the list has no pair"),
            ("", ":1: the header has no column \"left\""),
            (
                "left,right,label,left_person\na,b,1,x\n",
                ":2: left_person and right_person need each other",
            ),
            (
                "left,right,label,left_person,right_person\na,b,1,x,y\n",
                ":2: the label contradicts",
            ),
            (
                "left,right,label,left_person,right_person\na,b,1,x,x\na,c,0,y,x\n",
                ":3: an image has another person",
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
    fn folders_are_people_unless_a_label_contradicts() {
        let people = read(b"left,right,label\np/1,p/2,1\np/1,q/1,0\nq/2,r/1,0\n")
            .unwrap()
            .people;
        assert_eq!((people.known_from, people.count()), (KnownFrom::Folders, 3));
        assert_eq!(people.person_of, [0, 0, 1, 1, 2]);
        let list = read(b"left,right,label\nx/1,x/2,1\nx/1,x/3,0\n").unwrap();
        assert_eq!(list.people.known_from, KnownFrom::GenuinePairs);
        assert_eq!(list.people.count(), 2);
        assert!(list.into_people().is_err());
    }

    #[test]
    fn images_linked_by_genuine_pairs_show_one_person() {
        let list = read(b"left,right,label\na,b,1\nc,d,1\ne,f,0\nd,a,1\n").unwrap();
        assert_eq!(list.people.person_of, [0, 0, 0, 0, 1, 2]);
    }

    #[test]
    fn columns_name_the_people() {
        let list =
            read(b"left,right,label,left_person,right_person\na,b,0,x,y\nc,b,1,y,y\nd,a,1,x,x\n").unwrap();
        assert_eq!(list.people.known_from, KnownFrom::Columns);
        assert_eq!(list.into_people().unwrap().person_of, [0, 1, 1, 0]);
    }

    #[test]
    fn a_folder_is_a_person_and_only_images_count() {
        let root = tempfile::tempdir().unwrap();
        for (folder, files) in [
            ("b", &["2.jpg", "1.PNG", "notes.txt"][..]),
            ("a", &["x.webp"]),
            (".hidden", &["x.jpg"]),
            ("empty", &[]),
        ] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
            for file in files {
                std::fs::write(root.path().join(folder).join(file), b"").unwrap();
            }
        }
        std::fs::write(root.path().join("loose.jpg"), b"").unwrap();
        let people = People::read(root.path()).unwrap();
        assert_eq!(people.files, ["a/x.webp", "b/1.PNG", "b/2.jpg"]);
        assert_eq!((people.person_of.as_slice(), people.count()), (&[0, 1, 1][..], 2));
    }

    #[test]
    fn a_list_of_images_has_people_and_groups_where_it_names_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.csv");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            People::read_list(&path)
        };
        let people = read("file,source\na,x\nb,x\n").unwrap();
        assert_eq!(
            (people.known_from, people.person_of),
            (KnownFrom::Images, vec![0, 1])
        );
        assert_eq!(people.groups, None);
        let people = read("group,file,person\nx,a,p\ny,b,q\nx,c,p\n").unwrap();
        assert_eq!(
            (people.known_from, people.person_of),
            (KnownFrom::Columns, vec![0, 1, 0])
        );
        assert_eq!(people.groups, Some(Groups::new(["x", "y", "x"])));
        for (text, expected) in [
            ("file\n", "the list has no image"),
            ("file,group\na,\n", ":2: group is empty"),
            ("file\na\na\n", ":3: a is already in a line above"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn every_image_needs_a_group_and_groups_of_other_files_are_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("groups.csv");
        let files = ["b", "a", "c"].map(str::to_owned);
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Groups::read(&path, &files)
        };
        let groups = read("file,group\na,x\nb,y\nc,x\nd,z\n").unwrap();
        assert_eq!(
            (groups.names.as_slice(), groups.group_of.as_slice()),
            (&["y".to_owned(), "x".to_owned()][..], &[0, 1, 1][..])
        );
        let of: Vec<&i32> = groups.of_group(1, &[10, 20, 30]).collect();
        assert_eq!(of, [&20, &30]);
        for (text, expected) in [
            ("file,group\nb,x\n", "2 of the 3 images have no group, first a"),
            ("file,group\na,x\na,y\n", ":3: a is already in a line above"),
            ("file\na\n", ":1: the header has no column \"group\""),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_list_of_pairs_names_groups_by_columns() {
        let list = read(b"left,right,label,left_group,right_group\na,b,0,x,y\nc,b,0,x,y\n").unwrap();
        assert_eq!(list.people.groups, Some(Groups::new(["x", "y", "x"])));
        for (text, expected) in [
            (
                "left,right,label,left_group,right_group\na,b,0,x,y\na,c,0,y,y\n",
                ":3: an image has another group in a line above",
            ),
            (
                "left,right,label,left_group\na,b,0,x\n",
                ":2: left_group and right_group need each other",
            ),
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
        let list = read_labels("species,file,group\nprint,a,x\nlive,b,y\n").unwrap();
        assert_eq!(list.groups, Some(Groups::new(["x", "y"])));
    }

    #[test]
    fn a_folder_without_people_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let error = People::read(root.path()).unwrap_err().to_string();
        assert!(error.contains("one folder of images for each person"), "{error}");
        assert!(matches!(
            People::read(&root.path().join("absent")),
            Err(EvaluationError::File { .. })
        ));
    }

    fn read_labels(text: &str) -> Result<LabelList, EvaluationError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.csv");
        std::fs::write(&path, text).unwrap();
        LabelList::read(&path)
    }

    #[test]
    fn presentations_are_listed_in_their_order() {
        let list = read_labels("species,file\nprint,a\nlive,b\nprint,c\n").unwrap();
        assert_eq!(list.files, ["a", "b", "c"]);
        assert_eq!(list.species, ["print", LIVE, "print"]);
        assert_eq!((list.subjects, list.has_people), (vec![0, 1, 2], false));
        let list = read_labels("species,file,person\nprint,a,x\nlive,b,y\nprint,c,x\n").unwrap();
        assert_eq!((list.subjects, list.has_people), (vec![0, 1, 0], true));
    }

    #[test]
    fn an_invalid_label_is_reported_with_its_line() {
        for (text, expected) in [
            ("file\na\n", ":1: the header has no column \"species\""),
            ("file,species\na,\n", ":2: species is empty"),
            (
                "file,species\na,live\n\na,print\n",
                ":4: a is already in a line above",
            ),
            ("file,species\n", "the list has no presentation"),
        ] {
            let error = read_labels(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}
