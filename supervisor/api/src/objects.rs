//! All properties of an object at once.

use std::collections::HashMap;
use std::io;

use serde::Serialize;
use tokio::time::timeout;
use zbus::proxy::{MethodFlags, Proxy};
use zbus::{Connection, DeserializeDict, Message, OwnedObjectPath, SerializeDict, Type};

use crate::bus::METHOD_TIMEOUT;
use crate::{
    BUS_NAME, ComponentState, DeploymentStage, DeploymentStatus, Error, FunctionProperties,
    JobError, JobKind, JobResult, JobState, Moment, Progress, ROOT_PATH,
};

/// The properties of a `Component` object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "PascalCase")]
pub struct ComponentProperties {
    pub name: String,
    pub version: String,
    pub state: ComponentState,
    pub state_changed: Moment,
    /// 0 where none runs.
    pub pid: u32,
    pub restarts: u32,
    /// Empty where nothing went wrong.
    pub last_error: String,
    /// Greengrass' status codes, e.g. `RUN_ERROR`; empty where nothing went wrong.
    pub status_codes: Vec<String>,
    /// When it is tried again; not set where it is not waiting for that.
    pub next_retry: Moment,
    /// Frozen by hand or over IPC.
    pub paused: bool,
    /// Bytes that it uses, when it was asked; of a function, its instances together.
    pub memory: u64,
    /// Microseconds of CPU that the fences which are open have used. It falls when one is closed.
    pub cpu_time: u64,
    /// Processes and threads.
    pub tasks: u32,
}

/// The properties of a `Job` object.
#[derive(Debug, Clone, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "PascalCase")]
pub struct JobProperties {
    pub kind: JobKind,
    pub state: JobState,
    pub progress: Progress,
    pub result: JobResult,
    pub error: JobError,
    pub created: Moment,
    pub finished: Moment,
}

/// The properties of a `Deployment` object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "PascalCase")]
pub struct DeploymentProperties {
    pub id: String,
    /// `LOCAL_DEPLOYMENTS`, `thinggroup/<name>`, `thing/<name>` or `image`.
    pub group: String,
    /// Milliseconds since 1970.
    pub created: i64,
    /// What it changes or removes; empty until that is resolved.
    pub components: Vec<String>,
    pub stage: DeploymentStage,
    /// Percent, 0 to 100, never falling.
    pub progress: u32,
    pub status: DeploymentStatus,
    /// Greengrass' word for how it ended, e.g. `FAILED_ROLLBACK_COMPLETE`; empty until then.
    pub detailed_status: String,
    /// Greengrass' error codes, the outermost first; empty where nothing went wrong.
    pub error_stack: Vec<String>,
    pub error_types: Vec<String>,
    /// For people; empty where nothing went wrong.
    pub failure_cause: String,
}

/// What is on the bus at one moment.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    /// By name.
    pub components: Vec<ComponentProperties>,
    /// By name.
    pub functions: Vec<FunctionProperties>,
    /// The newest first.
    pub deployments: Vec<DeploymentProperties>,
}

impl Objects {
    /// All of them, in one call.
    pub async fn of(connection: &Connection) -> Result<Self, Error> {
        Self::managed(connection, MethodFlags::empty()).await
    }

    /// The same of a daemon that is there: none is started for it.
    pub async fn of_running(connection: &Connection) -> Result<Self, Error> {
        Self::managed(connection, MethodFlags::NO_AUTO_START).await
    }

    async fn managed(connection: &Connection, flags: MethodFlags) -> Result<Self, Error> {
        let mut all = Self::default();
        for interfaces in managed(connection, flags).await?.into_values() {
            all.components.extend(interfaces.component);
            all.functions.extend(interfaces.function);
            all.deployments.extend(interfaces.deployment);
        }
        all.components.sort_by(|a, b| a.name.cmp(&b.name));
        all.functions.sort_by(|a, b| a.name.cmp(&b.name));
        all.deployments.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
        Ok(all)
    }
}

/// Every deployment that is remembered, the newest first, in one call.
pub async fn deployments(connection: &Connection) -> Result<Vec<DeploymentProperties>, Error> {
    Ok(Objects::of(connection).await?.deployments)
}

/// Every component with all its properties, sorted by name, in one call.
pub async fn components(connection: &Connection) -> Result<Vec<ComponentProperties>, Error> {
    Ok(Objects::of(connection).await?.components)
}

/// Every function with all its properties, sorted by name, in one call.
pub async fn functions(connection: &Connection) -> Result<Vec<FunctionProperties>, Error> {
    Ok(Objects::of(connection).await?.functions)
}

/// The interfaces of one object that are looked at.
#[derive(DeserializeDict, Type)]
#[zbus(signature = "a{sa{sv}}")]
struct Interfaces {
    #[zbus(rename = "io.hedgerow.Edge1.Component")]
    component: Option<ComponentProperties>,
    #[zbus(rename = "io.hedgerow.Edge1.Function")]
    function: Option<FunctionProperties>,
    #[zbus(rename = "io.hedgerow.Edge1.Deployment")]
    deployment: Option<DeploymentProperties>,
}

async fn managed(
    connection: &Connection,
    flags: MethodFlags,
) -> Result<HashMap<OwnedObjectPath, Interfaces>, Error> {
    let manager = "org.freedesktop.DBus.ObjectManager";
    let manager = Proxy::new(connection, BUS_NAME, ROOT_PATH, manager).await?;
    // The connection's own limit is not for calls with flags.
    let call = manager.call_with_flags("GetManagedObjects", flags, &());
    let late = |_| zbus::Error::from(io::Error::from(io::ErrorKind::TimedOut));
    let managed = timeout(METHOD_TIMEOUT, call).await.map_err(late)??;
    // There is a reply, since one is expected.
    managed.ok_or(Error::Bus(zbus::Error::InvalidReply))
}

impl JobProperties {
    /// The properties of the job at `path`.
    pub async fn of(connection: &Connection, path: &OwnedObjectPath) -> Result<Self, Error> {
        let reply = get_all(connection, path, "io.hedgerow.Edge1.Job").await?;
        Ok(reply.body().deserialize()?)
    }
}

impl DeploymentProperties {
    /// The properties of the deployment at `path`.
    pub async fn of(connection: &Connection, path: &OwnedObjectPath) -> Result<Self, Error> {
        let reply = get_all(connection, path, "io.hedgerow.Edge1.Deployment").await?;
        Ok(reply.body().deserialize()?)
    }
}

async fn get_all(
    connection: &Connection,
    path: &OwnedObjectPath,
    interface: &str,
) -> zbus::Result<Message> {
    connection
        .call_method(
            Some(BUS_NAME),
            path,
            Some("org.freedesktop.DBus.Properties"),
            "GetAll",
            &interface,
        )
        .await
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use zbus::Guid;
    use zbus::connection::Builder;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_does_not_answer_is_not_waited_for() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let silent = Builder::unix_stream(theirs).server(Guid::generate()).p2p();
        let ours = Builder::unix_stream(ours).p2p();
        let (_silent, connection) = tokio::try_join!(silent.build(), ours.build()).unwrap();
        let error = Objects::of(&connection).await.unwrap_err();
        assert!(error.to_string().contains("timed out"), "{error}");
    }
}
