//! The recipes of a directory.

use std::io::{self, Read};
use std::path::Path;

use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::beneath::{NotOpened, Source, open_file};
use crate::finding::Finding;
use crate::recipe::{Invalid, MAX_BYTES, Parsed, Recipe};

/// Most recipes in one directory.
pub const MAX_RECIPES: usize = 1000;

/// A file that may be a recipe.
#[derive(Clone, Debug)]
pub struct RecipeFile {
    pub file: String,
    /// As read, at most [`MAX_BYTES`] and one; empty where the file could not be read.
    pub text: Vec<u8>,
    pub parsed: Result<Parsed, Invalid>,
}

/// The directory itself could not be read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableDirectory {
    #[error("the recipe directory cannot be read: {0}")]
    Device(#[from] io::Error),
    #[error("the recipe directory has more than {MAX_RECIPES} recipes")]
    TooMany,
}

/// Reads every `.json`, `.yaml` and `.yml` directly in a directory, in the order of their names.
///
/// A file that is not a recipe does not keep the others from being read.
pub fn recipes_in(source: Source<'_>) -> Result<Vec<RecipeFile>, UnreadableDirectory> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut listing =
        Dir::openat(source.directory, ".", flags, Mode::empty()).map_err(io::Error::from)?;
    let mut names = Vec::new();
    for entry in listing.iter() {
        let entry = entry.map_err(io::Error::from)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let extension = Path::new(&name).extension().map(|e| e.to_ascii_lowercase());
        if extension.is_some_and(|e| e == "json" || e == "yaml" || e == "yml") {
            names.push(name);
        }
        if names.len() > MAX_RECIPES {
            return Err(UnreadableDirectory::TooMany);
        }
    }
    names.sort();
    Ok(names.into_iter().map(|name| read(source, name)).collect())
}

fn read(source: Source<'_>, file: String) -> RecipeFile {
    let unread = |message: String| {
        let findings = vec![Finding::of_file(&file, message, "")];
        RecipeFile { file: file.clone(), text: Vec::new(), parsed: Err(Invalid { findings }) }
    };
    let input = match open_file(source, Path::new(&file)) {
        Ok((input, _)) => input,
        Err(NotOpened::Missing) => {
            return unread("the file is gone, or its name is not UTF-8".into());
        }
        Err(NotOpened::SymbolicLink) => return unread("a recipe cannot be a symbolic link".into()),
        Err(NotOpened::NotAFile) => return unread("this is not a regular file".into()),
        Err(NotOpened::NotPublic) => {
            return unread(
                "not every user may read it; make it so, or let the client open it".into(),
            );
        }
        Err(NotOpened::Device(errno)) => return unread(format!("cannot be read: {errno}")),
    };
    let mut text = Vec::new();
    // One more than a recipe may have, so that a larger file is seen to be one.
    match input.take(MAX_BYTES as u64 + 1).read_to_end(&mut text) {
        Ok(_) => RecipeFile { parsed: Recipe::parse(&file, &text), file, text },
        Err(error) => unread(format!("cannot be read: {error}")),
    }
}
