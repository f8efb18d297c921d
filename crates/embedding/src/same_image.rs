//! Whether two faces are one photograph.

use likeness_face::similarity_transform;
use likeness_imaging::{Affine, Image};
use likeness_packs::Template;

use crate::FaceInImage;

/// The [`image_agreement`] from which on two faces are one photograph.
///
/// Chosen on development images: copies of a photograph (JPEG of quality 30 and more, scaled by 0.5 to 1.5, cropped down to a tenth of
/// the face around it) agree to 0.958 and more, genuine pairs of LFW's development view to 0.943 at most. See `docs/accuracy.md`.
pub const SAME_IMAGE: f64 = 0.95;

/// Side of the compared crop in pixels: small enough for compression not to show.
const SIDE: usize = 48;

/// Pixels around it that are sampled as well, so that one crop can be moved over the other.
const RIM: usize = 4;

/// How much larger than in an embedder's crop the face is, so that less of what a tight crop lacks is compared.
const ZOOM: f64 = 1.25;

/// Where the zoomed crop has its middle, in units of the embedder's crop: between eyes and mouth.
const MIDDLE: [f64; 2] = [0.5, 0.6];

const WHOLE: usize = SIDE + 2 * RIM;

/// Points that are sampled along one pixel of a crop, at most.
const MAX_SAMPLES: usize = 2;

/// Of the pixels in either direction, each how many-th says how to move a crop.
const STRIDE: usize = 2;

/// Steps in which one crop is moved over the other, at most. Landmarks of copies lie a few hundredths of a face apart.
const MAX_STEPS: usize = 10;

/// A step by less pixels is the last one.
const LAST_STEP: f64 = 0.02;

/// The correlation of two whole crops below which they are not looked at any closer: far below what copies have.
const ALIKE: f64 = 0.85;

/// Of the crop, the part that has to lie in both images for a comparison.
const COMPARED: f64 = 0.125;

/// Unknowns of a step: six of an affine map, contrast and brightness.
const UNKNOWNS: usize = 8;

/// Returns how far two faces agree pixel by pixel: the correlation of their fine detail, -1..=1.
///
/// Both are aligned by their landmarks, as small grey crops; then the second is moved over the first until it fits best, because
/// the landmarks of a copy that was cropped or scaled lie a little elsewhere. Fine detail differs between any two photographs of a
/// face, and survives compression. 0 where they differ in the coarse already, where too little of the faces lies in the images, where
/// there is no detail, or where the landmarks of a face are all in one place.
#[must_use]
pub fn image_agreement(a: FaceInImage<'_>, b: FaceInImage<'_>) -> f64 {
    let (Some(a), Some(b)) = (Crop::of(a), Crop::of(b)) else {
        return 0.0;
    };
    let still = a.seen(&Affine::IDENTITY);
    let moved = b.seen(&b.map_onto(&still));
    if correlation(&still, &moved) < ALIKE {
        return 0.0;
    }
    correlation(&detail(&still), &detail(&moved))
}

/// An aligned face in grey, NaN where the image ends.
struct Crop(Vec<f32>);

impl Crop {
    fn of(face: FaceInImage<'_>) -> Option<Self> {
        let [x, y] = MIDDLE;
        let place = |value: f64, middle: f64| ((value - middle) * ZOOM + 0.5) * SIDE as f64 + RIM as f64;
        let from = face.landmarks.map(<[f64; 2]>::from);
        let to = Template::Arcface
            .points()
            .map(|point| [place(point[0], x), place(point[1], y)]);
        let back = similarity_transform(&from, &to)?.inverse()?;
        let [[a, _, _], [d, _, _]] = back.rows();
        let samples = (a.hypot(d).ceil().max(1.0) as usize).min(MAX_SAMPLES);
        let within = |index: usize| (index as f64 + 0.5) / samples as f64 - 0.5;
        let mut grey = Vec::with_capacity(WHOLE * WHOLE);
        for (y, x) in (0..WHOLE * WHOLE).map(|index| (index / WHOLE, index % WHOLE)) {
            let mut sum = 0.0;
            for (row, column) in (0..samples * samples).map(|index| (index / samples, index % samples)) {
                let (x, y) = back.apply(x as f64 + within(column), y as f64 + within(row));
                sum += luma(face.image, x, y);
            }
            grey.push(sum / (samples * samples) as f32);
        }
        Some(Self(grey))
    }

    /// Returns the compared part of the crop, under a map of coordinates from its middle.
    fn seen(&self, map: &Affine) -> Vec<f32> {
        let places = (0..SIDE * SIDE).map(|index| (from_middle(index % SIDE), from_middle(index / SIDE)));
        places
            .map(|(x, y)| {
                let (x, y) = map.apply(x, y);
                self.at(x, y)
            })
            .collect()
    }

    /// Returns the grey at a place that is given from the middle; NaN outside.
    fn at(&self, x: f64, y: f64) -> f32 {
        let half = (WHOLE - 1) as f64 / 2.0;
        bilinear(x + half, y + half, WHOLE, WHOLE, |index| {
            self.0.get(index).copied()
        })
    }

    /// Returns the map under which this crop is nearest to another in the sense of least squares, whatever their contrast and
    /// brightness: Lucas and Kanade's method (IJCAI, 1981).
    fn map_onto(&self, wanted: &[f32]) -> Affine {
        let mut map = Affine::IDENTITY;
        for _ in 0..MAX_STEPS {
            let Some([a, b, c, d, e, f, contrast, _]) = solved(self.equations(wanted, &map)) else {
                break;
            };
            let step = [a, b, c, d, e, f].map(|value| value / contrast);
            if !step.iter().all(|value| value.is_finite()) {
                break;
            }
            let [[a, b, c], [d, e, f]] = map.rows();
            let unit = SIDE as f64;
            map = Affine::new(
                a + step[0] / unit,
                b + step[1] / unit,
                c + step[2],
                d + step[3] / unit,
                e + step[4] / unit,
                f + step[5],
            );
            if step.iter().all(|value| value.abs() < LAST_STEP) {
                break;
            }
        }
        map
    }

    /// Returns the normal equations of a step, with the right-hand side last: what a change of each unknown adds to each pixel.
    fn equations(&self, wanted: &[f32], map: &Affine) -> [[f64; UNKNOWNS + 1]; UNKNOWNS] {
        let mut equations = [[0.0; UNKNOWNS + 1]; UNKNOWNS];
        let places = (0..SIDE).step_by(STRIDE).flat_map(|y| {
            let columns = (0..SIDE).step_by(STRIDE);
            columns.map(move |x| (x, y))
        });
        for (column, row) in places {
            let wanted = wanted.get(row * SIDE + column).copied().unwrap_or(f32::NAN);
            let (u, v) = (from_middle(column), from_middle(row));
            let (x, y) = map.apply(u, v);
            let across = f64::from(self.at(x + 0.5, y) - self.at(x - 0.5, y));
            let down = f64::from(self.at(x, y + 0.5) - self.at(x, y - 0.5));
            let (u, v) = (u / SIDE as f64, v / SIDE as f64);
            let pixel = [
                across * u,
                across * v,
                across,
                down * u,
                down * v,
                down,
                f64::from(self.at(x, y)),
                1.0,
                f64::from(wanted),
            ];
            if !pixel.iter().all(|number| number.is_finite()) {
                continue;
            }
            for (equation, left) in equations.iter_mut().zip(&pixel) {
                for (sum, right) in equation.iter_mut().zip(&pixel) {
                    *sum += left * right;
                }
            }
        }
        equations
    }
}

/// A column or row of the compared crop, from its middle.
fn from_middle(index: usize) -> f64 {
    index as f64 - (SIDE - 1) as f64 / 2.0
}

/// Returns the luma (Rec. 709, of the encoded values) at a place, 0..=255; NaN outside of the image.
fn luma(image: &Image, x: f64, y: f64) -> f32 {
    let (pixels, _) = image.as_rgb8().as_chunks::<3>();
    bilinear(x, y, image.width() as usize, image.height() as usize, |index| {
        pixels.get(index).map(|[red, green, blue]| {
            0.2126 * f32::from(*red) + 0.7152 * f32::from(*green) + 0.0722 * f32::from(*blue)
        })
    })
}

/// Returns the mixture of the four pixels around a place; NaN where one of them does not exist.
fn bilinear(x: f64, y: f64, width: usize, height: usize, at: impl Fn(usize) -> Option<f32>) -> f32 {
    if !(x >= 0.0 && y >= 0.0 && x < width as f64 - 1.0 && y < height as f64 - 1.0) {
        return f32::NAN;
    }
    let (left, top) = (x as usize, y as usize);
    let (right, bottom) = ((x - left as f64) as f32, (y - top as f64) as f32);
    let row = |y: usize| {
        let (one, other) = (at(y * width + left), at(y * width + left + 1));
        let (one, other) = (one.unwrap_or(f32::NAN), other.unwrap_or(f32::NAN));
        one + (other - one) * right
    };
    let above = row(top);
    above + (row(top + 1) - above) * bottom
}

/// Solves the equations by elimination with pivots; `None` where they do not determine every unknown.
fn solved(mut rows: [[f64; UNKNOWNS + 1]; UNKNOWNS]) -> Option<[f64; UNKNOWNS]> {
    for column in 0..UNKNOWNS {
        let best =
            (column..UNKNOWNS).max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()))?;
        rows.swap(column, best);
        let pivot = rows[column];
        if pivot[column].abs() < 1e-9 {
            return None;
        }
        for (index, row) in rows.iter_mut().enumerate() {
            if index != column {
                let times = row[column] / pivot[column];
                for (value, of_pivot) in row.iter_mut().zip(&pivot) {
                    *value -= times * of_pivot;
                }
            }
        }
    }
    Some(std::array::from_fn(|index| {
        rows[index][UNKNOWNS] / rows[index][index]
    }))
}

/// Returns what is between about two and eight pixels large; NaN within four pixels of what is not known.
fn detail(grey: &[f32]) -> Vec<f32> {
    let fine = blurred(grey, 1);
    let coarse = blurred(&blurred(&fine, 2), 2);
    fine.iter()
        .zip(&coarse)
        .map(|(fine, coarse)| fine - coarse)
        .collect()
}

/// Returns the means of squares with this radius; NaN where one is not known wholly.
fn blurred(grey: &[f32], radius: usize) -> Vec<f32> {
    let along = |grey: &[f32], step: usize| {
        let mean = |index: usize| {
            let place = index / step % SIDE;
            if place < radius || place + radius >= SIDE {
                return f32::NAN;
            }
            let line = grey.iter().skip(index - radius * step).step_by(step);
            line.take(2 * radius + 1).sum::<f32>() / (2 * radius + 1) as f32
        };
        (0..SIDE * SIDE).map(mean).collect::<Vec<_>>()
    };
    along(&along(grey, 1), SIDE)
}

/// Returns the correlation of what is known of both.
fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let known: Vec<(f64, f64)> = a
        .iter()
        .zip(b)
        .filter(|(a, b)| a.is_finite() && b.is_finite())
        .map(|(a, b)| (f64::from(*a), f64::from(*b)))
        .collect();
    let count = known.len() as f64;
    if count < COMPARED * (SIDE * SIDE) as f64 {
        return 0.0;
    }
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| known.iter().map(of).sum::<f64>() / count;
    let (of_a, of_b) = (mean(&|pixel| pixel.0), mean(&|pixel| pixel.1));
    let product = mean(&|(a, b)| (a - of_a) * (b - of_b));
    let scale = (mean(&|(a, _)| (a - of_a).powi(2)) * mean(&|(_, b)| (b - of_b).powi(2))).sqrt();
    if scale > 1e-9 { product / scale } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use likeness_face::{Landmarks, Point};
    use likeness_imaging::{PixelRect, crop_resize_bilinear, shrink_area, warp_affine};

    use super::*;

    /// An image with detail of every size, the same for the same seed.
    fn image(seed: u32) -> Image {
        let value = |x: u32, y: u32| {
            let mut sum = 0.0;
            for size in [5.0, 9.0, 17.0, 40.0] {
                let (x, y, seed) = (f64::from(x) / size, f64::from(y) / size, f64::from(seed));
                sum += (x * 1.3 + y * 0.7 + seed).sin() * (y * 1.1 - x * 0.4 + 2.0 * seed).cos();
            }
            (127.0 + 30.0 * sum) as u8
        };
        let pixels = (0..240 * 240).flat_map(|index| [value(index % 240, index / 240); 3]);
        Image::from_rgb8(240, 240, pixels.collect()).unwrap()
    }

    fn landmarks(scale: f32, (x, y): (f32, f32)) -> Landmarks {
        [
            (95.0, 100.0),
            (145.0, 100.0),
            (120.0, 130.0),
            (100.0, 160.0),
            (140.0, 160.0),
        ]
        .map(|(of_x, of_y): (f32, f32)| Point {
            x: of_x * scale + x,
            y: of_y * scale + y,
        })
    }

    fn agreement(a: (&Image, &Landmarks), b: (&Image, &Landmarks)) -> f64 {
        let face = |(image, landmarks)| FaceInImage { image, landmarks };
        image_agreement(face(a), face(b))
    }

    #[test]
    fn copies_agree_however_they_were_cropped_scaled_and_lit() {
        let (image, of_image) = (image(1), landmarks(1.0, (0.0, 0.0)));
        let original = (&image, &of_image);
        assert!(agreement(original, original) > 0.9999);
        let rect = PixelRect {
            left: 60,
            top: 70,
            width: 120,
            height: 120,
        };
        let cropped = crop_resize_bilinear(&image, rect, 120, 120);
        assert!(agreement(original, (&cropped, &landmarks(1.0, (-60.0, -70.0)))) > 0.99);
        let small = shrink_area(&image, 120, 120);
        assert!(agreement(original, (&small, &landmarks(0.5, (0.0, 0.0)))) > SAME_IMAGE);
        let darker = image.as_rgb8().iter().map(|value| value / 2 + 20).collect();
        let darker = Image::from_rgb8(240, 240, darker).unwrap();
        assert!(agreement(original, (&darker, &of_image)) > 0.99);
    }

    #[test]
    fn a_copy_whose_landmarks_lie_a_little_elsewhere_is_one() {
        let image = image(1);
        let (there, elsewhere) = (landmarks(1.0, (0.0, 0.0)), landmarks(1.03, (-2.0, 1.0)));
        assert!(agreement((&image, &there), (&image, &elsewhere)) > 0.99);
    }

    #[test]
    fn other_images_do_not_agree() {
        let (one, other, of_both) = (image(1), image(2), landmarks(1.0, (0.0, 0.0)));
        assert!(agreement((&one, &of_both), (&other, &of_both)) < 0.9);
        let mirrored = warp_affine(&one, &Affine::new(-1.0, 0.0, 239.0, 0.0, 1.0, 0.0), 240, 240);
        assert!(agreement((&one, &of_both), (&mirrored, &of_both)) < 0.9);
    }

    #[test]
    fn what_cannot_be_compared_does_not_agree() {
        let plain = Image::from_rgb8(240, 240, vec![127; 240 * 240 * 3]).unwrap();
        let (there, outside) = (landmarks(1.0, (0.0, 0.0)), landmarks(1.0, (-400.0, 0.0)));
        assert_eq!(agreement((&plain, &there), (&plain, &there)), 0.0);
        let image = image(1);
        assert_eq!(agreement((&image, &there), (&image, &outside)), 0.0);
        let huge = landmarks(1e30, (0.0, 0.0));
        assert_eq!(agreement((&image, &there), (&image, &huge)), 0.0);
        let one_place = [Point { x: 1.0, y: 1.0 }; 5];
        assert_eq!(agreement((&image, &there), (&image, &one_place)), 0.0);
    }
}
