//! What `Function.Durations` and `DurationSum` tell.

use std::time::Duration;

use hedgerow_api::{DURATION_BOUNDS, FunctionProperties};

/// How long invocations took, as far as it was counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    /// Upper bound in microseconds (0: above all bounds) and how many fell below it, as on the bus.
    pub buckets: Vec<(u64, u64)>,
    /// Microseconds of all.
    pub sum: u64,
}

impl Histogram {
    pub fn of(function: &FunctionProperties) -> Self {
        Self { buckets: function.durations.clone(), sum: function.duration_sum }
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    pub fn mean(&self) -> Option<Duration> {
        Some(Duration::from_micros(self.sum.checked_div(self.count())?))
    }

    /// The duration below which that part of all lies, from 0 to 1, estimated within a bucket as Prometheus'
    /// `histogram_quantile` does, and moved there as far as the mean is from what would be estimated for it. `None` where
    /// there are none; [`Duration::MAX`] where it lies above all bounds.
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = real(count) * part;
        let mut below = 0.0;
        for (bound, count) in self.buckets.iter().filter(|(bound, _)| *bound != 0) {
            let fell = real(*count);
            if below + fell >= rank && *count > 0 {
                let (floor, bound) = (floor(*bound), real(*bound));
                let micros = floor + (bound - floor) * (rank - below) / fell;
                let micros = (micros * self.correction()).clamp(floor, bound);
                return Some(Duration::from_secs_f64(micros / 1e6));
            }
            below += fell;
        }
        Some(Duration::MAX)
    }

    /// The sum, by what it would be if durations lay evenly in their buckets.
    fn correction(&self) -> f64 {
        let middle = |bound: u64| f64::midpoint(floor(bound), real(bound));
        let evenly: f64 =
            self.buckets.iter().map(|(bound, count)| middle(*bound) * real(*count)).sum();
        let is_open = self.buckets.iter().any(|(bound, count)| *bound == 0 && *count > 0);
        if is_open || evenly == 0.0 { 1.0 } else { real(self.sum) / evenly }
    }

    /// What came since an earlier look; all of this one where it has less than that, since counting began anew.
    pub fn since(&self, before: &Self) -> Self {
        let find = |buckets: &[(u64, u64)], bound| {
            buckets.iter().find(|(b, _)| *b == bound).map_or(0, |(_, count)| *count)
        };
        let has_less = |(bound, count): &(u64, u64)| find(&self.buckets, *bound) < *count;
        if before.buckets.iter().any(has_less) {
            return self.clone();
        }
        let more = |(bound, count): &(u64, u64)| (*bound, count - find(&before.buckets, *bound));
        let buckets = self.buckets.iter().map(more).collect();
        Self { buckets, sum: self.sum.saturating_sub(before.sum) }
    }
}

/// The bound before, in microseconds.
fn floor(bound: u64) -> f64 {
    real(DURATION_BOUNDS.iter().rev().find(|floor| **floor < bound).copied().unwrap_or(0))
}

/// Counts that an f64 does not hold exactly take longer than a device lives.
#[allow(clippy::cast_precision_loss)]
pub fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(buckets: &[(u64, u64)], sum: u64) -> Histogram {
        Histogram { buckets: buckets.to_vec(), sum }
    }

    #[test]
    fn a_quantile_lies_within_its_bucket() {
        let micros = |part, buckets: &[(u64, u64)], sum| {
            let quantile = histogram(buckets, sum).quantile(part);
            quantile.map(|duration| u64::try_from(duration.as_micros()).unwrap())
        };
        let even = [(1_000, 50), (2_000, 50)];
        assert_eq!(micros(0.5, &even, 112_500), Some(1_000));
        assert_eq!(micros(0.75, &even, 112_500), Some(1_500));
        assert_eq!(micros(0.99, &even, 112_500), Some(1_980));
        assert_eq!(micros(0.5, &[(100, 10)], 500), Some(50), "the first begins at 0");
        assert_eq!(micros(0.5, &[(100, 0), (20_000, 1)], 15_000), Some(15_000));
        assert_eq!(micros(0.5, &[], 0), None);
        assert_eq!(histogram(&[(100, 1), (0, 9)], 1).quantile(0.5), Some(Duration::MAX));
    }

    #[test]
    fn durations_that_are_all_alike_are_seen_to_be() {
        let alike = histogram(&[(2_000_000, 60)], 60 * 1_001_000);
        let quantiles = [0.01, 0.5, 0.99].map(|part| alike.quantile(part).unwrap().as_millis());
        assert_eq!(quantiles, [1000, 1001, 1327]);
        assert_eq!(alike.mean(), Some(Duration::from_millis(1001)));
    }

    #[test]
    fn what_came_between_two_looks_is_told_apart() {
        let before = histogram(&[(100, 5), (1_000, 1)], 800);
        let now = histogram(&[(100, 7), (1_000, 1), (0, 2)], 1_000);
        assert_eq!(now.since(&before), histogram(&[(100, 2), (1_000, 0), (0, 2)], 200));
        assert_eq!(before.since(&now), before, "another daemon counts");
        assert_eq!(now.since(&Histogram::default()), now);
    }
}
