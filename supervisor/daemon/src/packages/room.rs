//! Whether there is room, asked before anything is copied.

use std::path::Path;

use hedgerow_component::artifacts::Store;

use super::error::{NoRoom, PackageError};
use crate::disk::free;
use crate::settings;

/// Room for `needed` bytes beside what the store has.
pub(super) fn check(
    directory: &Path,
    store: &Store,
    settings: settings::Store,
    needed: u64,
) -> Result<(), PackageError> {
    if needed == 0 {
        return Ok(());
    }
    let disk = |source| PackageError::Disk { path: directory.to_owned(), source };
    let stored = store.bytes().map_err(disk)?;
    let free = free(directory).map_err(disk)?;
    let (reserve, limit) = (settings.keep_free, settings.max_size);
    if stored.saturating_add(needed) > limit {
        return Err(NoRoom::Limit { needed, stored, limit }.into());
    }
    if needed.saturating_add(reserve) > free {
        let path = directory.to_owned();
        return Err(NoRoom::Disk { path, needed, free, reserve }.into());
    }
    Ok(())
}
