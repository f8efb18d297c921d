//! How often Likeness is wrong, measured on one's own pictures, in the terms of ISO/IEC 19795-1 (false match and false
//! non-match rates) and ISO/IEC 30107-3 (attack and bona fide presentation classification error rates).
//!
//! [`statistics`] is pure: scores in, rates out.

pub mod statistics;
