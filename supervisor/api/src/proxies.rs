//! The interfaces as a program calls them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zbus::{DeserializeDict, OwnedFd, OwnedObjectPath, SerializeDict, Type, proxy};

use crate::{
    ComponentState, ConfigurationLeaf, DeploymentStage, DeploymentStatus, Error, FunctionEntry,
    JobError, JobKind, JobProperties, JobResult, JobState, Moment, Progress,
};

/// The options of `Manager.Deploy`. A directory comes as a descriptor or as a path, not both.
#[derive(Debug, Default, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeployOptions {
    /// An open directory of recipes.
    pub recipe_dir: Option<OwnedFd>,
    /// An open directory of artifacts.
    pub artifact_dir: Option<OwnedFd>,
    /// The absolute path of a directory of recipes that every user may read.
    pub recipe_path: Option<String>,
    /// The absolute path of a directory of artifacts that every user may read.
    pub artifact_path: Option<String>,
    /// The group whose roots it changes; a bare name is `thinggroup/<name>`. Default `LOCAL_DEPLOYMENTS`.
    pub group: Option<String>,
    /// JSON: `{"<component>": {"MERGE": {...}, "RESET": ["/pointer", ...]}}`.
    pub configuration: Option<String>,
    /// JSON: `{"<component>": {"posixUser": "u:g", "systemResourceLimits": {"memory": KB, "cpus": 0.5}}}`.
    pub run_with: Option<String>,
    /// `ROLLBACK` (default) or `DO_NOTHING`.
    pub failure_handling_policy: Option<String>,
    /// JSON: `{"timeout": seconds, "action": "NOTIFY_COMPONENTS" | "SKIP_NOTIFY_COMPONENTS"}`.
    pub component_update_policy: Option<String>,
    /// JSON: a complete Greengrass deployment document; excludes all but the directories.
    pub document: Option<String>,
}

/// The options of `Messaging.Publish`.
#[derive(Debug, Default, Clone, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "kebab-case", deny_unknown_fields)]
pub struct PublishOptions {
    /// The payload is a JSON text; default false.
    pub json: Option<bool>,
}

/// The options of `Messaging.Subscribe`: none yet.
pub type SubscribeOptions = BTreeMap<String, zbus::OwnedVariant>;

/// One line of `Manager.ListComponents`, `(ssso)` on the bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ComponentEntry {
    pub name: String,
    pub version: String,
    pub state: ComponentState,
    pub path: OwnedObjectPath,
}

#[proxy(
    interface = "io.hedgerow.Edge1.Manager",
    default_service = "io.hedgerow.Edge1",
    default_path = "/io/hedgerow/Edge1"
)]
pub trait Manager {
    /// Makes components desired and others undesired; the job says how it went.
    #[zbus(allow_interactive_auth)]
    fn deploy(
        &self,
        add: &BTreeMap<String, String>,
        remove: &[String],
        options: DeployOptions,
    ) -> Result<OwnedObjectPath, Error>;

    /// What a deployment of these arguments would do, as one JSON text; nothing changes.
    #[zbus(allow_interactive_auth)]
    fn plan(
        &self,
        add: &BTreeMap<String, String>,
        remove: &[String],
        options: DeployOptions,
    ) -> Result<String, Error>;

    /// Why a component sees and may do what it does, as one JSON text; of the machine alone where the name is empty.
    fn explain(&self, component: &str) -> Result<String, Error>;

    /// The properties of a job, for callers that cannot read properties.
    #[zbus(allow_interactive_auth)]
    fn get_job(&self, job: &OwnedObjectPath) -> Result<JobProperties, Error>;

    /// The object of a deployment.
    #[zbus(allow_interactive_auth)]
    fn get_deployment(&self, id: &str) -> Result<OwnedObjectPath, Error>;

    /// The object of a component.
    #[zbus(allow_interactive_auth)]
    fn get_component(&self, name: &str) -> Result<OwnedObjectPath, Error>;

    /// All components, sorted by name.
    #[zbus(allow_interactive_auth)]
    fn list_components(&self) -> Result<Vec<ComponentEntry>, Error>;

    /// The object of a function, by its name or ARN.
    #[zbus(allow_interactive_auth)]
    fn get_function(&self, function: &str) -> Result<OwnedObjectPath, Error>;

    /// All functions, sorted by name.
    #[zbus(allow_interactive_auth)]
    fn list_functions(&self) -> Result<Vec<FunctionEntry>, Error>;

    /// Everything as one JSON text.
    #[zbus(allow_interactive_auth)]
    fn describe(&self) -> Result<String, Error>;

    /// The daemon's version.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> Result<String, Error>;
}

#[proxy(
    interface = "io.hedgerow.Edge1.Component",
    default_service = "io.hedgerow.Edge1",
    assume_defaults = false
)]
pub trait Component {
    /// Starts it; the job says how it went.
    #[zbus(allow_interactive_auth)]
    fn start(&self) -> Result<OwnedObjectPath, Error>;
    /// Stops it; the job says how it went.
    #[zbus(allow_interactive_auth)]
    fn stop(&self) -> Result<OwnedObjectPath, Error>;
    /// Stops and starts it; the job says how it went.
    #[zbus(allow_interactive_auth)]
    fn restart(&self) -> Result<OwnedObjectPath, Error>;
    /// Starts it anew for so many seconds in a fence that tells what it denies, and then once more as usual; the job says
    /// when that is over.
    #[zbus(allow_interactive_auth)]
    fn observe(&self, seconds: u32) -> Result<OwnedObjectPath, Error>;
    /// What was denied in the last observation, as one JSON text.
    #[zbus(allow_interactive_auth)]
    fn get_observation(&self) -> Result<String, Error>;
    /// A stream of its log: the last `lines` lines (0: all that is kept), and with `follow` what comes.
    #[zbus(allow_interactive_auth)]
    fn open_log(&self, follow: bool, lines: u32) -> Result<OwnedFd, Error>;

    /// Freezes all its processes; it keeps its state.
    #[zbus(allow_interactive_auth)]
    fn pause(&self) -> Result<(), Error>;
    /// Lets a paused one go on.
    #[zbus(allow_interactive_auth)]
    fn resume(&self) -> Result<(), Error>;
    /// Forgets its failures, and tries it again at once.
    #[zbus(allow_interactive_auth)]
    fn reset(&self) -> Result<(), Error>;
    /// The configuration at a JSON pointer (empty: all) as JSON, and where each of its leaves came from.
    #[zbus(allow_interactive_auth)]
    fn get_configuration(&self, pointer: &str) -> Result<(String, Vec<ConfigurationLeaf>), Error>;
    /// The recipe that it was deployed with, as JSON.
    #[zbus(allow_interactive_auth)]
    fn get_recipe(&self) -> Result<String, Error>;
    /// A local deployment that resets pointers and then merges a JSON object.
    #[zbus(allow_interactive_auth)]
    fn update_configuration(&self, merge: &str, reset: &[String])
    -> Result<OwnedObjectPath, Error>;

    #[zbus(property(emits_changed_signal = "const"))]
    fn name(&self) -> Result<String, Error>;
    #[zbus(property)]
    fn version(&self) -> Result<String, Error>;
    #[zbus(property)]
    fn state(&self) -> Result<ComponentState, Error>;
    #[zbus(property)]
    fn state_changed(&self) -> Result<Moment, Error>;
    #[zbus(property)]
    fn pid(&self) -> Result<u32, Error>;
    #[zbus(property)]
    fn restarts(&self) -> Result<u32, Error>;
    #[zbus(property)]
    fn last_error(&self) -> Result<String, Error>;
    #[zbus(property)]
    fn status_codes(&self) -> Result<Vec<String>, Error>;
    #[zbus(property)]
    fn next_retry(&self) -> Result<Moment, Error>;
    #[zbus(property)]
    fn paused(&self) -> Result<bool, Error>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn memory(&self) -> Result<u64, Error>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn cpu_time(&self) -> Result<u64, Error>;
    #[zbus(property(emits_changed_signal = "false"))]
    fn tasks(&self) -> Result<u32, Error>;
}

#[proxy(
    interface = "io.hedgerow.Edge1.Deployment",
    default_service = "io.hedgerow.Edge1",
    assume_defaults = false
)]
pub trait Deployment {
    /// Ends it at the next point where that leaves a whole state behind.
    #[zbus(allow_interactive_auth)]
    fn cancel(&self) -> Result<(), Error>;

    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> Result<String, Error>;
    #[zbus(property(emits_changed_signal = "const"))]
    fn group(&self) -> Result<String, Error>;
    #[zbus(property(emits_changed_signal = "const"))]
    fn created(&self) -> Result<i64, Error>;
    #[zbus(property)]
    fn components(&self) -> Result<Vec<String>, Error>;
    #[zbus(property)]
    fn stage(&self) -> Result<DeploymentStage, Error>;
    #[zbus(property)]
    fn progress(&self) -> Result<u32, Error>;
    #[zbus(property)]
    fn status(&self) -> Result<DeploymentStatus, Error>;
    #[zbus(property)]
    fn detailed_status(&self) -> Result<String, Error>;
    #[zbus(property)]
    fn error_stack(&self) -> Result<Vec<String>, Error>;
    #[zbus(property)]
    fn error_types(&self) -> Result<Vec<String>, Error>;
    #[zbus(property)]
    fn failure_cause(&self) -> Result<String, Error>;
}

#[proxy(
    interface = "io.hedgerow.Edge1.Job",
    default_service = "io.hedgerow.Edge1",
    assume_defaults = false
)]
pub trait Job {
    #[zbus(property(emits_changed_signal = "const"))]
    fn kind(&self) -> Result<JobKind, Error>;
    #[zbus(property)]
    fn state(&self) -> Result<JobState, Error>;
    #[zbus(property)]
    fn progress(&self) -> Result<Progress, Error>;
    #[zbus(property)]
    fn result(&self) -> Result<JobResult, Error>;
    #[zbus(property)]
    fn error(&self) -> Result<JobError, Error>;
    #[zbus(property(emits_changed_signal = "const"))]
    fn created(&self) -> Result<Moment, Error>;
    #[zbus(property)]
    fn finished(&self) -> Result<Moment, Error>;
}

#[proxy(
    interface = "io.hedgerow.Edge1.Messaging",
    default_service = "io.hedgerow.Edge1",
    default_path = "/io/hedgerow/Edge1"
)]
pub trait Messaging {
    /// Publishes to a local topic.
    #[zbus(allow_interactive_auth)]
    fn publish(&self, topic: &str, payload: &[u8], options: PublishOptions) -> Result<(), Error>;
    /// A socket on which each message of the filter is one line of JSON.
    #[zbus(allow_interactive_auth)]
    fn subscribe(&self, filter: &str, options: SubscribeOptions) -> Result<OwnedFd, Error>;
}
