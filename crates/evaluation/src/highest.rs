//! The highest of many scores, in bounded memory.

use std::collections::BinaryHeap;

/// The highest scores of any number, in memory for so many.
pub(crate) struct Highest<T> {
    limit: usize,
    /// The lowest of them on top.
    kept: BinaryHeap<Kept<T>>,
}

/// A score and its item. The greatest is the one to drop: the lowest score, of equal ones the last item, so that the result does not
/// depend on the order in which they come.
struct Kept<T>(f32, T);

impl<T: Ord> Ord for Kept<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.total_cmp(&self.0).then_with(|| self.1.cmp(&other.1))
    }
}

impl<T: Ord> PartialOrd for Kept<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Ord> PartialEq for Kept<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T: Ord> Eq for Kept<T> {}

impl<T: Ord> Highest<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            kept: BinaryHeap::new(),
        }
    }

    pub(crate) fn add(&mut self, score: f32, item: T) {
        let new = Kept(score, item);
        if self.kept.len() < self.limit {
            self.kept.push(new);
        } else if let Some(mut lowest) = self.kept.peek_mut()
            && new < *lowest
        {
            // Of very many scores nearly all end at the comparison.
            *lowest = new;
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for Kept(score, item) in other.kept {
            self.add(score, item);
        }
    }

    /// Returns them, the highest first.
    pub(crate) fn into_sorted(self) -> Vec<(f32, T)> {
        let sorted = self.kept.into_sorted_vec().into_iter();
        sorted.map(|Kept(score, item)| (score, item)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_highest_are_kept_whatever_their_order(scores in prop::collection::vec(0u8..20, 0..60), limit in 0usize..10, cut in 0usize..60) {
            let items: Vec<(f32, usize)> = scores.iter().enumerate().map(|(item, &score)| (f32::from(score), item)).collect();
            let mut expected = items.clone();
            expected.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            expected.truncate(limit);
            let (mut one, mut other) = (Highest::new(limit), Highest::new(limit));
            for (index, &(score, item)) in items.iter().rev().enumerate() {
                if index < cut { one.add(score, item) } else { other.add(score, item) }
            }
            one.merge(other);
            prop_assert_eq!(one.into_sorted(), expected);
        }
    }
}
