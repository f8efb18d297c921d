//! How long does it take to compare ready embeddings, all with all, on one core? A million comparisons a time.

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::num::NonZero;

use criterion::{Criterion, Throughput};
use likeness_evaluation::{AllPairs, HELD_IMPOSTORS, all_pairs};

/// 1,415 images are 1,000,405 pairs.
const IMAGES: u32 = 1_415;

/// As the default pack's embedder has it.
const DIMENSIONS: usize = 256;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    benches(&mut criterion);
    criterion.final_summary();
}

/// Directions that are the same in every run; what they are makes no difference to the time.
fn images() -> AllPairs {
    let mut state = 1u32;
    let mut images = AllPairs::new(DIMENSIONS);
    for image in 0..IMAGES {
        let mut vector = [0.0f32; DIMENSIONS];
        for value in &mut vector {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *value = (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0;
        }
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        images.push(&vector.map(|value| value / length), image / 2);
    }
    images
}

fn benches(criterion: &mut Criterion) {
    let images = images();
    let pairs = u64::from(IMAGES) * u64::from(IMAGES - 1) / 2;
    let one = NonZero::<usize>::MIN;
    let mut group = criterion.benchmark_group("compare");
    group.throughput(Throughput::Elements(pairs));
    group.bench_function("a million similarities", |bencher| {
        bencher.iter(|| {
            let mut highest = f32::MIN;
            black_box(&images).for_each(|scored, _| highest = highest.max(scored.0));
            highest
        });
    });
    group.bench_function("a million comparisons, counted and ranked", |bencher| {
        bencher.iter(|| all_pairs(black_box(&images), HELD_IMPOSTORS, one));
    });
    group.finish();
}
