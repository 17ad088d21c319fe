//! What `Function.Durations` tells.

use std::time::Duration;

use hedgerow_api::DURATION_BOUNDS;

/// Upper bound in microseconds (0: above all bounds) and how many fell below it, as on the bus.
pub type Buckets = Vec<(u64, u64)>;

/// The duration below which that part of all lies, from 0 to 1, estimated within a bucket as Prometheus'
/// `histogram_quantile` does. `None` where there are none; [`Duration::MAX`] where it lies above all bounds.
pub fn quantile(buckets: &[(u64, u64)], part: f64) -> Option<Duration> {
    let count: u64 = buckets.iter().map(|(_, count)| count).sum();
    if count == 0 {
        return None;
    }
    let rank = real(count) * part;
    let mut below = 0.0;
    for (bound, count) in buckets.iter().filter(|(bound, _)| *bound != 0) {
        let fell = real(*count);
        if below + fell >= rank && *count > 0 {
            let floor = DURATION_BOUNDS.iter().rev().find(|floor| *floor < bound);
            let floor = real(floor.copied().unwrap_or(0));
            let micros = floor + (real(*bound) - floor) * (rank - below) / fell;
            return Some(Duration::from_secs_f64(micros / 1e6));
        }
        below += fell;
    }
    Some(Duration::MAX)
}

/// What came between two looks; all of the later one where it has less than the earlier one, since counting began anew.
pub fn difference(now: &[(u64, u64)], before: &[(u64, u64)]) -> Buckets {
    let earlier = |bound| before.iter().find(|(b, _)| *b == bound).map_or(0, |(_, count)| *count);
    let began_anew = before.iter().any(|(bound, count)| {
        now.iter().find(|(b, _)| b == bound).is_none_or(|(_, later)| later < count)
    });
    if began_anew {
        return now.to_vec();
    }
    now.iter().map(|(bound, count)| (*bound, count - earlier(*bound))).collect()
}

/// Counts that an f64 does not hold exactly take longer than a device lives.
#[allow(clippy::cast_precision_loss)]
pub fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_within_its_bucket() {
        let micros = |part, buckets: &[(u64, u64)]| {
            quantile(buckets, part).map(|duration| u64::try_from(duration.as_micros()).unwrap())
        };
        let even = [(1_000, 50), (2_000, 50)];
        assert_eq!(micros(0.5, &even), Some(1_000));
        assert_eq!(micros(0.75, &even), Some(1_500));
        assert_eq!(micros(0.99, &even), Some(1_980));
        assert_eq!(micros(0.5, &[(100, 10)]), Some(50), "the first begins at 0");
        assert_eq!(micros(0.5, &[(100, 0), (20_000, 1)]), Some(15_000));
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[(100, 1), (0, 9)], 0.5), Some(Duration::MAX));
    }

    #[test]
    fn what_came_between_two_looks_is_told_apart() {
        let before = [(100, 5), (1_000, 1)];
        let now = [(100, 7), (1_000, 1), (0, 2)];
        assert_eq!(difference(&now, &before), [(100, 2), (1_000, 0), (0, 2)]);
        assert_eq!(difference(&before, &now), before, "another daemon counts");
        assert_eq!(difference(&now, &[]), now);
    }
}
