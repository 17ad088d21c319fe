//! What instances of one version of a function are made of.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hedgerow_component::lambda::{Runtime, Volume};
use hedgerow_function::FunctionSpec;
use hedgerow_isolation::grants::{BadPath, HostAccess, HostPath, PlainPath};
use hedgerow_isolation::plan::{Access, Base, FenceId, Limits, Mount, Needs, Plan, User};

use crate::definition::{Definition, Function};

/// Inside the fence: where the code is (`LAMBDA_TASK_ROOT`), layers, and the client of the runtime.
pub const TASK: &str = "/var/task";
pub const LAYERS: &str = "/opt";
pub const RUNTIME: &str = "/var/runtime";

/// Port of the Runtime API on the fence's loopback.
pub const RUNTIME_API: u16 = 9001;

/// A volume that no fence can have.
#[derive(Debug, thiserror::Error)]
#[error("a volume: {0}")]
pub struct MakingError(#[from] BadPath);

/// A version of a function, beside its [`FunctionSpec`].
#[derive(Debug)]
pub struct Making {
    pub definition: Definition,
    /// The code, layers, and the client of the runtime.
    mounts: Vec<Mount>,
    needs: Needs,
    /// Of the recipe.
    pub setenv: BTreeMap<String, String>,
    /// The runtime that the client at [`RUNTIME`] is for.
    pub client: Option<Runtime>,
}

impl Making {
    pub fn new(definition: Definition, function: &Function) -> Result<Self, MakingError> {
        let mut mounts = vec![mount(&function.code, TASK)];
        mounts.extend(function.layers.iter().map(|layer| mount(layer, LAYERS)));
        mounts.extend(function.client.iter().map(|client| mount(&client.directory, RUNTIME)));
        let container = &function.container;
        let host_paths = container.volumes.iter().map(host_path);
        let needs = Needs {
            devices: container.devices.iter().map(|device| (&device.path).into()).collect(),
            host_paths: host_paths.collect::<Result<_, _>>()?,
        };
        let client = function.client.as_ref().map(|client| client.runtime.clone());
        Ok(Self { definition, mounts, needs, setenv: function.variables.clone(), client })
    }

    pub fn plan(&self, fence: FenceId, spec: &FunctionSpec) -> Plan {
        let mut plan = self.definition.plan(fence);
        plan.layer = None;
        plan.mounts.extend(self.mounts.iter().cloned());
        plan.tmp = Some(spec.ephemeral_storage);
        plan.listeners = vec![RUNTIME_API];
        plan.needs = self.needs.clone();
        let memory = plan.limits.memory.unwrap_or(u64::MAX).min(spec.memory);
        plan.limits = Limits { memory: Some(memory).filter(|&m| m != u64::MAX), ..plan.limits };
        plan
    }
}

fn mount(source: &str, target: &str) -> Mount {
    let (source, target, owner) = (source.into(), target.into(), Some(User::GGC));
    Mount { base: Base::State, source, target, access: Access::Layered, owner }
}

/// What a grant gives is the component user's in any case: `addGroupOwner` adds nothing.
fn host_path(volume: &Volume) -> Result<HostPath, BadPath> {
    let plain = |path: &str| PlainPath::try_from(PathBuf::from(path));
    let access = if volume.writable { HostAccess::ReadWrite } else { HostAccess::ReadOnly };
    let target = (volume.source != volume.destination).then(|| plain(&volume.destination));
    Ok(HostPath { path: plain(&volume.source)?, access, target: target.transpose()? })
}
