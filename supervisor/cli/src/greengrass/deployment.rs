//! `greengrass-cli deployment create|status|list|cancel`.

use std::collections::BTreeMap;

use hedgerow_api::{DeployOptions, DeploymentProxy, Error, JobProperties, deployments};
use serde_json::{Map, Value, json};

use super::arguments::Creation;
use crate::deploy::{open, text_or_file};
use crate::deployment::find;
use crate::failure::Failure;
use crate::output::print;
use crate::session::Session;

pub async fn create(session: &Session, creation: Box<Creation>) -> Result<(), Failure> {
    let run_with = run_with(&creation.run_with, creation.system_limits)?;
    let options = DeployOptions {
        recipe_dir: creation.recipe_dir.map(open).transpose()?,
        artifact_dir: creation.artifact_dir.map(open).transpose()?,
        group: creation.group_id,
        configuration: creation.update_config.map(text_or_file).transpose()?,
        run_with,
        failure_handling_policy: creation.failure_handling_policy,
        ..DeployOptions::default()
    };
    let add: BTreeMap<String, String> = creation.merge.into_iter().collect();
    let job = session.manager().await?.deploy(&add, &creation.remove, options).await?;
    let job = JobProperties::of(&session.connection, &job).await?;
    let unnamed = || Error::Internal("the daemon does not name the deployment".to_owned());
    let id = job.result.deployment.ok_or_else(unnamed)?;
    print(&format!("Local deployment submitted! Deployment Id: {id}"))
}

pub async fn status(session: &Session, id: &str) -> Result<(), Failure> {
    let deployment = find(session, id).await?;
    print(&format!("{id}: {}", deployment.status))?;
    let more = [
        ("Detailed Status", deployment.detailed_status),
        ("Error Stack", deployment.error_stack.join(", ")),
        ("Error Types", deployment.error_types.join(", ")),
        ("Failure Cause", deployment.failure_cause),
    ];
    for (what, value) in more.iter().filter(|(_, value)| !value.is_empty()) {
        print(&format!("    {what}: {value}"))?;
    }
    Ok(())
}

pub async fn list(session: &Session) -> Result<(), Failure> {
    for deployment in deployments(&session.connection).await? {
        print(&format!("{}: {}", deployment.id, deployment.status))?;
    }
    Ok(())
}

pub async fn cancel(session: &Session, id: &str) -> Result<(), Failure> {
    let path = session.manager().await?.get_deployment(id).await?;
    let deployment = DeploymentProxy::builder(&session.connection).path(path).build().await?;
    deployment.cancel().await?;
    print(&format!("Deployment cancellation requested. Deployment Id: {id}"))
}

/// `NAME:posixUser=USER` and limits by name, as one option of the contract.
fn run_with(users: &[(String, String)], limits: Option<String>) -> Result<Option<String>, Failure> {
    let usage = |why: String| Failure::Refused(Error::InvalidArgument(why));
    let mut all: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for (key, user) in users {
        match key.split_once(':') {
            Some((name, "posixUser")) => {
                all.entry(name.to_owned()).or_default().insert("posixUser".into(), json!(user));
            }
            Some((_, "windowsUser")) => {
                return Err(usage(format!("--runWith {key}: this is not Windows")));
            }
            Some(_) | None => {
                return Err(usage(format!(
                    "--runWith {key}: it takes NAME:posixUser=USER[:GROUP]"
                )));
            }
        }
    }
    if let Some(limits) = limits {
        let text = text_or_file(limits)?;
        let limits: BTreeMap<String, Value> = serde_json::from_str(&text)
            .map_err(|error| usage(format!("--systemLimits: {error}")))?;
        for (name, limits) in limits {
            all.entry(name).or_default().insert("systemResourceLimits".into(), limits);
        }
    }
    Ok((!all.is_empty()).then(|| json!(all).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_limits_meet_by_name() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let users = [pair("a:posixUser", "u:g"), pair("b:posixUser", "v")];
        let both = run_with(&users, Some(r#"{"a": {"memory": 9}}"#.into())).unwrap().unwrap();
        assert_eq!(
            both,
            r#"{"a":{"posixUser":"u:g","systemResourceLimits":{"memory":9}},"b":{"posixUser":"v"}}"#
        );
        assert_eq!(run_with(&[], None).unwrap(), None);
        for wrong in ["a", "a:posixUsr", "a:windowsUser"] {
            assert!(run_with(&[pair(wrong, "u")], None).is_err(), "{wrong}");
        }
    }
}
