//! Makes the drivers follow what the store desires.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hedgerow_component::ComponentName;
use hedgerow_component::platform::Platform;

use super::define::{Ingredients, define, scope};
use crate::definition::Definition;
use crate::driver::{Driver, FencelessDriver, Surroundings};
use crate::function::rights;
use crate::lifecycle::{Goal, State};
use crate::packages::{Packages, Place};
use crate::records::{Desired, RecordsError, Stored};
use crate::registry::{Command, Status};

/// Every desired component, with what is wanted of it.
#[derive(Debug, Default)]
pub struct Definitions {
    pub defined: Vec<(Definition, Goal)>,
    pub undefined: Vec<(Undefined, Goal)>,
}

/// A desired component that cannot be defined. It is BROKEN, and holds up nothing but what needs it.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "{why}; deploy {name} again with a recipe that this version and this device can use, or remove it"
)]
pub struct Undefined {
    pub name: String,
    pub version: String,
    why: Arc<Why>,
}

/// A `DefineError` or a [`RecordsError`].
type Why = dyn std::error::Error + Send + Sync;

impl Undefined {
    /// In place of a definition's: no definition has it.
    pub const DIGEST: &str = "";

    fn of(name: &ComponentName, row: &Desired, why: impl Into<Box<Why>>) -> Self {
        let (name, version) = (name.to_string(), row.version.to_string());
        Self { name, version, why: why.into().into() }
    }
}

impl Definitions {
    /// What can be waited for of each: its definition, by the digest, and whether it is to be up with it.
    pub fn targets(&self) -> impl Iterator<Item = (String, (String, Goal))> {
        let defined = self.defined.iter().map(|(definition, goal)| {
            (definition.name.clone(), (definition.digest.clone(), *goal))
        });
        let undefined = self.undefined.iter().map(|(undefined, goal)| {
            (undefined.name.clone(), (Undefined::DIGEST.to_owned(), *goal))
        });
        defined.chain(undefined)
    }
}

/// Makes the drivers follow what the store desires. Nothing happens to a component that does already, nor to one
/// that is to be removed: [`super::wait::remove`] does that.
pub async fn reconcile(
    around: &Arc<Surroundings>,
    platform: &Platform,
) -> Result<Definitions, RecordsError> {
    let desired = definitions(around, platform)?;
    // A driver that takes no commands holds up none that is not there yet.
    let is_new = |name: &str| around.registry.status(name).is_none();
    let new: BTreeSet<String> =
        desired.targets().map(|(name, _)| name).filter(|name| is_new(name)).collect();
    for (definition, goal) in &desired.defined {
        match definition.place {
            _ if !new.contains(&definition.name) => {}
            Place::BuiltIn => FencelessDriver::built_in(around, definition.clone(), *goal),
            Place::Store | Place::Image => Driver::spawn(around, definition.clone(), *goal),
        }
    }
    for (undefined, goal) in &desired.undefined {
        if new.contains(&undefined.name) {
            tracing::error!(component = undefined.name, "{undefined}");
            FencelessDriver::undefined(around, undefined.clone(), *goal);
        }
    }
    for (definition, goal) in &desired.defined {
        let name = &definition.name;
        let Some(status) = followed(around, &new, name, *goal) else { continue };
        if status.digest != definition.digest {
            tell(around, name, Command::Replace(Box::new(definition.clone()))).await;
        } else if status.state == State::Broken {
            // A broken component gets another chance by being deployed again.
            tell(around, name, Command::Restart).await;
        }
        tell(around, name, Command::Goal(*goal)).await;
    }
    for (Undefined { name, .. }, goal) in &desired.undefined {
        let Some(status) = followed(around, &new, name, *goal) else { continue };
        if status.state == State::Broken {
            tell(around, name, Command::Restart).await;
        }
        tell(around, name, Command::Goal(*goal)).await;
    }
    Ok(desired)
}

/// What is known of a component that is to be told what is wanted of it: that of a new one is what it began with.
fn followed(
    around: &Surroundings,
    new: &BTreeSet<String>,
    name: &str,
    goal: Goal,
) -> Option<Status> {
    let is_told = goal != Goal::Remove && !new.contains(name);
    is_told.then(|| around.registry.status(name)).flatten()
}

/// Every desired component's definition, from the store alone; also makes their IPC policies current. Components
/// of a deployment whose bootstrap steps still run are held.
pub fn definitions(
    around: &Surroundings,
    platform: &Platform,
) -> Result<Definitions, RecordsError> {
    let desired = around.records.desired()?;
    let Stored { ingredients, mut unreadable } = around.records.ingredients(&desired)?;
    let at_work = around.records.deployment_at_work()?;
    let held = at_work.filter(|record| !record.bootstraps.is_empty());
    let held = held.map(|record| record.changed).unwrap_or_default();
    let mut definitions = Definitions::default();
    for (name, row) in &desired {
        let goal = match row.goal {
            Goal::Run if held.contains(name) => Goal::Stop,
            goal => goal,
        };
        if let Some(error) = unreadable.remove(name) {
            definitions.undefined.push((Undefined::of(name, row, error), goal));
            continue;
        }
        match define(name, &ingredients, platform, &around.settings) {
            Ok(definition) => {
                apply_policies(around, name, &ingredients);
                let rights = definition.function.as_ref().map(|function| rights(&function.spec));
                around.hub.set_deployed(name.as_str(), rights.unwrap_or_default());
                definitions.defined.push((definition, goal));
            }
            Err(error) => definitions.undefined.push((Undefined::of(name, row, error), goal)),
        }
    }
    Ok(definitions)
}

fn apply_policies(
    around: &Surroundings,
    name: &ComponentName,
    ingredients: &BTreeMap<ComponentName, Ingredients>,
) {
    let Some(own) = ingredients.get(name) else { return };
    let policies = own
        .configuration
        .as_object()
        .and_then(|map| map.iter().find(|(key, _)| key.eq_ignore_ascii_case("accessControl")))
        .map_or(&serde_json::Value::Null, |(_, value)| value);
    // Greengrass does this only where the nucleus is told to; without, such a resource matches nothing.
    let policies = scope(own, ingredients, &around.settings).interpolate_configuration(policies);
    for problem in around.hub.set_policies(name.as_str(), &policies) {
        tracing::warn!(component = name.as_str(), "accessControl: {problem}");
    }
}

async fn tell(around: &Surroundings, name: &str, command: Command) {
    if let Some(commands) = around.registry.commands(name) {
        // A driver that has just ended needs no telling.
        let _ = commands.send(command).await;
    }
}

pub(super) fn packages(around: &Surroundings) -> Packages {
    Packages::at(around.layout.packages(), around.settings.store)
}

/// Removes what no stored package refers to. Nothing is lost if it fails: the next time does it.
pub fn collect_packages(around: &Surroundings) {
    let kept = match around.records.needed_packages() {
        Ok(kept) => kept,
        Err(error) => return tracing::error!("cannot read the packages: {error}"),
    };
    if let Err(error) = packages(around).collect(&kept) {
        tracing::warn!("cannot remove packages that are not needed: {error}");
    }
}
