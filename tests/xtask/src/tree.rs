//! Directories with all that is in them.

use std::path::Path;
use std::{fs, io};

use anyhow::{Context, Result};

/// Copies files and directories, following no link.
pub fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target)?;
        } else {
            let reason = format!("{} is neither file nor directory", entry.path().display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason).into());
        }
    }
    Ok(())
}

/// A new, empty directory in the place of what was there.
pub fn fresh(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())
}
