//! The middle of a face at a fixed size.

use likeness_face::BoundingBox;
use likeness_imaging::{Image, PixelRect, shrink_area};

/// The side of the square with a face box's area in a [`Sample`], in pixels; with the default detector the eyes of a
/// frontal face are then about 50 px apart, and 47 in the crop that the default embedder sees. What is finer than that
/// does not matter to the models and, measured, would make a score depend on the camera's resolution and noise.
pub(crate) const FACE_SIDE: f64 = 128.0;

/// Of the box, in each direction: the corners of a box show hair and background.
const MIDDLE: f64 = 0.8;

/// A sampled face has at most so many pixels a side. A detector's boxes stay far below it; others are not trusted.
const MAX_SIDE: f64 = 2.0 * FACE_SIDE;

/// Source pixels that are looked at along one sampled pixel, at least; more would change no digit that matters.
const OVERSAMPLING: f64 = 2.0;

/// The middle of a face in grey, shrunk to [`FACE_SIDE`]; a smaller face is kept as it is, never enlarged.
pub(crate) struct Sample {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Luma (Rec. 709) of each pixel, row by row.
    pub(crate) luma: Vec<u8>,
}

impl Sample {
    /// `None` where nothing of the face's middle lies in the image.
    pub(crate) fn of(image: &Image, face: &BoundingBox) -> Option<Self> {
        let side = (f64::from(face.width) * f64::from(face.height)).sqrt();
        let middle = |start: f32, length: f32, limit: u32| {
            let (start, length, limit) = (f64::from(start), f64::from(length), f64::from(limit));
            let margin = length * (1.0 - MIDDLE) / 2.0;
            let low = (start + margin).max(0.0).floor();
            let high = (start + length - margin).min(limit).ceil();
            // The numbers lie in the image, and the cast saturates where they are none.
            (high > low && low < limit).then_some((low as u32, (high - low) as u32))
        };
        let (left, width) = middle(face.x, face.width, image.width())?;
        let (top, height) = middle(face.y, face.height, image.height())?;
        let longest = f64::from(width.max(height));
        let ratio = (side / FACE_SIDE).max(longest / MAX_SIDE).max(1.0);

        // Most pixels of a large face are left out first: to average all of them would take longer than the rest.
        let stride = ((ratio / OVERSAMPLING) as u32).max(1);
        let rect = PixelRect {
            left,
            top,
            width,
            height,
        };
        let picked = pick(image, rect, stride)?;
        let target = |length: u32| ((f64::from(length) / ratio).round() as u32).max(1);
        let small = shrink_area(&picked, target(width), target(height));
        let (pixels, _) = small.as_rgb8().as_chunks::<3>();
        Some(Self {
            width: small.width() as usize,
            height: small.height() as usize,
            luma: pixels.iter().map(|pixel| luma(*pixel)).collect(),
        })
    }
}

/// Every `stride`-th pixel of every `stride`-th row.
fn pick(image: &Image, rect: PixelRect, stride: u32) -> Option<Image> {
    let (width, height) = (rect.width.div_ceil(stride), rect.height.div_ceil(stride));
    let stride = stride as usize;
    let (pixels, _) = image.as_rgb8().as_chunks::<3>();
    let rows = pixels.chunks_exact(image.width() as usize);
    let mut picked = vec![[0; 3]; width as usize * height as usize];
    let wanted = rows.skip(rect.top as usize).take(rect.height as usize);
    for (row, out) in wanted
        .step_by(stride)
        .zip(picked.chunks_exact_mut(width as usize))
    {
        let row = row.get(rect.left as usize..)?.get(..rect.width as usize)?;
        if stride == 1 {
            out.copy_from_slice(row);
        } else {
            for (out, pixels) in out.iter_mut().zip(row.chunks(stride)) {
                *out = pixels.first().copied().unwrap_or_default();
            }
        }
    }
    Image::from_rgb8(width, height, picked.into_flattened()).ok()
}

/// Rec. 709, the weights in 256ths.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    ((54 * u32::from(red) + 183 * u32::from(green) + 19 * u32::from(blue) + 128) / 256) as u8
}
