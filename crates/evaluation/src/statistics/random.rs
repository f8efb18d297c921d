//! A small generator whose numbers will be the same in ten years, unlike those of a library that promises no such thing.

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug, Clone)]
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    /// The `stream`-th of the generators that belong to a seed.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        // Streams are scattered over the period by the generator's own mixing, so that neighbours do not overlap.
        let mut scattered = Self(stream);
        Self(seed ^ scattered.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is above 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sequence() {
        let mut generator = SplitMix64(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| generator.next()).collect();
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn every_number_below_the_bound_comes_about_equally_often() {
        let mut generator = SplitMix64::new(1, 2);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[generator.below(7)] += 1;
        }
        assert!(
            counts.iter().all(|&count| (9_600..=10_400).contains(&count)),
            "{counts:?}"
        );
    }
}
