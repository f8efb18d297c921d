//! Alignment, face embedding, similarity and calibrated match confidence for Likeness.
