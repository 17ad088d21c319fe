//! `hedgerow deployment list|status|cancel`.

use hedgerow_api::{DeploymentProperties, DeploymentProxy, deployments};

use crate::failure::Failure;
use crate::output::{Output, print, table, wall_clock};
use crate::session::Session;

pub async fn list(session: &Session, output: &Output) -> Result<(), Failure> {
    let all = deployments(&session.connection).await?;
    output.print(&all, |all| overview(all))
}

pub async fn status(session: &Session, output: &Output, id: &str) -> Result<(), Failure> {
    output.print(&find(session, id).await?, details)
}

pub async fn cancel(session: &Session, output: &Output, id: &str) -> Result<(), Failure> {
    let path = session.manager().await?.get_deployment(id).await?;
    let deployment = DeploymentProxy::builder(&session.connection).path(path).build().await?;
    deployment.cancel().await?;
    match output.json {
        true => Ok(()),
        false => print(&format!("deployment {id} is being cancelled")),
    }
}

pub async fn find(session: &Session, id: &str) -> Result<DeploymentProperties, Failure> {
    let path = session.manager().await?.get_deployment(id).await?;
    Ok(DeploymentProperties::of(&session.connection, &path).await?)
}

fn overview(deployments: &[DeploymentProperties]) -> String {
    if deployments.is_empty() {
        return "no deployment is remembered".to_owned();
    }
    let row = |deployment: &DeploymentProperties| {
        [
            deployment.id.clone(),
            deployment.group.clone(),
            wall_clock(deployment.created),
            deployment.status.to_string(),
            match deployment.status.is_final() {
                true => deployment.detailed_status.clone(),
                false => format!("{} {}%", deployment.stage, deployment.progress),
            },
        ]
    };
    let heading = ["ID", "GROUP", "CREATED", "STATUS", "DETAIL"];
    table(heading, deployments.iter().map(row).collect())
}

fn details(deployment: &DeploymentProperties) -> String {
    let mut lines = vec![
        ("id", deployment.id.clone()),
        ("group", deployment.group.clone()),
        ("created", wall_clock(deployment.created)),
        ("status", deployment.status.to_string()),
        ("stage", format!("{} {}%", deployment.stage, deployment.progress)),
    ];
    let more = [
        ("components", deployment.components.join(", ")),
        ("detail", deployment.detailed_status.clone()),
        ("errors", deployment.error_stack.join(" > ")),
        ("types", deployment.error_types.join(", ")),
        ("cause", deployment.failure_cause.clone()),
    ];
    lines.extend(more.into_iter().filter(|(_, value)| !value.is_empty()));
    let line = |(what, value)| format!("{what:<11} {value}");
    lines.into_iter().map(line).collect::<Vec<_>>().join("\n")
}
