//! Counts durations in buckets whose width grows with the value. Keeps no single sample.

/// Buckets for each power of two: a reading is at most 1/64 (1.6 %) above the true value.
const STEPS: u64 = 64;
const STEPS_LOG2: u32 = STEPS.trailing_zeros();
/// Enough for every `u64`.
const BUCKETS: usize = ((64 - STEPS_LOG2 as usize) + 1) * STEPS as usize;

pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: vec![0; BUCKETS], total: 0, max: 0 }
    }
}

impl Histogram {
    pub fn record(&mut self, value: u64) {
        self.counts[bucket(value)] += 1;
        self.total += 1;
        self.max = self.max.max(value);
    }

    pub fn total(&self) -> u64 {
        self.total
    }

    pub fn max(&self) -> u64 {
        self.max
    }

    /// The value that a share of `0.0..=1.0` of the samples does not exceed; 0 without samples.
    pub fn quantile(&self, share: f64) -> u64 {
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_edge(index).min(self.max);
            }
        }
        0
    }

    /// Counts what another has counted as well.
    pub fn add(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(own, others)| *own += others);
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
        self.max = 0;
    }
}

fn bucket(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let shift = 63 - value.leading_zeros() - STEPS_LOG2;
    ((u64::from(shift + 1) << STEPS_LOG2) + ((value >> shift) & (STEPS - 1))) as usize
}

/// The largest value that falls into the bucket.
fn upper_edge(index: usize) -> u64 {
    let index = index as u64;
    if index < STEPS {
        return index;
    }
    let shift = (index >> STEPS_LOG2) - 1;
    let lower = (STEPS + (index & (STEPS - 1))) << shift;
    lower + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_the_bucket_is_narrow() {
        let mut value: u64 = 1;
        while value < 1 << 62 {
            for near in [value - 1, value, value + 1, value + value / 3] {
                let edge = upper_edge(bucket(near));
                assert!(edge >= near, "{near} above its edge {edge}");
                assert!(edge - near <= near / STEPS, "{near} in a bucket up to {edge}");
            }
            value *= 2;
        }
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    #[test]
    fn quantiles_of_a_thousand_equal_steps_are_where_they_should_be() {
        let mut histogram = Histogram::default();
        for value in 1..=1000 {
            histogram.record(value * 1000);
        }
        assert_eq!(histogram.total(), 1000);
        assert_eq!(histogram.max(), 1_000_000);
        for (share, want) in [(0.5, 500_000), (0.99, 990_000), (1.0, 1_000_000)] {
            let got = histogram.quantile(share);
            assert!(got >= want && got <= want + want / STEPS, "{share}: {got}, want {want}");
        }
        let mut sum = Histogram::default();
        (0..2).for_each(|_| sum.add(&histogram));
        assert_eq!((sum.total(), sum.max(), sum.quantile(0.5)), (2000, 1_000_000, histogram.quantile(0.5)));
        histogram.clear();
        assert_eq!(histogram.quantile(0.99), 0);
    }
}
