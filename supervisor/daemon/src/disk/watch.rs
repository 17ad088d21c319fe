//! When what components wrote is to be counted, and who has too much. Pure: no clock and no disk.

use std::collections::BTreeMap;
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// Counted again once so many bytes fewer are free.
const STEP: u64 = 8 * MIB;

/// The same where less is free than should be; and how much a component must have written to be the one to blame.
const SMALL_STEP: u64 = MIB;

/// Bytes a second: what is assumed to be written at most between two looks.
const RATE: u64 = 64 * MIB;

const OFTENEST: Duration = Duration::from_secs(1);
pub const SELDOMEST: Duration = Duration::from_secs(60);

/// What a component has on disk, in bytes, and how much it may.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    pub layer: u64,
    pub layer_quota: u64,
    pub work: u64,
    pub work_quota: Option<u64>,
}

impl Taken {
    fn all(&self) -> u64 {
        self.layer.saturating_add(self.work)
    }

    fn excess(&self) -> Option<Excess> {
        let (taken, quota) = (self.layer, self.layer_quota);
        if taken > quota {
            return Some(Excess::Layer { taken, quota });
        }
        let (taken, quota) = (self.work, self.work_quota?);
        (taken > quota).then_some(Excess::Work { taken, quota })
    }
}

/// Why a component may not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    #[error(
        "over its quota: what it wrote outside its work directory takes {taken} bytes of {quota}; allow more by `layer` \
         of a [[component]] in hedgerow.toml, or remove it and deploy it anew"
    )]
    Layer { taken: u64, quota: u64 },
    #[error(
        "over its quota: its work directory takes {taken} bytes of {quota}; allow more by `work` of a [[component]] in \
         hedgerow.toml, or remove it and deploy it anew"
    )]
    Work { taken: u64, quota: u64 },
    #[error(
        "{free} bytes of the disk were free, and {reserve} stay free (`store.keep-free` in hedgerow.toml); of all \
         components this one wrote most since it was last counted, {grown} bytes: it starts again once there is room"
    )]
    Reserve { free: u64, reserve: u64, grown: u64 },
}

#[derive(Debug)]
pub struct Watch {
    /// Bytes that stay free.
    reserve: u64,
    /// The most that was free since the last count.
    reference: Option<u64>,
    /// What each component had then.
    counted: BTreeMap<String, u64>,
}

impl Watch {
    pub fn new(reserve: u64) -> Self {
        Self { reserve, reference: None, counted: BTreeMap::new() }
    }

    /// Whether it is time to count.
    pub fn is_due(&mut self, free: u64) -> bool {
        let reference = self.reference.map_or(free, |reference| reference.max(free));
        let step = if free < self.reserve { SMALL_STEP } else { STEP };
        let is_due = reference - free >= step;
        self.reference = Some(if is_due { free } else { reference });
        is_due
    }

    /// Those who have too much: more than their quotas; or, where none has and too little is free, the one that has
    /// written most. A disk that somebody else has filled stops nobody.
    pub fn judge(&mut self, free: u64, taken: &BTreeMap<String, Taken>) -> Vec<(String, Excess)> {
        let over = taken.iter().filter_map(|(name, of)| Some((name.clone(), of.excess()?)));
        let mut judged: Vec<_> = over.collect();
        if judged.is_empty() && free < self.reserve {
            let grown = |(name, of): (&String, &Taken)| {
                let before = self.counted.get(name).copied().unwrap_or(0);
                (of.all().saturating_sub(before), name.clone())
            };
            let worst = taken.iter().map(grown).max().filter(|(grown, _)| *grown >= SMALL_STEP);
            let reserve = self.reserve;
            judged.extend(
                worst.map(|(grown, name)| (name, Excess::Reserve { free, reserve, grown })),
            );
        }
        self.counted = taken.iter().map(|(name, of)| (name.clone(), of.all())).collect();
        judged
    }

    /// The disk cannot be full before.
    pub fn next_look(&self, free: u64) -> Duration {
        let seconds = free.saturating_sub(self.reserve) / RATE;
        Duration::from_secs(seconds).clamp(OFTENEST, SELDOMEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(layer: u64, work: u64, work_quota: Option<u64>) -> Taken {
        Taken { layer: layer * MIB, layer_quota: 50 * MIB, work: work * MIB, work_quota }
    }

    fn judged(watch: &mut Watch, free: u64, all: &[(&str, Taken)]) -> Vec<(String, Excess)> {
        watch.judge(free * MIB, &all.iter().map(|(name, of)| (name.to_string(), *of)).collect())
    }

    #[test]
    fn nothing_is_counted_unless_the_disk_has_become_fuller() {
        let mut watch = Watch::new(20 * MIB);
        let mut is_due = |free: u64| watch.is_due(free * MIB);
        assert!(!is_due(100) && !is_due(100) && !is_due(93));
        assert!(is_due(92) && !is_due(92) && !is_due(85) && is_due(84));
        // Room was made, and is used again.
        assert!(!is_due(90) && !is_due(83) && is_due(82));
        // Below the reserve each little counts.
        assert!(is_due(19) && !is_due(19) && is_due(18));
        let mut full_before = Watch::new(20 * MIB);
        assert!(!full_before.is_due(5 * MIB) && full_before.is_due(4 * MIB));
    }

    #[test]
    fn a_quota_is_a_components_own_and_the_reserve_is_everybodys() {
        let mut watch = Watch::new(20 * MIB);
        let quiet = ("quiet", taken(40, 100, None));
        assert_eq!(judged(&mut watch, 90, &[quiet, ("b", taken(50, 9, Some(9 * MIB)))]), []);
        let [layer, work] = [taken(51, 0, None), taken(0, 10, Some(9 * MIB))];
        let over = judged(&mut watch, 90, &[quiet, ("l", layer), ("w", work)]);
        assert!(
            matches!(
                &over[..],
                [(l, Excess::Layer { .. }), (w, Excess::Work { .. })] if l == "l" && w == "w"
            ),
            "{over:?}"
        );
        // The largest is not the one that has grown.
        judged(&mut watch, 30, &[quiet, ("b", taken(0, 10, None))]);
        let worst = judged(&mut watch, 15, &[quiet, ("b", taken(0, 25, None))]);
        let grown = 15 * MIB;
        let reserve = Excess::Reserve { free: 15 * MIB, reserve: 20 * MIB, grown };
        assert_eq!(worst, [("b".to_owned(), reserve)]);
        assert_eq!(judged(&mut watch, 5, &[quiet]), [], "somebody else has filled it");
    }

    #[test]
    fn it_is_looked_at_the_more_often_the_fuller_it_is() {
        let watch = Watch::new(20 * MIB);
        let next = |free: u64| watch.next_look(free * MIB).as_secs();
        assert_eq!([next(0), next(20), next(20 + 640), next(1 << 20)], [1, 1, 10, 60]);
    }
}
