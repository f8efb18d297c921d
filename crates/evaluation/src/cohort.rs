//! Cohorts made of images: spherical k-means over their embeddings.

use std::convert::Infallible;
use std::num::NonZero;
use std::path::Path;

use indexmap::IndexSet;
use likeness_engine::embedding::{Cohort, Embedding, MIN_CENTROIDS};

use crate::acquisition::Evaluation;
use crate::all_pairs::{Rows, dot};
use crate::error::{EvaluationError, Result, Status};
use crate::lists::{add_file, find_images, invalid, read_csv};
use crate::report::{AcquisitionReport, FaceChoice};
use crate::statistics::SplitMix64;
use crate::threads::fold;

/// How many of a face's cosines its level is the mean of. This and the constants below were chosen by comparing methods on
/// LFW's development view and UTKFace.
const K: usize = 8;

/// Most clusters at the start.
const MOST_STARTS: usize = 256;

/// Images to one cluster at the start.
const IMAGES_PER_START: usize = 15;

/// A cluster of fewer images is dissolved, so that no centroid is close to a person.
const FEWEST_IMAGES: usize = 10;

/// Steps of k-means before the first cluster is dissolved.
const ROUNDS: usize = 50;

/// With fewer images, levels depend on which they are.
pub const ENOUGH_IMAGES: usize = 2_000;

/// Images for a cohort, one person each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CohortImages {
    files: Vec<String>,
}

impl CohortImages {
    /// Returns the number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Finds the images of a folder and of the folders in it, in the order of their names. Hidden files and files without
    /// an image's ending are ignored, and links to folders are not followed. Fails where there is no image or a name is not
    /// UTF-8.
    pub fn find(root: &Path) -> Result<Self> {
        let files = find_images(root)?;
        Ok(Self { files })
    }

    /// Reads a CSV file with the column `file`, by name. Other columns are ignored. Fails with [`EvaluationError::List`] for
    /// an invalid line, with [`EvaluationError::Input`] where there is no image.
    pub fn read(path: &Path) -> Result<Self> {
        let mut files = IndexSet::new();
        read_csv(path, &["file"], &[], |row| add_file(&mut files, row).map(drop))?;
        if files.is_empty() {
            return Err(invalid(path, "the list has no image"));
        }
        Ok(Self {
            files: Vec::from_iter(files),
        })
    }
}

/// A cohort made of images.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CohortFit {
    /// The bytes of its file.
    pub file: Vec<u8>,
    /// The same, read.
    pub cohort: Cohort,
    /// The outcome of the images.
    pub acquisition: AcquisitionReport,
    /// Number of images that the centroids were made of.
    pub images: usize,
    /// Fewest and most images of a centroid.
    pub sizes: (usize, usize),
}

impl Evaluation<'_> {
    /// Makes a cohort of images of many people, one person an image; identities are not needed. The same images give the
    /// same bytes. Fails also for too few images, and for an engine without a pack's embedder.
    pub fn cohort(&self, images: &CohortImages, face: FaceChoice) -> Result<CohortFit> {
        let binding = self.engine.embedding_binding().ok_or_else(|| {
            EvaluationError::Input("a cohort needs a pack's embedder, and this engine's is custom".to_owned())
        })?;
        let acquired = self.embed(&images.files, face)?;
        let acquisition = AcquisitionReport::of(&acquired.results);
        let usable: Vec<u32> = (0..)
            .zip(&images.files)
            .filter(|&(image, _)| acquired.status(image as usize) == Status::Ok)
            .map(|(image, _)| image)
            .collect();
        let starts = MOST_STARTS.min(usable.len() / IMAGES_PER_START);
        if starts < MIN_CENTROIDS {
            return Err(EvaluationError::Input(format!(
                "{} images with a face are too few for a cohort: at least {} are needed, {ENOUGH_IMAGES} are advised",
                usable.len(),
                MIN_CENTROIDS * IMAGES_PER_START
            )));
        }
        let rows = acquired.into_rows(&usable);
        let clusters = Clusters::of(&rows, usable.len(), starts, self.threads());
        let centroids: Vec<Embedding> = (0..clusters.sizes.len())
            .filter_map(|centroid| Embedding::new(clusters.centroids.get(centroid)?.to_vec()).ok())
            .collect();
        if centroids.len() < MIN_CENTROIDS {
            return Err(EvaluationError::Input(format!(
                "only {} clusters of {FEWEST_IMAGES} images remain, {MIN_CENTROIDS} are needed: use more, and more \
                 different, people",
                centroids.len()
            )));
        }
        let file = Cohort::encode(binding, K, &centroids)
            .map_err(|error| EvaluationError::Input(error.to_string()))?;
        let cohort = Cohort::parse(&file).map_err(|error| EvaluationError::Input(error.to_string()))?;
        Ok(CohortFit {
            file,
            cohort,
            acquisition,
            images: usable.len(),
            sizes: (
                clusters.sizes.iter().copied().min().unwrap_or_default(),
                clusters.sizes.iter().copied().max().unwrap_or_default(),
            ),
        })
    }
}

/// Clusters of vectors of unit length.
struct Clusters {
    centroids: Rows,
    sizes: Vec<usize>,
}

impl Clusters {
    /// Spherical k-means: a vector belongs to the centroid with the largest cosine, and a centroid is the mean of its
    /// vectors, scaled to unit length. Then, the smallest first, each cluster of fewer than ten is dissolved.
    fn of(rows: &Rows, count: usize, starts: usize, threads: NonZero<usize>) -> Self {
        let mut generator = SplitMix64::new(0, 0);
        let mut order: Vec<usize> = (0..count).collect();
        let mut clusters = Self {
            centroids: Rows::new(rows.dimensions, starts),
            sizes: vec![0; starts],
        };
        for start in 0..starts {
            order.swap(start, start + generator.below(count - start));
            let first = order.get(start).and_then(|&row| rows.get(row));
            clusters.centroids.set(start, first.unwrap_or_default());
        }
        for _ in 0..ROUNDS {
            clusters.step(rows, count, threads);
        }
        loop {
            let smallest = (0..).zip(&clusters.sizes).min_by_key(|(_, size)| **size);
            let Some((smallest, size)) = smallest else {
                return clusters;
            };
            if *size >= FEWEST_IMAGES {
                return clusters;
            }
            let others = 0..clusters.sizes.len() as u32;
            let others: Vec<u32> = others.filter(|&other| other != smallest).collect();
            clusters.centroids.retain(&others);
            clusters.sizes.truncate(others.len());
            clusters.step(rows, count, threads);
        }
    }

    fn step(&mut self, rows: &Rows, count: usize, threads: NonZero<usize>) {
        let clusters = self.sizes.len();
        let centroids = &self.centroids;
        let take = |found: &mut Vec<(usize, usize)>, row: usize| {
            let vector = rows.padded(row);
            let mut best = (0, f32::NEG_INFINITY);
            for centroid in 0..clusters {
                let cosine = dot(vector, centroids.padded(centroid));
                if cosine > best.1 {
                    best = (centroid, cosine);
                }
            }
            found.push((row, best.0));
            Ok::<_, Infallible>(())
        };
        let Ok(found) = fold(threads, 0..count, Vec::new, take);
        let mut nearest = found.concat();
        // So that the sums do not depend on the threads.
        nearest.sort_unstable();
        let mut sums = vec![vec![0.0f64; rows.dimensions]; clusters];
        self.sizes = vec![0; clusters];
        for (row, cluster) in nearest {
            if let (Some(sum), Some(size)) = (sums.get_mut(cluster), self.sizes.get_mut(cluster)) {
                *size += 1;
                for (sum, &value) in sum.iter_mut().zip(rows.get(row).unwrap_or_default()) {
                    *sum += f64::from(value);
                }
            }
        }
        for (cluster, sum) in sums.into_iter().enumerate() {
            // An empty cluster, or one whose vectors cancel out, keeps its centroid.
            if let Ok(mean) = Embedding::new(sum.iter().map(|&value| value as f32).collect()) {
                self.centroids.set(cluster, mean.values());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors around so many axes of a space of 8 dimensions, so many around each.
    fn around(counts: &[usize]) -> (Rows, usize) {
        let mut generator = SplitMix64::new(1, 1);
        let total = counts.iter().sum();
        let mut rows = Rows::new(8, total);
        let axes = counts
            .iter()
            .enumerate()
            .flat_map(|(axis, &count)| vec![axis; count]);
        for (row, axis) in axes.enumerate() {
            let noise = (0..8).map(|_| generator.below(1_000) as f32 / 10_000.0);
            let values = noise
                .enumerate()
                .map(|(at, noise)| noise + f32::from(u8::from(at == axis)));
            rows.set(row, Embedding::new(values.collect()).unwrap().values());
        }
        (rows, total)
    }

    fn clusters(counts: &[usize], starts: usize, threads: usize) -> Clusters {
        let (rows, count) = around(counts);
        Clusters::of(&rows, count, starts, NonZero::new(threads).unwrap())
    }

    #[test]
    fn vectors_around_an_axis_are_one_cluster_and_small_clusters_are_dissolved() {
        let found = clusters(&[40, 30, 20, 4], 16, 2);
        assert!(
            found.sizes.iter().all(|&size| size >= FEWEST_IMAGES),
            "{:?}",
            found.sizes
        );
        assert_eq!(found.sizes.iter().sum::<usize>(), 94);
        for axis in 0..3 {
            let near = |cluster: usize| found.centroids.get(cluster).unwrap()[axis] > 0.9;
            assert!((0..found.sizes.len()).any(near), "axis {axis}");
        }
    }

    #[test]
    fn the_same_from_any_number_of_threads() {
        let one = clusters(&[50, 40, 30, 20], 12, 1);
        for threads in [2, 3, 7] {
            let other = clusters(&[50, 40, 30, 20], 12, threads);
            assert_eq!(other.sizes, one.sizes);
            assert!(other.centroids == one.centroids);
        }
    }

    #[test]
    fn images_are_found_in_folders_of_folders_and_in_lists() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("b/c")).unwrap();
        for file in ["z.jpg", "b/y.PNG", "b/c/x.webp", "b/notes.txt", ".hidden.jpg"] {
            std::fs::write(root.join(file), "").unwrap();
        }
        assert_eq!(
            CohortImages::find(root).unwrap().files,
            ["b/c/x.webp", "b/y.PNG", "z.jpg"]
        );
        assert!(CohortImages::find(&root.join("absent")).is_err());
        let list = root.join("list.csv");
        std::fs::write(&list, "group,file\na,z.jpg\nb,b/y.PNG\n").unwrap();
        assert_eq!(CohortImages::read(&list).unwrap().files, ["z.jpg", "b/y.PNG"]);
        std::fs::write(&list, "file\nz.jpg\nz.jpg\n").unwrap();
        let error = CohortImages::read(&list).unwrap_err().to_string();
        assert!(error.contains(":3: z.jpg is already in a line above"), "{error}");
    }
}
