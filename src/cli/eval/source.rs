//! The input of `eval` and `calibrate`.

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

/// Comparisons to make, read and checked.
pub(crate) struct MatchWork {
    /// Name of the list or folder, without extension.
    pub(crate) name: String,
    /// Description for reports.
    pub(crate) data: String,
    /// Root of the paths.
    pub(crate) root: PathBuf,
    pub(crate) face: FaceChoice,
    pub(crate) comparisons: Comparisons,
}

pub(crate) enum Comparisons {
    All(People),
    Pairs(PairList),
}

impl MatchSource {
    /// Reads the list or the folder, but no image.
    pub(crate) fn read(&self) -> Result<MatchWork, Failure> {
        let (source, root, comparisons) = match (&self.people, &self.pairs) {
            (Some(people), _) => (people, people.as_path(), Comparisons::All(People::read(people)?)),
            (None, Some(pairs)) => {
                let list = PairList::read(pairs)?;
                let comparisons = if self.all_pairs {
                    Comparisons::All(list.into_people()?)
                } else {
                    Comparisons::Pairs(list)
                };
                (pairs, root(self.root.as_deref(), pairs), comparisons)
            }
            // The arguments require one of the two.
            (None, None) => return Err("--pairs or --people is required".into()),
        };
        let pairs = match comparisons {
            Comparisons::All(_) => "all pairs of the images of",
            Comparisons::Pairs(_) => "the pairs of",
        };
        let face = self.face.choice();
        let which = match self.face {
            Face::Largest => "largest face",
            Face::Centre => "face nearest the centre",
        };
        Ok(MatchWork {
            name: stem(source),
            data: format!("{pairs} {}, {which}", file_name(source)),
            root: root.to_owned(),
            face,
            comparisons,
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

/// Presentations, read and checked.
pub(crate) struct LivenessWork<'a> {
    /// Name of the list, without extension.
    pub(crate) name: String,
    /// Description for reports.
    pub(crate) data: String,
    /// Root of the paths.
    pub(crate) root: &'a Path,
    pub(crate) list: LabelList,
}

impl LivenessSource {
    /// Reads the list, but no image.
    pub(crate) fn read(&self) -> Result<LivenessWork<'_>, Failure> {
        Ok(LivenessWork {
            name: stem(&self.labels),
            data: format!("the presentations of {}", file_name(&self.labels)),
            root: root(self.root.as_deref(), &self.labels),
            list: LabelList::read(&self.labels)?,
        })
    }
}

pub(crate) fn root<'a>(root: Option<&'a Path>, list: &'a Path) -> &'a Path {
    root.unwrap_or_else(|| list.parent().unwrap_or(Path::new("")))
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

fn stem(path: &Path) -> String {
    let name = path.file_stem().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}
