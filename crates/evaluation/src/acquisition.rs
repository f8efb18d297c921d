//! From files to embeddings, each file once.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use likeness_engine::detection::BoundingBox;
use likeness_engine::embedding::Embedding;
use likeness_engine::imaging::{self, Limits};
use likeness_engine::{EmbedOptions, EmbeddedFace, Engine, EngineError};
use serde::Serialize;

use crate::EvaluationError;
use crate::all_pairs::{AllPairs, row_length};
use crate::journal::{Journal, key};

/// What became of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// It has a face that was used.
    Ok,
    /// It is a picture without a face.
    NoFace,
    /// It is no usable picture: not an image, damaged, not supported or beyond the limits.
    BadPicture,
    /// The file is not there.
    Missing,
    /// The file is there and cannot be read.
    Unreadable,
}

impl Status {
    /// As `scores.csv` has it: `ok`, `no_face`, `bad_picture`, `missing`, `unreadable`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NoFace => "no_face",
            Self::BadPicture => "bad_picture",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
        }
    }

    /// Whether the system was shown something and could not use it: a failure to acquire. A file that is not there is a
    /// fault of the list.
    #[must_use]
    pub const fn is_failure_to_acquire(self) -> bool {
        matches!(self, Self::NoFace | Self::BadPicture)
    }
}

/// Which face of a picture counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaceChoice {
    /// The largest, which is the one that the engine judges.
    #[default]
    Largest,
    /// The one whose middle is nearest to that of the picture, which is LFW's subject; of all faces that a thorough
    /// search finds.
    Centre,
}

/// Who is told how far an evaluation is. Called from several threads.
pub trait Progress: Sync {
    /// So many pictures are to be looked at.
    fn begin(&self, pictures: usize);
    /// One more is done.
    fn advance(&self);
    /// All are done.
    fn end(&self);
}

/// Nobody is told.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn begin(&self, _: usize) {}
    fn advance(&self) {}
    fn end(&self) {}
}

/// What became of each picture; an embedding exactly where it was [`Status::Ok`].
#[derive(Clone, PartialEq)]
pub struct Acquisition {
    statuses: Vec<Status>,
    embeddings: Matrix,
}

impl std::fmt::Debug for Acquisition {
    // Embeddings are not shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acquisition")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

/// A row for each picture, where it is later compared from: the only place where its embedding is held.
#[derive(Clone, PartialEq, Default)]
struct Matrix {
    values: Vec<f32>,
    /// 0 until the first embedding says how long they are.
    dimensions: usize,
}

impl Matrix {
    fn set(&mut self, picture: usize, pictures: usize, embedding: &[f32]) -> Result<(), EngineError> {
        let row = row_length(embedding.len());
        if self.values.is_empty() {
            self.dimensions = embedding.len();
            // Pages of zeros take no memory before something is written to them.
            self.values = vec![0.0; row * pictures];
        }
        if embedding.len() != self.dimensions {
            let (found, dimensions) = (embedding.len(), self.dimensions);
            return Err(EngineError::Inference(
                format!("an embedding has {found} numbers, another {dimensions}").into(),
            ));
        }
        if let Some(place) = self
            .values
            .get_mut(picture * row..picture * row + embedding.len())
        {
            place.copy_from_slice(embedding);
        }
        Ok(())
    }
}

impl Acquisition {
    /// Embeds every picture, as many at a time as the engine has workers. The order of the results is that of the files,
    /// whichever thread does which. Memory holds the embeddings and one picture for each worker. What the journal has is
    /// taken from there, the rest is added to it.
    ///
    /// # Errors
    /// [`EvaluationError::Engine`] where a model fails, [`EvaluationError::File`] where the journal cannot be written.
    pub fn embed(
        engine: &Engine,
        root: &Path,
        files: &[String],
        face: FaceChoice,
        journal: Option<&Journal>,
        progress: &dyn Progress,
    ) -> Result<Self, EvaluationError> {
        let embeddings = Mutex::new(Matrix::default());
        let set = |picture: usize, embedding: &[f32]| {
            let mut matrix = embeddings.lock().unwrap_or_else(PoisonError::into_inner);
            matrix.set(picture, files.len(), embedding)
        };
        let statuses = for_each_file(engine, files, progress, |picture, file| {
            let path = root.join(file);
            let kept = Kept::of(journal, &path)?;
            if let Some(result) = kept.result {
                return Ok(match result {
                    Ok(embedding) => {
                        set(picture, &embedding)?;
                        Status::Ok
                    }
                    Err(status) => status,
                });
            }
            match embed_file(engine, &path, face)? {
                Ok(embedding) => {
                    set(picture, embedding.values())?;
                    kept.add(Status::Ok, embedding.values())?;
                    Ok(Status::Ok)
                }
                Err(status) => {
                    kept.add(status, &[])?;
                    Ok(status)
                }
            }
        })?;
        Ok(Self {
            statuses,
            embeddings: embeddings.into_inner().unwrap_or_else(PoisonError::into_inner),
        })
    }

    /// What became of a picture.
    #[must_use]
    pub fn status(&self, picture: usize) -> Status {
        self.statuses.get(picture).copied().unwrap_or(Status::Missing)
    }

    /// A picture's embedding, where it has one.
    #[must_use]
    pub fn embedding(&self, picture: usize) -> Option<Embedding> {
        if self.status(picture) != Status::Ok {
            return None;
        }
        let Matrix { values, dimensions } = &self.embeddings;
        let begin = picture * row_length(*dimensions);
        Embedding::new(values.get(begin..begin + dimensions)?.to_vec()).ok()
    }

    /// How many pictures came to what.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Status, u64> {
        let mut counts = BTreeMap::new();
        for &status in &self.statuses {
            *counts.entry(status).or_default() += 1;
        }
        counts
    }

    /// The embeddings for comparing all with all, `person_of` the pictures; and which pictures they are of. Nothing is
    /// copied to another place.
    #[must_use]
    pub fn into_all_pairs(self, person_of: &[u32]) -> (AllPairs, Vec<u32>) {
        let (mut pictures, mut people) = (Vec::new(), Vec::new());
        for ((picture, status), &person) in (0..).zip(&self.statuses).zip(person_of) {
            if *status == Status::Ok {
                pictures.push(picture);
                people.push(person);
            }
        }
        let Matrix {
            mut values,
            dimensions,
        } = self.embeddings;
        let row = row_length(dimensions);
        for (to, &from) in pictures.iter().enumerate() {
            let from = from as usize * row;
            if from + row <= values.len() {
                values.copy_within(from..from + row, to * row);
            }
        }
        values.truncate(pictures.len() * row);
        (AllPairs::from_rows(values, dimensions, people), pictures)
    }
}

/// What a journal has of a picture, and where to add what it has not.
pub(crate) struct Kept<'a> {
    pub(crate) result: Option<crate::journal::Kept>,
    journal: Option<(&'a Journal, crate::journal::Key)>,
}

impl<'a> Kept<'a> {
    /// To be asked before the picture is read: if it changes in the meantime it has another key next time.
    pub(crate) fn of(journal: Option<&'a Journal>, path: &Path) -> Result<Self, EvaluationError> {
        let journal = journal.and_then(|journal| Some((journal, key(path)?)));
        let result = match &journal {
            Some((journal, key)) => journal.get(key)?,
            None => None,
        };
        Ok(Self { result, journal })
    }

    pub(crate) fn add(&self, status: Status, numbers: &[f32]) -> Result<(), EvaluationError> {
        match &self.journal {
            Some((journal, key)) => journal.add(key, status, numbers),
            None => Ok(()),
        }
    }
}

/// Runs a task on every file, on as many threads as the engine has workers; the results are in the files' order. The
/// first error ends it.
pub(crate) fn for_each_file<T: Send>(
    engine: &Engine,
    files: &[String],
    progress: &dyn Progress,
    task: impl Fn(usize, &str) -> Result<T, EvaluationError> + Sync,
) -> Result<Vec<T>, EvaluationError> {
    progress.begin(files.len());
    let next = AtomicUsize::new(0);
    let parts: Vec<Result<Vec<(usize, T)>, EvaluationError>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..engine.workers().clamp(1, files.len().max(1)))
            .map(|_| {
                scope.spawn(|| {
                    let mut done = Vec::new();
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(file) = files.get(index) else {
                            return Ok(done);
                        };
                        match task(index, file) {
                            Ok(result) => done.push((index, result)),
                            Err(error) => {
                                // The others stop at their next file.
                                next.store(files.len(), Ordering::Relaxed);
                                return Err(error);
                            }
                        }
                        progress.advance();
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    progress.end();
    let mut done = Vec::with_capacity(files.len());
    for part in parts {
        done.extend(part?);
    }
    done.sort_unstable_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

/// The bytes of a picture's file, no more than the engine would take and one to show that there are too many.
pub(crate) fn read_file(path: &Path, limits: &Limits) -> Result<Vec<u8>, Status> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(limits.max_bytes as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Status::Missing,
            _ => Status::Unreadable,
        })?;
    Ok(bytes)
}

fn embed_file(
    engine: &Engine,
    path: &Path,
    face: FaceChoice,
) -> Result<Result<Embedding, Status>, EngineError> {
    let bytes = match read_file(path, engine.limits()) {
        Ok(bytes) => bytes,
        Err(status) => return Ok(Err(status)),
    };
    let options = EmbedOptions::default().with_all_faces(face == FaceChoice::Centre);
    let faces = match engine.embed(&bytes, &options) {
        Err(EngineError::Image { .. }) => return Ok(Err(Status::BadPicture)),
        faces => faces?,
    };
    let subject = match face {
        FaceChoice::Largest => faces.into_iter().next(),
        FaceChoice::Centre => match imaging::probe(&bytes, engine.limits()) {
            Ok(header) => nearest_centre(faces, header.width, header.height),
            Err(_) => return Ok(Err(Status::BadPicture)),
        },
    };
    Ok(subject.map(|face| face.embedding).ok_or(Status::NoFace))
}

fn nearest_centre(faces: Vec<EmbeddedFace>, width: u32, height: u32) -> Option<EmbeddedFace> {
    let centre = (width as f32 / 2.0, height as f32 / 2.0);
    let distance = |face: &EmbeddedFace| from(centre, &face.face.bounding_box);
    faces
        .into_iter()
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

fn from((x, y): (f32, f32), bounds: &BoundingBox) -> f32 {
    let middle = (bounds.x + bounds.width / 2.0, bounds.y + bounds.height / 2.0);
    (middle.0 - x).hypot(middle.1 - y)
}
