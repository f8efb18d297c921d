//! Comparisons of every embedding with every other: in blocks that stay in the cache, in single precision, on many threads.

use std::convert::Infallible;
use std::num::NonZero;

use likeness_engine::embedding::Similarity;

use crate::highest::Highest;
use crate::statistics::{FINE_STEPS, Histogram, MatchScores, Scored};
use crate::threads::fold;

/// Number of impostor comparisons, the highest, that are held exactly; the others are counted in steps of 3e-5. Of 5.9
/// million comparisons that covers every false match rate up to 0.17, of a thousand million up to 1e-3.
pub const HELD_IMPOSTORS: usize = 1 << 20;

/// Embeddings of a block: with 256 numbers each, two blocks are 128 KiB.
const BLOCK: usize = 64;

/// Numbers that are summed side by side, so that the compiler can use the widest registers.
const LANES: usize = 16;

/// Vectors of one length in rows, padded with zeros, which change no sum.
#[derive(Clone, PartialEq, Default)]
pub(crate) struct Rows {
    values: Vec<f32>,
    pub(crate) dimensions: usize,
}

impl std::fmt::Debug for Rows {
    // Embeddings are not shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rows({} numbers)", self.values.len())
    }
}

impl Rows {
    /// Returns so many rows of zeros, which take no memory until they are set.
    pub(crate) fn new(dimensions: usize, rows: usize) -> Self {
        let values = vec![0.0; rows * dimensions.max(1).next_multiple_of(LANES)];
        Self { values, dimensions }
    }

    fn row(&self) -> usize {
        self.dimensions.max(1).next_multiple_of(LANES)
    }

    /// Sets a row; numbers beyond the dimensions are ignored.
    pub(crate) fn set(&mut self, index: usize, vector: &[f32]) {
        let begin = index * self.row();
        let vector = vector.get(..self.dimensions).unwrap_or(vector);
        if let Some(place) = self.values.get_mut(begin..begin + vector.len()) {
            place.copy_from_slice(vector);
        }
    }

    /// Returns a vector without its padding.
    pub(crate) fn get(&self, index: usize) -> Option<&[f32]> {
        let begin = index * self.row();
        self.values.get(begin..begin + self.dimensions)
    }

    /// Returns a row with the zeros that [`dot`] takes; empty where there is none.
    pub(crate) fn padded(&self, index: usize) -> &[f32] {
        let row = self.row();
        self.values
            .get(index * row..(index + 1) * row)
            .unwrap_or_default()
    }

    /// Moves the rows with these ascending indices to the front and drops the others, in place.
    pub(crate) fn retain(&mut self, indices: &[u32]) {
        let row = self.row();
        for (to, &from) in indices.iter().enumerate() {
            let from = from as usize * row;
            if from + row <= self.values.len() {
                self.values.copy_within(from..from + row, to * row);
            }
        }
        self.values.truncate(indices.len() * row);
    }
}

/// Unit vectors of images, each with the person it shows.
#[derive(Debug, Clone, PartialEq)]
pub struct AllPairs {
    /// A row for each image.
    pub(crate) rows: Rows,
    pub(crate) person_of: Vec<u32>,
    /// The level of each image where similarities are normalised, else empty.
    pub(crate) levels: Vec<f32>,
}

impl AllPairs {
    /// Returns no image yet; vectors will have `dimensions` numbers.
    #[must_use]
    pub fn new(dimensions: usize) -> Self {
        Self {
            rows: Rows::new(dimensions, 0),
            person_of: Vec::new(),
            levels: Vec::new(),
        }
    }

    /// Adds an image of a person, counted from 0 without a gap. Numbers beyond the dimensions are ignored.
    pub fn push(&mut self, vector: &[f32], person: u32) {
        let length = self.rows.values.len() + self.rows.row();
        self.rows.values.resize(length, 0.0);
        self.rows.set(self.person_of.len(), vector);
        self.person_of.push(person);
    }

    /// Returns some of the images, by their rows.
    pub(crate) fn some(&self, rows: &[u32]) -> Self {
        let mut some = Self::new(self.rows.dimensions);
        for &row in rows {
            let row = row as usize;
            let person = self.person_of.get(row).copied().unwrap_or_default();
            some.push(self.rows.padded(row), person);
            some.levels.extend(self.levels.get(row));
        }
        some
    }

    fn blocks(&self) -> usize {
        self.person_of.len().div_ceil(BLOCK)
    }

    /// Returns the rows of a block with their indices.
    fn block(&self, block: usize) -> impl Iterator<Item = (u32, &[f32])> {
        let images = self.person_of.len();
        let begin = (block * BLOCK).min(images);
        let end = (begin + BLOCK).min(images);
        let row = self.rows.row();
        let rows = self.rows.values.get(begin * row..end * row).unwrap_or_default();
        (begin as u32..).zip(rows.chunks_exact(row))
    }

    /// Calls `visit` with each pair of a row of blocks.
    fn visit(&self, first: usize, mut visit: impl FnMut(Scored<(u32, u32)>)) {
        for second in first..self.blocks() {
            for (i, a) in self.block(first) {
                for (j, b) in self.block(second) {
                    if j > i {
                        let cosine = dot(a, b).clamp(-1.0, 1.0);
                        visit((self.similarity(cosine, i, j), (i, j)));
                    }
                }
            }
        }
    }

    /// Calls `visit` with each pair of images (by index, the lower first) and whether both show one person, in a fixed order.
    pub fn for_each(&self, mut visit: impl FnMut(Scored<(u32, u32)>, bool)) {
        for block in 0..self.blocks() {
            self.visit(block, |scored| {
                let (a, b) = self.people(scored.1);
                visit(scored, a == b);
            });
        }
    }

    /// Returns the similarity of two images from their cosine: that, or less the mean of their levels.
    fn similarity(&self, cosine: f32, i: u32, j: u32) -> f32 {
        let level = |image: u32| self.levels.get(image as usize).copied();
        Similarity::new(cosine, level(i), level(j)).value()
    }

    /// Returns the people that two images show.
    fn people(&self, (a, b): (u32, u32)) -> (u32, u32) {
        let person = |image: u32| self.person_of.get(image as usize).copied().unwrap_or_default();
        (person(a), person(b))
    }
}

/// Returns the cosine of two unit vectors, summed in an order that depends only on their length. Within 1e-6 of the
/// engine's, which sums in double precision.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// The comparisons of one thread.
struct Part {
    genuine: Vec<Scored<(u32, u32)>>,
    highest: Vec<Scored<(u32, u32)>>,
    /// Comparisons below this are not among the highest.
    cut: f32,
    held: usize,
    histogram: Histogram,
}

impl Part {
    fn new(held: usize) -> Self {
        Self {
            genuine: Vec::new(),
            highest: Vec::new(),
            cut: f32::NEG_INFINITY,
            held,
            histogram: Histogram::new(-1.0, 1.0, FINE_STEPS),
        }
    }

    fn impostor(&mut self, scored: Scored<(u32, u32)>) {
        self.histogram.add(f64::from(scored.0));
        if scored.0 >= self.cut {
            self.highest.push(scored);
            if self.highest.len() >= 2 * self.held.max(1) {
                self.trim();
            }
        }
    }

    /// Keeps the highest; of equal scores those with the lowest images, so that the order of the visits does not matter.
    fn trim(&mut self) {
        if self.held == 0 {
            self.highest.clear();
        } else if self.highest.len() > self.held {
            let order =
                |a: &Scored<(u32, u32)>, b: &Scored<(u32, u32)>| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
            let (_, lowest, _) = self.highest.select_nth_unstable_by(self.held - 1, order);
            self.cut = lowest.0;
            self.highest.truncate(self.held);
        }
    }
}

/// Compares every image with every other and returns all genuine comparisons, the `held` highest impostor ones, and the
/// fine histogram of all impostor ones. The result is the same from any number of threads.
#[must_use]
pub fn all_pairs(images: &AllPairs, held: usize, threads: NonZero<usize>) -> MatchScores {
    let compare = |part: &mut Part, block| {
        images.visit(block, |scored| {
            let (a, b) = images.people(scored.1);
            if a == b {
                part.genuine.push(scored);
            } else {
                part.impostor(scored);
            }
        });
        Ok::<_, Infallible>(())
    };
    let Ok(parts) = fold(threads, 0..images.blocks(), || Part::new(held), compare);
    let mut all = Part::new(held);
    for part in parts {
        all.genuine.extend(part.genuine);
        all.highest.extend(part.highest);
        all.histogram.merge(&part.histogram);
    }
    all.trim();

    let genuine = all.genuine.into_iter();
    let genuine = genuine.map(|(score, of)| (score, images.people(of).0));
    let impostor = all.highest.into_iter();
    let impostor = impostor.map(|(score, of)| (score, images.people(of)));
    MatchScores::all_pairs(
        images_of_people(&images.person_of),
        genuine.collect(),
        impostor.collect(),
        all.histogram,
    )
}

/// The comparisons that are worst for matching, each pair of images by its index.
pub(crate) struct WorstPairs {
    /// Of two people, the most similar first.
    pub(crate) impostor: Vec<Scored<(u32, u32)>>,
    /// Of one person, the least similar first.
    pub(crate) genuine: Vec<Scored<(u32, u32)>>,
}

/// Compares every image with every other once more, and returns the `number` worst comparisons of each kind.
pub(crate) fn worst_pairs(images: &AllPairs, number: usize, threads: NonZero<usize>) -> WorstPairs {
    let new = || [Highest::new(number), Highest::new(number)];
    let compare = |[impostor, genuine]: &mut [Highest<(u32, u32)>; 2], block| {
        images.visit(block, |(score, pair)| {
            let (a, b) = images.people(pair);
            if a == b {
                genuine.add(-score, pair);
            } else {
                impostor.add(score, pair);
            }
        });
        Ok::<_, Infallible>(())
    };
    let Ok(parts) = fold(threads, 0..images.blocks(), new, compare);
    let [mut impostor, mut genuine] = new();
    for [of_two, of_one] in parts {
        impostor.merge(of_two);
        genuine.merge(of_one);
    }
    let genuine = genuine.into_sorted().into_iter();
    WorstPairs {
        impostor: impostor.into_sorted(),
        genuine: genuine.map(|(score, pair)| (-score, pair)).collect(),
    }
}

/// Returns each person's number of images.
pub(crate) fn images_of_people(person_of: &[u32]) -> Vec<u32> {
    let people = person_of.iter().max().map_or(0, |last| *last as usize + 1);
    let mut images = vec![0; people];
    for &person in person_of {
        if let Some(count) = images.get_mut(person as usize) {
            *count += 1;
        }
    }
    images
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(count: usize) -> NonZero<usize> {
        NonZero::new(count).unwrap()
    }

    /// Returns vectors of 20 numbers, the same in every run.
    fn images(count: usize) -> (AllPairs, Vec<Vec<f32>>) {
        let mut state = 1u32;
        let mut images = AllPairs::new(20);
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
            images.push(&vector, index as u32 / 3);
            vectors.push(vector);
        }
        (images, vectors)
    }

    #[test]
    fn every_pair_once_and_its_cosine() {
        let (images, vectors) = images(150);
        let mut seen = std::collections::BTreeSet::new();
        images.for_each(|scored, same| {
            let (i, j) = (scored.1.0 as usize, scored.1.1 as usize);
            assert!(i < j && seen.insert((i, j)));
            assert_eq!(same, i / 3 == j / 3);
            let cosine: f64 = vectors[i]
                .iter()
                .zip(&vectors[j])
                .map(|(&a, &b)| f64::from(a) * f64::from(b))
                .sum();
            assert!((f64::from(scored.0) - cosine).abs() < 1e-6);
        });
        assert_eq!(seen.len(), 150 * 149 / 2);
    }

    #[test]
    fn the_worst_pairs_are_those_of_all_from_any_number_of_threads() {
        let (images, _) = images(150);
        let (mut impostor, mut genuine) = (Vec::new(), Vec::new());
        images.for_each(|scored, same| {
            let of_kind = if same { &mut genuine } else { &mut impostor };
            of_kind.push(scored);
        });
        impostor.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        genuine.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for count in [1, 3] {
            let worst = worst_pairs(&images, 7, threads(count));
            assert_eq!(worst.impostor, impostor[..7]);
            assert_eq!(worst.genuine, genuine[..7]);
        }
        assert!(worst_pairs(&images, 0, threads(2)).impostor.is_empty());
    }

    #[test]
    fn similarities_are_normalised_where_images_have_levels() {
        let (mut images, _) = images(5);
        let scores = |images: &AllPairs| {
            let mut scores = Vec::new();
            images.for_each(|scored, _| scores.push(scored));
            scores
        };
        let cosines = scores(&images);
        images.levels = vec![0.1, 0.2, 0.3, 0.4, 0.5];
        let normalised = scores(&images);
        assert_eq!(normalised.len(), cosines.len());
        for ((cosine, of), (similarity, same)) in cosines.into_iter().zip(normalised) {
            assert_eq!(of, same);
            let level = |image: u32| images.levels[image as usize];
            let expected = cosine - (level(of.0) + level(of.1)) / 2.0;
            assert!((similarity - expected).abs() < 1e-6, "{of:?}: {similarity}");
        }
    }

    #[test]
    fn the_highest_are_those_of_all_and_the_same_from_any_number_of_threads() {
        let (images, _) = images(200);
        let all = all_pairs(&images, usize::MAX / 4, threads(1));
        assert_eq!(all.genuine_count(), 66 * 3 + 1);
        assert_eq!(all.impostor_count(), 200 * 199 / 2 - 199);
        assert_eq!(all.held_impostors(), all.impostor_count());
        for count in [1, 2, 5] {
            let some = all_pairs(&images, 500, threads(count));
            assert_eq!(some.held_impostors(), 500);
            assert_eq!(some.impostor_histogram, all.impostor_histogram);
            for rate in [1e-3, 1e-2, 0.02] {
                assert_eq!(some.threshold_at(rate), all.threshold_at(rate), "{rate}");
            }
            // Beyond the comparisons held, to within a step.
            let (a, b) = (some.threshold_at(0.3).unwrap(), all.threshold_at(0.3).unwrap());
            assert!((a - b).abs() <= 2.0 / FINE_STEPS as f64, "{a} {b}");
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
        let scores = all_pairs(&AllPairs::new(256), 10, threads(2));
        assert_eq!((scores.genuine_count(), scores.impostor_count()), (0, 0));
        assert_eq!(
            (scores.threshold_at(0.1), scores.false_match_rate(0.5)),
            (None, None)
        );
        let (one, _) = images(1);
        assert_eq!(all_pairs(&one, 10, threads(2)).impostor_count(), 0);
    }
}
