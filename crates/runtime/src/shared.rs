//! One model that all workers use: one set of weights, one run at a time, and what waited meanwhile is computed together.
//!
//! A thread that finds the model idle runs it at once. One that finds it busy queues its input and waits. When a run ends, the
//! first waiting thread runs the next batch, its own input and all that fit with it: there is no timer, and no thread that
//! only waits for work. A device thus gets small batches under low load and large ones under high load.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, SyncSender};

use parking_lot::Mutex;

use crate::sessions::{Compute, Sessions, Tensor};
use crate::{RuntimeError, shape_text};

/// Images that are computed together at most.
const MOST_IMAGES: usize = 32;

/// The same in numbers of the input, 19 MB: sixteen first passes of the detector over squares. Inputs beyond it are
/// computed by themselves.
const MOST_NUMBERS: usize = 16 * 3 * 320 * 320;

#[derive(Debug)]
pub(crate) struct Shared<C = Sessions> {
    pub(crate) name: String,
    /// Whether inputs of several calls may go in one run.
    gathers: bool,
    pub(crate) model: Mutex<C>,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Whether a thread runs the model; it passes the turn on when done.
    busy: bool,
    waiting: VecDeque<Call>,
}

/// A waiting thread's input.
#[derive(Debug)]
struct Call {
    shape: [usize; 4],
    numbers: Vec<f32>,
    turn: SyncSender<Turn>,
}

/// The message to a waiting thread.
#[derive(Debug)]
enum Turn {
    /// To run these inputs, of which the first is its own.
    Compute(Vec<Call>),
    Answered(Result<Vec<Tensor>, RuntimeError>),
}

/// Passes the turn on when it is dropped, also in a panic.
struct Baton<'s, C: Compute>(&'s Shared<C>);

impl<C: Compute> Drop for Baton<'_, C> {
    fn drop(&mut self) {
        self.0.pass_on();
    }
}

impl<C: Compute> Shared<C> {
    /// `gathers`: whether waiting inputs may be run in one batch.
    pub(crate) fn new(name: &str, model: C, gathers: bool) -> Self {
        Self {
            name: name.to_owned(),
            gathers,
            model: Mutex::new(model),
            queue: Mutex::default(),
        }
    }

    /// Runs the model on this input, possibly in one batch with others. Waits for the current run and for the inputs queued
    /// before.
    pub(crate) fn run(&self, shape: [usize; 4], numbers: &[f32]) -> Result<Vec<Tensor>, RuntimeError> {
        let Some(told) = self.queue_up(shape, numbers) else {
            let _baton = Baton(self);
            return self.model.lock().compute(shape, numbers);
        };
        match told.recv() {
            Ok(Turn::Answered(answer)) => answer,
            Ok(Turn::Compute(calls)) => {
                let _baton = Baton(self);
                self.compute_together(&calls)
            }
            Err(_) => Err(self.failed("the thread that ran the batch panicked")),
        }
    }

    /// Queues the input and returns the channel of its result; `None` where the model was idle: this thread runs it.
    fn queue_up(&self, shape: [usize; 4], numbers: &[f32]) -> Option<Receiver<Turn>> {
        let mut queue = self.queue.lock();
        if !queue.busy {
            queue.busy = true;
            return None;
        }
        let (turn, told) = mpsc::sync_channel(1);
        queue.waiting.push_back(Call {
            shape,
            numbers: numbers.to_vec(),
            turn,
        });
        Some(told)
    }

    /// Passes the turn to the first waiting thread, with all inputs after it that fit.
    fn pass_on(&self) {
        let mut queue = self.queue.lock();
        while let Some(first) = queue.waiting.pop_front() {
            let calls = self.gather(first, &mut queue.waiting);
            let Some(turn) = calls.first().map(|call| call.turn.clone()) else {
                continue;
            };
            // It waits for nothing else, so it receives.
            if turn.send(Turn::Compute(calls)).is_ok() {
                return;
            }
        }
        queue.busy = false;
    }

    /// Returns this input and those waiting that have images of the same size, while there is room.
    fn gather(&self, first: Call, waiting: &mut VecDeque<Call>) -> Vec<Call> {
        let [mut images, size @ ..] = first.shape;
        let mut numbers = first.numbers.len();
        let mut calls = vec![first];
        if !self.gathers {
            return calls;
        }
        for call in std::mem::take(waiting) {
            let (more_images, more_numbers) = (images + call.shape[0], numbers + call.numbers.len());
            if call.shape[1..] == size && more_images <= MOST_IMAGES && more_numbers <= MOST_NUMBERS {
                (images, numbers) = (more_images, more_numbers);
                calls.push(call);
            } else {
                waiting.push_back(call);
            }
        }
        calls
    }

    /// Runs all of these in one batch, sends the others their results, and returns that of the first.
    fn compute_together(&self, calls: &[Call]) -> Result<Vec<Tensor>, RuntimeError> {
        let (first, others) = match calls {
            [] => return Err(self.failed("an empty batch")),
            [only] => return self.model.lock().compute(only.shape, &only.numbers),
            [first, others @ ..] => (first, others),
        };
        let answer = self.compute_batch(calls);
        let mut begin = first.shape[0];
        for call in others {
            let part = answer.as_ref().map(|answer| rows(answer, begin, call.shape[0]));
            // It waits, and its channel has room for one.
            let _ = call.turn.send(Turn::Answered(part.map_err(Clone::clone)));
            begin += call.shape[0];
        }
        Ok(rows(&answer?, 0, first.shape[0]))
    }

    /// Runs the inputs, of which there is at least one, as one batch; each output must have a row for each image.
    fn compute_batch(&self, calls: &[Call]) -> Result<Vec<Tensor>, RuntimeError> {
        let images = calls.iter().map(|call| call.shape[0]).sum();
        let numbers: Vec<f32> = calls
            .iter()
            .flat_map(|call| call.numbers.iter().copied())
            .collect();
        let mut shape = calls[0].shape;
        shape[0] = images;
        let answer = self.model.lock().compute(shape, &numbers)?;
        match answer.iter().find(|tensor| tensor.shape.first() != Some(&images)) {
            None => Ok(answer),
            Some(Tensor { name, shape, .. }) => Err(RuntimeError::Output {
                model: self.name.clone(),
                output: name.clone(),
                reason: format!("{} for {images} images", shape_text(shape)),
            }),
        }
    }

    fn failed(&self, reason: &str) -> RuntimeError {
        RuntimeError::Inference {
            model: self.name.clone(),
            reason: reason.to_owned(),
        }
    }
}

/// Returns the rows of so many images, in an answer of which each output has a row for each image.
fn rows(answer: &[Tensor], begin: usize, images: usize) -> Vec<Tensor> {
    let part = |tensor: &Tensor| {
        let [_, size @ ..] = tensor.shape.as_slice() else {
            return tensor.clone();
        };
        let row: usize = size.iter().product();
        Tensor {
            name: tensor.name.clone(),
            shape: [&[images], size].concat(),
            numbers: tensor.numbers[begin * row..(begin + images) * row].to_vec(),
        }
    };
    answer.iter().map(part).collect()
}

#[cfg(test)]
mod tests;
