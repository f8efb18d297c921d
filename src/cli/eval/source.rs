//! The input of `eval` and `calibrate`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use likeness_evaluation::{FaceChoice, LabelList, PairList, People};

use crate::cli::Failure;

/// Images to compare.
#[derive(Debug, Args)]
pub(crate) struct MatchSource {
    /// CSV list with left, right, label (1 = same person, 0 = not); optional: fold, left_person and right_person.
    #[arg(
        long,
        value_name = "CSV",
        required_unless_present = "people",
        conflicts_with = "people"
    )]
    pairs: Option<PathBuf>,
    /// Folder with one folder of images for each person; compares all pairs of images.
    #[arg(long, value_name = "DIR")]
    people: Option<PathBuf>,
    /// Root of the paths in CSV files [default: the folder of the file].
    #[arg(long, value_name = "DIR", conflicts_with = "people")]
    root: Option<PathBuf>,
    /// Compare all pairs of images of the list instead of its own pairs.
    #[arg(long, conflicts_with = "people")]
    all_pairs: bool,
    /// Face of an image that counts.
    #[arg(long, value_enum, default_value_t = Face::Largest)]
    face: Face,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Face {
    /// The largest: the engine's primary face.
    Largest,
    /// The one nearest to the image's centre: LFW's subject.
    Centre,
}

/// What to evaluate, read and checked.
pub(crate) struct Work<'a, L> {
    /// Name of the list or folder, without extension.
    pub(crate) name: String,
    /// Description for reports.
    pub(crate) data: String,
    /// Root of the paths.
    pub(crate) root: &'a Path,
    pub(crate) list: L,
}

pub(crate) enum Comparisons {
    All(People),
    Pairs(PairList),
}

impl MatchSource {
    pub(crate) fn face(&self) -> FaceChoice {
        match self.face {
            Face::Largest => FaceChoice::Largest,
            Face::Centre => FaceChoice::Centre,
        }
    }

    /// Reads the list or the folder, but no image.
    pub(crate) fn read(&self) -> Result<Work<'_, Comparisons>, Failure> {
        let (source, root, list) = match (&self.people, &self.pairs) {
            (Some(people), _) => (people, people.as_path(), Comparisons::All(People::read(people)?)),
            (None, Some(pairs)) => {
                let list = PairList::read(pairs)?;
                let list = if self.all_pairs {
                    Comparisons::All(list.into_people()?)
                } else {
                    Comparisons::Pairs(list)
                };
                (pairs, root(self.root.as_deref(), pairs), list)
            }
            // The arguments require one of the two.
            (None, None) => return Err("--pairs or --people is required".into()),
        };
        let pairs = match list {
            Comparisons::All(_) => "all pairs of the images of",
            Comparisons::Pairs(_) => "the pairs of",
        };
        let face = match self.face {
            Face::Largest => "largest face",
            Face::Centre => "face nearest the centre",
        };
        Ok(Work {
            name: text(source.file_stem(), source),
            data: format!("{pairs} {}, {face}", text(source.file_name(), source)),
            root,
            list,
        })
    }
}

/// Presentations to score.
#[derive(Debug, Args)]
pub(crate) struct LivenessSource {
    /// CSV list with file, species (live = bona fide, any other word = the attack species); optional: person.
    #[arg(long, value_name = "CSV")]
    labels: PathBuf,
    /// Root of the paths in the CSV file [default: the folder of the file].
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

impl LivenessSource {
    /// Reads the list, but no image.
    pub(crate) fn read(&self) -> Result<Work<'_, LabelList>, Failure> {
        let labels = &self.labels;
        Ok(Work {
            name: text(labels.file_stem(), labels),
            data: format!("the presentations of {}", text(labels.file_name(), labels)),
            root: root(self.root.as_deref(), labels),
            list: LabelList::read(labels)?,
        })
    }
}

fn root<'a>(root: Option<&'a Path>, list: &'a Path) -> &'a Path {
    root.unwrap_or_else(|| list.parent().unwrap_or(Path::new("")))
}

/// The part of a path as text, or the whole path where it has no such part.
fn text(part: Option<&OsStr>, path: &Path) -> String {
    part.unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
