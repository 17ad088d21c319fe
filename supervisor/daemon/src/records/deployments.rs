//! The decisions of a deployment, each in one transaction, from `deploy` to `finish`.
//!
//! ```text
//!  deploy ──▶ [bootstrap]* ──▶ [remove] ──▶ finish
//!                   └──────▶ [rollback] ──▶ finish
//! ```
//! Between any two of them the store has the record of the deployment, from which the next daemon goes on.

use std::collections::{BTreeMap, BTreeSet};

use hedgerow_component::configuration::{Changes, Configuration, Leaf};
use hedgerow_component::{ComponentName, VersionReq};
use hedgerow_store::{
    DEPLOYMENTS, DESIRED, GROUPS, INSTALLS, JOBS, PACKAGES, Query, SNAPSHOTS, Write,
};
use serde::{Deserialize, Serialize};

use super::{Desired, Records, RecordsError, configuration, job_key};
use crate::deployment::{DeploymentId, DeploymentRecord, Group, Prepared};
use crate::jobs::Job;
use crate::lifecycle::Goal;
use crate::packages::Package;

/// What the last deployment of a group asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRow {
    pub deployment: DeploymentId,
    /// Milliseconds since 1970.
    pub created: i64,
    pub roots: BTreeMap<ComponentName, VersionReq>,
}

/// What a rollback makes desired again.
#[derive(Debug, Serialize, Deserialize)]
struct Snapshot {
    /// `None`: the component was not there.
    desired: BTreeMap<ComponentName, Option<Desired>>,
    group: Option<GroupRow>,
    configuration: BTreeMap<ComponentName, Vec<Leaf>>,
    /// Those whose rows another recipe, or other artifacts, of the same version took.
    #[serde(default)]
    packages: BTreeMap<String, Package>,
}

/// Paths of the leaves that changed, by component.
pub type ChangedPaths = BTreeMap<ComponentName, Vec<Vec<String>>>;

/// What the end of a deployment forgets.
#[derive(Debug, Default)]
pub struct Forgotten {
    /// Components whose goal was to be removed, and that are.
    pub components: BTreeSet<ComponentName>,
    pub jobs: Vec<u64>,
    /// Finished deployments that are kept beside this one.
    pub kept: usize,
}

impl Records {
    /// Of every group that asks for something.
    pub fn groups(&self) -> Result<BTreeMap<Group, GroupRow>, RecordsError> {
        let rows = self.store.read(|tx| tx.rows_json::<GroupRow>(GROUPS))?;
        rows.into_iter()
            .map(|(key, row)| {
                let invalid = |_| RecordsError::Missing(format!("valid group for {key:?}"));
                Ok((key.parse().map_err(invalid)?, row))
            })
            .collect()
    }

    /// Ids of the packages whose artifacts are needed: those of the desired versions, and those that a rollback brings
    /// back.
    pub fn needed_packages(&self) -> Result<BTreeSet<String>, RecordsError> {
        let snapshots = self.store.read(|tx| tx.rows_json::<Snapshot>(SNAPSHOTS))?;
        let old = snapshots.into_iter().flat_map(|(_, snapshot)| snapshot.packages.into_values());
        Ok(self.packages()?.into_values().chain(old).map(|package| package.id).collect())
    }

    /// In the order of their jobs.
    pub fn deployments(&self) -> Result<Vec<DeploymentRecord>, RecordsError> {
        let rows = self.store.read(|tx| tx.rows_json::<DeploymentRecord>(DEPLOYMENTS))?;
        let mut records: Vec<_> = rows.into_iter().map(|(_, record)| record).collect();
        records.sort_by_key(|record| record.job);
        Ok(records)
    }

    /// The deployment that has been decided and has not ended.
    pub fn deployment_at_work(&self) -> Result<Option<DeploymentRecord>, RecordsError> {
        Ok(self.deployments()?.into_iter().find(|record| !record.is_ended()))
    }

    /// Everything that a deployment decides: what is desired, its packages, its configuration leaf by leaf, its id
    /// ranges, what the group asks for, what was before, and how to go on. Returns `false`, and has written nothing,
    /// where all of it is so already. A configuration that has changed since it was prepared is
    /// [`RecordsError::Overtaken`]; another deployment that has not ended is [`RecordsError::AtWork`].
    pub fn deploy(
        &self,
        prepared: &Prepared,
        record: &DeploymentRecord,
        job: &Job,
    ) -> Result<bool, RecordsError> {
        self.store.write_two_phase("deploy", |tx| {
            let rows = tx.rows_json::<DeploymentRecord>(DEPLOYMENTS)?;
            let mut others = rows.into_iter().map(|(_, other)| other).filter(|o| o.id != record.id);
            if let Some(other) = others.find(|other| !other.is_ended()) {
                return Err(RecordsError::AtWork(other.id));
            }
            let snapshot = snapshot(tx, prepared, record)?;
            let mut is_news = !prepared.removed.is_empty();
            for (name, chosen) in &prepared.components {
                if configuration(tx, name)? != chosen.before {
                    return Err(RecordsError::Overtaken(name.clone()));
                }
                let recipe = chosen.package.parse()?;
                let old = snapshot.desired.get(name).cloned().flatten();
                let goal = old.map_or(Goal::Run, |row| match row.goal {
                    // What an operator stopped stays stopped while its version does.
                    Goal::Stop if row.version == recipe.version => Goal::Stop,
                    Goal::Stop | Goal::Run | Goal::Remove => Goal::Run,
                });
                let run_with = chosen.run_with.clone();
                let row = Desired { version: recipe.version.clone(), goal, run_with };
                is_news |= tx.put_json(DESIRED, name.as_str(), &row)?;
                let key = Package::key(name, &recipe.version);
                is_news |= tx.put_json(PACKAGES, &key, &chosen.package)?;
                tx.allocate_ids(name.as_str())?;
                let changes = chosen.after.changes_since(&chosen.before);
                is_news |= !changes.is_empty();
                write_configuration(tx, name, &changes)?;
            }
            is_news |= put_group(tx, &record.group, &prepared.group)?;
            if is_news {
                tx.put_json(SNAPSHOTS, record.id.as_str(), &snapshot)?;
                put_record(tx, record, job)?;
            }
            Ok(is_news)
        })
    }

    /// A step of the way that has to survive.
    pub fn advance(&self, record: &DeploymentRecord) -> Result<(), RecordsError> {
        self.store.write_two_phase("bootstrap", |tx| {
            tx.put_json(DEPLOYMENTS, record.id.as_str(), record)?;
            Ok(())
        })
    }

    /// From here on there is no way back: what nobody asks for is to go.
    pub fn remove_unwanted(&self, record: &DeploymentRecord) -> Result<(), RecordsError> {
        self.store.write_two_phase("remove", |tx| {
            for name in &record.removed {
                mark_removed(tx, name)?;
            }
            tx.remove(SNAPSHOTS, record.id.as_str())?;
            tx.put_json(DEPLOYMENTS, record.id.as_str(), record)?;
            Ok(())
        })
    }

    /// Makes desired again what was before; what came with the deployment is to go. Returns what changed of
    /// configurations thereby.
    pub fn roll_back(&self, record: &DeploymentRecord) -> Result<ChangedPaths, RecordsError> {
        self.store.write_two_phase("rollback", |tx| {
            let missing = || RecordsError::Missing(format!("snapshot of deployment {}", record.id));
            let snapshot: Snapshot =
                tx.get_json(SNAPSHOTS, record.id.as_str())?.ok_or_else(missing)?;
            let mut changed = ChangedPaths::new();
            for (name, old) in snapshot.desired {
                match old {
                    Some(row) => {
                        tx.put_json(DESIRED, name.as_str(), &row)?;
                    }
                    None => mark_removed(tx, &name)?,
                }
            }
            for (key, package) in &snapshot.packages {
                tx.put_json(PACKAGES, key, package)?;
            }
            for (name, leaves) in snapshot.configuration {
                let now = configuration(tx, &name)?;
                let changes = Configuration::from_leaves(name.clone(), leaves).changes_since(&now);
                write_configuration(tx, &name, &changes)?;
                if !changes.is_empty() {
                    changed.insert(name, changes.paths());
                }
            }
            match snapshot.group {
                Some(row) => tx.put_json(GROUPS, &record.group.to_string(), &row)?,
                None => tx.remove(GROUPS, &record.group.to_string())?,
            };
            tx.remove(SNAPSHOTS, record.id.as_str())?;
            tx.put_json(DEPLOYMENTS, record.id.as_str(), record)?;
            Ok(changed)
        })
    }

    /// How it ended, and the end of what only it needed.
    pub fn finish(
        &self,
        record: &DeploymentRecord,
        job: &Job,
        forgotten: &Forgotten,
    ) -> Result<(), RecordsError> {
        self.store.write_two_phase("finish", |tx| {
            for name in &forgotten.components {
                forget(tx, name)?;
            }
            for id in &forgotten.jobs {
                tx.remove(JOBS, &job_key(*id))?;
            }
            tx.remove(SNAPSHOTS, record.id.as_str())?;
            drop_unused_packages(tx)?;
            forget_old_deployments(tx, forgotten.kept)?;
            put_record(tx, record, job)
        })
    }

    /// Components that were to be removed, and are at last.
    pub fn forget_removed(&self, gone: &BTreeSet<ComponentName>) -> Result<(), RecordsError> {
        self.store.write_two_phase("forget", |tx| {
            for name in gone {
                forget(tx, name)?;
            }
            drop_unused_packages(tx)
        })
    }
}

fn snapshot(
    tx: &Write,
    prepared: &Prepared,
    record: &DeploymentRecord,
) -> Result<Snapshot, RecordsError> {
    let mut snapshot = Snapshot {
        desired: BTreeMap::new(),
        group: tx.get_json(GROUPS, &record.group.to_string())?,
        configuration: BTreeMap::new(),
        packages: BTreeMap::new(),
    };
    for (name, chosen) in &prepared.components {
        let row = tx.get_json::<Desired>(DESIRED, name.as_str())?;
        let is_touched =
            record.changed.contains(name) || !chosen.after.changes_since(&chosen.before).is_empty();
        if row.is_some() && is_touched {
            let leaves = configuration(tx, name)?.leaves().cloned().collect();
            snapshot.configuration.insert(name.clone(), leaves);
        }
        if let Some(row) = &row {
            let key = Package::key(name, &row.version);
            let package = tx.get_json::<Package>(PACKAGES, &key)?;
            if let Some(package) = package.filter(|package| *package != chosen.package) {
                snapshot.packages.insert(key, package);
            }
        }
        snapshot.desired.insert(name.clone(), row);
    }
    Ok(snapshot)
}

/// A group that asks for nothing leaves no row, unless its last document has to be remembered as the newest.
fn put_group(tx: &mut Write, group: &Group, row: &GroupRow) -> Result<bool, RecordsError> {
    let old = tx.get_json::<GroupRow>(GROUPS, &group.to_string())?;
    let is_news = match &old {
        Some(old) => old != row,
        None => !row.roots.is_empty() || *group != Group::Local,
    };
    if is_news {
        tx.put_json(GROUPS, &group.to_string(), row)?;
    }
    Ok(is_news)
}

fn put_record(tx: &mut Write, record: &DeploymentRecord, job: &Job) -> Result<(), RecordsError> {
    tx.put_json(DEPLOYMENTS, record.id.as_str(), record)?;
    tx.put_json(JOBS, &job_key(job.id), job)?;
    Ok(())
}

fn write_configuration(
    tx: &mut Write,
    name: &ComponentName,
    changes: &Changes,
) -> Result<(), RecordsError> {
    for leaf in &changes.removed {
        tx.remove_config(name.as_str(), &leaf.key())?;
    }
    for leaf in &changes.written {
        tx.put_config(name.as_str(), &leaf.key(), &serde_json::to_vec(leaf)?)?;
    }
    Ok(())
}

fn mark_removed(tx: &mut Write, name: &ComponentName) -> Result<(), RecordsError> {
    if let Some(row) = tx.get_json::<Desired>(DESIRED, name.as_str())? {
        tx.put_json(DESIRED, name.as_str(), &Desired { goal: Goal::Remove, ..row })?;
    }
    Ok(())
}

/// Unless it is wanted again by now.
fn forget(tx: &mut Write, name: &ComponentName) -> Result<(), RecordsError> {
    let row = tx.get_json::<Desired>(DESIRED, name.as_str())?;
    if row.is_some_and(|row| row.goal == Goal::Remove) {
        tx.remove(DESIRED, name.as_str())?;
        tx.remove(INSTALLS, name.as_str())?;
        tx.remove_all_config(name.as_str())?;
    }
    Ok(())
}

/// Only what is desired is kept: a replaced version's artifacts take flash that the device needs.
fn drop_unused_packages(tx: &mut Write) -> Result<(), RecordsError> {
    let desired = tx.rows_json::<Desired>(DESIRED)?;
    let used: Vec<String> =
        desired.iter().map(|(name, row)| format!("{name}@{}", row.version)).collect();
    tx.retain(PACKAGES, |key, _| used.iter().any(|used| used == key))?;
    Ok(())
}

fn forget_old_deployments(tx: &mut Write, kept: usize) -> Result<(), RecordsError> {
    let mut ended: Vec<(u64, String)> = tx
        .rows_json::<DeploymentRecord>(DEPLOYMENTS)?
        .into_iter()
        .filter(|(_, record)| record.is_ended())
        .map(|(key, record)| (record.job, key))
        .collect();
    ended.sort();
    let surplus = ended.len().saturating_sub(kept);
    for (_, key) in ended.iter().take(surplus) {
        tx.remove(DEPLOYMENTS, key)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
