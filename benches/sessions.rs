//! What do ONNX Runtime's ways to open and to call a session change? Each model of the default pack, rewritten, with the CPU
//! provider on one thread: as the product has it, with input and outputs bound once (`IoBinding`), without memory patterns,
//! without the arena. In turn in one run, the shortest of many calls each.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::time::{Duration, Instant};

use likeness_engine::runtime::ort;
use likeness_engine::runtime::ort::environment::Environment;
use likeness_engine::runtime::ort::ep::{CPU, ExecutionProvider};
use likeness_engine::runtime::ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use likeness_engine::runtime::ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use likeness_engine::runtime::ort::session::{IoBinding, Session};
use likeness_engine::runtime::ort::value::{Tensor, TensorRef};
use ndarray::Array4;

mod support;

/// Model of the default pack, and images, height and width of its input.
const MODELS: [(&str, [usize; 3]); 8] = [
    ("yunet_n", [1, 256, 320]),
    ("face-reidentification-retail-0095", [1, 128, 128]),
    ("face-reidentification-retail-0095", [2, 128, 128]),
    ("minifasnet_v2", [1, 80, 80]),
    ("minifasnet_v1se", [1, 80, 80]),
    ("zalo_minifasnet_v2", [1, 80, 80]),
    ("zalo_minifasnet_v1se", [1, 80, 80]),
    ("facenox_9820", [1, 128, 128]),
];

const WAYS: [Way; 4] = [Way::AsItIs, Way::Bound, Way::WithoutPatterns, Way::WithoutArena];

/// Calls in turn, of which the shortest counts: what else the machine does only ever adds.
const ROUNDS: usize = 500;

#[derive(Clone, Copy, PartialEq)]
enum Way {
    AsItIs,
    Bound,
    WithoutPatterns,
    WithoutArena,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::AsItIs => "as it is",
            Self::Bound => "bound",
            Self::WithoutPatterns => "without patterns",
            Self::WithoutArena => "without arena",
        }
    }

    fn open(self, environment: &Environment, onnx: &[u8]) -> Session {
        let mut builder: SessionBuilder = Session::builder(environment)
            .unwrap()
            .with_optimization_level(GraphOptimizationLevel::All)
            .unwrap()
            .with_intra_threads(1)
            .unwrap()
            .with_memory_pattern(self != Self::WithoutPatterns)
            .unwrap();
        CPU::default()
            .with_arena_allocator(self != Self::WithoutArena)
            .register(&mut builder)
            .unwrap();
        builder.commit_from_memory(onnx).unwrap()
    }
}

/// The shortest of the calls of one session, made in this way.
struct Calls {
    session: Session,
    binding: Option<IoBinding>,
    shortest: Duration,
}

impl Calls {
    fn new(way: Way, environment: &Environment, onnx: &[u8], input: &Array4<f32>) -> Self {
        let session = way.open(environment, onnx);
        let binding = (way == Way::Bound).then(|| {
            let mut binding = session.create_binding().unwrap();
            let numbers = input.iter().copied().collect::<Vec<_>>();
            let tensor = Tensor::from_array((input.shape(), numbers)).unwrap();
            binding.bind_input(session.inputs()[0].name(), &tensor).unwrap();
            let memory = MemoryInfo::new(
                AllocationDevice::CPU,
                0,
                AllocatorType::Arena,
                MemoryType::CPUOutput,
            )
            .unwrap();
            for output in session.outputs() {
                binding.bind_output_to_device(output.name(), &memory).unwrap();
            }
            binding
        });
        Self {
            session,
            binding,
            shortest: Duration::MAX,
        }
    }

    fn call(&mut self, input: &Array4<f32>) {
        let begin = Instant::now();
        match &self.binding {
            Some(binding) => drop(self.session.run_binding(binding).unwrap()),
            None => {
                let tensor = TensorRef::from_array_view((input.shape(), input.as_slice().unwrap())).unwrap();
                drop(self.session.run(ort::inputs![tensor]).unwrap());
            }
        }
        self.shortest = self.shortest.min(begin.elapsed());
    }
}

fn main() {
    support::run(|_| measure());
}

fn measure() {
    let pack = support::pack();
    let environment = ort::init_from(likeness_testing::library())
        .unwrap()
        .build()
        .unwrap();
    println!(
        "| model | images |{}",
        WAYS.map(|way| format!(" {} |", way.name())).concat()
    );
    println!("|---|---|---|---|---|---|");
    for (name, [images, height, width]) in MODELS {
        let onnx = pack.model(name).unwrap();
        let input = support::pixels(images, height, width);
        let mut ways = WAYS.map(|way| Calls::new(way, &environment, onnx, &input));
        for _ in 0..ROUNDS {
            for calls in &mut ways {
                calls.call(&input);
            }
        }
        let shortest = ways.iter().map(|calls| format!(" {:.2?} |", calls.shortest));
        println!("| {name} | {images} |{}", shortest.collect::<String>());
    }
}
