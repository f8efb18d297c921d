//! One model that all workers use: one set of weights, one run at a time, and what waited meanwhile is computed together.
//!
//! Who comes while nobody computes does so at once, on their own thread. Who comes later leaves their input and waits. When a
//! run ends, the first that waits is told to compute, for itself and for all that can go with it, on its own thread: there is
//! no timer, and no thread that only waits for work. A device is thus given small batches while little is asked of it and
//! large ones while much is.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ndarray::{Array4, ArrayD, ArrayView4, Axis, concatenate};

use crate::sessions::Sessions;
use crate::{RuntimeError, shape_text};

/// Images that are computed together at most.
const MOST_IMAGES: usize = 32;

/// The same in numbers of the input, 19 MB: sixteen first passes of the detector over squares. Inputs beyond it are
/// computed by themselves.
const MOST_NUMBERS: usize = 16 * 3 * 320 * 320;

/// What a model answered: its outputs of `f32` by their names, in its order.
pub(crate) type Answer = Vec<(String, ArrayD<f32>)>;

/// What computes.
pub(crate) trait Compute {
    fn compute(&mut self, input: &ArrayView4<'_, f32>) -> Result<Answer, RuntimeError>;
}

impl Compute for Sessions {
    fn compute(&mut self, input: &ArrayView4<'_, f32>) -> Result<Answer, RuntimeError> {
        let values = self.run(input)?;
        // Outputs of other types have no use here.
        let outputs = values.iter().filter_map(|(name, value)| {
            let array = value.try_extract_array::<f32>().ok()?;
            Some((name.to_owned(), array.into_owned()))
        });
        Ok(outputs.collect())
    }
}

#[derive(Debug)]
pub(crate) struct Shared<C = Sessions> {
    name: String,
    /// Whether inputs of several calls may go in one run.
    gathers: bool,
    model: Mutex<C>,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Somebody computes, and passes it on when done.
    busy: bool,
    waiting: VecDeque<Call>,
}

/// Somebody who waits.
#[derive(Debug)]
struct Call {
    input: Array4<f32>,
    turn: SyncSender<Turn>,
}

/// What somebody who waits is told.
#[derive(Debug)]
enum Turn {
    /// To compute these calls, of which the first is their own.
    Compute(Vec<Call>),
    Answered(Result<Answer, RuntimeError>),
}

/// Of whoever computes: lets the next do so, also where they panic.
struct Baton<'s, C: Compute>(&'s Shared<C>);

impl<C: Compute> Drop for Baton<'_, C> {
    fn drop(&mut self) {
        self.0.pass_on();
    }
}

impl<C: Compute> Shared<C> {
    /// `gathers`: whether what waits may be computed together.
    pub(crate) fn new(name: &str, model: C, gathers: bool) -> Self {
        Self {
            name: name.to_owned(),
            gathers,
            model: Mutex::new(model),
            queue: Mutex::default(),
        }
    }

    /// Runs the model on this input, perhaps together with those of others. Waits for no more than the run that is under
    /// way and those of who came before.
    pub(crate) fn run(&self, input: &ArrayView4<'_, f32>) -> Result<Answer, RuntimeError> {
        let Some(told) = self.queue_up(input) else {
            let _baton = Baton(self);
            return self.compute(input);
        };
        match told.recv() {
            Ok(Turn::Answered(answer)) => answer,
            Ok(Turn::Compute(calls)) => {
                let _baton = Baton(self);
                self.compute_together(&calls)
            }
            Err(_) => Err(self.failed("whoever computed for this call, too, panicked")),
        }
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, C> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves the input to whoever computes, and gives where one will be told of it; `None` where nobody did: now the caller
    /// does.
    fn queue_up(&self, input: &ArrayView4<'_, f32>) -> Option<Receiver<Turn>> {
        let mut queue = self.queue();
        if !queue.busy {
            queue.busy = true;
            return None;
        }
        let (turn, told) = mpsc::sync_channel(1);
        queue.waiting.push_back(Call {
            input: input.to_owned(),
            turn,
        });
        Some(told)
    }

    /// Has the first that waits compute, with all after it that can go along.
    fn pass_on(&self) {
        let mut queue = self.queue();
        while let Some(first) = queue.waiting.pop_front() {
            let calls = self.gather(first, &mut queue.waiting);
            let Some(turn) = calls.first().map(|call| call.turn.clone()) else {
                continue;
            };
            // It waits for nothing else, so it is there.
            if turn.send(Turn::Compute(calls)).is_ok() {
                return;
            }
        }
        queue.busy = false;
    }

    /// This call, and those of the waiting that have images of the same size, while there is room.
    fn gather(&self, first: Call, waiting: &mut VecDeque<Call>) -> Vec<Call> {
        let size = |call: &Call| (call.input.dim().1, call.input.dim().2, call.input.dim().3);
        let wanted = size(&first);
        let mut images = first.input.dim().0;
        let mut numbers = first.input.len();
        let mut calls = vec![first];
        if !self.gathers {
            return calls;
        }
        let mut left = VecDeque::with_capacity(waiting.len());
        for call in waiting.drain(..) {
            let (more_images, more_numbers) = (images + call.input.dim().0, numbers + call.input.len());
            if size(&call) == wanted && more_images <= MOST_IMAGES && more_numbers <= MOST_NUMBERS {
                (images, numbers) = (more_images, more_numbers);
                calls.push(call);
            } else {
                left.push_back(call);
            }
        }
        *waiting = left;
        calls
    }

    fn compute(&self, input: &ArrayView4<'_, f32>) -> Result<Answer, RuntimeError> {
        self.model().compute(input)
    }

    /// Computes all of these in one run, tells the others, and gives what the first one gets.
    fn compute_together(&self, calls: &[Call]) -> Result<Answer, RuntimeError> {
        let Some((first, others)) = calls.split_first() else {
            return Err(self.failed("there was nothing to compute"));
        };
        if others.is_empty() {
            return self.compute(&first.input.view());
        }
        let answer = self.compute_batch(calls);
        let mut begin = first.input.dim().0;
        for call in others {
            let end = begin + call.input.dim().0;
            let part = answer.as_ref().map(|answer| rows(answer, begin..end));
            // It waits, and its channel has room for one.
            let _ = call.turn.send(Turn::Answered(part.map_err(Clone::clone)));
            begin = end;
        }
        Ok(rows(&answer?, 0..first.input.dim().0))
    }

    /// The answer has a row for each image of the calls.
    fn compute_batch(&self, calls: &[Call]) -> Result<Answer, RuntimeError> {
        let inputs: Vec<_> = calls.iter().map(|call| call.input.view()).collect();
        let batch = concatenate(Axis(0), &inputs).map_err(|error| self.failed(&error.to_string()))?;
        let answer = self.compute(&batch.view())?;
        let images = batch.dim().0;
        match answer
            .iter()
            .find(|(_, array)| array.shape().first() != Some(&images))
        {
            None => Ok(answer),
            Some((output, array)) => Err(RuntimeError::Output {
                model: self.name.clone(),
                output: output.clone(),
                reason: format!("{} for {images} images", shape_text(array.shape())),
            }),
        }
    }

    fn failed(&self, reason: &str) -> RuntimeError {
        RuntimeError::Inference {
            model: self.name.clone(),
            reason: reason.to_owned(),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What of an answer is of these images.
fn rows(answer: &Answer, images: Range<usize>) -> Answer {
    let part = |array: &ArrayD<f32>| array.slice_axis(Axis(0), images.clone().into()).into_owned();
    answer
        .iter()
        .map(|(name, array)| (name.clone(), part(array)))
        .collect()
}

#[cfg(test)]
mod tests;
