//! Data of components that are gone: removed once nothing desired needs them, and their id ranges are free again
//! after that.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use hedgerow_isolation::protocol::{DISCARDED, MAX_DIRECTORIES, Request};
use tokio::time::timeout;

use crate::driver::Surroundings;
use crate::layout;
use crate::records::RecordsError;

/// To be called while no deployment is at work: one that is rolled back needs what was there before. Nothing is lost
/// if it fails, the next time does it.
pub async fn unused(around: &Surroundings) {
    let left = match Leftovers::find(around) {
        Ok(left) => left,
        Err(error) => return tracing::error!("cannot tell what is not needed any more: {error}"),
    };
    for (component, directories) in &left.components {
        // The ids are what tells, the next time, that there may be something left.
        let is_gone = discard(around, directories).await;
        if let Err(error) = around.events.forget(component).await {
            tracing::error!(component, "cannot remove its events: {error}");
        } else if is_gone && let Err(error) = around.records.release_ids(component) {
            tracing::error!(component, "cannot release its ids: {error}");
        }
    }
    discard(around, &left.others).await;
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Leftovers {
    /// Components that are not desired but have ids, with the directories of theirs.
    components: BTreeMap<String, Vec<PathBuf>>,
    /// Layers of versions that are not the desired one, and what removals that were cut short have left.
    others: Vec<PathBuf>,
}

impl Leftovers {
    fn find(around: &Surroundings) -> Result<Self, RecordsError> {
        let desired = around.records.desired()?;
        let slots = around.records.slots()?;
        let kept: BTreeSet<PathBuf> = desired
            .iter()
            .filter_map(|(name, row)| {
                let slot = slots.get(name.as_str())?;
                Some(layout::layer(*slot, &row.version.to_string()))
            })
            .collect();
        let state = &around.layout.state;
        let mut layers = entries(state, &layout::layers());
        layers.retain(|layer| !kept.contains(layer));
        let is_desired = |name: &str| desired.keys().any(|desired| desired.as_str() == name);
        let mut left = Self::default();
        for (name, slot) in slots {
            if is_desired(&name) || around.registry.status(&name).is_some() {
                continue;
            }
            let is_own = |layer: &&PathBuf| is_of(layer, slot);
            let mut directories = vec![layout::work_directory(slot)];
            directories.extend(layers.iter().filter(is_own).cloned());
            layers.retain(|layer| !is_of(layer, slot));
            left.components.insert(name, directories);
        }
        left.others = layers;
        left.others.extend(discarded(state));
        Ok(left)
    }
}

/// Work directories whose removal was cut short. (Of layers it is one among [`entries`].)
fn discarded(state: &Path) -> impl Iterator<Item = PathBuf> {
    let is_discarded = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(DISCARDED.as_bytes()))
    };
    entries(state, &layout::work_directories()).into_iter().filter(is_discarded)
}

/// What is in a directory of the state directory, relative to that.
fn entries(state: &Path, directory: &Path) -> Vec<PathBuf> {
    // Where there are none yet there is nothing to remove.
    let Ok(entries) = fs::read_dir(state.join(directory)) else { return vec![] };
    entries.filter_map(|entry| Some(directory.join(entry.ok()?.file_name()))).collect()
}

fn is_of(layer: &Path, slot: u32) -> bool {
    let name = layer.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.starts_with(&format!("c{slot}-"))
}

/// Whether all of them are gone. Each request has the time that a removal has.
async fn discard(around: &Surroundings, directories: &[PathBuf]) -> bool {
    for part in directories.chunks(MAX_DIRECTORIES) {
        let request = Request::Discard { sources: part.to_vec() };
        let limit = around.settings.deployment.remove_timeout();
        match timeout(limit, around.launcher.run(request, vec![])).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!("cannot remove {part:?}: {error}");
                return false;
            }
            Err(_) => {
                tracing::warn!("{part:?} is not removed after {} s", limit.as_secs());
                return false;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::fixture::{Fixture, name, recipe};

    #[test]
    fn what_a_removal_left_of_a_work_directory_is_found_again() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(discarded(state.path()).count(), 0);
        for name in ["c1", "discarded-1"] {
            fs::create_dir_all(state.path().join("work").join(name)).unwrap();
        }
        let found: Vec<_> = discarded(state.path()).collect();
        assert_eq!(found, [PathBuf::from("work/discarded-1")]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_removal_that_takes_too_long_is_left_for_the_next_time() {
        let device = Fixture::new();
        device.deploy(&[("a", recipe("a", &[], &[]))]);
        let mut record = device.commit(&[]);
        record.removed.insert(name("a"));
        device.around.records.remove_unwanted(&record).unwrap();
        device.around.records.forget_removed(&record.removed).unwrap();
        let (start, limit) = (Instant::now(), device.around.settings.deployment.remove_timeout());
        timeout(2 * limit, unused(&device.around)).await.expect("it gives up");
        assert!(start.elapsed() >= limit);
        assert!(device.around.records.slots().unwrap().contains_key("a"), "its ids are kept");
    }
}
