//! Reading the images of an evaluation, each once, on as many threads as the engine has workers.

use std::io::Read;
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use likeness_engine::embedding::{Cohort, Embedding};
use likeness_engine::imaging::{self, ImageLimits};
use likeness_engine::{EmbedOptions, EmbeddedFace, Engine, EngineError};
use parking_lot::Mutex;

use crate::all_pairs::{AllPairs, Rows};
use crate::error::{EvaluationError, Status};
use crate::journal::{Journal, Measured, key};
use crate::report::AcquisitionReport;
use crate::setup::FaceChoice;
use crate::threads::on_threads;

/// Observes how far an evaluation is; `()` ignores it. The methods are called from several threads.
pub trait Progress: Sync {
    /// So many images will be read.
    fn begin(&self, images: usize) {
        let _ = images;
    }
    /// One more image is done.
    fn advance(&self) {}
    /// All images are done.
    fn end(&self) {}
}

impl Progress for () {}

/// An evaluation: an engine, and the folder of the images.
#[derive(Clone, Copy)]
pub struct Evaluation<'a> {
    pub(crate) engine: &'a Engine,
    root: &'a Path,
    pub(crate) data: &'a str,
    journal: Option<&'a Journal>,
    progress: &'a dyn Progress,
}

impl<'a> Evaluation<'a> {
    /// Returns an evaluation of an engine on images whose paths are relative to `root`.
    #[must_use]
    pub fn new(engine: &'a Engine, root: &'a Path) -> Self {
        Self {
            engine,
            root,
            data: "",
            journal: None,
            progress: &(),
        }
    }

    /// Sets the description of the data, for the report.
    #[must_use]
    pub fn with_data(mut self, data: &'a str) -> Self {
        self.data = data;
        self
    }

    /// Takes results from a journal where it has them, and adds the others to it.
    #[must_use]
    pub fn with_journal(mut self, journal: Option<&'a Journal>) -> Self {
        self.journal = journal;
        self
    }

    /// Reports progress.
    #[must_use]
    pub fn with_progress(mut self, progress: &'a dyn Progress) -> Self {
        self.progress = progress;
        self
    }

    /// Returns the number of threads for comparisons and for the bootstrap.
    pub(crate) fn threads(&self) -> NonZero<usize> {
        NonZero::new(self.engine.workers()).unwrap_or(NonZero::<usize>::MIN)
    }

    /// Embeds the face that counts of each file, as many files at a time as the engine has workers. Memory holds the
    /// embeddings and one image for each worker.
    ///
    /// # Errors
    /// [`EvaluationError::Engine`] where a model fails, [`EvaluationError::File`] where the journal cannot be written.
    pub fn embed(&self, files: &[String], face: FaceChoice) -> Result<Acquisition, EvaluationError> {
        let embeddings = Mutex::new(None);
        let results = self.measure(
            files,
            |bytes| embed_face(self.engine, bytes, face),
            |image, embedding| {
                let mut rows = embeddings.lock();
                let rows = rows.get_or_insert_with(|| Rows::new(embedding.len(), files.len()));
                let (found, expected) = (embedding.len(), rows.dimensions);
                if found != expected {
                    let reason = format!("an embedding has {found} numbers, another {expected}");
                    return Err(EngineError::Inference(reason.into()));
                }
                rows.set(image, embedding);
                Ok(())
            },
        )?;
        Ok(Acquisition {
            statuses: results
                .iter()
                .map(|result| result.err().unwrap_or(Status::Ok))
                .collect(),
            embeddings: embeddings.into_inner().unwrap_or_default(),
        })
    }

    /// Measures each file, unless the journal has it, and converts the numbers by `keep`. Results are in the order of the
    /// files. The first error ends it.
    pub(crate) fn measure<T: Send>(
        &self,
        files: &[String],
        measure: impl Fn(&[u8]) -> Result<Measured, EngineError> + Sync,
        keep: impl Fn(usize, &[f32]) -> Result<T, EngineError> + Sync,
    ) -> Result<Vec<Result<T, Status>>, EvaluationError> {
        let one = |index: usize, file: &str| -> Result<Result<T, Status>, EvaluationError> {
            match self.measure_file(&self.root.join(file), &measure)? {
                Ok(values) => Ok(Ok(keep(index, &values)?)),
                Err(status) => Ok(Err(status)),
            }
        };
        self.progress.begin(files.len());
        let next = AtomicUsize::new(0);
        let parts = on_threads(self.engine.workers().clamp(1, files.len().max(1)), |_| {
            let mut done = Vec::new();
            while let index = next.fetch_add(1, Ordering::Relaxed)
                && let Some(file) = files.get(index)
            {
                // After an error the other threads stop at their next file.
                let stop = |_: &EvaluationError| next.store(files.len(), Ordering::Relaxed);
                done.push((index, one(index, file).inspect_err(stop)?));
                self.progress.advance();
            }
            Ok::<_, EvaluationError>(done)
        });
        self.progress.end();
        let mut done = Vec::with_capacity(files.len());
        for part in parts {
            done.extend(part?);
        }
        done.sort_unstable_by_key(|(index, _)| *index);
        Ok(done.into_iter().map(|(_, result)| result).collect())
    }

    fn measure_file(
        &self,
        path: &Path,
        measure: impl Fn(&[u8]) -> Result<Measured, EngineError>,
    ) -> Result<Measured, EvaluationError> {
        // Before the image is read: if it changes meanwhile, its key differs next time.
        let journal = self.journal.and_then(|journal| Some((journal, key(path)?)));
        if let Some((journal, key)) = &journal
            && let Some(measured) = journal.get(key)?
        {
            return Ok(measured);
        }
        let measured = match read_file(path, self.engine.limits()) {
            Ok(bytes) => measure(&bytes)?,
            Err(status) => Err(status),
        };
        if let Some((journal, key)) = &journal {
            journal.add(key, &measured)?;
        }
        Ok(measured)
    }
}

/// The outcome of each image; an embedding exactly where it is [`Status::Ok`].
#[derive(Debug, Clone, PartialEq)]
pub struct Acquisition {
    statuses: Vec<Status>,
    /// A row for each image: the only place where its embedding is held.
    embeddings: Rows,
}

impl Acquisition {
    /// Returns the outcome of an image.
    #[must_use]
    pub fn status(&self, image: usize) -> Status {
        self.statuses.get(image).copied().unwrap_or(Status::Missing)
    }

    /// Returns the embedding of an image, where it has one.
    #[must_use]
    pub fn embedding(&self, image: usize) -> Option<Embedding> {
        if self.status(image) != Status::Ok {
            return None;
        }
        Embedding::new(self.embeddings.get(image)?.to_vec()).ok()
    }

    /// Returns the number of images with each outcome.
    #[must_use]
    pub fn report(&self) -> AcquisitionReport {
        AcquisitionReport::of(self.statuses.iter().copied())
    }

    /// Returns the embeddings of some images.
    pub(crate) fn into_rows(mut self, images: &[u32]) -> Rows {
        self.embeddings.retain(images);
        self.embeddings
    }

    /// Returns the embeddings for comparing all pairs, by similarities that a cohort normalises where there is one, with
    /// the people that the images show, and the images they are of.
    /// Nothing is copied to another place.
    #[must_use]
    pub fn into_all_pairs(self, person_of: &[u32], cohort: Option<&Cohort>) -> (AllPairs, Vec<u32>) {
        let images = (0..).zip(&self.statuses).zip(person_of);
        let acquired = images.filter(|((_, status), _)| **status == Status::Ok);
        let (images, person_of): (Vec<u32>, Vec<u32>) =
            acquired.map(|((image, _), &person)| (image, person)).unzip();
        let mut rows = self.embeddings;
        rows.retain(&images);
        let rows_of = |cohort| Some((cohort, (0..images.len()).filter_map(|row| rows.get(row))));
        let levels = match cohort.and_then(rows_of) {
            Some((cohort, rows)) => rows.map(|row| cohort.level_of(row)).collect(),
            None => Vec::new(),
        };
        let all_pairs = AllPairs {
            rows,
            person_of,
            levels,
        };
        (all_pairs, images)
    }
}

/// Reads an image's file, at most one byte more than the engine takes, which is enough for it to refuse the image.
fn read_file(path: &Path, limits: &ImageLimits) -> Result<Vec<u8>, Status> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(limits.max_bytes as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Status::Missing,
            _ => Status::Unreadable,
        })?;
    Ok(bytes)
}

/// Embeds the face that counts.
fn embed_face(engine: &Engine, bytes: &[u8], face: FaceChoice) -> Result<Measured, EngineError> {
    let options = EmbedOptions::default().with_all_faces(face == FaceChoice::Centre);
    let faces = match engine.embed(bytes, &options) {
        Err(EngineError::Image { .. }) => return Ok(Err(Status::BadImage)),
        faces => faces?,
    };
    let subject = match face {
        FaceChoice::Largest => faces.into_iter().next(),
        FaceChoice::Centre => match imaging::probe(bytes, engine.limits()) {
            Ok(header) => nearest_centre(faces, header.width, header.height),
            Err(_) => return Ok(Err(Status::BadImage)),
        },
    };
    Ok(subject
        .map(|face| face.embedding.values().to_vec())
        .ok_or(Status::NoFace))
}

fn nearest_centre(faces: Vec<EmbeddedFace>, width: u32, height: u32) -> Option<EmbeddedFace> {
    let centre = (width as f32 / 2.0, height as f32 / 2.0);
    let distance = |face: &EmbeddedFace| {
        let bounds = &face.face.bounding_box;
        (bounds.x + bounds.width / 2.0 - centre.0).hypot(bounds.y + bounds.height / 2.0 - centre.1)
    };
    faces
        .into_iter()
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
}
