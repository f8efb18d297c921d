//! Importers of the formats that publishers offer models in. The same input always gives the same model.

pub mod openvino;
pub mod pytorch;
