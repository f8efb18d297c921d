//! The passes over an image that find its faces reliably and cheaply.
//!
//! The scales and bounds below were chosen on development images (61 portraits, 14 group photographs, 1,248 of LFW,
//! 300 webcam frames, and portraits cropped down to 0.7 times the face box). At 320 px the primary face of all of them but
//! a photograph of dogs scores at least 0.85, also where it fills the frame or is cut by it, while at 640 px and above
//! faces wider than about 320 px begin to be missed. On 61 images without a portrait nothing scores above 0.8 that is
//! no face. A face that only another scale sees well (large and cut by the border, or turned) still leaves a weak
//! candidate at this one; one in 20 images has such a candidate and pays for a second pass.

use likeness_imaging::{Image, Rotation};

use crate::{DetectionError, Face, largest_first};

/// A face with at least this score needs no other pass to confirm it.
const SURE: f32 = 0.85;

/// A candidate from this score on is reason for another pass, if it is large enough to matter.
pub(crate) const DOUBTFUL: f32 = 0.3;

/// What a face must have of the primary face's area to matter: from there on the HTTP contract counts it as a second face.
const RELEVANT_SHARE: f32 = 0.25;

/// Longest side in pixels of the pass that finds nearly every primary face: the first of a search for it, and all that
/// [`FaceDetector::first_pass`](crate::FaceDetector::first_pass) makes.
pub const FIRST_PASS_SIDE: u32 = 320;

/// Border around an image that a face may fill, in units of its longer side. Of 385 crops of LFW's development view, from the face
/// down to its middle half, in which nothing was found, the default detector sees a face in 202 with this border. A black border
/// shows it fewer, a mirrored one faces where there are none.
pub(crate) const BORDER: f64 = 0.25;

/// See [`BORDER`].
pub(crate) const BORDER_GREY: u8 = 127;

/// What a face must cover of an image that it fills. With it, the default detector sees no face in any of 13,731 development images
/// without one: what is beside the faces of LFW and the portraits, parts of a photograph of dogs, and images of things.
const FILLED: f32 = 0.9;

/// Longest sides of the passes of a search for the primary face, in pixels, in order: first the one that finds nearly all,
/// then larger ones for small faces and a smaller one for what is too large for the first.
const PRIMARY_PASSES: [u32; 5] = [FIRST_PASS_SIDE, 640, 1280, 160, 2560];

/// Longest sides of the passes of a thorough search: the last finds a face of 10 px in it, which is 40 px in the largest
/// image that the HTTP service takes by default.
const THOROUGH_PASSES: [u32; 5] = [160, 320, 640, 1280, 2560];

/// The thoroughness of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Search {
    /// For the primary face and others of its size: a small pass, more passes only where that is unsure.
    #[default]
    Primary,
    /// For every face, however small: all passes together.
    Thorough,
}

/// Runs the passes of a search; `pass` returns every candidate of at least [`DOUBTFUL`] score that it and those before it
/// have seen, no face twice, when the image's longest side is shrunk to the given number of pixels (it is never enlarged).
/// Candidates below `score` are no faces.
pub(crate) fn run(
    image: &Image,
    search: Search,
    score: f32,
    mut pass: impl FnMut(u32) -> Result<Vec<Face>, DetectionError>,
) -> Result<Vec<Face>, DetectionError> {
    let passes = match search {
        Search::Primary => PRIMARY_PASSES,
        Search::Thorough => THOROUGH_PASSES,
    };
    let (mut candidates, mut made) = (Vec::new(), Vec::new());
    for side in passes.map(|side| side.min(longest_side(image))) {
        // A pass that would have to enlarge the image sees what the one at its own size sees.
        if made.contains(&side) {
            continue;
        }
        made.push(side);
        candidates = pass(side)?;
        if search == Search::Primary && is_settled(&candidates, score, image) {
            break;
        }
    }
    Ok(faces_of(candidates, score))
}

/// The first pass of a search for the primary face; `None` where the search would go on. `pass` is that of [`run`].
pub(crate) fn first_pass(
    image: &Image,
    score: f32,
    mut pass: impl FnMut(u32) -> Result<Vec<Face>, DetectionError>,
) -> Result<Option<Vec<Face>>, DetectionError> {
    let candidates = pass(FIRST_PASS_SIDE.min(longest_side(image)))?;
    Ok(is_settled(&candidates, score, image).then(|| faces_of(candidates, score)))
}

/// More candidates than this are dropped, the weakest first. An image made of nothing but faces has
/// a few hundred; suppression compares each with each that is kept.
const MAX_CANDIDATES: usize = 5_000;

/// Keeps the face with the highest score of all that overlap it by more than `iou`, then the next, and so on. The faces
/// that are kept come in descending order of their scores.
pub(crate) fn suppress(mut candidates: Vec<Face>, iou: f32) -> Vec<Face> {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    candidates.truncate(MAX_CANDIDATES);
    let mut kept: Vec<Face> = Vec::new();
    for candidate in candidates {
        let overlaps = |face: &Face| face.bounding_box.iou(&candidate.bounding_box) > iou;
        if !kept.iter().any(overlaps) {
            kept.push(candidate);
        }
    }
    kept
}

fn longest_side(image: &Image) -> u32 {
    image.width().max(image.height())
}

/// The candidates that are faces, largest first.
pub(crate) fn faces_of(mut candidates: Vec<Face>, score: f32) -> Vec<Face> {
    candidates.retain(|face| face.score >= score);
    largest_first(&mut candidates);
    candidates
}

/// Returns the score of the face with the largest visible area; 0 where no candidate is a face.
pub(crate) fn primary_score(candidates: &[Face], score: f32, image: &Image) -> f32 {
    let visible = |face: &Face| face.bounding_box.clipped(image.width(), image.height()).area();
    let faces = candidates.iter().filter(|face| face.score >= score);
    faces
        .max_by(|a, b| visible(a).total_cmp(&visible(b)))
        .map_or(0.0, |face| face.score)
}

/// Least score of the primary face for which an image is turned. Of 5,203 upright development images two have a higher score in another
/// orientation, of 0.897 and 0.877; 21 have less than this upright, and are not turned back if they lie on their side
/// (`orientation_scores` in `tools/` prints them).
const TURNED: f32 = 0.9;

/// By how much the score must exceed that of the image as it is. A head that is tilted by 35 degrees scores up to 0.005 more
/// when it is turned to 55; of upright faces that are turned by 90 or 270 degrees all score at least 0.015 less, of those turned by
/// 180 all but 17 of 5,203.
const TURN_MARGIN: f32 = 0.015;

/// Returns the turn with the highest score of the primary face, at least [`TURNED`] and [`TURN_MARGIN`] above `as_is`; `None`
/// where there is none, or where the image is upright because `as_is` reaches `upright`.
pub(crate) fn best_rotation<E>(
    as_is: f32,
    upright: f32,
    mut turned: impl FnMut(Rotation) -> Result<f32, E>,
) -> Result<Option<Rotation>, E> {
    if as_is >= upright {
        return Ok(None);
    }
    let (mut best, mut highest) = (None, as_is + TURN_MARGIN);
    for rotation in Rotation::ALL {
        let score = turned(rotation)?;
        if score >= TURNED && score > highest {
            (best, highest) = (Some(rotation), score);
        }
    }
    Ok(best)
}

/// Returns the surest of the faces that cover an image which begins at `border` in both directions, in the pixels of the image.
pub(crate) fn filling(candidates: Vec<Face>, score: f32, border: u32, image: &Image) -> Option<Face> {
    let border = border as f32;
    let whole = image.width() as f32 * image.height() as f32;
    let faces = candidates.into_iter().filter(|face| face.score >= score);
    faces
        .map(|mut face| {
            let points = face
                .landmarks
                .iter_mut()
                .map(|point| (&mut point.x, &mut point.y));
            let corner = (&mut face.bounding_box.x, &mut face.bounding_box.y);
            for (x, y) in points.chain([corner]) {
                *x -= border;
                *y -= border;
            }
            face
        })
        .filter(|face| {
            let covered = face.bounding_box.clipped(image.width(), image.height()).area();
            covered >= FILLED * whole
        })
        .max_by(|a, b| a.score.total_cmp(&b.score))
}

/// Returns whether the largest face is sure and no other candidate matters.
fn is_settled(candidates: &[Face], score: f32, image: &Image) -> bool {
    let visible = |face: &Face| face.bounding_box.clipped(image.width(), image.height()).area();
    let (faces, doubtful): (Vec<&Face>, Vec<&Face>) = candidates.iter().partition(|face| face.score >= score);
    let Some(main) = faces.into_iter().max_by(|a, b| visible(a).total_cmp(&visible(b))) else {
        return false;
    };
    main.score >= SURE
        && doubtful
            .into_iter()
            .all(|face| visible(face) < RELEVANT_SHARE * visible(main))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BoundingBox, Landmarks};

    fn face(x: f32, side: f32, score: f32) -> Face {
        let bounding_box = BoundingBox {
            x,
            y: 0.0,
            width: side,
            height: side,
        };
        Face {
            bounding_box,
            score,
            landmarks: Landmarks::default(),
        }
    }

    fn image(width: u32, height: u32) -> Image {
        Image::from_rgb8(width, height, vec![0; width as usize * height as usize * 3]).unwrap()
    }

    /// Runs a search over passes that see what `sees` says, and tells which were run.
    fn searched(size: (u32, u32), search: Search, sees: impl Fn(u32) -> Vec<Face>) -> (Vec<u32>, Vec<Face>) {
        let (mut sides, mut seen) = (Vec::new(), Vec::new());
        let faces = run(&image(size.0, size.1), search, 0.6, |side| {
            sides.push(side);
            seen.extend(sees(side));
            Ok(suppress(seen.clone(), 0.3))
        });
        (sides, faces.unwrap())
    }

    #[test]
    fn a_sure_face_costs_one_small_pass() {
        let (sides, faces) = searched((2000, 1000), Search::Primary, |_| vec![face(0.0, 500.0, 0.93)]);
        assert_eq!(sides, [320]);
        assert_eq!(faces.len(), 1);
    }

    #[test]
    fn the_first_pass_says_whether_it_is_enough() {
        let first_pass_of = |(width, height), sees: Vec<Face>| {
            let mut sides = Vec::new();
            let faces = first_pass(&image(width, height), 0.6, |side| {
                sides.push(side);
                Ok(sees.clone())
            });
            (sides, faces.unwrap().map(|faces| faces.len()))
        };
        let (main, other) = (face(0.0, 200.0, 0.93), face(300.0, 60.0, 0.7));
        assert_eq!(
            first_pass_of((750, 1000), vec![other, main]),
            (vec![320], Some(2))
        );
        assert_eq!(first_pass_of((300, 200), vec![main]), (vec![300], Some(1)));
        // Where a search would go on, the first pass says nothing.
        for doubtful in [
            vec![],
            vec![face(0.0, 200.0, 0.8)],
            vec![main, face(300.0, 110.0, 0.4)],
        ] {
            assert_eq!(first_pass_of((750, 1000), doubtful), (vec![320], None));
        }
    }

    #[test]
    fn an_image_is_turned_to_where_its_face_is_surest() {
        let best = |as_is, scores: [f32; 3]| {
            let mut looked = 0;
            let best = best_rotation(as_is, 0.91, |rotation| {
                looked += 1;
                Ok::<_, ()>(scores[usize::from(rotation.degrees()) / 90 - 1])
            });
            (best.unwrap(), looked)
        };
        assert_eq!(best(0.92, [0.95; 3]), (None, 0), "upright images cost nothing");
        assert_eq!(best(0.7, [0.86, 0.8, 0.93]), (Some(Rotation::ThreeQuarters), 3));
        assert_eq!(best(0.0, [0.0, 0.9, 0.0]), (Some(Rotation::Half), 3));
        assert_eq!(best(0.9, [0.91, 0.89, 0.2]), (None, 3), "hardly better");
        assert_eq!(best(0.79, [0.77, 0.88, 0.7]), (None, 3), "better, and not sure");
    }

    #[test]
    fn the_primary_face_is_the_one_with_the_largest_visible_area() {
        let cut = BoundingBox {
            x: -300.0,
            ..face(0.0, 320.0, 0.7).bounding_box
        };
        let cut = Face {
            bounding_box: cut,
            ..face(0.0, 0.0, 0.7)
        };
        let faces = [cut, face(0.0, 200.0, 0.93), face(0.0, 400.0, 0.5)];
        assert_eq!(primary_score(&faces, 0.6, &image(500, 500)), 0.93);
        assert_eq!(primary_score(&[], 0.6, &image(500, 500)), 0.0);
    }

    #[test]
    fn only_what_covers_the_image_fills_it() {
        let image = image(100, 100);
        let at = |x: f32, y: f32, side: f32, score: f32| {
            let mut face = face(x, side, score);
            face.bounding_box.y = y;
            face
        };
        let filling = |faces: &[Face]| super::filling(faces.to_vec(), 0.6, 25, &image);
        let found = filling(&[at(24.0, 20.0, 104.0, 0.7), at(25.0, 25.0, 60.0, 0.9)]).unwrap();
        assert_eq!((found.bounding_box.x, found.bounding_box.y), (-1.0, -5.0));
        // Too weak, too small, beside the image.
        assert_eq!(filling(&[at(24.0, 20.0, 104.0, 0.59)]), None);
        assert_eq!(filling(&[at(30.0, 30.0, 90.0, 0.9)]), None);
        assert_eq!(filling(&[at(60.0, 25.0, 110.0, 0.9)]), None);
    }

    #[test]
    fn a_small_face_is_looked_for_in_larger_passes() {
        let (sides, faces) = searched((2000, 1000), Search::Primary, |side| match side {
            1280 => vec![face(0.0, 20.0, 0.9)],
            _ => vec![],
        });
        assert_eq!(sides, [320, 640, 1280]);
        assert_eq!(faces.len(), 1);
    }

    #[test]
    fn a_face_too_large_for_the_first_pass_is_looked_for_in_a_smaller_one() {
        let (sides, faces) = searched((2000, 1000), Search::Primary, |side| match side {
            160 => vec![face(0.0, 1500.0, 0.9)],
            _ => vec![],
        });
        assert_eq!(sides, [320, 640, 1280, 160]);
        assert_eq!(faces.len(), 1);
    }

    #[test]
    fn a_second_face_that_matters_is_not_missed() {
        let main = face(0.0, 600.0, 0.93);
        let (sides, faces) = searched((2000, 1000), Search::Primary, |side| match side {
            320 => vec![main, face(900.0, 310.0, 0.4)],
            _ => vec![main, face(900.0, 310.0, 0.9)],
        });
        assert_eq!((sides.as_slice(), faces.len()), (&[320, 640][..], 2));
    }

    #[test]
    fn a_larger_candidate_that_is_no_face_yet_is_looked_at_again() {
        let small = face(900.0, 200.0, 0.93);
        let (sides, faces) = searched((2000, 1000), Search::Primary, |side| match side {
            320 => vec![small, face(0.0, 600.0, 0.5)],
            _ => vec![small, face(10.0, 600.0, 0.9)],
        });
        assert_eq!(sides, [320, 640]);
        assert_eq!(
            faces.iter().map(|f| f.bounding_box.width).collect::<Vec<_>>(),
            [600.0, 200.0]
        );
        // One of less than a quarter of the area is no reason for another pass.
        let (sides, faces) = searched((2000, 1000), Search::Primary, |_| {
            vec![small, face(0.0, 99.0, 0.5)]
        });
        assert_eq!((sides.as_slice(), faces.len()), (&[320][..], 1));
    }

    #[test]
    fn where_no_pass_is_sure_all_are_run_and_the_surest_box_of_a_face_is_kept() {
        let (sides, faces) = searched((2000, 1000), Search::Primary, |side| match side {
            320 => vec![face(0.0, 100.0, 0.65)],
            640 => vec![face(0.0, 90.0, 0.8)],
            _ => vec![face(0.0, 80.0, 0.7)],
        });
        assert_eq!(sides.len(), 5);
        assert_eq!(faces.iter().map(|f| f.score).collect::<Vec<_>>(), [0.8]);
    }

    #[test]
    fn what_is_doubtful_in_every_pass_is_no_face() {
        let (sides, faces) = searched((2000, 1000), Search::Primary, |_| vec![face(0.0, 100.0, 0.59)]);
        assert_eq!((sides.len(), faces.len()), (5, 0));
    }

    #[test]
    fn a_image_is_never_enlarged_and_no_pass_is_run_twice() {
        assert_eq!(searched((250, 250), Search::Primary, |_| vec![]).0, [250, 160]);
        assert_eq!(searched((100, 80), Search::Primary, |_| vec![]).0, [100]);
        assert_eq!(
            searched((500, 400), Search::Thorough, |_| vec![]).0,
            [160, 320, 500]
        );
    }

    #[test]
    fn a_thorough_search_joins_what_its_passes_see() {
        let (sides, faces) = searched((2000, 1000), Search::Thorough, |side| match side {
            160 => vec![],
            320 => vec![face(0.0, 500.0, 0.9)],
            640 => vec![face(5.0, 500.0, 0.95), face(900.0, 60.0, 0.8)],
            _ => vec![face(902.0, 60.0, 0.9), face(1500.0, 15.0, 0.7)],
        });
        assert_eq!(sides, [160, 320, 640, 1280, 2000]);
        let found: Vec<_> = faces.iter().map(|f| (f.bounding_box.x, f.score)).collect();
        assert_eq!(found, [(5.0, 0.95), (902.0, 0.9), (1500.0, 0.7)]);
    }
}

#[cfg(test)]
mod suppression_tests {
    use super::*;
    use crate::{BoundingBox, Landmarks};

    fn face(x: f32, score: f32) -> Face {
        let bounding_box = BoundingBox {
            x,
            y: 0.0,
            width: 10.0,
            height: 10.0,
        };
        Face {
            bounding_box,
            score,
            landmarks: Landmarks::default(),
        }
    }

    #[test]
    fn the_surest_of_overlapping_boxes_is_kept() {
        let kept = suppress(
            vec![face(0.0, 0.7), face(1.0, 0.9), face(2.0, 0.8), face(30.0, 0.6)],
            0.3,
        );
        assert_eq!(kept.iter().map(|f| f.score).collect::<Vec<_>>(), [0.9, 0.6]);
    }

    #[test]
    fn boxes_that_overlap_less_are_both_kept() {
        // Two boxes of 10x10 that share 4x10: 40 / 160 = 0.25.
        assert_eq!(suppress(vec![face(0.0, 0.7), face(6.0, 0.9)], 0.3).len(), 2);
        assert_eq!(suppress(vec![face(0.0, 0.7), face(6.0, 0.9)], 0.2).len(), 1);
    }
}
