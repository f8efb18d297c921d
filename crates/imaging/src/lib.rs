//! Bytes to an upright RGB picture: formats, EXIF orientation, limits, resize, warp, crop.
