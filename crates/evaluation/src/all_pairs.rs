//! Every embedding against every other: blocks that stay in the cache, single precision, several threads.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::statistics::{GenuineComparison, Histogram, ImpostorComparison, MatchScores};

/// So many impostor comparisons, the highest, are held exactly; the rest is counted in steps of 3e-5. With 5.9 million
/// comparisons that is every false match rate up to 0.17, with a thousand million up to 1e-3.
pub const HELD_IMPOSTORS: usize = 1 << 20;

/// Embeddings a block: with 256 numbers each, two blocks are 128 KiB.
const BLOCK: usize = 64;

/// Numbers that are summed beside each other, so that the compiler can use the widest registers.
const LANES: usize = 16;

/// A comparison of two pictures by their indices, the lower first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Cosine similarity.
    pub score: f32,
    /// The pictures.
    pub pictures: (u32, u32),
}

/// How many numbers are held for a vector: zeros at the end of a row change no sum.
pub(crate) fn row_length(dimensions: usize) -> usize {
    dimensions.max(1).next_multiple_of(LANES)
}

/// Unit vectors in rows of one length.
#[derive(Clone, PartialEq)]
pub struct AllPairs {
    values: Vec<f32>,
    row: usize,
    person_of: Vec<u32>,
}

impl std::fmt::Debug for AllPairs {
    // Embeddings are not shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AllPairs")
            .field("pictures", &self.person_of.len())
            .finish_non_exhaustive()
    }
}

impl AllPairs {
    /// No picture yet; vectors will have `dimensions` numbers.
    #[must_use]
    pub fn new(dimensions: usize) -> Self {
        Self {
            values: Vec::new(),
            row: row_length(dimensions),
            person_of: Vec::new(),
        }
    }

    /// Of rows that are as long as [`row_length`] says, one for each of `person_of`.
    pub(crate) fn from_rows(values: Vec<f32>, dimensions: usize, person_of: Vec<u32>) -> Self {
        Self {
            values,
            row: row_length(dimensions),
            person_of,
        }
    }

    /// Adds a picture of a person, counted from 0 without a gap. Numbers beyond the dimensions are not looked at.
    pub fn push(&mut self, vector: &[f32], person: u32) {
        let end = self.values.len() + self.row;
        self.values.extend(vector.iter().take(self.row));
        self.values.resize(end, 0.0);
        self.person_of.push(person);
    }

    /// How many pictures there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.person_of.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.person_of.is_empty()
    }

    fn rows(&self, block: usize) -> impl Iterator<Item = (u32, &[f32])> {
        let begin = (block * BLOCK).min(self.len());
        let end = (begin + BLOCK).min(self.len());
        let rows = self
            .values
            .get(begin * self.row..end * self.row)
            .unwrap_or_default();
        (begin as u32..).zip(rows.chunks_exact(self.row))
    }

    /// Calls `visit` with every pair of a row of blocks.
    fn visit(&self, first: usize, mut visit: impl FnMut(Scored)) {
        for second in first..self.len().div_ceil(BLOCK) {
            for (i, a) in self.rows(first) {
                for (j, b) in self.rows(second) {
                    if j > i {
                        visit(Scored {
                            score: dot(a, b).clamp(-1.0, 1.0),
                            pictures: (i, j),
                        });
                    }
                }
            }
        }
    }

    /// Calls `visit` with every pair on this thread, always in the same order, and whether both are the same person.
    pub fn for_each(&self, mut visit: impl FnMut(Scored, bool)) {
        for block in 0..self.len().div_ceil(BLOCK) {
            self.visit(block, |scored| visit(scored, self.same(scored)));
        }
    }

    fn person(&self, picture: u32) -> u32 {
        self.person_of.get(picture as usize).copied().unwrap_or_default()
    }

    fn same(&self, scored: Scored) -> bool {
        self.person(scored.pictures.0) == self.person(scored.pictures.1)
    }
}

/// Cosine of two unit vectors, in an order of summation that depends on nothing but their length. Within 1e-6 of the
/// engine's, which sums in double precision.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// What one thread has found.
struct Part {
    genuine: Vec<Scored>,
    highest: Vec<Scored>,
    /// What is below this can be none of the highest.
    cut: f32,
    held: usize,
    histogram: Histogram,
}

impl Part {
    fn impostor(&mut self, scored: Scored) {
        self.histogram.add(f64::from(scored.score));
        if scored.score >= self.cut {
            self.highest.push(scored);
            if self.highest.len() >= 2 * self.held.max(1) {
                self.trim();
            }
        }
    }

    /// Keeps the highest; ties by picture, so that it does not matter who saw them first.
    fn trim(&mut self) {
        if self.held == 0 {
            self.highest.clear();
        } else if self.highest.len() > self.held {
            let (_, lowest, _) = self.highest.select_nth_unstable_by(self.held - 1, |a, b| {
                b.score.total_cmp(&a.score).then(a.pictures.cmp(&b.pictures))
            });
            self.cut = lowest.score;
            self.highest.truncate(self.held);
        }
    }
}

/// Compares every picture with every other: all genuine comparisons, the `held` highest impostor ones, and all impostor
/// ones in fine steps. The same from any number of threads.
#[must_use]
pub fn all_pairs(pictures: &AllPairs, held: usize, threads: NonZero<usize>) -> MatchScores {
    let empty = || Part {
        genuine: Vec::new(),
        highest: Vec::new(),
        cut: f32::NEG_INFINITY,
        held,
        histogram: Histogram::new(-1.0, 1.0, crate::statistics::FINE_STEPS),
    };
    let next = AtomicUsize::new(0);
    let parts: Vec<Part> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.get())
            .map(|_| {
                scope.spawn(|| {
                    let mut part = empty();
                    loop {
                        let block = next.fetch_add(1, Ordering::Relaxed);
                        if block >= pictures.len().div_ceil(BLOCK) {
                            return part;
                        }
                        pictures.visit(block, |scored| {
                            if pictures.same(scored) {
                                part.genuine.push(scored);
                            } else {
                                part.impostor(scored);
                            }
                        });
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    let mut all = empty();
    for part in parts {
        all.genuine.extend(part.genuine);
        all.highest.extend(part.highest);
        all.histogram.merge(&part.histogram);
    }
    all.trim();

    let people = pictures
        .person_of
        .iter()
        .max()
        .map_or(0, |last| *last as usize + 1);
    let mut pictures_of_person = vec![0u32; people];
    for &person in &pictures.person_of {
        if let Some(count) = pictures_of_person.get_mut(person as usize) {
            *count += 1;
        }
    }
    let genuine = all.genuine.into_iter().map(|scored| GenuineComparison {
        score: scored.score,
        person: pictures.person(scored.pictures.0),
    });
    let impostor = all.highest.into_iter().map(|scored| ImpostorComparison {
        score: scored.score,
        people: (
            pictures.person(scored.pictures.0),
            pictures.person(scored.pictures.1),
        ),
    });
    MatchScores::all_pairs(
        pictures_of_person,
        genuine.collect(),
        impostor.collect(),
        all.histogram,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(count: usize) -> NonZero<usize> {
        NonZero::new(count).unwrap()
    }

    /// Vectors that are the same in every run, 20 numbers each.
    fn pictures(count: usize) -> (AllPairs, Vec<Vec<f32>>) {
        let mut state = 1u32;
        let mut pictures = AllPairs::new(20);
        let mut vectors = Vec::new();
        for index in 0..count {
            let mut vector: Vec<f32> = (0..20)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
                })
                .collect();
            let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
            vector.iter_mut().for_each(|v| *v /= length);
            pictures.push(&vector, index as u32 / 3);
            vectors.push(vector);
        }
        (pictures, vectors)
    }

    #[test]
    fn every_pair_once_and_its_cosine() {
        let (pictures, vectors) = pictures(150);
        let mut seen = std::collections::BTreeSet::new();
        pictures.for_each(|scored, same| {
            let (i, j) = (scored.pictures.0 as usize, scored.pictures.1 as usize);
            assert!(i < j && seen.insert((i, j)));
            assert_eq!(same, i / 3 == j / 3);
            let cosine: f64 = vectors[i]
                .iter()
                .zip(&vectors[j])
                .map(|(&a, &b)| f64::from(a) * f64::from(b))
                .sum();
            assert!((f64::from(scored.score) - cosine).abs() < 1e-6);
        });
        assert_eq!(seen.len(), 150 * 149 / 2);
    }

    #[test]
    fn the_highest_are_those_of_all_and_the_same_from_any_number_of_threads() {
        let (pictures, _) = pictures(200);
        let all = all_pairs(&pictures, usize::MAX / 4, threads(1));
        assert_eq!(all.genuine_count(), 66 * 3 + 1);
        assert_eq!(all.impostor_count(), 200 * 199 / 2 - 199);
        assert_eq!(all.held_impostors(), all.impostor_count());
        for count in [1, 2, 5] {
            let some = all_pairs(&pictures, 500, threads(count));
            assert_eq!(some.held_impostors(), 500);
            assert_eq!(some.impostor_histogram(), all.impostor_histogram());
            for rate in [1e-3, 1e-2, 0.02] {
                assert_eq!(some.threshold_at(rate), all.threshold_at(rate), "{rate}");
            }
            // Beyond what is held, to within a step.
            let (a, b) = (some.threshold_at(0.3).unwrap(), all.threshold_at(0.3).unwrap());
            assert!((a - b).abs() <= all.impostor_histogram().step(), "{a} {b}");
            let weights: Vec<u32> = (0..67).map(|person| person % 3).collect();
            let (a, b) = (some.weighted(&weights).1, all.weighted(&weights).1);
            assert_eq!(
                (a.total(), a.threshold_at(0.01)),
                (b.total(), b.threshold_at(0.01))
            );
        }
    }

    #[test]
    fn nothing_to_compare() {
        assert!(AllPairs::new(256).is_empty());
        let scores = all_pairs(&AllPairs::new(256), 10, threads(2));
        assert_eq!((scores.genuine_count(), scores.impostor_count()), (0, 0));
        assert_eq!(
            (scores.threshold_at(0.1), scores.false_match_rate(0.5)),
            (None, None)
        );
        let (one, _) = pictures(1);
        assert_eq!(all_pairs(&one, 10, threads(2)).impostor_count(), 0);
    }
}
