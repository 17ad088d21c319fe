//! Artifacts of component versions: brought in, kept while something refers to them, removed.

mod builtin;
mod error;
mod package;
mod room;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;

use hedgerow_component::Recipe;
use hedgerow_component::artifacts::{self, Content, Delivery, Limits, Source, Store};
use hedgerow_component::recipe::Artifact;

pub use builtin::{missing, notices, package as builtin_package};
pub use error::{NoRoom, PackageError};
pub use package::{Package, Place};

use crate::settings;

const LIMITS: Limits = Limits::DEFAULT;

/// The artifacts of all versions that are, or were just now, on the device.
#[derive(Debug, Clone)]
pub struct Packages {
    directory: PathBuf,
    store: Store,
    settings: settings::Store,
}

/// A version that is to be had.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub recipe: &'a Recipe,
    /// The recipe's.
    pub text: &'a str,
    /// Of the manifest that was chosen.
    pub artifacts: &'a [Artifact],
    /// Where they are, as `<component>/<version>/<file>`.
    pub directory: Option<Source<'a>>,
    /// The directory is the operating system's image: what can be used there is not copied.
    pub in_image: bool,
}

/// Told how many hundredths of an import are done; `Break` ends it, and leaves nothing.
pub type Watch<'a> = &'a dyn Fn(u32) -> ControlFlow<()>;

impl Packages {
    pub fn at(directory: PathBuf, settings: settings::Store) -> Self {
        Self { store: Store::at(directory.clone()), directory, settings }
    }

    /// The same, which together may have `bytes` where somebody says so.
    #[must_use]
    pub fn of_size(&self, bytes: Option<u64>) -> Self {
        let max_size = bytes.unwrap_or(self.settings.max_size);
        Self { settings: settings::Store { max_size, ..self.settings }, ..self.clone() }
    }

    /// Has the artifacts of all of them, or of none. Everything is read and checked, and room found, before anything
    /// is copied; what is here already is not. Blocks on files; one at a time.
    pub fn import(
        &self,
        wanted: &[Wanted<'_>],
        watch: Watch<'_>,
    ) -> Result<Vec<Package>, PackageError> {
        let (done, total) = (Cell::new(0), Cell::new(0));
        let count = |bytes: u64| {
            done.set(done.get() + bytes);
            let percent = (100 * done.get()).checked_div(total.get()).unwrap_or(0);
            watch(u32::try_from(percent).unwrap_or(100).min(100))
        };
        let deliveries = deliveries(wanted, &count);
        let files = files(wanted, &deliveries)?;
        let contents = examine(&deliveries, &files)?;
        let needed = self.needed(wanted, &contents);
        room::check(&self.directory, &self.store, self.settings, needed)?;
        done.set(0);
        total.set(needed);
        let packages = packages(wanted, &contents);
        let brought: Vec<_> = contents
            .into_iter()
            .zip(&packages)
            .filter(|(_, package)| package.place != Place::Image)
            .map(|(contents, _)| contents)
            .collect();
        self.store.import(&brought)?;
        Ok(packages)
    }

    /// What [`Packages::import`] would bring, and the most bytes that it would copy. Reads and checks everything, as
    /// it does.
    pub fn foresee(&self, wanted: &[Wanted<'_>]) -> Result<(Vec<Package>, u64), PackageError> {
        let deliveries = deliveries(wanted, &|_| ControlFlow::Continue(()));
        let files = files(wanted, &deliveries)?;
        let contents = examine(&deliveries, &files)?;
        Ok((packages(wanted, &contents), self.needed(wanted, &contents)))
    }

    /// Removes artifacts that nothing refers to: those of failed deployments, and of replaced versions. Greengrass
    /// keeps old versions until the store is full; what a rollback needs has to be among the `kept` ids here.
    pub fn collect(&self, kept: &BTreeSet<String>) -> io::Result<()> {
        self.store.collect(kept)
    }

    fn needed(&self, wanted: &[Wanted<'_>], contents: &[Vec<Content<'_>>]) -> u64 {
        let lacks = |(wanted, contents): (&Wanted<'_>, &Vec<Content<'_>>)| {
            if wanted.stays_in_image(contents) { 0 } else { self.store.lacks(contents) }
        };
        wanted.iter().zip(contents).map(lacks).sum()
    }
}

fn packages(wanted: &[Wanted<'_>], contents: &[Vec<Content<'_>>]) -> Vec<Package> {
    let package = |(wanted, contents): (&Wanted<'_>, &Vec<Content<'_>>)| Package {
        id: artifacts::id(contents),
        place: if wanted.stays_in_image(contents) { Place::Image } else { Place::Store },
        file: wanted.recipe.file.clone(),
        recipe: wanted.text.to_owned(),
    };
    wanted.iter().zip(contents).map(package).collect()
}

/// `None` where there is no artifact directory.
fn deliveries<'a>(
    wanted: &[Wanted<'a>],
    watch: &'a dyn Fn(u64) -> ControlFlow<()>,
) -> Vec<Option<Delivery<'a>>> {
    let delivery = |wanted: &Wanted<'a>| {
        let (component, version) = (&wanted.recipe.name, &wanted.recipe.version);
        let source = wanted.directory?;
        Some(Delivery { source, component, version, limits: &LIMITS, watch })
    };
    wanted.iter().map(delivery).collect()
}

/// Of each version the artifacts that its recipe names, and what lies beside them.
fn files(
    wanted: &[Wanted<'_>],
    deliveries: &[Option<Delivery<'_>>],
) -> Result<Vec<Vec<Artifact>>, PackageError> {
    let each = |(wanted, delivery): (&Wanted<'_>, &Option<Delivery<'_>>)| match delivery {
        Some(delivery) => {
            let beside = delivery.beside(wanted.artifacts)?;
            Ok(wanted.artifacts.iter().cloned().chain(beside).collect())
        }
        None if wanted.artifacts.is_empty() => Ok(Vec::new()),
        None => {
            let component = wanted.recipe.name.clone();
            Err(PackageError::NoArtifactDirectory { component })
        }
    };
    wanted.iter().zip(deliveries).map(each).collect()
}

fn examine<'a>(
    deliveries: &'a [Option<Delivery<'a>>],
    files: &'a [Vec<Artifact>],
) -> Result<Vec<Vec<Content<'a>>>, PackageError> {
    let each = |(delivery, files): (&'a Option<Delivery<'a>>, &'a Vec<Artifact>)| {
        let contents = |delivery: &'a Delivery<'a>| {
            files.iter().map(|file| Ok(delivery.examine(file)?)).collect()
        };
        delivery.as_ref().map_or_else(|| Ok(Vec::new()), contents)
    };
    deliveries.iter().zip(files).map(each).collect()
}

impl Wanted<'_> {
    fn stays_in_image(&self, contents: &[Content<'_>]) -> bool {
        self.in_image && !contents.is_empty() && contents.iter().all(Content::is_usable_in_place)
    }
}

#[cfg(test)]
mod tests;
