//! `greengrass-cli component list|details|restart|stop`.

use hedgerow_api::{ComponentProperties, Error, components};

use crate::failure::Failure;
use crate::job;
use crate::output::print;
use crate::session::Session;

pub async fn list(session: &Session) -> Result<(), Failure> {
    let all = components(&session.connection).await?;
    print("Components currently running in Greengrass:")?;
    for component in all {
        show(session, &component).await?;
    }
    Ok(())
}

pub async fn details(session: &Session, name: &str) -> Result<(), Failure> {
    let all = components(&session.connection).await?;
    let unknown = || Error::NoSuchComponent(format!("no component {name:?} is deployed"));
    show(session, all.iter().find(|one| one.name == name).ok_or_else(unknown)?).await
}

pub async fn restart(session: &Session, names: &[String]) -> Result<(), Failure> {
    for name in names {
        let job = session.component(name.trim()).await?.restart().await?;
        job::succeed(session, &job).await?;
    }
    Ok(())
}

pub async fn stop(session: &Session, names: &[String]) -> Result<(), Failure> {
    for name in names {
        let job = session.component(name.trim()).await?.stop().await?;
        job::succeed(session, &job).await?;
    }
    Ok(())
}

async fn show(session: &Session, component: &ComponentProperties) -> Result<(), Failure> {
    let proxy = session.component(&component.name).await?;
    let (configuration, _) = proxy.get_configuration("").await?;
    print(&format!(
        "Component Name: {}\n    Version: {}\n    State: {}\n    Configuration: {configuration}",
        component.name, component.version, component.state
    ))
}
