//! Scores the liveness of every file of a folder on all workers, with progress: `cargo run --example batch -- FOLDER`.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};

use likeness::{Engine, LivenessOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: batch FOLDER")?;
    let files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    let engine = Engine::builder().build()?;
    let count = files.len();
    let queue = Mutex::new(files.into_iter());
    let (sender, results) = channel();
    std::thread::scope(|scope| {
        // One thread for each worker: more would wait.
        for _ in 0..engine.workers() {
            let (engine, queue, sender) = (&engine, &queue, sender.clone());
            scope.spawn(move || {
                let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                while let Some(file) = next() {
                    let check = std::fs::read(&file)
                        .map_err(|error| error.to_string())
                        .and_then(|bytes| {
                            engine
                                .liveness(&bytes, &LivenessOptions::default())
                                .map_err(|error| error.to_string())
                        });
                    // The receiver lives as long as the scope.
                    let _ = sender.send((file, check));
                }
            });
        }
        drop(sender);
        for (done, (file, check)) in (1..).zip(results) {
            eprint!("\r{done} of {count}");
            match check.map(|check| check.liveness) {
                Ok(Some(score)) => println!("{}: {score}", file.display()),
                Ok(None) => println!("{}: no face", file.display()),
                Err(error) => println!("{}: {error}", file.display()),
            }
        }
    });
    Ok(())
}
