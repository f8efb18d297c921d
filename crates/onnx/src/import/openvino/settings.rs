//! The attributes of a layer's `data`, each to be accounted for.

use super::OpenVinoError;
use super::error::{LayerLabel, quoted};
use super::ir::MAX_RANK;
use super::xml::Attributes;

/// In a dimension, a stride, a padding: so that a product of two and a sum of some stay far from 64 bits' end.
const MAX_NUMBER: u64 = 1 << 24;

/// What a layer's `data` says.
pub(super) struct Settings(pub(super) Attributes);

impl Settings {
    /// An attribute that must be there.
    pub(super) fn required(&mut self, label: &LayerLabel, name: &str) -> Result<String, OpenVinoError> {
        let value = self.0.take(name);
        value.ok_or_else(|| label.wrong(format!("its data has no '{name}'")))
    }

    /// An attribute that must be there and is mapped for one value only.
    pub(super) fn only(&mut self, label: &LayerLabel, name: &str, only: &str) -> Result<(), OpenVinoError> {
        let value = self.required(label, name)?;
        if value == only {
            Ok(())
        } else {
            Err(label.unsupported(format!("{name} {}", quoted(&value))))
        }
    }

    /// An attribute that is mapped for one value only, the one that it has where it is absent.
    pub(super) fn default_only(
        &mut self,
        label: &LayerLabel,
        name: &str,
        default: &str,
    ) -> Result<(), OpenVinoError> {
        match self.0.take(name) {
            Some(value) if value != default => Err(label.unsupported(format!("{name} {}", quoted(&value)))),
            _ => Ok(()),
        }
    }

    /// A number of bytes.
    pub(super) fn bytes(&mut self, label: &LayerLabel, name: &str) -> Result<usize, OpenVinoError> {
        let text = self.required(label, name)?;
        text.parse()
            .map_err(|_| label.wrong(format!("its {name} is {} and no number", quoted(&text))))
    }

    /// A list of numbers, such as a shape.
    pub(super) fn numbers(
        &mut self,
        label: &LayerLabel,
        name: &str,
        number: fn(&str) -> Option<u64>,
    ) -> Result<Vec<u64>, OpenVinoError> {
        let text = self.required(label, name)?;
        list(&text, number).ok_or_else(|| label.unsupported(format!("{name} {}", quoted(&text))))
    }

    /// Two numbers: for rows, for columns.
    pub(super) fn pair(
        &mut self,
        label: &LayerLabel,
        name: &str,
        number: fn(&str) -> Option<u64>,
    ) -> Result<[u64; 2], OpenVinoError> {
        let numbers = self.numbers(label, name, number)?;
        numbers
            .try_into()
            .map_err(|numbers| label.unsupported(format!("{name} {numbers:?}")))
    }

    /// Refuses an attribute that nobody asked for.
    pub(super) fn finish(&self, label: &LayerLabel) -> Result<(), OpenVinoError> {
        match self.0.left() {
            None => Ok(()),
            Some(left) => Err(label.unsupported(format!("attribute {}", quoted(left)))),
        }
    }
}

/// A dimension, a stride: a number above 0 that is none too large.
pub(super) fn positive(text: &str) -> Option<u64> {
    natural(text).filter(|&number| number > 0)
}

/// A padding: likewise, or 0.
pub(super) fn natural(text: &str) -> Option<u64> {
    text.parse().ok().filter(|&number| number <= MAX_NUMBER)
}

/// A list of numbers as attributes have it, separated by commas. An empty text is a list of none.
fn list(text: &str, number: fn(&str) -> Option<u64>) -> Option<Vec<u64>> {
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    let mut numbers = Vec::new();
    for part in text.split(',') {
        if numbers.len() == MAX_RANK {
            return None;
        }
        numbers.push(number(part.trim())?);
    }
    Some(numbers)
}
