//! The images behind the worst errors of an evaluation, as contact sheets on the page of its report.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jpeg_encoder::{ColorType, Encoder};
use likeness_engine::Engine;
use likeness_engine::imaging::{Image, Interrupt, shrink_area};
use maud::{Markup, html};

use crate::acquisition::{Evaluation, read_file};
use crate::document::Document;
use crate::highest::Highest;

/// The most images or comparisons of one kind of error on a page: each thumbnail has some 10 KB.
pub const MAX_GALLERY: usize = 200;

/// The longest side of a thumbnail in pixels.
const THUMBNAIL: u32 = 192;

/// JPEG quality of thumbnails, 1 to 100.
const QUALITY: u8 = 85;

/// The contact sheets of a report.
#[derive(Clone, PartialEq, Default)]
pub struct Gallery {
    sheets: Vec<Sheet>,
}

impl std::fmt::Debug for Gallery {
    // Images are not shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gallery({} images)", self.images())
    }
}

#[derive(Clone, PartialEq)]
struct Sheet {
    title: &'static str,
    entries: Vec<Entry>,
}

#[derive(Clone, PartialEq)]
struct Entry {
    /// The files of one comparison or presentation, each with its thumbnail as JPEG; without one where it cannot be read any more.
    images: Vec<(String, Option<Vec<u8>>)>,
    caption: String,
}

impl Gallery {
    /// Adds a sheet: the files of each entry, and its caption. The images are decoded again, one at a time.
    pub(crate) fn add<'a>(
        &mut self,
        evaluation: &Evaluation<'_>,
        title: &'static str,
        entries: impl IntoIterator<Item = (Vec<&'a str>, String)>,
    ) {
        let image = |file: &str| {
            let path = evaluation.root.join(file);
            (file.to_owned(), thumbnail(&path, evaluation.engine))
        };
        let entries = entries.into_iter().map(|(files, caption)| Entry {
            images: files.into_iter().map(image).collect(),
            caption,
        });
        self.sheets.push(Sheet {
            title,
            entries: entries.collect(),
        });
    }

    /// Returns how many images it holds.
    #[must_use]
    pub fn images(&self) -> usize {
        let entries = self.sheets.iter().flat_map(|sheet| &sheet.entries);
        let images = entries.flat_map(|entry| &entry.images);
        images.filter(|(_, thumbnail)| thumbnail.is_some()).count()
    }

    pub(crate) fn describe(&self, document: &mut Document) {
        document.heading("Worst errors");
        document.text(&format!(
            "report.html shows faces (images: {}). Protect it like the images themselves.",
            self.images()
        ));
        for sheet in &self.sheets {
            document.page(&sheet.markup());
        }
    }
}

impl Sheet {
    fn markup(&self) -> Markup {
        html! {
            h3 { (self.title) }
            @if self.entries.is_empty() { p { "none" } }
            div.sheet {
                @for entry in &self.entries {
                    figure {
                        @for (file, thumbnail) in &entry.images {
                            @match thumbnail {
                                Some(jpeg) => img alt=(file) title=(file) src={ "data:image/jpeg;base64," (STANDARD.encode(jpeg)) };,
                                None => p { (file) " cannot be read any more" }
                            }
                        }
                        figcaption {
                            (entry.caption)
                            @for (file, _) in &entry.images { br; (file) }
                        }
                    }
                }
            }
        }
    }
}

impl Evaluation<'_> {
    /// Returns a place for the worst comparisons or presentations of one kind.
    pub(crate) fn highest<T: Ord>(&self) -> Highest<T> {
        Highest::new(self.gallery.min(MAX_GALLERY))
    }
}

fn thumbnail(path: &Path, engine: &Engine) -> Option<Vec<u8>> {
    let bytes = read_file(path, engine.limits()).ok()?;
    let image = engine.open_image(&bytes).ok()?.decode(Interrupt::NEVER).ok()?;
    drop(bytes);
    jpeg(&shrunk(&image))
}

/// Returns an image with sides of at most [`THUMBNAIL`] pixels.
fn shrunk(image: &Image) -> Image {
    let longer = image.width().max(image.height()).max(1);
    if longer <= THUMBNAIL {
        return image.clone();
    }
    let side = |side: u32| (u64::from(side) * u64::from(THUMBNAIL) / u64::from(longer)).max(1) as u32;
    shrink_area(image, side(image.width()), side(image.height()))
}

fn jpeg(image: &Image) -> Option<Vec<u8>> {
    let mut jpeg = Vec::new();
    let (width, height) = (
        u16::try_from(image.width()).ok()?,
        u16::try_from(image.height()).ok()?,
    );
    Encoder::new(&mut jpeg, QUALITY)
        .encode(image.as_rgb8(), width, height, ColorType::Rgb)
        .ok()?;
    Some(jpeg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbnails_keep_the_shape_and_have_a_bounded_size() {
        for ((width, height), expected) in [
            ((100, 50), (100, 50)),
            ((192, 192), (192, 192)),
            ((1_920, 1_080), (192, 108)),
            ((300, 3_000), (19, 192)),
            ((5_000, 2), (192, 1)),
        ] {
            let pixels = vec![90; (width * height * 3) as usize];
            let small = shrunk(&Image::from_rgb8(width, height, pixels).unwrap());
            assert_eq!((small.width(), small.height()), expected);
            assert!(jpeg(&small).unwrap().len() < 20_000);
        }
    }

    #[test]
    fn a_sheet_escapes_names_and_shows_what_cannot_be_read() {
        let entry = |thumbnail| Entry {
            images: vec![("<a>.jpg".to_owned(), thumbnail)],
            caption: "\"0.5\" & more".to_owned(),
        };
        let gallery = Gallery {
            sheets: vec![
                Sheet {
                    title: "One",
                    entries: vec![entry(Some(vec![1, 2, 3])), entry(None)],
                },
                Sheet {
                    title: "Other",
                    entries: Vec::new(),
                },
            ],
        };
        assert_eq!(gallery.images(), 1);
        assert_eq!(format!("{gallery:?}"), "Gallery(1 images)");
        let mut document = Document::default();
        gallery.describe(&mut document);
        let page = document.html("Title");
        assert!(
            page.contains("data:image/jpeg;base64,AQID") && !page.contains("<a>"),
            "{page}"
        );
        assert!(
            page.contains("&lt;a&gt;.jpg cannot be read any more") && page.contains("<p>none</p>"),
            "{page}"
        );
        assert!(page.contains("shows faces (images: 1)"), "{page}");
    }
}
