//! Model packs for Likeness: manifest, store, checking.
