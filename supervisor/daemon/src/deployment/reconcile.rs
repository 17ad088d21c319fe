//! Makes the drivers follow what the store desires.

use std::collections::BTreeMap;
use std::sync::Arc;

use hedgerow_component::ComponentName;
use hedgerow_component::platform::Platform;

use super::define::{DefineError, Ingredients, define, scope};
use crate::definition::Definition;
use crate::driver::{BuiltinDriver, Driver, Surroundings};
use crate::lifecycle::{Goal, State};
use crate::packages::{Packages, Place};
use crate::records::RecordsError;
use crate::registry::Command;

#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error(transparent)]
    Records(#[from] RecordsError),
    #[error(transparent)]
    Define(#[from] DefineError),
}

/// Makes the drivers follow what the store desires. Nothing happens to a component that does already, nor to one
/// that is to be removed: [`super::wait::remove`] does that.
pub async fn reconcile(
    around: &Arc<Surroundings>,
    platform: &Platform,
) -> Result<Vec<(Definition, Goal)>, ReconcileError> {
    let desired = definitions(around, platform)?;
    for (definition, goal) in &desired {
        let name = &definition.name;
        match around.registry.status(name) {
            None if definition.place == Place::BuiltIn => {
                BuiltinDriver::spawn(around, definition.clone(), *goal);
            }
            None => Driver::spawn(around, definition.clone(), *goal),
            Some(_) if *goal == Goal::Remove => {}
            Some(status) if status.digest != definition.digest => {
                tell(around, name, Command::Replace(Box::new(definition.clone()))).await;
                tell(around, name, Command::Goal(*goal)).await;
            }
            Some(status) => {
                // A broken component gets another chance by being deployed again.
                if status.state == State::Broken {
                    tell(around, name, Command::Restart).await;
                }
                tell(around, name, Command::Goal(*goal)).await;
            }
        }
    }
    Ok(desired)
}

/// Every desired component's definition, from the store alone; also makes their IPC policies current. Components
/// of a deployment whose bootstrap steps still run are held.
pub fn definitions(
    around: &Surroundings,
    platform: &Platform,
) -> Result<Vec<(Definition, Goal)>, ReconcileError> {
    let desired = around.records.desired()?;
    let ingredients = around.records.ingredients(&desired)?;
    let at_work = around.records.deployment_at_work()?;
    let held = at_work.filter(|record| !record.bootstraps.is_empty());
    let held = held.map(|record| record.changed).unwrap_or_default();
    let mut definitions = Vec::new();
    for (name, row) in &desired {
        let definition = define(name, &ingredients, platform, &around.settings)?;
        apply_policies(around, name, &ingredients);
        let goal = match row.goal {
            Goal::Run if held.contains(name) => Goal::Stop,
            goal => goal,
        };
        definitions.push((definition, goal));
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
