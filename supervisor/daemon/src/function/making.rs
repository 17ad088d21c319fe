//! What instances of one version of a function are made of.

use std::collections::BTreeMap;

use hedgerow_component::lambda::Runtime;
use hedgerow_function::FunctionSpec;
use hedgerow_isolation::grants::BadPath;
use hedgerow_isolation::plan::{Access, Account, Base, FenceId, Limits, Mount, Needs, Plan, User};

use crate::definition::{Definition, Function, user_of_function};
use crate::layout::{self, inside};

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
    /// Whose processes and files they are.
    user: User,
    /// Bytes.
    memory: u64,
    /// Bytes of `/tmp`.
    ephemeral_storage: u64,
}

impl Making {
    pub fn new(definition: Definition, function: &Function) -> Result<Self, MakingError> {
        let mut mounts = vec![mount(&function.code, TASK)];
        mounts.extend(function.layers.iter().map(|layer| mount(layer, LAYERS)));
        if function.layers.is_empty() {
            mounts.push(nothing(LAYERS));
        }
        mounts.extend(function.client.iter().map(|client| mount(&client.directory, RUNTIME)));
        let needs = function.needs()?;
        let client = function.client.as_ref().map(|client| client.runtime.clone());
        let user = definition.run_with.posix_user.as_deref().and_then(user_of_function);
        let user = user.unwrap_or(User::GGC);
        let FunctionSpec { memory, ephemeral_storage, .. } = function.spec;
        let setenv = function.variables.clone();
        Ok(Self { definition, mounts, needs, setenv, client, user, memory, ephemeral_storage })
    }

    /// As whom its processes run.
    pub fn account(&self) -> Account {
        Account {
            name: format!("{}:{}", self.user.uid, self.user.gid),
            directories: vec![inside::work(&self.definition.name).into()],
        }
    }

    pub fn plan(&self, fence: FenceId) -> Plan {
        let mut plan = self.definition.plan(fence);
        plan.layer = None;
        plan.mounts.extend(self.mounts.iter().cloned());
        // Nothing of an instance's is written, so that nothing can be given to another user later.
        for mount in plan.mounts.iter_mut().filter(|mount| mount.access == Access::Layered) {
            mount.owner = Some(self.user);
        }
        plan.tmp = Some(self.ephemeral_storage);
        plan.listeners = vec![RUNTIME_API];
        plan.needs = self.needs.clone();
        let memory = plan.limits.memory.unwrap_or(u64::MAX).min(self.memory);
        plan.limits = Limits { memory: Some(memory).filter(|&m| m != u64::MAX), ..plan.limits };
        plan
    }
}

fn mount(source: &str, target: &str) -> Mount {
    let (source, target, owner) = (source.into(), target.into(), Some(User::GGC));
    Mount { base: Base::State, source, target, access: Access::Layered, owner }
}

/// In the place of what the host has there.
fn nothing(target: &str) -> Mount {
    let source = layout::nothing();
    Mount {
        base: Base::Runtime,
        source,
        target: target.into(),
        access: Access::ReadOnly,
        owner: None,
    }
}
