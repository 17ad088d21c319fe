//! The D-Bus contract of Hedgerow: what `hedgerowd` offers on the bus and what any program may rely on.
//!
//! | | |
//! |---|---|
//! | bus name | [`BUS_NAME`] `io.hedgerow.Edge1`, on the system bus (or on the private bus of `--root`) |
//! | root object | [`ROOT_PATH`] `/io/hedgerow/Edge1`: `Manager`, `Messaging`, `org.freedesktop.DBus.ObjectManager` |
//! | components | `/io/hedgerow/Edge1/component/<escaped name>`: `Component` |
//! | functions | `/io/hedgerow/Edge1/function/<escaped name>`: `Function` |
//! | deployments | `/io/hedgerow/Edge1/deployment/<escaped id>`: `Deployment` |
//! | jobs | `/io/hedgerow/Edge1/job/<number>`: `Job` |
//!
//! Names are escaped as `sd_bus_path_encode(3)` does; see [`path`]. Objects come and go with
//! `InterfacesAdded` and `InterfacesRemoved` of the root object. All text is UTF-8.
//!
//! # Who may call
//! Every method checks its caller by the credentials that the bus vouches for. User 0 and members of group [`GROUP`]
//! may call all (with `--root`: also the user who started the daemon). For anyone else polkit is asked, where it is on the
//! bus: the subject is the caller's name on the bus, the action that of the kind of [`Act`], and it may ask the user
//! where the message has the flag ALLOW_INTERACTIVE_AUTHORIZATION. Who is not allowed is answered
//! [`Error::NotAuthorized`], which names the action.
//!
//! | action | methods |
//! |---|---|
//! | `io.hedgerow.Edge1.deploy` | `Deploy`, `Plan`, `Cancel` |
//! | `io.hedgerow.Edge1.control` | `Start`, `Stop`, `Restart`, `Observe`, `Pause`, `Resume`, `Reset` |
//! | `io.hedgerow.Edge1.configure` | `UpdateConfiguration` |
//! | `io.hedgerow.Edge1.read-configuration` | `GetConfiguration`, `GetRecipe` |
//! | `io.hedgerow.Edge1.read-logs` | `OpenLog` |
//! | `io.hedgerow.Edge1.messages` | `Publish`, `Subscribe` |
//! | `io.hedgerow.Edge1.invoke` | `Invoke`, `InvokeFd` |
//! | `io.hedgerow.Edge1.inspect` | `ListComponents`, `GetComponent`, `ListFunctions`, `GetFunction`, `GetDeployment`, `GetJob`, `GetObservation`, `Describe`, `Explain` |
//!
//! Properties carry no secrets and are not checked again: on the system bus the bus policy lets only root and that group
//! read them, or hear signals. Others ask with `GetJob` and `Describe`.
//!
//! # Times
//! A time is a [`Moment`], `(stx)`: the boot id, nanoseconds of CLOCK_BOOTTIME in that boot, nanoseconds
//! of CLOCK_REALTIME since 1970. Order and distance within a boot come from the second, since the wall
//! clock may jump. `("", 0, 0)` means "not yet".
//!
//! # `io.hedgerow.Edge1.Manager` (root object)
//! | member | |
//! |---|---|
//! | `Deploy(a{ss} add, as remove, a{sv} options) → o job` | Makes the components of `add` (name → version) roots of a group, with their dependencies, and those of `remove` no longer, in one transaction. The options are below. Returns at once; the job says how it went, and its `Result` from the start which deployment it is. At most [`MAX_DEPLOY_NAMES`] names. Errors: `InvalidArgument`, `InvalidRecipe`, `Busy`, `Internal`. |
//! | `Plan(a{ss} add, as remove, a{sv} options) → s` | What `Deploy` of the same arguments would do, as one JSON text: `added` and `removed` (name → version), `updated` (name → `from`, `to`), `restarted` (name → reasons), `unchanged`, `configuration` (name → list of `pointer`, `before`, `after`), `bytes_to_copy`, `notices`. Nothing changes. Errors: as `Deploy`. |
//! | `Explain(s component) → s` | Why a component sees and may do what it does, as one JSON text: `machine` (`unified_cgroups`, `range` of NAT's addresses or null, `lacks`), `component` (`name`, `version`, `settings`), and `fence`, null where it has none (`plan`, `grant`, `address`). Of the machine alone where the name is empty. Errors: `NoSuchComponent`, `Internal`. |
//! | `GetDeployment(s id) → o` | Errors: `NoSuchDeployment`. |
//! | `GetJob(o job) → a{sv}` | The properties of a job, for callers that cannot read properties. Errors: `NoSuchJob`. |
//! | `GetComponent(s name) → o` | Errors: `NoSuchComponent`. |
//! | `ListComponents() → a(ssso)` | Name, version, state, object; sorted by name. |
//! | `GetFunction(s function) → o` | By name, ARN, or the last part of the ARN, without a qualifier. Errors: `NoSuchFunction`. |
//! | `ListFunctions() → a(ssso)` | Name, version, health, object; sorted by name. |
//! | `Describe() → s` | Everything of this interface as one JSON text. |
//! | `Version` `s` const | The daemon's version. |
//!
//! Options of `Deploy` and `Plan`, an unknown one is refused:
//!
//! | option | |
//! |---|---|
//! | `recipe-dir`, `artifact-dir` (`h`) | Open directories, read beneath and without following a link out. They are needed for each component that is not deployed yet. |
//! | `recipe-path`, `artifact-path` (`s`) | In their place absolute paths, where every user may read them and all that is below: the daemon opens them, and it must not read for a caller what the caller could not. |
//! | `group` (`s`) | Whose roots are changed: `thinggroup/<name>` or a bare name for it; default `LOCAL_DEPLOYMENTS`. |
//! | `configuration` (`s`) | JSON `{"<component>": {"MERGE": {…}, "RESET": ["/pointer", …]}}`. |
//! | `run-with` (`s`) | JSON `{"<component>": {"posixUser": "user:group", "systemResourceLimits": {"memory": KB, "cpus": 0.5}}}`. |
//! | `failure-handling-policy` (`s`) | `ROLLBACK` (default) or `DO_NOTHING`. |
//! | `component-update-policy` (`s`) | JSON `{"timeout": seconds, "action": "NOTIFY_COMPONENTS"}` or `"SKIP_NOTIFY_COMPONENTS"`. |
//! | `document` (`s`) | A complete Greengrass deployment document as JSON. Excludes `add`, `remove` and the five options before it. |
//!
//! # `io.hedgerow.Edge1.Component`
//! | member | |
//! |---|---|
//! | `Start() → o`, `Stop() → o`, `Restart() → o` | Each returns a job; to start what runs already succeeds. Errors: `NoSuchComponent`, `Busy`, `Internal`. |
//! | `Observe(u seconds) → o job` | Starts it anew in a fence that tells what it denies, for at most [`MAX_OBSERVATION`]; then once more as usual. Nothing is allowed meanwhile that is not allowed otherwise. Errors: `NoSuchComponent`, `InvalidArgument` (it is not to run, or built in), `Busy` (it is observed already). |
//! | `GetObservation() → s` | The last observation since the daemon started, as one JSON text, or `null`: `began`, `ended` (seconds since 1970; null while it is under way), `findings`, `more` (denied calls for which there was no room). A finding has `call`, `subject`, `count`, `remedy`, `grant` (the line of `[[grant]]` that gives it, or null) and `advice`. |
//! | `OpenLog(b follow, u lines) → h` | The read end of a stream of the log's bytes: its last `lines` lines (0: all that is kept), then, with `follow`, what is written from now on, until the reader closes it. |
//! | `Pause()`, `Resume()` | Freezes all its processes, and lets them go on. To pause what is paused succeeds. Errors: `NoSuchComponent`, `ComponentFailed`, `Internal`. |
//! | `Reset()` | Forgets its failures, and tries it again at once. Errors: `NoSuchComponent`, `Internal`. |
//! | `GetConfiguration(s pointer) → s, a(sssx)` | The value at a JSON pointer (empty: all) as JSON, and its [`ConfigurationLeaf`]s: pointer, value, origin, time. Errors: `InvalidArgument` where nothing is there. |
//! | `GetRecipe() → s` | The recipe that it was deployed with, as JSON. Errors: `NoSuchComponent`, `Internal`. |
//! | `UpdateConfiguration(s merge, as reset) → o job` | A local deployment that resets the pointers and then merges the JSON object; empty: nothing to merge. |
//! | `Name` `s` const | |
//! | `Version` `s` | The version that is deployed. |
//! | `State` `s` | A [`ComponentState`]: `NEW`, `INSTALLED`, `STARTING`, `RUNNING`, `STOPPING`, `ERRORED`, `BROKEN`, `FINISHED`. |
//! | `StateChanged` `(stx)` | When `State` became what it is. |
//! | `Pid` `u` | The main process, as the daemon's pid namespace counts it; 0 where none runs. |
//! | `Restarts` `u` | How often it was started again after a failure since it was deployed. |
//! | `LastError` `s` | For people: which step went wrong and how (exit code, signal, out of memory); empty where nothing did. |
//! | `StatusCodes` `as` | Greengrass' codes for what went wrong, e.g. `RUN_ERROR`; empty where nothing did. |
//! | `NextRetry` `(stx)` | When it is tried again after a failure; not set where it is not waiting for that. |
//! | `Paused` `b` | All its processes are frozen. `State` stays what it was. |
//! | `Memory` `t`, `CpuTime` `t`, `Tasks` `u`, not emitted | Bytes charged to its cgroup, microseconds of CPU since that was made, processes and threads in it; at most [`LOAD_AGE`] old, so that reading all objects asks the kernel once. Of a function: its instances together, and less CPU time when one has ended. 0 where none exists. |
//!
//! # `io.hedgerow.Edge1.Function`
//! A Lambda function that is deployed; its component of the same name has what all components have.
//!
//! | member | |
//! |---|---|
//! | `Invoke(ay payload, a{sv} options) → ay, a{sv}` | Runs it, and answers with what it answered: its payload, which is the error where the result says `function-error`. At most [`MAX_PAYLOAD`] bytes go in. It takes as long as the function does: a caller needs a timeout to match (`busctl --timeout=`). Errors: `NoSuchFunction`, `InvalidArgument`, `TooManyRequests`, `NotRunning`, `Internal`. |
//! | `InvokeFd(h payload, a{sv} options) → h` | The same at once and for payloads of any size that Lambda allows: the payload is read from a pipe or socket (which becomes non-blocking) to its end, within [`PAYLOAD_TIME`]; the answer is a socket with lines of JSON ([`AnswerLine`]): `{"payload": text}` or `{"payload_base64": …}`, in parts as they come, and last either `{"complete": {…}}` with the keys of `Invoke`'s result, or `{"refused": {"name": …, "message": …}}`. Without such a last line the answer is cut off. Who closes it is not answered; the function goes on. Errors: as `Invoke`, and `Busy`. |
//! | `Name` `s` const, `Arn` `s`, `Version` `s`, `Aliases` `a{ss}`, `Runtime` `s`, `Handler` `s`, `Pinned` `b` | |
//! | `Timeout` `t`, `MemorySize` `t`, `MaxInstances` `u` | Milliseconds of one invocation, bytes of one instance, instances at once. |
//! | `Health` `s` | A [`FunctionHealth`]: `STOPPED`, `IDLE`, `STARTING`, `READY`, `FAILING`. |
//! | `LastError` `s`, `NextRetry` `(stx)` | Why it is `FAILING`, and when an instance is started again at the earliest. |
//! | `Instances` `(uuuuuu)` | Starting, busy, idle, frozen, draining (of a replaced version), ending. |
//! | `Waiting` `u` | Invocations that wait for an instance. |
//! | `Invocations` `t`, `Errors` `t`, `Timeouts` `t`, `Throttles` `t`, `ColdStarts` `t` | Counted since the daemon started. Errors are of the function, timeouts among them; what was throttled is no invocation. |
//! | `Durations` `a(tt)`, `DurationSum` `t` | A histogram: how many took at most so many microseconds and more than the bound before, and the microseconds of all. The bounds are those of [`DURATION_BOUNDS`], 1, 2 and 5 times each power of ten from 100 µs to 1,000 s; bound 0: more than every bound. Empty ones are left out. |
//! | `QueueDepth` `t`, `QueueOldest` `(stx)`, `DeadLettered` `t` | Asynchronous events that wait, since when the oldest does, and how many were given up. |
//! | `Counted` `(stx)` | As of when all of this is: what changes all the time is told once in [`FUNCTION_PACE`], and rates are of the time between two of these. |
//!
//!
//! Options of `Invoke` and `InvokeFd`, an unknown one is refused: `invocation-type` (`s`: `RequestResponse`, the default;
//! `Event`: answered once the event is durably queued; `DryRun`: nothing runs), `qualifier` (`s`, a version or alias),
//! `client-context` (`s`, a JSON object), `trace-id` (`s`), `log-tail` (`b`). Keys of the result: `request-id`,
//! `executed-version`, `function-error` (`Unhandled`: it failed), `error-type`, `content-type`, `log-tail` (all `s`).
//!
//! # `io.hedgerow.Edge1.Deployment`
//! Deployments that have ended stay for as long as the daemon remembers them, over restarts.
//!
//! | member | |
//! |---|---|
//! | `Cancel()` | Ends it at the next point that leaves a whole state: what is applied already is rolled back, or left, as its failure policy says. Errors: `NotCancellable` (it has ended). |
//! | `Id` `s` const, `Group` `s` const | |
//! | `Created` `x` const | Milliseconds since 1970: newer documents of a group win over older ones. |
//! | `Components` `as` | What it changes or removes; empty until that is resolved. |
//! | `Stage` `s` | A [`DeploymentStage`]: `QUEUED`, `RESOLVING`, `COPYING`, `NOTIFYING`, `VALIDATING`, `BOOTSTRAP`, `APPLYING`, `ROLLING_BACK`, `DONE`. |
//! | `Progress` `u` | Percent. |
//! | `Status` `s` | A [`DeploymentStatus`]: `QUEUED`, `IN_PROGRESS`, and finally `SUCCEEDED`, `FAILED`, `CANCELED`, `REJECTED`; what follows comes with a final one in the same signal. |
//! | `DetailedStatus` `s` | Greengrass' detailed status, e.g. `SUCCESSFUL`, `FAILED_NO_STATE_CHANGE`, `FAILED_ROLLBACK_COMPLETE`. |
//! | `ErrorStack` `as`, `ErrorTypes` `as` | Greengrass' error codes, outermost first, and their kinds. |
//! | `FailureCause` `s` | For people. |
//!
//! # `io.hedgerow.Edge1.Job`
//! A job that has finished stays for [`JOB_KEPT`] (15 minutes), then its object is removed.
//!
//! | member | |
//! |---|---|
//! | `Kind` `s` const | A [`JobKind`]: `deploy`, `start`, `stop`, `restart`, `observe`. |
//! | `State` `s` | A [`JobState`]: `queued`, `running`, `succeeded`, `failed`. The last two are final: `Result`, `Error` and `Finished` come with them in the same signal. |
//! | `Progress` `(us)` | Percent 0 to 100 and the stage in words. |
//! | `Result` `a{sv}` | See [`JobResult`]: `deployment` (`s`, its id), `started`, `kept`, `removed` (`as`); on failure `component` (`s`), `step` (`s`), `log` (`as`, the last lines that the step wrote). |
//! | `Error` `(ss)` | An error name and a message; both empty where nothing went wrong. |
//! | `Created` `(stx)` const, `Finished` `(stx)` | |
//!
//! # `io.hedgerow.Edge1.Messaging` (root object)
//! | member | |
//! |---|---|
//! | `Publish(s topic, ay payload, a{sv} options)` | To the local topic, at most [`MAX_PAYLOAD`] bytes. Option `json` (`b`, default false): the payload is a JSON text. Errors: `InvalidArgument`, `Denied`. |
//! | `Subscribe(s filter, a{sv} options) → h` | A socket on which each message is one line of JSON: `topic`, `payload` (text) or `payload_base64`, `json` (was it published as JSON), `source` (who published), `lost` (how many messages before this one were dropped because this reader was slow). Closing it, or writing to it, ends the subscription. No options yet; an unknown one is an `InvalidArgument`. Errors: `InvalidArgument`, `Denied`. |
//!
//! # Errors
//! `io.hedgerow.Edge1.Error.*`: see [`Error`]. The bus and the standard interfaces add
//! `org.freedesktop.DBus.Error.*`, e.g. `InvalidArgs` for arguments of a wrong type or an unknown option.
//!
//! # By hand
//! ```text
//! busctl tree io.hedgerow.Edge1
//! busctl call io.hedgerow.Edge1 /io/hedgerow/Edge1 io.hedgerow.Edge1.Manager Deploy 'a{ss}asa{sv}' \
//!     1 com.example.Sensor 1.0.0  0  2 recipe-path s /srv/recipes artifact-path s /srv/artifacts
//! busctl get-property io.hedgerow.Edge1 /io/hedgerow/Edge1/component/com_2eexample_2eSensor \
//!     io.hedgerow.Edge1.Component State
//! ```
//! `busctl` cannot pass descriptors, hence the paths. The daemon's unit hides `/home`, `/root` and `/tmp` from it.
//! `OpenLog` and `Subscribe` answer a descriptor, which `busctl` cannot show either: see `hedgerow logs`
//! and `hedgerow topic sub`.

#![forbid(unsafe_code)]

mod act;
mod bus;
mod deployment;
mod error;
mod function;
mod moment;
mod objects;
pub mod path;
mod proxies;
mod state;

use std::time::Duration;

pub use act::Act;
pub use bus::Bus;
pub use deployment::{ConfigurationLeaf, DeploymentStage, DeploymentStatus};
pub use error::Error;
pub use function::{
    AnswerLine, Completion, FunctionEntry, FunctionHealth, FunctionProperties, FunctionProxy,
    InstanceCounts, InvokeOptions, InvokeResult,
};
pub use moment::Moment;
pub use objects::{
    ComponentProperties, DeploymentProperties, JobProperties, Objects, components, deployments,
    functions,
};
pub use proxies::{
    ComponentEntry, ComponentProxy, DeployOptions, DeploymentProxy, JobProxy, ManagerProxy,
    MessagingProxy, PublishOptions, SubscribeOptions,
};
pub use state::{ComponentState, JobError, JobKind, JobResult, JobState, Progress};
/// The bus library of the contract, for those who use its proxies.
pub use zbus;

/// The well-known name of the daemon.
pub const BUS_NAME: &str = "io.hedgerow.Edge1";
/// The object that carries `Manager`, `Messaging` and the ObjectManager.
pub const ROOT_PATH: &str = "/io/hedgerow/Edge1";
/// The group whose members may call every method.
pub const GROUP: &str = "hedgerow";
/// How long the object of a finished job stays.
pub const JOB_KEPT: Duration = Duration::from_secs(15 * 60);
/// The longest observation, in seconds.
pub const MAX_OBSERVATION: u32 = 3600;
/// The largest payload of `Messaging.Publish` and `Function.Invoke`, in bytes.
pub const MAX_PAYLOAD: usize = 128 * 1024;
/// What functions do is told once in so long at most.
pub const FUNCTION_PACE: Duration = Duration::from_secs(1);
/// How old `Component.Memory`, `CpuTime` and `Tasks` may be when they are answered.
pub const LOAD_AGE: Duration = Duration::from_millis(100);
/// The bounds of `Function.Durations`, in microseconds.
pub const DURATION_BOUNDS: [u64; 22] = [
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
];
/// How long a payload may take to come through the descriptor of `Function.InvokeFd`.
pub const PAYLOAD_TIME: Duration = Duration::from_secs(30);
/// The most names that one `Manager.Deploy` may add and remove together.
pub const MAX_DEPLOY_NAMES: usize = 1024;
