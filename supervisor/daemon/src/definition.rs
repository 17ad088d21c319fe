//! One component ready to run: everything about it that a deployment decided, worked out.

mod change;
mod function;
pub mod skip_if;

use std::collections::BTreeMap;
use std::time::Duration;

use hedgerow_component::recipe::Condition;
use hedgerow_isolation::plan::{
    Access, Account, Base, Dependency, FenceId, IdRange, Layer, Limits, Mount, Needs, Network,
    Plan, User,
};
use serde::Serialize;

pub use change::{Change, Effect};
pub use function::{Client, Function, user_of_function};

use crate::layout::{self, inside};
use crate::lifecycle::{StepKind, Steps};
use crate::packages::Place;

/// Of steps, where a deployment says nothing else.
const DEFAULT_USER: &str = "ggc_user:ggc_group";

#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    pub name: String,
    pub version: String,
    /// Number of the component's id range, and its short name in host paths.
    pub slot: u32,
    pub ids: IdRange,
    /// Of a Lambda function none.
    pub steps: BTreeMap<StepKind, StepDefinition>,
    pub function: Option<Function>,
    /// Names of the components that must be ready before this one starts.
    pub hard_dependencies: Vec<String>,
    /// Names of the components whose first attempt to start comes before this one's.
    pub soft_dependencies: Vec<String>,
    /// Directory of the artifacts, relative to the state directory.
    pub package: String,
    pub place: Place,
    /// Those whose artifacts and work directory this one may read.
    pub dependencies: Vec<Neighbour>,
    /// Bytes that may be written outside the work directory.
    pub layer_quota: u64,
    /// Bytes that the work directory may have.
    pub work_quota: Option<u64>,
    pub run_with: RunWith,
    pub network: Network,
    /// Changes when, and only when, anything of the definition does.
    pub digest: String,
    /// Changes when, and only when, the install step must be repeated.
    pub install_fingerprint: String,
}

/// As whom, and with how much, a component's steps run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunWith {
    /// `user` or `user:group` inside the fence; `None`: `ggc_user:ggc_group`.
    pub posix_user: Option<String>,
    /// The shell inside the fence that runs each script.
    pub posix_shell: String,
    pub limits: Limits,
}

/// What of a direct dependency shows in a component's view.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Neighbour {
    pub name: String,
    pub version: String,
    pub slot: u32,
    pub ids: IdRange,
    pub package: String,
    pub place: Place,
}

/// A step with its recipe variables filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct StepDefinition {
    /// For `sh -c`.
    pub script: String,
    pub environment: BTreeMap<String, String>,
    /// `None`: no limit.
    pub timeout: Option<Duration>,
    /// `RequiresPrivilege`: as the fence's root.
    pub privileged: bool,
    /// Where it holds, the step counts as absent.
    pub skip_if: Option<Condition>,
    /// Why the step cannot be started, whatever its script.
    pub invalid: Option<String>,
}

impl Definition {
    pub fn steps(&self) -> Steps {
        let has = |step| self.steps.contains_key(&step);
        Steps {
            install: has(StepKind::Install),
            // A function has none of its own: it starts by being defined.
            startup: has(StepKind::Startup) || self.function.is_some(),
            run: has(StepKind::Run),
            shutdown: has(StepKind::Shutdown),
            recover: has(StepKind::Recover),
            uninstall: has(StepKind::Uninstall),
        }
    }

    /// As whom its steps run: what is the component's own is that user's.
    pub fn account(&self) -> Account {
        let name = self.run_with.posix_user.clone();
        let directories = [
            inside::work(&self.name),
            inside::artifacts(&self.name, &self.version),
            inside::unarchived(&self.name, &self.version),
        ];
        Account {
            name: name.unwrap_or_else(|| DEFAULT_USER.to_owned()),
            directories: directories.into_iter().map(Into::into).collect(),
        }
    }

    pub fn plan(&self, fence: FenceId) -> Plan {
        let mut mounts = artifacts(self.place, &self.package, &self.name, &self.version);
        mounts.push(Mount {
            base: Base::Runtime,
            source: layout::ipc_directory(self.slot),
            target: inside::IPC_DIRECTORY.into(),
            access: Access::ReadOnly,
            owner: None,
        });
        let work = Mount { access: Access::ReadWrite, ..work(self.slot, &self.name) };
        mounts.push(Mount { target: inside::HOME.into(), ..work.clone() });
        mounts.push(work);
        Plan {
            fence,
            name: self.name.clone(),
            ids: self.ids,
            network: self.network,
            limits: self.run_with.limits,
            mounts,
            layer: Some(Layer {
                source: layout::layer(self.slot, &self.version),
                quota: Some(self.layer_quota),
            }),
            dependencies: self.dependencies.iter().map(Neighbour::plan).collect(),
            tmp: None,
            listeners: Vec::new(),
            needs: Needs::default(),
        }
    }
}

impl Neighbour {
    fn plan(&self) -> Dependency {
        let mut mounts = artifacts(self.place, &self.package, &self.name, &self.version);
        mounts.push(work(self.slot, &self.name));
        let layer = Some(layout::layer(self.slot, &self.version));
        Dependency { ids: self.ids, layer, mounts }
    }
}

/// The component's to change, as in Greengrass; what is stored stays as it is.
fn artifacts(place: Place, package: &str, name: &str, version: &str) -> Vec<Mount> {
    let mount = |base, source: String, target: String| Mount {
        base,
        source: source.into(),
        target: target.into(),
        access: Access::Layered,
        owner: Some(User::GGC),
    };
    let target = inside::artifacts(name, version);
    match place {
        Place::Store | Place::BuiltIn => vec![
            mount(Base::State, format!("{package}/artifacts"), target),
            mount(Base::State, format!("{package}/unarchived"), inside::unarchived(name, version)),
        ],
        // What stays in an image has no archives.
        Place::Image => vec![mount(Base::Image, format!("{name}/{version}"), target)],
    }
}

fn work(slot: u32, name: &str) -> Mount {
    Mount {
        base: Base::State,
        source: layout::work_directory(slot),
        target: inside::work(name).into(),
        access: Access::ReadOnly,
        owner: Some(User::GGC),
    }
}
