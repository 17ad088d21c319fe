//! Ranges of user ids, one for each component.

use std::collections::BTreeSet;

/// Ids in each range.
pub(crate) const WIDTH: u32 = 65_536;
const BASE: u32 = 1_879_048_192;
/// Ranges there are: the first id of the last is 2,147,418,112.
pub(crate) const SLOTS: u32 = 4096;

/// 65,536 user ids, and as many group ids, that belong to one component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ids {
    pub first: u32,
}

impl Ids {
    /// How many ids there are from `first` on.
    pub const COUNT: u32 = WIDTH;

    /// A small number, from 0 to 4095, as unique as the range: for paths that have to be short.
    pub fn slot(self) -> u32 {
        self.first.saturating_sub(BASE) / WIDTH
    }

    fn of_slot(slot: u32) -> Self {
        Self { first: BASE + slot * WIDTH }
    }
}

/// The first range from slot `next` on, and round, that is not in use. A range that was just
/// released is thereby the last to be used again.
pub(crate) fn free(next: u32, in_use: &BTreeSet<u32>) -> Option<Ids> {
    let from = next % SLOTS;
    (from..SLOTS).chain(0..from).map(Ids::of_slot).find(|ids| !in_use.contains(&ids.first))
}
