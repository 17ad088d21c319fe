//! What a fence's layer may take.
//!
//! Counted when the fence opens. While it is open nothing keeps a component from writing more: the kernel's project
//! quotas would, and few file systems of devices have them (ADR 14).

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "what the component wrote outside its work directory takes {taken} bytes of {quota}: allow more by `layer` of a \
         [[component]] in hedgerow.toml, or remove the component and deploy it anew"
    )]
    Full { taken: u64, quota: u64 },
    #[error("its writable layer cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// Refuses a layer that takes more than its quota.
pub fn measure(layer: &Path, quota: u64) -> Result<(), Error> {
    let taken = taken(layer)?;
    if taken > quota { Err(Error::Full { taken, quota }) } else { Ok(()) }
}

/// Bytes on disk; a file of several names counts with each.
fn taken(layer: &Path) -> io::Result<u64> {
    let mut taken = 0;
    let mut left = vec![layer.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            // Not through links.
            let found = entry.metadata()?;
            taken += found.blocks() * 512;
            if found.is_dir() {
                left.push(entry.path());
            }
        }
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_full_by_what_is_in_it_and_not_by_what_links_lead_to() {
        let layer = tempfile::tempdir().unwrap();
        let deep = layer.path().join("usr/upper/bin");
        fs::create_dir_all(&deep).unwrap();
        std::os::unix::fs::symlink("/usr", deep.join("link")).unwrap();
        measure(layer.path(), 1 << 20).unwrap();
        fs::write(deep.join("program"), vec![1; 2 << 20]).unwrap();
        let refused = measure(layer.path(), 1 << 20).unwrap_err().to_string();
        assert!(refused.contains("of 1048576") && refused.contains("[[component]]"), "{refused}");
    }
}
