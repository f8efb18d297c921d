//! What `eval` and `calibrate` measure on.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use likeness_evaluation::{FaceChoice, LabelList, PairList, People};

use crate::cli::Failure;

/// Pictures to compare.
#[derive(Debug, Args)]
pub(crate) struct MatchSource {
    /// CSV file with the columns left, right and label (1 = same person, 0 = not); optionally fold, or left_person and
    /// right_person.
    #[arg(
        long,
        value_name = "CSV",
        required_unless_present = "people",
        conflicts_with = "people"
    )]
    pairs: Option<PathBuf>,
    /// A folder with a folder of pictures for each person: every picture is compared with every other.
    #[arg(long, value_name = "DIR")]
    people: Option<PathBuf>,
    /// Where the paths in CSV files begin [default: the folder of the file].
    #[arg(long, value_name = "DIR", conflicts_with = "people")]
    root: Option<PathBuf>,
    /// Compare every picture of the pairs with every other instead of the pairs alone.
    #[arg(long, conflicts_with = "people")]
    all_pairs: bool,
    /// Which face of a picture counts.
    #[arg(long, value_enum, default_value_t = Face::Largest)]
    face: Face,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Face {
    /// The largest, as the engine judges.
    Largest,
    /// The one nearest the picture's centre, as LFW has it.
    Centre,
}

/// What is to be compared, read and checked.
pub(crate) struct MatchWork {
    /// Name of the list or folder, without its ending.
    pub(crate) name: String,
    /// What reports say of it.
    pub(crate) data: String,
    /// Where its paths begin.
    pub(crate) root: PathBuf,
    pub(crate) face: FaceChoice,
    pub(crate) comparisons: Comparisons,
}

pub(crate) enum Comparisons {
    All(People),
    Pairs(PairList),
}

impl MatchSource {
    /// Reads the list or the folder, no picture.
    pub(crate) fn read(&self) -> Result<MatchWork, Failure> {
        let (source, root, comparisons) = match (&self.people, &self.pairs) {
            (Some(people), _) => (people, people.as_path(), Comparisons::All(People::read(people)?)),
            (None, Some(pairs)) => {
                let list = PairList::read(pairs)?;
                let comparisons = if self.all_pairs {
                    Comparisons::All(People::of_list(list)?)
                } else {
                    Comparisons::Pairs(list)
                };
                (pairs, root(self.root.as_deref(), pairs), comparisons)
            }
            // The arguments ask for one of the two.
            (None, None) => return Err("--pairs or --people is needed".into()),
        };
        let pairs = match comparisons {
            Comparisons::All(_) => "all pairs of the pictures of",
            Comparisons::Pairs(_) => "the pairs of",
        };
        let (face, which) = match self.face {
            Face::Largest => (FaceChoice::Largest, "largest face"),
            Face::Centre => (FaceChoice::Centre, "face nearest the centre"),
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
    /// CSV file with the columns file and species (live for bona fide, any other word names the attack species);
    /// optionally person.
    #[arg(long, value_name = "CSV")]
    labels: PathBuf,
    /// Where the paths in the CSV file begin [default: the folder of the file].
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

/// Presentations, read and checked.
pub(crate) struct LivenessWork<'a> {
    /// Name of the list, without its ending.
    pub(crate) name: String,
    /// What reports say of it.
    pub(crate) data: String,
    /// Where its paths begin.
    pub(crate) root: &'a Path,
    pub(crate) list: LabelList,
}

impl LivenessSource {
    /// Reads the list, no picture.
    pub(crate) fn read(&self) -> Result<LivenessWork<'_>, Failure> {
        Ok(LivenessWork {
            name: stem(&self.labels),
            data: format!("the presentations of {}", file_name(&self.labels)),
            root: root(self.root.as_deref(), &self.labels),
            list: LabelList::read(&self.labels)?,
        })
    }
}

fn root<'a>(root: Option<&'a Path>, list: &'a Path) -> &'a Path {
    root.unwrap_or_else(|| list.parent().unwrap_or(Path::new("")))
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}
