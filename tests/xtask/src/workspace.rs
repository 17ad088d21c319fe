//! Where things lie.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The project's root directory.
pub fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.ancestors().nth(2).unwrap_or(xtask)
}

/// `target/` of the project; what xtask makes lies here, so that `cargo clean` removes it.
pub fn target() -> PathBuf {
    root().join("target")
}

/// What outlives `cargo clean`: the guest's image and the Python SDK.
pub fn cache() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(directory) if !directory.is_empty() => PathBuf::from(directory),
        _ => Path::new(&std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    let cache = base.join("hedgerow");
    std::fs::create_dir_all(&cache).with_context(|| cache.display().to_string())?;
    Ok(cache)
}
