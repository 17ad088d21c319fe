//! Reading an author's recipes and artifacts from directories that someone else controls, and keeping artifacts.
//!
//! Everything is opened *beneath* a directory descriptor with `openat2(2)`, following no symbolic
//! link and no magic link, so that a directory can be handed over without handing over the rest of
//! the file system.
//!
//! Artifacts lie as Greengrass's tools lay them: `<component>/<version>/<file>`, the file named by
//! the last segment of its URI. [`Delivery::examine`] reads one without keeping anything; the [`Store`] keeps them.
//! [`Delivery::beside`] finds what else lies there.

mod beneath;
mod beside;
mod blob;
mod delivery;
mod error;
mod recipes;
mod staging;
mod store;
mod unarchive;

pub use beneath::Source;
pub use delivery::{Content, Delivery};
pub use error::{ArtifactFault, EntryFault, ImportError};
pub use recipes::{MAX_RECIPES, RecipeFile, UnreadableDirectory, recipes_in};
pub use store::{Store, Tree, id};

/// What an artifact may cost the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest artifact, in bytes.
    pub file_bytes: u64,
    /// Most that one archive unpacks to, in bytes.
    pub unpacked_bytes: u64,
    /// Most that an archive unpacks to, as a multiple of its own size; applies beyond
    /// [`Limits::ALWAYS_UNPACKED`].
    pub ratio: u64,
    /// Most files and directories of one archive.
    pub entries: u64,
}

impl Limits {
    /// Unpacked bytes that are allowed whatever the archive's size.
    pub const ALWAYS_UNPACKED: u64 = 16 * 1024 * 1024;

    /// 4 GiB packed and unpacked, a ratio of 200, and 100,000 entries.
    pub const DEFAULT: Self =
        Self { file_bytes: 4 << 30, unpacked_bytes: 4 << 30, ratio: 200, entries: 100_000 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests;
