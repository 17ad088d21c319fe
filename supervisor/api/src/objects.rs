//! All properties of an object at once.

use std::collections::HashMap;

use serde::Serialize;
use zbus::{Connection, DeserializeDict, OwnedObjectPath, Type};

use crate::{
    BUS_NAME, ComponentState, Error, JobError, JobKind, JobResult, JobState, Moment, Progress,
    ROOT_PATH,
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
    /// Bytes, when it was asked.
    pub memory: u64,
}

/// The properties of a `Job` object.
#[derive(Debug, Clone, PartialEq, Eq, DeserializeDict, Type)]
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

/// Every component with all its properties, sorted by name, in one call.
pub async fn components(connection: &Connection) -> Result<Vec<ComponentProperties>, Error> {
    #[derive(DeserializeDict, Type)]
    #[zbus(signature = "a{sa{sv}}")]
    struct Interfaces {
        #[zbus(rename = "io.hedgerow.Edge1.Component")]
        component: Option<ComponentProperties>,
    }

    let reply = connection
        .call_method(
            Some(BUS_NAME),
            ROOT_PATH,
            Some("org.freedesktop.DBus.ObjectManager"),
            "GetManagedObjects",
            &(),
        )
        .await?;
    let objects: HashMap<OwnedObjectPath, Interfaces> = reply.body().deserialize()?;
    let mut components: Vec<_> =
        objects.into_values().filter_map(|interfaces| interfaces.component).collect();
    components.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(components)
}

impl JobProperties {
    /// The properties of the job at `path`.
    pub async fn of(connection: &Connection, path: &OwnedObjectPath) -> Result<Self, Error> {
        let reply = connection
            .call_method(
                Some(BUS_NAME),
                path,
                Some("org.freedesktop.DBus.Properties"),
                "GetAll",
                &"io.hedgerow.Edge1.Job",
            )
            .await?;
        Ok(reply.body().deserialize()?)
    }
}
