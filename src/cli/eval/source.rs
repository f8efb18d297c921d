//! The input of `eval` and `calibrate`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use likeness_evaluation::{FaceChoice, Groups, LabelList, PairList, People};

use crate::cli::Failure;

/// Images to compare.
#[derive(Debug, Args)]
pub(crate) struct MatchSource {
    /// CSV list with left, right, label (1 = same person, 0 = not); optional: fold, left_person and
    /// right_person, left_group and right_group.
    #[arg(
        long,
        value_name = "CSV",
        required_unless_present_any = ["people", "list", "images"],
        conflicts_with_all = ["people", "list", "images"]
    )]
    pairs: Option<PathBuf>,
    /// Folder with one folder of images for each person; compares all pairs of images.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["list", "images"])]
    people: Option<PathBuf>,
    /// CSV list with file; optional: person, else each image counts as a person of its own, and group; compares all pairs of
    /// images.
    #[arg(long, value_name = "CSV", conflicts_with = "images")]
    list: Option<PathBuf>,
    /// Folder of images, with folders in it, each image a person of its own; compares all pairs of images.
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Root of the paths in CSV files [default: the folder of the file].
    #[arg(long, value_name = "DIR", conflicts_with_all = ["people", "images"])]
    root: Option<PathBuf>,
    /// Compare all pairs of images of --pairs instead of its own pairs.
    #[arg(long, conflicts_with_all = ["people", "list", "images"])]
    all_pairs: bool,
    /// Face of an image that counts.
    #[arg(long, value_enum, default_value_t = Face::Largest)]
    face: Face,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Face {
    /// The largest: the engine's primary face.
    Largest,
    /// The one nearest to the image's centre: LFW's subject.
    Centre,
}

impl Face {
    pub(crate) fn choice(self) -> FaceChoice {
        match self {
            Self::Largest => FaceChoice::Largest,
            Self::Centre => FaceChoice::Centre,
        }
    }
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

impl Comparisons {
    fn people(&mut self) -> &mut People {
        match self {
            Self::All(people) => people,
            Self::Pairs(list) => &mut list.people,
        }
    }
}

/// Groups of images, for error rates by group.
#[derive(Debug, Args)]
pub(crate) struct GroupSource {
    /// CSV file with file and group, any labels: error rates by group. Takes precedence over groups in the list.
    #[arg(long, value_name = "CSV")]
    groups: Option<PathBuf>,
}

impl GroupSource {
    /// Reads the groups of the images to compare.
    pub(crate) fn add_to_match(&self, work: &mut Work<'_, Comparisons>) -> Result<(), Failure> {
        let people = work.list.people();
        self.add_to(&people.files, &mut people.groups)
    }

    /// Reads the groups of presentations.
    pub(crate) fn add_to_liveness(&self, work: &mut Work<'_, LabelList>) -> Result<(), Failure> {
        self.add_to(&work.list.files, &mut work.list.groups)
    }

    fn add_to(&self, files: &[String], groups: &mut Option<Groups>) -> Result<(), Failure> {
        if let Some(path) = &self.groups {
            *groups = Some(Groups::read(path, files)?);
        }
        Ok(())
    }
}

impl MatchSource {
    pub(crate) fn face(&self) -> FaceChoice {
        self.face.choice()
    }

    /// Reads the list or the folder, but no image.
    pub(crate) fn read(&self) -> Result<Work<'_, Comparisons>, Failure> {
        let (source, root, list) = match (&self.people, &self.list, &self.images, &self.pairs) {
            (Some(people), ..) => (people, people.as_path(), Comparisons::All(People::read(people)?)),
            (_, Some(list), ..) => {
                let people = People::read_list(list)?;
                (list, root(self.root.as_deref(), list), Comparisons::All(people))
            }
            (.., Some(images), _) => {
                let people = People::find_images(images)?;
                (images, images.as_path(), Comparisons::All(people))
            }
            (.., Some(pairs)) => {
                let list = PairList::read(pairs)?;
                let list = if self.all_pairs {
                    Comparisons::All(list.into_people()?)
                } else {
                    Comparisons::Pairs(list)
                };
                (pairs, root(self.root.as_deref(), pairs), list)
            }
            // The arguments require one of them.
            (None, None, None, None) => {
                return Err("--pairs, --people, --list or --images is required".into());
            }
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
    /// CSV list with file, species (live = bona fide, any other word = the attack species); optional: person, group.
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

pub(crate) fn root<'a>(root: Option<&'a Path>, list: &'a Path) -> &'a Path {
    root.unwrap_or_else(|| list.parent().unwrap_or(Path::new("")))
}

/// The part of a path as text, or the whole path where it has no such part.
fn text(part: Option<&OsStr>, path: &Path) -> String {
    part.unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
