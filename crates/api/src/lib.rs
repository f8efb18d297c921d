//! The wire types of the Kairos-compatible API of Likeness.
