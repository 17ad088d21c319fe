//! The recipe that a component was deployed with.

use hedgerow_api::Error;
use hedgerow_component::Recipe;
use serde_json::Value;

use crate::records::Records;
use crate::registry::Status;

pub fn of(records: &Records, status: &Status) -> Result<Value, Error> {
    let internal = |error: &dyn std::fmt::Display| Error::Internal(error.to_string());
    let Status { name, version, .. } = status;
    let package = records.package(name, version).map_err(|error| internal(&error))?;
    let package = package.ok_or_else(|| {
        Error::NoSuchComponent(format!("{name} {version} is not deployed any more"))
    })?;
    Recipe::to_json(&package.file, package.recipe.as_bytes()).map_err(|error| internal(&error))
}
