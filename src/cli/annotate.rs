//! The image that `--annotate` writes: the images side by side with what was found in them, and the result in words.

use std::convert::Infallible;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use embedded_graphics::Drawable;
use embedded_graphics::mono_font::iso_8859_15::FONT_10X20;
use embedded_graphics::mono_font::{MonoFont, MonoTextStyleBuilder};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::prelude::{DrawTarget, OriginDimensions, Pixel, Point, Size};
use embedded_graphics::text::{Baseline, Text};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use imageproc::drawing::{draw_filled_circle_mut, draw_hollow_rect_mut};
use imageproc::rect::Rect;
use likeness::detection::{BoundingBox, Face};
use likeness::imaging::Interrupt;
use likeness::{Engine, ImageReport};

use super::Failure;

const FONT: &MonoFont<'_> = &FONT_10X20;

/// Largest width and height of an image as it is shown, in pixels; it is enlarged at most [`MAX_SCALE`] times.
const PANEL: (f32, f32) = (960.0, 720.0);
const MAX_SCALE: f32 = 4.0;
/// Least width of a panel, for its words.
const MIN_WIDTH: u32 = 420;
const GAP: u32 = 16;
const LINE: u32 = 24;

const BACKGROUND: Rgb<u8> = Rgb([29, 36, 48]);
const TEXT: Rgb<u8> = Rgb([240, 242, 246]);
/// The face that is judged; other faces; liveness crops. Told apart without red and green (Okabe and Ito).
const FACE: Rgb<u8> = Rgb([86, 180, 233]);
const OTHER_FACE: Rgb<u8> = Rgb([160, 166, 176]);
const CROP: Rgb<u8> = Rgb([240, 228, 66]);

/// Checks that the file to write is a PNG and none of the images, which it would overwrite.
pub(super) fn check_target(target: &Path, images: &[&Path]) -> Result<(), Failure> {
    let is_png = target
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
    if !is_png {
        return Err(format!(
            "--annotate {}: the file is a PNG, so its name must end with .png",
            target.display()
        )
        .into());
    }
    let same = |image: &&&Path| match (target.canonicalize(), image.canonicalize()) {
        (Ok(target), Ok(image)) => target == image,
        _ => false,
    };
    match images.iter().find(same) {
        Some(image) => Err(format!(
            "--annotate {}: is one of the input images; name another file",
            image.display()
        )
        .into()),
        None => Ok(()),
    }
}

/// An image with what was found in it.
pub(super) struct Panel {
    caption: Vec<String>,
    image: RgbImage,
}

impl Panel {
    /// Decodes an image again and draws what its report says; `counting` is the index of the face that is judged, `crops` what liveness
    /// was scored on.
    pub(super) fn draw(
        (path, bytes): (&Path, &[u8]),
        engine: &Engine,
        report: &ImageReport,
        counting: usize,
        crops: &[BoundingBox],
    ) -> Result<Self, Failure> {
        let decoded = engine.open_image(bytes)?.decode(Interrupt::NEVER)?;
        let (width, height) = (decoded.width(), decoded.height());
        let image = RgbImage::from_raw(width, height, decoded.into_rgb8()).ok_or("an image of no size")?;
        let scale = (PANEL.0 / width as f32)
            .min(PANEL.1 / height as f32)
            .min(MAX_SCALE);
        let scaled = |side: u32| ((side as f32 * scale) as u32).max(1);
        let mut image = imageops::resize(&image, scaled(width), scaled(height), FilterType::Triangle);
        for crop in crops {
            outline(&mut image, crop, scale, CROP, 1);
        }
        for (index, face) in report.faces.iter().enumerate() {
            draw_face(&mut image, face, scale, index == counting);
        }
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let turned = match report.rotation_degrees() {
            0 => String::new(),
            degrees => format!(", turned by {degrees} degrees to be judged"),
        };
        let faces = report.faces_found;
        let caption = vec![
            name.into_owned(),
            format!("{width}x{height} px, faces: {faces}{turned}"),
        ];
        Ok(Self { caption, image })
    }

    fn width(&self) -> u32 {
        self.image.width().max(MIN_WIDTH)
    }
}

fn draw_face(image: &mut RgbImage, face: &Face, scale: f32, counts: bool) {
    let (colour, thickness) = if counts { (FACE, 3) } else { (OTHER_FACE, 1) };
    outline(image, &face.bounding_box, scale, colour, thickness);
    if counts {
        for landmark in face.landmarks {
            let at = ((landmark.x * scale) as i32, (landmark.y * scale) as i32);
            draw_filled_circle_mut(image, at, 3, FACE);
        }
    }
    let area = &face.bounding_box;
    let below = (
        (area.x * scale) as i32 + 2,
        ((area.y + area.height) * scale) as i32 + 4,
    );
    let above = (below.0, (area.y * scale) as i32 - LINE as i32);
    let fits = below.1 + LINE as i32 <= image.height() as i32;
    write(
        image,
        if fits { below } else { above },
        &format!("{:.4}", face.score),
        colour,
    );
}

/// Draws the outline of a box. What lies outside of the image is left out.
fn outline(image: &mut RgbImage, area: &BoundingBox, scale: f32, colour: Rgb<u8>, thickness: u32) {
    // A box may be of any size: drawing takes as long as it is.
    let within = |position: f32, side: u32| (position * scale).clamp(-8.0, side as f32 + 8.0) as i32;
    let (left, top) = (within(area.x, image.width()), within(area.y, image.height()));
    let right = within(area.x + area.width, image.width());
    let bottom = within(area.y + area.height, image.height());
    for inset in 0..thickness as i32 {
        let (width, height) = (right - left - 2 * inset, bottom - top - 2 * inset);
        if let (Ok(width @ 1..), Ok(height @ 1..)) = (u32::try_from(width), u32::try_from(height)) {
            let rect = Rect::at(left + inset, top + inset).of_size(width, height);
            draw_hollow_rect_mut(image, rect, colour);
        }
    }
}

/// What the colours mean.
const LEGEND: &str = "Blue: the face that is judged, its landmarks and the detector's score. Grey: other faces. Yellow: what \
                      liveness was scored on.";

/// Writes the panels side by side as PNG, with the result above and its reasons below.
pub(super) fn write_sheet(
    target: &Path,
    panels: &[Panel],
    result: String,
    reasons: Vec<String>,
) -> Result<(), Failure> {
    let below: Vec<String> = reasons.into_iter().chain([LEGEND.to_owned()]).collect();
    write_png(&sheet(panels, &[result], &below), target)
}

/// Puts the panels side by side, with words above and below them.
fn sheet(panels: &[Panel], above: &[String], below: &[String]) -> RgbImage {
    let width = panels.iter().map(|panel| panel.width() + GAP).sum::<u32>() + GAP;
    let columns = (width.saturating_sub(2 * GAP) / FONT.character_size.width).max(1) as usize;
    let (above, below) = (wrapped(above, columns), wrapped(below, columns));
    let captions: Vec<_> = panels
        .iter()
        .map(|panel| {
            wrapped(
                &panel.caption,
                (panel.width() / FONT.character_size.width) as usize,
            )
        })
        .collect();
    let tallest = panels
        .iter()
        .map(|panel| panel.image.height())
        .max()
        .unwrap_or_default();
    let caption_lines = captions.iter().map(Vec::len).max().unwrap_or_default();
    let lines = (above.len() + caption_lines + below.len()) as u32;
    let height = tallest + LINE * lines + 4 * GAP;
    let mut sheet = RgbImage::from_pixel(width, height, BACKGROUND);
    let mut y = GAP;
    for line in &above {
        write(&mut sheet, (GAP as i32, y as i32), line, TEXT);
        y += LINE;
    }
    y += GAP;
    let mut x = GAP;
    for (panel, caption) in panels.iter().zip(captions) {
        imageops::replace(&mut sheet, &panel.image, i64::from(x), i64::from(y));
        for (row, line) in (0..).zip(caption) {
            write(
                &mut sheet,
                (x as i32, (y + tallest + LINE * row) as i32 + 4),
                &line,
                TEXT,
            );
        }
        x += panel.width() + GAP;
    }
    y += tallest + LINE * caption_lines as u32 + GAP;
    for line in &below {
        write(&mut sheet, (GAP as i32, y as i32), line, TEXT);
        y += LINE;
    }
    sheet
}

/// Breaks lines that are longer than this, at spaces where there are any.
fn wrapped(lines: &[String], columns: usize) -> Vec<String> {
    let mut wrapped = Vec::new();
    for line in lines {
        let mut current = String::new();
        for word in line.split(' ') {
            let mut word: Vec<char> = word.chars().collect();
            let fits = current.chars().count() + 1 + word.len() <= columns;
            if !current.is_empty() && !fits {
                wrapped.push(std::mem::take(&mut current));
            }
            while word.len() > columns {
                wrapped.push(word.drain(..columns).collect());
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current.extend(word);
        }
        wrapped.push(current);
    }
    wrapped
}

/// Writes a line with its upper left corner there. What is outside of the image is left out; characters that the font does not have
/// are question marks.
fn write(image: &mut RgbImage, (x, y): (i32, i32), line: &str, colour: Rgb<u8>) {
    let rgb = |Rgb([r, g, b])| Rgb888::new(r, g, b);
    let style = MonoTextStyleBuilder::new()
        .font(FONT)
        .text_color(rgb(colour))
        .background_color(rgb(BACKGROUND))
        .build();
    let Ok(_) = Text::with_baseline(line, Point::new(x, y), style, Baseline::Top).draw(&mut Canvas(image));
}

/// An image to write on.
struct Canvas<'a>(&'a mut RgbImage);

impl OriginDimensions for Canvas<'_> {
    fn size(&self) -> Size {
        Size::new(self.0.width(), self.0.height())
    }
}

impl DrawTarget for Canvas<'_> {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(at, colour) in pixels {
            if let (Ok(x), Ok(y)) = (u32::try_from(at.x), u32::try_from(at.y))
                && let Some(pixel) = self.0.get_pixel_mut_checked(x, y)
            {
                *pixel = Rgb([colour.r(), colour.g(), colour.b()]);
            }
        }
        Ok(())
    }
}

/// Writes an image as PNG.
fn write_png(image: &RgbImage, path: &Path) -> Result<(), Failure> {
    let cannot = |error: String| format!("cannot write {}: {error}", path.display());
    let file = File::create(path).map_err(|error| cannot(error.to_string()))?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), image.width(), image.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(image.as_raw())?;
        writer.finish()
    });
    Ok(written.map_err(|error| cannot(error.to_string()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(width: u32, height: u32) -> Panel {
        Panel {
            caption: vec!["caf\u{e9} \u{4e2d}.jpg".to_owned(), "words ".repeat(40)],
            image: RgbImage::from_pixel(width, height, Rgb([255, 0, 0])),
        }
    }

    fn count(image: &RgbImage, colour: Rgb<u8>) -> usize {
        image.pixels().filter(|pixel| **pixel == colour).count()
    }

    #[test]
    fn panels_lie_side_by_side_and_words_around_them() {
        let panels = [panel(500, 300), panel(20, 700)];
        let image = sheet(&panels, &["PASS".to_owned()], &["x".repeat(300)]);
        assert_eq!(image.width(), 500 + MIN_WIDTH + 3 * GAP);
        // Both panels as a whole, and nothing over them.
        assert_eq!(count(&image, Rgb([255, 0, 0])), 500 * 300 + 20 * 700);
        assert!(count(&image, TEXT) > 1_000);
        let left = (GAP, 2 * GAP + LINE);
        assert_eq!(image.get_pixel(left.0, left.1), &Rgb([255, 0, 0]));
        assert_eq!(
            image.get_pixel(left.0 + 500 + GAP, left.1 + 699),
            &Rgb([255, 0, 0])
        );
    }

    #[test]
    fn boxes_that_reach_outside_are_cut() {
        let mut image = RgbImage::new(100, 80);
        for area in [
            (-50.0, -50.0, 100.0, 100.0),
            (60.0, 60.0, 1e9, 1e9),
            (-1e9, 0.0, 3.0, 3.0),
            (10.0, 10.0, 0.0, 5.0),
        ] {
            let (x, y, width, height) = area;
            outline(&mut image, &BoundingBox { x, y, width, height }, 1.0, FACE, 3);
        }
        // The corner of each of the first two.
        assert_eq!(image.get_pixel(49, 10), &FACE);
        assert_eq!(image.get_pixel(60, 70), &FACE);
        assert_eq!(image.get_pixel(20, 20), &Rgb([0, 0, 0]));
    }

    #[test]
    fn long_lines_are_broken_at_spaces_and_long_words_anywhere() {
        let broken = |line: &str| wrapped(&[line.to_owned()], 5);
        assert_eq!(broken("one two"), ["one", "two"]);
        assert_eq!(broken("a b c d"), ["a b c", "d"]);
        assert_eq!(broken("abcdefghijkl m"), ["abcde", "fghij", "kl m"]);
        assert_eq!(broken(""), [""]);
    }

    #[test]
    fn only_a_png_that_is_not_read_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (image, other) = (folder.path().join("a.PNG"), folder.path().join("b.png"));
        std::fs::write(&image, b"").unwrap();
        let through = folder.path().join(".").join("a.PNG");
        assert!(check_target(&other, &[&image]).is_ok());
        for (target, says) in [
            (folder.path().join("a.jpg"), ".png"),
            (through, "is one of the input images"),
        ] {
            let error = check_target(&target, &[&image]).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
