use std::io::Cursor;

pub(crate) use likeness_testing::http::Form;
use likeness_testing::http::flat;

/// A PNG of one colour.
pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    flat(width, height).unwrap()
}

/// A PNG of light and dark stripes: sharp and well lit, so that a face in it counts as well photographed; and small.
fn stripes(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let stripe = |x: u32| image::Luma([if (x / 4) & 1 == 0 { 60 } else { 200 }]);
    image::GrayImage::from_fn(width, height, |x, _| stripe(x))
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

/// A selfie and a photo that both versions accept.
pub(crate) fn pair() -> Form {
    Form::pair(&stripes(600, 500), &stripes(600, 500))
}

pub(crate) fn selfie(width: u32, height: u32) -> Form {
    Form::new().file("selfie", &png(width, height))
}
