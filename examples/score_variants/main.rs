//! Ways to get better scores from the same models, each measured on the development pictures: the tables "What was tried"
//! of `docs/accuracy.md`. `score_variants [DATA]` looks at LFW's development view, the portraits and the webcam frames
//! below `../shared/data`.
//!
//! Whatever is chosen, is chosen on LFW's training people and on the subjects of odd rank of the webcam frames; the other
//! columns are for reporting.

#![allow(clippy::print_stdout)]

mod liveness;
mod matching;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use likeness::imaging::Picture;
use likeness::models::rewrite::Passes;
use likeness::models::{DEFAULT_PACK, StoreSearch};
use likeness::runtime::{LibrarySearch, Provider, Runtime, available_workers};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let data = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "../shared/data".to_owned());
    let data = Path::new(&data);
    let runtime = Runtime::load(&LibrarySearch::new(), Provider::Cpu)?;
    let pack = StoreSearch::new()
        .find()?
        .load(DEFAULT_PACK)?
        .rewritten(&Passes::all());
    matching::print(&runtime, &pack, data)?;
    println!();
    liveness::print(&runtime, &pack, data)
}

fn mirror(picture: &Picture) -> Result<Picture, Failure> {
    let pixels = picture
        .as_rgb8()
        .chunks_exact(3 * picture.width() as usize)
        .flat_map(|row| row.chunks_exact(3).rev().flatten().copied())
        .collect();
    Ok(Picture::from_rgb8(picture.width(), picture.height(), pixels)?)
}

/// Runs a task on every name, on all processors, each with models of its own; results in the names' order.
fn each<M, T: Send>(
    names: &[String],
    open: impl Fn() -> Result<M, Failure> + Sync,
    task: impl Fn(&mut M, &str) -> Result<T, Failure> + Sync,
) -> Result<Vec<T>, Failure> {
    let next = AtomicUsize::new(0);
    let parts: Vec<Result<Vec<(usize, T)>, Failure>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..available_workers())
            .map(|_| {
                scope.spawn(|| {
                    let mut models = open()?;
                    let mut done = Vec::new();
                    while let index = next.fetch_add(1, Ordering::Relaxed)
                        && let Some(name) = names.get(index)
                    {
                        done.push((index, task(&mut models, name)?));
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
