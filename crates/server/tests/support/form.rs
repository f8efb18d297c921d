use std::io::Cursor;

/// A PNG of one colour.
pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image::RgbImage::new(width, height)
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
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

/// A multipart form, byte by byte.
#[derive(Clone)]
pub(crate) struct Form {
    body: Vec<u8>,
    content_type: String,
}

impl Form {
    pub(crate) fn new() -> Self {
        Self {
            body: Vec::new(),
            content_type: "multipart/form-data; boundary=BOUNDARY".to_owned(),
        }
    }

    /// A selfie and a photo that both versions accept.
    pub(crate) fn pair() -> Self {
        Self::new()
            .file("selfie", &stripes(600, 500))
            .file("image", &stripes(600, 500))
    }

    pub(crate) fn selfie(width: u32, height: u32) -> Self {
        Self::new().file("selfie", &png(width, height))
    }

    pub(crate) fn file(self, name: &str, bytes: &[u8]) -> Self {
        self.part(
            &format!(
                "Content-Disposition: form-data; name=\"{name}\"; filename=\"f.png\"\r\nContent-Type: image/png"
            ),
            bytes,
        )
    }

    pub(crate) fn text(self, name: &str, value: &str) -> Self {
        self.part(
            &format!("Content-Disposition: form-data; name=\"{name}\""),
            value.as_bytes(),
        )
    }

    pub(crate) fn part(mut self, head: &str, data: &[u8]) -> Self {
        self.body
            .extend_from_slice(format!("--BOUNDARY\r\n{head}\r\n\r\n").as_bytes());
        self.body.extend_from_slice(data);
        self.body.extend_from_slice(b"\r\n");
        self
    }

    pub(crate) fn content_type(mut self, content_type: &str) -> Self {
        self.content_type = content_type.to_owned();
        self
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        [&self.body[..], b"--BOUNDARY--\r\n"].concat()
    }

    pub(crate) fn head(&self, path: &str, headers: &str) -> String {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {}\r\ncontent-length: {}\r\n{headers}\r\n",
            self.content_type,
            self.body().len()
        )
    }

    pub(crate) fn request(&self, path: &str, headers: &str) -> Vec<u8> {
        [self.head(path, headers).as_bytes(), &self.body()].concat()
    }
}
