//! From what a caller wrote to what the deployments take.

use std::collections::BTreeMap;

use hedgerow_api::Error;
use hedgerow_component::{ComponentName, VersionReq};

use crate::bus::{DeployRequest, FailurePolicy};
use crate::deployment::{self, Document};

/// Names and versions are checked here, before a job exists.
pub fn checked(request: DeployRequest) -> Result<deployment::Request, Error> {
    let invalid = |what: &str, error: &dyn std::fmt::Display| {
        Error::InvalidArgument(format!("{what}: {error}"))
    };
    let name = |text: String| {
        ComponentName::try_from(text.clone()).map_err(|error| invalid(&format!("{text:?}"), &error))
    };
    refuse_what_is_not_carried(&request)?;
    let DeployRequest { recipe_dir, artifact_dir, add: wanted, remove, public_only, .. } = request;
    let mut add = BTreeMap::new();
    for (component, version) in wanted {
        let range: VersionReq = version.parse().map_err(|error| invalid(&component, &error))?;
        add.insert(name(component)?, range);
    }
    let remove = remove.into_iter().map(name).collect::<Result<_, _>>()?;
    let document = Document::local(add, remove);
    Ok(deployment::Request { document, recipe_dir, artifact_dir, public_only })
}

/// Refused rather than ignored.
fn refuse_what_is_not_carried(request: &DeployRequest) -> Result<(), Error> {
    let given = [
        ("group", request.group.is_some()),
        ("configuration", !request.configuration.is_empty()),
        ("run-with", !request.run_with.is_empty()),
        ("failure-handling-policy", request.failure_policy != FailurePolicy::default()),
        ("component-update-policy", request.update_policy.is_some()),
        ("document", request.document.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((option, _)) => {
            Err(Error::InvalidArgument(format!("this daemon does not carry out option {option}")))
        }
        None => Ok(()),
    }
}
