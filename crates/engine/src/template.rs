//! Requests with templates: enrol a photo once, and verify selfies against it later.

use likeness_decision::{self as decision, Evidence, ImageRole};
use likeness_detection::Search;
use likeness_embedding::{EmbeddingBinding, FaceInImage, FaceTemplate, Similarity, TemplateError};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::options::{Budget, EnrolOptions, Input, VerifyOptions};
use crate::result::{Enrolment, TemplateVerification, Timings};
use crate::workers::{Worker, inference, timed};

/// The area of the template's face in a decision. Any value serves: only the number of faces counts.
const ENROLLED_FACE: [f32; 1] = [1.0];

impl Engine {
    /// Makes a template of the primary face of a photo, to verify selfies [against](Self::verify_against) it later. An image
    /// without a face is not an error, but has no template.
    ///
    /// # Errors
    /// [`EngineError::Image`] for an image that cannot be used, [`EngineError::DeadlineExceeded`] and
    /// [`EngineError::Cancelled`] as the budget says, [`EngineError::Inference`] where a model fails,
    /// [`EngineError::Template`] where the embedder is custom.
    pub fn enrol<'a>(
        &self,
        photo: impl Into<Input<'a>>,
        options: &EnrolOptions,
    ) -> Result<Enrolment, EngineError> {
        let (binding, budget) = (self.binding()?, &options.budget);
        let (photo, mut timings) = (photo.into(), Timings::default());
        let mut worker = self.inner.workers.pool.checkout(budget)?;
        let (role, faces) = (ImageRole::Photo, &self.inner.faces);
        let photo =
            faces.decode_and_detect(&mut worker, role, photo, Search::Primary, budget, &mut timings)?;
        let mut primary = photo.to_embed();
        primary.truncate(1);
        let embeddings = worker.embed(&primary, budget)?;
        let template = embeddings.first().map(|face| FaceTemplate::new(*binding, face));
        let template = template.transpose()?;
        let (areas, quality) = (photo.areas(), photo.quality(0)?);
        drop(worker);
        let photo = photo.report(1, quality);
        let (face, rotation) = (photo.measured_face(), photo.rotation_degrees());
        let findings = decision::photo_findings(&options.quality, &areas, face.as_ref(), rotation);
        Ok(Enrolment {
            findings: findings.map_err(inference)?,
            photo,
            template,
        })
    }

    /// Verifies that a selfie shows a live person, the one of the template of an enrolled photo.
    ///
    /// The decision is that of [`verify`](Self::verify) without findings about the photo, which are those of its
    /// [enrolment](Self::enrol), and without [`SAME_IMAGE`](decision::Code::SameImage).
    ///
    /// # Errors
    /// Those of [`verify`](Self::verify), [`EngineError::Template`] for a template of another embedder, and
    /// [`EngineError::Option`] with [`VerifyOptions::photo_multiface`], since a template is of one face.
    pub fn verify_against<'a>(
        &self,
        template: &FaceTemplate,
        selfie: impl Into<Input<'a>>,
        options: &VerifyOptions,
    ) -> Result<TemplateVerification, EngineError> {
        if !self.is_calibrated() {
            return Err(EngineError::Uncalibrated);
        }
        template.check(self.binding()?)?;
        if options.photo_multiface {
            let problem = "photo_multiface cannot be used with a template: it is of one face";
            return Err(EngineError::Option(problem.to_owned()));
        }
        let (selfie, budget, mut timings) = (selfie.into(), &options.budget, Timings::default());
        let (workers, faces) = (&self.inner.workers, &self.inner.faces);
        let mut worker = timed(&mut timings.queue, || workers.pool.checkout(budget))?;
        let role = ImageRole::Selfie;
        let selfie =
            faces.decode_and_detect(&mut worker, role, selfie, Search::Primary, budget, &mut timings)?;
        let (mut similarity, mut liveness) = (None, None);
        if let Some(primary) = selfie.primary() {
            let (image, face) = primary;
            let landmarks = &face.decoded.landmarks;
            let face = FaceInImage { image, landmarks };
            let (measured, scored) = workers.on_idle_worker(
                &mut *worker,
                budget,
                |worker| {
                    timed(&mut timings.embed, || {
                        self.compare_with(worker, template, face, budget)
                    })
                },
                |worker| timed(&mut timings.liveness, || self.score_liveness(worker, primary)),
            )?;
            (similarity, liveness) = (Some(measured), Some(scored));
        }
        let quality = timed(&mut timings.quality, || selfie.quality(0))?;
        drop(worker);
        let confidence = similarity.map(|similarity: Similarity| self.confidence(similarity.value()));
        let face_match = confidence.transpose()?;
        let selfie_face_areas = selfie.areas();
        let selfie = selfie.report(selfie.faces.len(), quality);
        let evidence = Evidence {
            selfie_face_areas: &selfie_face_areas,
            photo_face_areas: &ENROLLED_FACE,
            photo_multiface: false,
            face_match,
            liveness,
            selfie_quality: selfie.measured_face(),
            photo_quality: None,
            selfie_rotation: selfie.rotation_degrees(),
            photo_rotation: 0,
            same_image: false,
        };
        let decision = timed(&mut timings.decide, || {
            decision::decide(&options.profile, &evidence)
        });
        Ok(TemplateVerification {
            selfie,
            face_match,
            similarity,
            liveness,
            decision: decision.map_err(inference)?,
            timings,
        })
    }

    /// Embeds a face and compares it with a template, whose level is computed here where there is a cohort.
    fn compare_with(
        &self,
        worker: &mut Worker,
        template: &FaceTemplate,
        face: FaceInImage<'_>,
        budget: &Budget,
    ) -> Result<Similarity, EngineError> {
        let embeddings = worker.embed(&[face], budget)?;
        let Some(probe) = embeddings.first() else {
            return Err(EngineError::Inference("there is nothing to compare".into()));
        };
        let level = self.level(probe).map_err(inference)?;
        // A forged template may have any digest.
        let measured = self.measure((probe, level), template.embedding());
        measured.map_err(|error| TemplateError::Invalid(error.to_string()).into())
    }

    /// Returns what this engine's templates are bound to.
    fn binding(&self) -> Result<&EmbeddingBinding, EngineError> {
        Ok(self.embedding_binding().ok_or(TemplateError::CustomEmbedder)?)
    }
}
