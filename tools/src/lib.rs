//! Helpers that the measuring programs share.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use likeness_engine::embedding::Embedding;
use likeness_engine::runtime::available_workers;
use likeness_evaluation::AllPairs;

/// The error of a program.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs a task on every name, on all processors, each thread with what it has opened; returns the results in the order of the
/// names.
///
/// # Errors
/// The first failure of a thread.
pub fn each<M, T: Send>(
    names: &[String],
    open: impl Fn() -> Result<M, Failure> + Sync,
    task: impl Fn(&mut M, &str) -> Result<T, Failure> + Sync,
) -> Result<Vec<T>, Failure> {
    let next = AtomicUsize::new(0);
    let parts: Vec<Result<Vec<(usize, T)>, Failure>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..available_workers())
            .map(|_| {
                scope.spawn(|| {
                    let mut opened = open()?;
                    let mut done = Vec::new();
                    while let index = next.fetch_add(1, Ordering::Relaxed)
                        && let Some(name) = names.get(index)
                    {
                        done.push((index, task(&mut opened, name)?));
                    }
                    Ok(done)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".into())))
            .collect()
    });
    let mut done = Vec::with_capacity(names.len());
    for part in parts {
        done.extend(part?);
    }
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

/// Returns embeddings to compare all with all. Names are sorted, and those of a person are in one folder.
///
/// # Errors
/// A name without a folder.
pub fn by_person<'a>(
    dimensions: usize,
    images: impl Iterator<Item = (&'a String, &'a Embedding)>,
) -> Result<AllPairs, Failure> {
    let mut matrix = AllPairs::new(dimensions);
    let mut people: Vec<&Path> = Vec::new();
    for (name, embedding) in images {
        let person = Path::new(name).parent().ok_or("an image without a folder")?;
        if people.last() != Some(&person) {
            people.push(person);
        }
        matrix.push(embedding.values(), people.len() as u32 - 1);
    }
    Ok(matrix)
}
