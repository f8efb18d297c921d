//! Batching of waiting inputs, with a model that waits for a message before it goes on.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::thread::JoinHandle;

use super::*;

/// Answers each image with its first number, once for each message that it gets, and tells how many images it was given.
struct Slow {
    given: Sender<usize>,
    go_on: Receiver<Go>,
}

enum Go {
    Answer,
    AnswerWithoutTheLast,
    Panic,
}

impl Compute for Slow {
    fn compute(&mut self, shape: [usize; 4], numbers: &[f32]) -> Result<Vec<Tensor>, RuntimeError> {
        let images = numbers.chunks_exact(numbers.len() / shape[0]);
        let mut firsts: Vec<f32> = images.map(|image| image[0]).collect();
        assert_eq!(firsts.len(), shape[0]);
        self.given.send(firsts.len()).unwrap();
        match self.go_on.recv().unwrap() {
            Go::Answer => {}
            Go::AnswerWithoutTheLast => {
                firsts.pop();
            }
            Go::Panic => panic!("as told"),
        }
        Ok(vec![Tensor {
            name: "firsts".to_owned(),
            shape: vec![firsts.len(), 1],
            numbers: firsts,
        }])
    }
}

struct Scene {
    shared: Arc<Shared<Slow>>,
    given: Receiver<usize>,
    go_on: Sender<Go>,
    calls: usize,
}

type Caller = JoinHandle<Result<Vec<f32>, String>>;

impl Scene {
    /// One thread runs the model already, and waits for the message to go on.
    fn new(gathers: bool) -> (Self, Caller) {
        let ((tell_given, given), (go_on, told)) = (mpsc::channel(), mpsc::channel());
        let slow = Slow {
            given: tell_given,
            go_on: told,
        };
        let mut scene = Self {
            shared: Arc::new(Shared::new("slow", slow, gathers)),
            given,
            go_on,
            calls: 0,
        };
        let first = scene.spawn(1, 2);
        assert_eq!(scene.given.recv().unwrap(), 1);
        (scene, first)
    }

    fn spawn(&mut self, images: usize, side: usize) -> Caller {
        let number = self.calls as f32;
        self.calls += 1;
        let shared = Arc::clone(&self.shared);
        std::thread::spawn(move || {
            let input = vec![number; images * 3 * side * side];
            let answer = shared.run([images, 3, side, side], &input);
            let [firsts] = <[Tensor; 1]>::try_from(answer.map_err(|error| error.to_string())?).unwrap();
            assert_eq!(firsts.shape, [images, 1]);
            Ok(firsts.numbers)
        })
    }

    /// One more call, which waits behind all before it.
    fn queue(&mut self, images: usize, side: usize) -> Caller {
        let before = self.waiting();
        let caller = self.spawn(images, side);
        while self.waiting() == before {
            std::thread::yield_now();
        }
        caller
    }

    fn waiting(&self) -> usize {
        self.shared.queue.lock().waiting.len()
    }

    /// Ends the run that is under way; how many images the next one is given.
    fn next(&self, go: Go) -> usize {
        self.go_on.send(go).unwrap();
        self.given.recv().unwrap()
    }

    fn end(&self) {
        self.go_on.send(Go::Answer).unwrap();
    }
}

fn answer(caller: Caller) -> Result<Vec<f32>, String> {
    caller.join().unwrap()
}

#[test]
fn what_waited_is_computed_in_one_run_and_each_gets_its_own() {
    let (mut scene, first) = Scene::new(true);
    let waiting = [scene.queue(1, 2), scene.queue(2, 2), scene.queue(1, 2)];
    assert_eq!(scene.next(Go::Answer), 4);
    assert_eq!(answer(first).unwrap(), [0.0]);
    scene.end();
    let answers = waiting.map(|caller| answer(caller).unwrap());
    assert_eq!(answers, [vec![1.0], vec![2.0, 2.0], vec![3.0]]);
}

#[test]
fn an_idle_model_runs_at_once() {
    let (mut scene, first) = Scene::new(true);
    scene.end();
    answer(first).unwrap();
    let second = scene.spawn(1, 2);
    assert_eq!(scene.given.recv().unwrap(), 1);
    scene.end();
    assert_eq!(answer(second).unwrap(), [1.0]);
}

#[test]
fn images_of_another_size_go_by_themselves_and_in_their_turn() {
    let (mut scene, _first) = Scene::new(true);
    let waiting = [scene.queue(1, 4), scene.queue(1, 2), scene.queue(3, 4)];
    assert_eq!(scene.next(Go::Answer), 4, "the first that waits and the third");
    assert_eq!(scene.next(Go::Answer), 1);
    scene.end();
    let answers = waiting.map(|caller| answer(caller).unwrap());
    assert_eq!(answers, [vec![1.0], vec![2.0], vec![3.0; 3]]);
}

#[test]
fn a_batch_is_bounded() {
    let (mut scene, _first) = Scene::new(true);
    let waiting = [
        scene.queue(MOST_IMAGES - 1, 2),
        scene.queue(2, 2),
        scene.queue(1, 2),
    ];
    assert_eq!(
        scene.next(Go::Answer),
        MOST_IMAGES,
        "the second has no room, the third has"
    );
    assert_eq!(scene.next(Go::Answer), 2);
    scene.end();
    assert!(waiting.map(answer).iter().all(Result::is_ok));

    let (mut scene, _first) = Scene::new(true);
    let waiting = [scene.queue(15, 320), scene.queue(1, 320), scene.queue(1, 320)];
    assert_eq!(scene.next(Go::Answer), 16);
    assert_eq!(scene.next(Go::Answer), 1);
    scene.end();
    assert!(waiting.map(answer).iter().all(Result::is_ok));
}

#[test]
fn where_batches_cost_extra_each_call_is_computed_by_itself() {
    let (mut scene, _first) = Scene::new(false);
    let waiting = [scene.queue(1, 2), scene.queue(2, 2)];
    assert_eq!(scene.next(Go::Answer), 1);
    assert_eq!(scene.next(Go::Answer), 2);
    scene.end();
    assert_eq!(waiting.map(|caller| answer(caller).unwrap().len()), [1, 2]);
}

#[test]
fn outputs_that_lack_a_row_are_an_error_for_the_whole_batch() {
    let (mut scene, _first) = Scene::new(true);
    let waiting = [scene.queue(1, 2), scene.queue(1, 2)];
    assert_eq!(scene.next(Go::Answer), 2);
    scene.go_on.send(Go::AnswerWithoutTheLast).unwrap();
    for caller in waiting {
        assert_eq!(
            answer(caller).unwrap_err(),
            "slow has no usable output 'firsts': [1,1] for 2 images"
        );
    }
}

#[test]
fn after_a_panic_the_next_goes_on() {
    let (mut scene, first) = Scene::new(true);
    let together = [scene.queue(1, 2), scene.queue(1, 2)];
    let other = scene.queue(1, 4);
    assert_eq!(scene.next(Go::Panic), 2);
    assert!(first.join().is_err());
    assert_eq!(scene.next(Go::Panic), 1);
    let [panicked, told] = together;
    assert!(panicked.join().is_err());
    assert_eq!(
        answer(told).unwrap_err(),
        "running slow failed: the thread that ran the batch panicked"
    );
    scene.end();
    assert_eq!(answer(other).unwrap(), [3.0]);
}
