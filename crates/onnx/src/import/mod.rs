//! Importers of the formats of publishers. The same input always gives the same model.

pub mod openvino;
pub mod pytorch;
