//! Reading the images of an evaluation, each once, on as many threads as the engine has workers.

use std::io::{ErrorKind, Read};
use std::num::NonZero;
use std::path::Path;

use likeness_engine::embedding::{Cohort, Embedding};
use likeness_engine::imaging::ImageLimits;
use likeness_engine::{EmbedOptions, EmbeddedFace, Engine, EngineError};
use parking_lot::Mutex;

use crate::all_pairs::{AllPairs, Rows};
use crate::error::{EvaluationError, Result, Status};
use crate::journal::{Journal, Measured, key};
use crate::report::FaceChoice;
use crate::threads::fold;

/// Observes how far an evaluation is; `()` ignores it. The methods are called from several threads.
pub trait Progress: Sync {
    /// So many images will be read.
    fn begin(&self, _images: usize) {}
    /// One more image is done.
    fn advance(&self) {}
    /// All images are done.
    fn end(&self) {}
}

impl Progress for () {}

/// An evaluation of an engine on a folder of images.
#[derive(Clone, Copy)]
pub struct Evaluation<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The folder that the paths of images are relative to.
    pub root: &'a Path,
    /// Description of the data, for the report.
    pub data: &'a str,
    /// Has the results of an interrupted run, and takes those of this one.
    pub journal: Option<&'a Journal>,
    /// Observes the progress.
    pub progress: &'a dyn Progress,
    /// How many images or comparisons of each kind of error the page of the report shows, the worst ones; at most
    /// [`MAX_GALLERY`](crate::MAX_GALLERY). 0: none, and then the page holds no face.
    pub gallery: usize,
}

impl<'a> Evaluation<'a> {
    /// Returns an evaluation without a description, a journal, an observer and a gallery.
    #[must_use]
    pub fn new(engine: &'a Engine, root: &'a Path) -> Self {
        Self {
            engine,
            root,
            data: "",
            journal: None,
            progress: &(),
            gallery: 0,
        }
    }

    /// Returns the number of threads for images, comparisons and the bootstrap.
    pub(crate) fn threads(&self) -> NonZero<usize> {
        NonZero::new(self.engine.workers()).unwrap_or(NonZero::<usize>::MIN)
    }

    /// Embeds the face that counts of each file. Memory holds the embeddings and one image for each thread. Fails where a
    /// model does, or the journal cannot be written.
    pub fn embed(&self, files: &[String], face: FaceChoice) -> Result<Acquisition> {
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
            results,
            embeddings: embeddings.into_inner().unwrap_or_default(),
        })
    }

    /// Measures each file, unless the journal has it, and converts the numbers by `keep`. The first error ends it.
    pub(crate) fn measure<T: Send>(
        &self,
        files: &[String],
        measure: impl Fn(&[u8]) -> Result<Measured, EngineError> + Sync,
        keep: impl Fn(usize, &[f32]) -> Result<T, EngineError> + Sync,
    ) -> Result<Vec<Result<T, Status>>> {
        self.progress.begin(files.len());
        let done = fold(
            self.threads(),
            files.iter().enumerate(),
            Vec::new,
            |done, (index, file)| {
                let measured = self.measure_file(&self.root.join(file), &measure)?;
                let kept = measured.map(|values| keep(index, &values));
                done.push((
                    index,
                    kept.map_or_else(|status| Ok(Err(status)), |kept| kept.map(Ok))?,
                ));
                self.progress.advance();
                Ok::<_, EvaluationError>(())
            },
        );
        self.progress.end();
        let mut done: Vec<_> = done?.into_iter().flatten().collect();
        done.sort_unstable_by_key(|(index, _)| *index);
        Ok(done.into_iter().map(|(_, result)| result).collect())
    }

    fn measure_file(
        &self,
        path: &Path,
        measure: impl Fn(&[u8]) -> Result<Measured, EngineError>,
    ) -> Result<Measured> {
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

/// The outcome of each image.
#[derive(Debug, Clone, PartialEq)]
pub struct Acquisition {
    pub(crate) results: Vec<Result<(), Status>>,
    /// A row for each image: the only place where its embedding is held.
    embeddings: Rows,
}

impl Acquisition {
    pub(crate) fn status(&self, image: usize) -> Status {
        let result = self.results.get(image);
        result.map_or(Status::Missing, |result| result.err().unwrap_or(Status::Ok))
    }

    /// Returns the similarity of two images, as the engine's calibration takes it; `None` where one has no embedding.
    pub(crate) fn similarity(
        &self,
        engine: &Engine,
        left: usize,
        right: usize,
    ) -> Result<Option<f32>, EngineError> {
        let embedding = |image| match self.status(image) {
            Status::Ok => Embedding::new(self.embeddings.get(image)?.to_vec()).ok(),
            _ => None,
        };
        let (Some(left), Some(right)) = (embedding(left), embedding(right)) else {
            return Ok(None);
        };
        Ok(Some(engine.similarity(&left, &right)?.value()))
    }

    /// Returns the embeddings of some images.
    pub(crate) fn into_rows(mut self, images: &[u32]) -> Rows {
        self.embeddings.retain(images);
        self.embeddings
    }

    /// Returns the embeddings for comparing all pairs, in place, by similarities that a cohort normalises where there is
    /// one, and the images they are of.
    #[must_use]
    pub fn into_all_pairs(self, person_of: &[u32], cohort: Option<&Cohort>) -> (AllPairs, Vec<u32>) {
        let images = (0..).zip(&self.results).zip(person_of);
        let acquired = images.filter(|((_, result), _)| result.is_ok());
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
pub(crate) fn read_file(path: &Path, limits: &ImageLimits) -> Result<Vec<u8>, Status> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(limits.max_bytes as u64 + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Status::Missing),
        Err(_) => Err(Status::Unreadable),
    }
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
        FaceChoice::Centre => match engine.open_image(bytes) {
            Ok(image) => nearest_centre(faces, image.header().width, image.header().height),
            Err(_) => return Ok(Err(Status::BadImage)),
        },
    };
    let embedding = subject.map(|face| face.embedding.values().to_vec());
    Ok(embedding.ok_or(Status::NoFace))
}

fn nearest_centre(faces: Vec<EmbeddedFace>, width: u32, height: u32) -> Option<EmbeddedFace> {
    let centre = (width as f32 / 2.0, height as f32 / 2.0);
    let distance = |face: &EmbeddedFace| {
        let bounds = &face.face.bounding_box;
        (bounds.x + bounds.width / 2.0 - centre.0).hypot(bounds.y + bounds.height / 2.0 - centre.1)
    };
    let faces = faces.into_iter();
    faces.min_by(|a, b| distance(a).total_cmp(&distance(b)))
}
