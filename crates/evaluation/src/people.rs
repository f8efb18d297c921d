//! A folder a person.

use std::path::{Path, PathBuf};

use crate::lists::Names;
use crate::{EvaluationError, KnownFrom, PairList};

/// Pictures, each with the person whom it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct People {
    /// The pictures' paths below the root.
    pub files: Vec<String>,
    /// Whose picture each of `files` is, counted from 0.
    pub person_of: Vec<u32>,
}

/// Names of files that are taken for pictures; anything else in a person's folder is left alone.
const EXTENSIONS: [&str; 9] = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "gif", "jpe"];

impl People {
    /// Every picture in the folders of a folder, by name: each folder is a person. Hidden files and files that are not
    /// named like a picture are left alone.
    ///
    /// # Errors
    /// [`EvaluationError::File`] where a folder cannot be read, [`EvaluationError::Input`] where there is no picture or a
    /// name is not UTF-8.
    pub fn read(root: &Path) -> Result<Self, EvaluationError> {
        let (mut files, mut person_of) = (Vec::new(), Vec::new());
        let mut people = Names::default();
        for folder in entries(root)? {
            if !folder.is_dir() {
                continue;
            }
            for picture in entries(&folder)? {
                let extension = picture.extension().unwrap_or_default().to_ascii_lowercase();
                if picture.is_dir() || !EXTENSIONS.iter().any(|known| extension == *known) {
                    continue;
                }
                let relative = picture.strip_prefix(root).unwrap_or(&picture);
                let (Some(name), Some(person)) = (relative.to_str(), folder.to_str()) else {
                    return Err(EvaluationError::Input(format!(
                        "{}: a name that is not UTF-8",
                        picture.display()
                    )));
                };
                files.push(name.to_owned());
                person_of.push(people.index(person) as u32);
            }
        }
        if files.is_empty() {
            return Err(EvaluationError::Input(format!(
                "{}: there is no picture in any of its folders (a folder a person is needed)",
                root.display()
            )));
        }
        Ok(Self { files, person_of })
    }

    /// The pictures of a list, for comparing all with all.
    ///
    /// # Errors
    /// [`EvaluationError::Input`] where it is not known for certain whose pictures are whose.
    pub fn of_list(list: PairList) -> Result<Self, EvaluationError> {
        if list.known_from == KnownFrom::GenuinePairs {
            return Err(EvaluationError::Input(
                "all pairs can be compared only where it is known whose picture each is: by a folder a person or by \
                 the columns left_person and right_person"
                    .to_owned(),
            ));
        }
        Ok(Self {
            files: list.files,
            person_of: list.person_of,
        })
    }

    /// How many people there are.
    #[must_use]
    pub fn people(&self) -> usize {
        self.person_of.iter().max().map_or(0, |last| *last as usize + 1)
    }
}

/// What is in a folder, by name, without what is hidden.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, EvaluationError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_a_person_and_only_pictures_count() {
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
        assert_eq!(
            (people.person_of.as_slice(), people.people()),
            (&[0, 1, 1][..], 2)
        );
    }

    #[test]
    fn a_folder_without_people_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let error = People::read(root.path()).unwrap_err().to_string();
        assert!(error.contains("a folder a person"), "{error}");
        assert!(matches!(
            People::read(&root.path().join("absent")),
            Err(EvaluationError::File { .. })
        ));
    }
}
