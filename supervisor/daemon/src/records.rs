//! What the daemon keeps, in its own words: each method is one decision or one question.

mod deployments;

use std::collections::BTreeMap;
use std::path::Path;

use hedgerow_component::configuration::{Changes, Configuration, Leaf};
use hedgerow_component::recipe::Invalid;
use hedgerow_component::{ComponentName, Version};
use hedgerow_isolation::plan::IdRange;
use hedgerow_store::{
    CommitPoint, DESIRED, INSTALLS, Ids, JOBS, META, PACKAGES, Query, Store, StoreError,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::deployment::{DeploymentId, Ingredients, RunWith};
use crate::jobs::Job;
use crate::lifecycle::Goal;
use crate::packages::Package;

pub use deployments::{Forgotten, GroupRow};

/// Key in META of the first job number that has not been given out.
const RESERVED_JOBS: &str = "jobs";

/// A component that is to be on the device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Desired {
    pub version: Version,
    pub goal: Goal,
    /// What its deployment said of it as a root.
    #[serde(default)]
    pub run_with: RunWith,
}

#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    #[error("the store has a row that this version cannot read: {0}")]
    Row(#[from] serde_json::Error),
    #[error("a stored recipe is not valid any more: {0}")]
    Recipe(#[from] Invalid),
    #[error("the store has no {0}, which a desired component needs")]
    Missing(String),
    #[error("the configuration of {0} changes all the time; deploy again when it rests")]
    Overtaken(ComponentName),
    #[error(
        "how deployment {0} ended is not stored yet, so no other can be decided; make room where the store is"
    )]
    AtWork(DeploymentId),
}

impl RecordsError {
    /// Whether the rest of the store may be as it should be.
    fn is_of_one_row(&self) -> bool {
        match self {
            Self::Row(_) | Self::Recipe(_) | Self::Missing(_) => true,
            Self::Store(error) => matches!(error, StoreError::Row { .. }),
            Self::Overtaken(_) | Self::AtWork(_) => false,
        }
    }
}

/// What is stored of components that are desired.
#[derive(Debug, Default)]
pub struct Stored {
    pub ingredients: BTreeMap<ComponentName, Ingredients>,
    /// Those of which a row is missing, or is not one that this version can read.
    pub unreadable: BTreeMap<ComponentName, RecordsError>,
}

/// Row of [`META`]: the fingerprint of the image.
const IMAGE: &str = "image";

#[derive(Debug)]
pub struct Records {
    store: Store,
}

impl Records {
    pub fn open(path: &Path) -> Result<Self, RecordsError> {
        Ok(Self { store: Store::open(path)? })
    }

    #[cfg(test)]
    pub fn on(disk: &hedgerow_store::disk::Disk) -> Self {
        Self { store: Store::on(disk).expect("a store") }
    }

    /// As if another version of Hedgerow had stored it.
    #[cfg(test)]
    pub fn replace_recipe(&self, key: &str, recipe: &str) {
        let replaced = self.store.write::<_, RecordsError>("test", |tx| {
            let package = tx.get_json::<Package>(PACKAGES, key)?.expect("stored");
            tx.put_json(PACKAGES, key, &Package { recipe: recipe.to_owned(), ..package })?;
            Ok(())
        });
        replaced.expect("stored");
    }

    #[cfg(test)]
    pub fn remove_package(&self, key: &str) {
        let removed = self.store.write::<_, RecordsError>("test", |tx| {
            tx.remove(PACKAGES, key)?;
            Ok(())
        });
        removed.expect("stored");
    }

    /// For crash tests: `observer` is called around every commit.
    #[must_use]
    pub fn observed_by(
        self,
        observer: impl Fn(&'static str, CommitPoint) + Send + Sync + 'static,
    ) -> Self {
        Self { store: self.store.with_commit_observer(observer) }
    }

    pub fn set_goal(
        &self,
        name: &ComponentName,
        goal: Goal,
        job: &Job,
    ) -> Result<(), RecordsError> {
        self.store.write("goal", |tx| {
            let row = tx.get_json::<Desired>(DESIRED, name.as_str())?;
            // What is being removed is not called back.
            let row = row.filter(|row| row.goal != Goal::Remove);
            let row = row.ok_or_else(|| RecordsError::Missing(name.to_string()))?;
            tx.put_json(DESIRED, name.as_str(), &Desired { goal, ..row })?;
            tx.put_json(JOBS, &job_key(job.id), job)?;
            Ok(())
        })
    }

    pub fn desired(&self) -> Result<BTreeMap<ComponentName, Desired>, RecordsError> {
        let rows = self.store.read(|tx| tx.rows_json::<Desired>(DESIRED))?;
        rows.into_iter()
            .map(|(name, row)| {
                let missing = |_| RecordsError::Missing(format!("valid name for {name:?}"));
                Ok((ComponentName::try_from(name.clone()).map_err(missing)?, row))
            })
            .collect()
    }

    /// By [`Package::key`].
    pub fn packages(&self) -> Result<BTreeMap<String, Package>, RecordsError> {
        let rows = self.store.read(|tx| tx.rows_json::<Package>(PACKAGES))?;
        Ok(rows.into_iter().collect())
    }

    pub fn package(&self, name: &str, version: &str) -> Result<Option<Package>, RecordsError> {
        let key = format!("{name}@{version}");
        Ok(self.store.read(|tx| tx.get_json::<Package>(PACKAGES, &key))?)
    }

    /// What the definitions of `desired` are made from.
    pub fn ingredients(
        &self,
        desired: &BTreeMap<ComponentName, Desired>,
    ) -> Result<Stored, RecordsError> {
        self.store.read(|tx| {
            let mut stored = Stored::default();
            for (name, row) in desired {
                match ingredients(tx, name, row) {
                    Ok(found) => drop(stored.ingredients.insert(name.clone(), found)),
                    Err(error) if error.is_of_one_row() => {
                        stored.unreadable.insert(name.clone(), error);
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(stored)
        })
    }

    /// The component's id range, where it has one.
    pub fn ids_of(&self, name: &ComponentName) -> Result<Option<Ids>, RecordsError> {
        Ok(self.store.read(|tx| tx.ids_of(name.as_str()))?)
    }

    /// The number of each component's id range. Components that are gone have one for as long as data of theirs may
    /// be there.
    pub fn slots(&self) -> Result<BTreeMap<String, u32>, RecordsError> {
        let ids = self.store.read(Query::ids)?;
        Ok(ids.into_iter().map(|(name, ids)| (name, slot(ids))).collect())
    }

    /// After everything that has the component's ids is gone. One that is desired again by now keeps them.
    pub fn release_ids(&self, name: &str) -> Result<(), RecordsError> {
        self.store.write("release", |tx| {
            if tx.get_json::<Desired>(DESIRED, name)?.is_none() {
                tx.release_ids(name)?;
            }
            Ok(())
        })
    }

    pub fn configuration_of(&self, name: &ComponentName) -> Result<Configuration, RecordsError> {
        self.store.read(|tx| configuration(tx, name))
    }

    /// The value at a path of keys; `None` where there is nothing.
    pub fn configuration(
        &self,
        name: &str,
        path: &[String],
    ) -> Result<Option<Value>, RecordsError> {
        let Ok(name) = ComponentName::try_from(name.to_owned()) else { return Ok(None) };
        Ok(self.configuration_of(&name)?.get(path))
    }

    /// Changes the configuration of one desired component, unless `change` refuses. Returns what has changed; nothing
    /// is written where that is nothing.
    pub fn change_configuration<E>(
        &self,
        name: &ComponentName,
        change: impl FnOnce(&mut Configuration) -> Result<(), E>,
    ) -> Result<Result<Changes, E>, RecordsError> {
        self.store.write("configuration", |tx| {
            if tx.get(DESIRED, name.as_str())?.is_none() {
                return Err(RecordsError::Missing(name.to_string()));
            }
            let before = configuration(tx, name)?;
            let mut after = before.clone();
            if let Err(refused) = change(&mut after) {
                return Ok(Err(refused));
            }
            let changes = after.changes_since(&before);
            for leaf in &changes.removed {
                tx.remove_config(name.as_str(), &leaf.key())?;
            }
            for leaf in &changes.written {
                tx.put_config(name.as_str(), &leaf.key(), &serde_json::to_vec(leaf)?)?;
            }
            Ok(Ok(changes))
        })
    }

    /// Whether the install step has succeeded with this fingerprint. A store that cannot say repeats it.
    pub fn is_installed(&self, name: &str, fingerprint: &str) -> bool {
        let row = self.store.read(|tx| tx.get(INSTALLS, name));
        row.is_ok_and(|row| row.as_deref() == Some(fingerprint.as_bytes()))
    }

    pub fn set_installed(&self, name: &str, fingerprint: &str) -> Result<(), RecordsError> {
        self.store.write("installed", |tx| {
            tx.put(INSTALLS, name, fingerprint.as_bytes())?;
            Ok(())
        })
    }

    /// The image whose components were deployed last.
    pub fn image(&self) -> Result<Option<String>, RecordsError> {
        let row = self.store.read(|tx| tx.get(META, IMAGE))?;
        Ok(row.map(|row| String::from_utf8_lossy(&row).into_owned()))
    }

    pub fn set_image(&self, fingerprint: &str) -> Result<(), RecordsError> {
        self.store.write("image", |tx| {
            tx.put(META, IMAGE, fingerprint.as_bytes())?;
            Ok(())
        })
    }

    pub fn jobs(&self) -> Result<Vec<Job>, RecordsError> {
        let rows = self.store.read(|tx| tx.rows_json::<Job>(JOBS))?;
        Ok(rows.into_iter().map(|(_, job)| job).collect())
    }

    /// Stores a job, and forgets others.
    pub fn put_job(&self, job: &Job, forgotten: &[u64]) -> Result<(), RecordsError> {
        self.store.write("job", |tx| {
            for id in forgotten {
                tx.remove(JOBS, &job_key(*id))?;
            }
            tx.put_json(JOBS, &job_key(job.id), job)?;
            Ok(())
        })
    }

    /// Job numbers below this one may have been given out.
    pub fn reserved_jobs(&self) -> Result<u64, RecordsError> {
        Ok(self.store.read(|tx| tx.get_json::<u64>(META, RESERVED_JOBS))?.unwrap_or(1))
    }

    pub fn reserve_jobs(&self, below: u64) -> Result<(), RecordsError> {
        self.store.write("reserve jobs", |tx| {
            tx.put_json(META, RESERVED_JOBS, &below)?;
            Ok(())
        })
    }
}

fn ingredients(
    tx: &impl Query,
    name: &ComponentName,
    row: &Desired,
) -> Result<Ingredients, RecordsError> {
    let key = Package::key(name, &row.version);
    let package = tx.get_json::<Package>(PACKAGES, &key)?;
    let package = package.ok_or_else(|| RecordsError::Missing(format!("package {key}")))?;
    let ids = tx.ids_of(name.as_str())?;
    let ids = ids.ok_or_else(|| RecordsError::Missing(format!("id range of {name}")))?;
    Ok(Ingredients {
        name: name.clone(),
        version: row.version.clone(),
        recipe: package.parse(),
        package: package.directory(),
        place: package.place,
        slot: slot(ids),
        ids: IdRange { first: ids.first },
        configuration: configuration(tx, name)?.value(),
        run_with: row.run_with.clone(),
    })
}

fn configuration(tx: &impl Query, name: &ComponentName) -> Result<Configuration, RecordsError> {
    let rows = tx.config_of(name.as_str())?;
    let leaves = rows
        .into_iter()
        .map(|(_, row)| serde_json::from_slice::<Leaf>(&row))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Configuration::from_leaves(name.clone(), leaves))
}

/// Number of the component's id range: its short name in host paths.
fn slot(ids: Ids) -> u32 {
    ids.slot()
}

/// In the order of their numbers.
fn job_key(id: u64) -> String {
    format!("{id:020}")
}

#[cfg(test)]
mod tests;
