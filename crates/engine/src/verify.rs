//! Is the selfie the person of the photo, and live?

use likeness_decision::{self as decision, Evidence, Score};
use likeness_detection::Search;
use likeness_imaging::Image;

use crate::look::{Found, Look};
use crate::result::measured_face;
use crate::worker::{Worker, inference, timed};
use crate::{Budget, Engine, EngineError, ImageRole, Input, Timings, Verification, VerifyOptions};

impl Engine {
    /// Is the selfie a live person, and is it the person in the photo?
    ///
    /// The largest face of the selfie is judged; it is compared with the largest face of the photo or, with
    /// [`VerifyOptions::photo_multiface`], with the most similar of its faces. An image without a face is no error but a
    /// decision.
    ///
    /// # Errors
    /// [`EngineError::Image`] for bytes that are no usable image, [`EngineError::DeadlineExceeded`] and
    /// [`EngineError::Cancelled`] as the budget says, [`EngineError::Inference`] where a model fails,
    /// [`EngineError::Uncalibrated`] where the engine has no match calibration.
    pub fn verify<'a>(
        &self,
        selfie: impl Into<Input<'a>>,
        photo: impl Into<Input<'a>>,
        options: &VerifyOptions,
    ) -> Result<Verification, EngineError> {
        if !self.is_calibrated() {
            return Err(EngineError::Uncalibrated);
        }
        let (selfie, photo) = (selfie.into(), photo.into());
        let budget = &options.budget;
        let mut timings = Timings::default();
        let mut worker = timed(&mut timings.queue, || self.worker(budget))?;

        let (selfie, photo) = self.look_at_both(&mut worker, selfie, photo, options, &mut timings)?;
        let compared = if options.photo_multiface {
            photo.faces.len()
        } else {
            photo.faces.len().min(1)
        };
        let (best, probability) = self.judge(
            &mut worker,
            &selfie,
            &photo.faces_in_pixels().take(compared).collect::<Vec<_>>(),
            budget,
            &mut timings,
        )?;
        let face_match = best.map(|best| self.confidence(best.similarity)).transpose()?;
        let liveness = probability.map(|live| self.liveness_score(live)).transpose()?;
        let matched = best.map_or(0, |best| best.index);
        let (selfie_quality, photo_quality) = timed(&mut timings.quality, || {
            Ok::<_, EngineError>((selfie.quality(0)?, photo.quality(matched)?))
        })?;
        drop(worker);

        let evidence = Evidence {
            selfie_face_areas: &selfie.areas(),
            photo_face_areas: &photo.areas(),
            photo_multiface: options.photo_multiface,
            face_match,
            liveness,
            selfie_quality: selfie_quality.as_ref().map(measured_face),
            photo_quality: photo_quality.as_ref().map(measured_face),
        };
        let decision = timed(&mut timings.decide, || {
            decision::decide(&options.profile, &evidence)
        })
        .map_err(inference)?;
        Ok(Verification {
            selfie: selfie.report(selfie.faces.len(), selfie_quality),
            photo: photo.report(compared, photo_quality),
            face_match: face_match.unwrap_or(Score::ZERO),
            similarity: best.map(|best| best.similarity),
            matched_face: best.map(|best| best.index),
            liveness: liveness.unwrap_or(Score::ZERO),
            decision,
            timings,
        })
    }

    /// Looks at both images, side by side where a worker has nothing else to do.
    fn look_at_both<'p>(
        &self,
        worker: &mut Worker,
        selfie: Input<'p>,
        photo: Input<'p>,
        options: &VerifyOptions,
        timings: &mut Timings,
    ) -> Result<(Look<'p>, Look<'p>), EngineError> {
        let looking = self.looking(&options.budget);
        let search = if options.photo_multiface {
            Search::Thorough
        } else {
            Search::Primary
        };
        let mut of_photo = Timings::default();
        let looks = self.halves(
            worker,
            &options.budget,
            |worker| {
                let search = Search::Primary;
                Look::at(worker, ImageRole::Selfie, selfie, search, looking, timings)
            },
            |worker| Look::at(worker, ImageRole::Photo, photo, search, looking, &mut of_photo),
        )?;
        *timings += of_photo;
        Ok(looks)
    }

    /// The most similar of the photo's faces, and whether the selfie's is live, side by side where a worker has nothing else
    /// to do; none where there is no face.
    fn judge(
        &self,
        worker: &mut Worker,
        selfie: &Look<'_>,
        candidates: &[(&Image, &Found)],
        budget: &Budget,
        timings: &mut Timings,
    ) -> Result<(Option<BestMatch>, Option<f64>), EngineError> {
        let Some((image, face)) = selfie.faces_in_pixels().next() else {
            return Ok((None, None));
        };
        let Timings { embed, liveness, .. } = timings;
        let mut score_liveness = |worker: &mut Worker| timed(liveness, || worker.liveness(image, face));
        if candidates.is_empty() {
            budget.check()?;
            return Ok((None, Some(score_liveness(worker)?)));
        }
        let (best, live) = self.halves(
            worker,
            budget,
            |worker| timed(embed, || best_match(worker, (image, face), candidates, budget)),
            score_liveness,
        )?;
        Ok((Some(best), Some(live)))
    }

    /// Does both with a worker, the second at the same time with another one where that has nothing else to do. Where both
    /// fail, the first is told, as it is when they are done in turn.
    fn halves<A: Send, B>(
        &self,
        worker: &mut Worker,
        budget: &Budget,
        first: impl FnOnce(&mut Worker) -> Result<A, EngineError> + Send,
        second: impl FnOnce(&mut Worker) -> Result<B, EngineError>,
    ) -> Result<(A, B), EngineError> {
        let Some(mut other) = self.inner.workers.spare() else {
            let first = first(worker)?;
            budget.check()?;
            return Ok((first, second(worker)?));
        };
        let (second, first) = self.inner.aside.both(
            || {
                let second = second(&mut other);
                // Whoever waits need not wait for the first half.
                drop(other);
                second
            },
            || first(worker),
        );
        let first = first?;
        budget.check()?;
        Ok((first, second?))
    }
}

/// The face of the photo that is most similar to the selfie's.
#[derive(Debug, Clone, Copy)]
struct BestMatch {
    index: usize,
    similarity: f32,
}

fn best_match(
    worker: &mut Worker,
    selfie: (&Image, &Found),
    candidates: &[(&Image, &Found)],
    budget: &Budget,
) -> Result<BestMatch, EngineError> {
    let faces: Vec<(&Image, &Found)> = std::iter::once(selfie)
        .chain(candidates.iter().copied())
        .collect();
    let embeddings = worker.embed(&faces, budget)?;
    let (probe, references) = match embeddings.split_first() {
        Some((probe, references)) if !references.is_empty() => (probe, references),
        _ => return Err(EngineError::Inference("there is nothing to compare".into())),
    };
    let mut best = BestMatch {
        index: 0,
        similarity: f32::NEG_INFINITY,
    };
    for (index, reference) in references.iter().enumerate() {
        let similarity = probe.similarity(reference).map_err(inference)?;
        if similarity > best.similarity {
            best = BestMatch { index, similarity };
        }
    }
    Ok(best)
}
