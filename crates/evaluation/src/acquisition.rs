//! From files to embeddings, each file once.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use likeness_engine::detection::BoundingBox;
use likeness_engine::embedding::Embedding;
use likeness_engine::imaging::{self, Limits};
use likeness_engine::{EmbedOptions, EmbeddedFace, Engine, EngineError};
use serde::Serialize;

use crate::EvaluationError;

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
#[derive(Debug, Clone, PartialEq)]
pub struct Acquisition {
    pub(crate) results: Vec<Result<Embedding, Status>>,
}

impl Acquisition {
    /// Embeds every picture, as many at a time as the engine has workers. The order of the results is that of the files,
    /// whichever thread does which. Memory holds the embeddings and one picture for each worker.
    ///
    /// # Errors
    /// [`EvaluationError::Engine`] where a model fails.
    pub fn embed(
        engine: &Engine,
        root: &Path,
        files: &[String],
        face: FaceChoice,
        progress: &dyn Progress,
    ) -> Result<Self, EvaluationError> {
        let results = for_each_file(engine, files, progress, |file| {
            embed_file(engine, &root.join(file), face)
        })?;
        Ok(Self { results })
    }

    /// What became of a picture.
    #[must_use]
    pub fn status(&self, picture: usize) -> Status {
        match self.results.get(picture) {
            Some(Ok(_)) => Status::Ok,
            Some(Err(status)) => *status,
            None => Status::Missing,
        }
    }

    pub(crate) fn embedding(&self, picture: usize) -> Option<&Embedding> {
        self.results.get(picture)?.as_ref().ok()
    }

    /// How many pictures came to what.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Status, u64> {
        let mut counts = BTreeMap::new();
        for picture in 0..self.results.len() {
            *counts.entry(self.status(picture)).or_default() += 1;
        }
        counts
    }
}

/// Runs a task on every file, on as many threads as the engine has workers; the results are in the files' order. The
/// first error ends it.
pub(crate) fn for_each_file<T: Send>(
    engine: &Engine,
    files: &[String],
    progress: &dyn Progress,
    task: impl Fn(&str) -> Result<T, EngineError> + Sync,
) -> Result<Vec<T>, EvaluationError> {
    progress.begin(files.len());
    let next = AtomicUsize::new(0);
    let parts: Vec<Result<Vec<(usize, T)>, EngineError>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..engine.workers().clamp(1, files.len().max(1)))
            .map(|_| {
                scope.spawn(|| {
                    let mut done = Vec::new();
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(file) = files.get(index) else {
                            return Ok(done);
                        };
                        match task(file) {
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
    let Ok(picture) = imaging::decode(&bytes, engine.limits()) else {
        return Ok(Err(Status::BadPicture));
    };
    let options = EmbedOptions::default().with_all_faces(face == FaceChoice::Centre);
    let faces = engine.embed(&picture, &options)?;
    let subject = match face {
        FaceChoice::Largest => faces.into_iter().next(),
        FaceChoice::Centre => nearest_centre(faces, picture.width(), picture.height()),
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
