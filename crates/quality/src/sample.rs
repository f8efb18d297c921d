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

/// From this luma on a pixel counts as overexposed, as ISO/IEC 29794-5 counts.
const OVEREXPOSED: u8 = 247;

/// Which part of the pixels is darker than the brightness. High enough for highlights on dark skin, low enough for
/// teeth and glasses not to stand for the face.
const BRIGHT: f64 = 0.95;

/// The middle of a face in grey, shrunk to [`FACE_SIDE`]; a smaller face is kept as it is, never enlarged.
pub(crate) struct Sample {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Luma (Rec. 709) of each pixel, row by row.
    pub(crate) luma: Vec<u8>,
    /// See [`crate::FaceQuality::colour`].
    pub(crate) colour: f64,
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
            colour: colour(pixels),
        })
    }

    /// Returns the 95th percentile of the luma, 0..=1.
    pub(crate) fn brightness(&self) -> f64 {
        let mut luma = self.luma.clone();
        let rank = (luma.len().saturating_sub(1) as f64 * BRIGHT) as usize;
        if rank >= luma.len() {
            return 0.0;
        }
        let (_, value, _) = luma.select_nth_unstable(rank);
        f64::from(*value) / 255.0
    }

    /// Returns the share of pixels that are too bright to show anything, 0..=1.
    pub(crate) fn overexposed_share(&self) -> f64 {
        let bright = self.luma.iter().filter(|&&luma| luma >= OVEREXPOSED).count();
        bright as f64 / self.luma.len().max(1) as f64
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

/// Returns the deviation of the pixels' colours from those of a tinted grey image of them, in units of their mean luma; 0 of
/// black.
///
/// What red and blue have more than green rises and falls with the luma in a tinted grey image: what a straight line explains
/// does not count.
fn colour(pixels: &[[u8; 3]]) -> f64 {
    let count = pixels.len().max(1) as f64;
    let mut sums = [0.0; 3];
    let mut products = [0.0; 5];
    for pixel in pixels {
        let [red, green, blue] = pixel.map(f64::from);
        let (luma, red, blue) = (f64::from(luma(*pixel)), red - green, blue - green);
        for (sum, value) in sums.iter_mut().zip([luma, red, blue]) {
            *sum += value;
        }
        let of_pixel = [luma * luma, red * red, blue * blue, luma * red, luma * blue];
        for (sum, value) in products.iter_mut().zip(of_pixel) {
            *sum += value;
        }
    }
    let [luma, red, blue] = sums.map(|sum| sum / count);
    let [of_luma, of_red, of_blue, with_red, with_blue] = products.map(|sum| sum / count);
    let spread = of_luma - luma * luma;
    let unexplained = |mean: f64, square: f64, product: f64| {
        let together = product - mean * luma;
        let explained = if spread > 0.0 {
            together * together / spread
        } else {
            0.0
        };
        (square - mean * mean - explained).max(0.0)
    };
    let variance = unexplained(red, of_red, with_red) + unexplained(blue, of_blue, with_blue);
    if luma > 0.0 { variance.sqrt() / luma } else { 0.0 }
}
