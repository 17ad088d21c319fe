//! What instances of one version of a function are made of.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hedgerow_component::lambda::{Lambda, Runtime, Volume};
use hedgerow_function::FunctionSpec;
use hedgerow_isolation::grants::{BadPath, HostAccess, HostPath, PlainPath};
use hedgerow_isolation::plan::{Access, Base, FenceId, Limits, Mount, Needs, Plan, User};

use crate::definition::{Definition, Neighbour};

/// Inside the fence: where the code is (`LAMBDA_TASK_ROOT`), layers, and the client of the runtime.
pub const TASK: &str = "/var/task";
pub const LAYERS: &str = "/opt";
pub const RUNTIME: &str = "/var/runtime";

/// Port of the Runtime API on the fence's loopback.
pub const RUNTIME_API: u16 = 9001;

#[derive(Debug, thiserror::Error)]
pub enum MakingError {
    #[error(
        "its layer {0} is not deployed: deploy it with the function, or take it out of `layers`"
    )]
    NoLayer(String),
    #[error("{0} has no archives: what it is to bring must be an artifact with Unarchive: ZIP")]
    NoArchives(String),
    #[error("the archives of {0}: {1}")]
    Archives(String, io::Error),
    #[error("a volume: {0}")]
    Volume(#[from] BadPath),
}

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
    /// Reads directories of the store, which is at `state`.
    pub fn new(definition: Definition, lambda: &Lambda, state: &Path) -> Result<Self, MakingError> {
        let code = format!("{}/unarchived/{}", definition.package, lambda.archive);
        let mut mounts = vec![mount(code.into(), TASK)];
        for name in &lambda.layers {
            let missing = || MakingError::NoLayer(name.clone());
            let layer = definition.dependencies.iter().find(|other| &other.name == name);
            let archives = archives(layer.ok_or_else(missing)?, state)?;
            mounts.extend(archives.into_iter().map(|archive| mount(archive, LAYERS)));
        }
        let client = client(&lambda.runtime, &definition.dependencies);
        if let Some((_, component)) = &client {
            let archives = archives(component, state)?;
            mounts.extend(archives.into_iter().map(|archive| mount(archive, RUNTIME)));
        }
        let client = client.map(|(runtime, _)| runtime);
        let host_paths = lambda.container.volumes.iter().map(host_path);
        let needs = Needs {
            devices: lambda.container.devices.iter().map(|device| (&device.path).into()).collect(),
            host_paths: host_paths.collect::<Result<_, _>>()?,
        };
        Ok(Self { definition, mounts, needs, setenv: lambda.setenv.clone(), client })
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

/// The client of the nearest version of the runtime's language that is there.
fn client<'d>(runtime: &Runtime, there: &'d [Neighbour]) -> Option<(Runtime, &'d Neighbour)> {
    runtime.nearest().into_iter().find_map(|runtime| {
        let name = runtime.component()?;
        let found = there.iter().find(|neighbour| neighbour.name == name.as_str())?;
        Some((runtime, found))
    })
}

/// The unpacked archives of a component, relative to the state directory, by name.
fn archives(of: &Neighbour, state: &Path) -> Result<Vec<PathBuf>, MakingError> {
    let directory = PathBuf::from(format!("{}/unarchived", of.package));
    let failed = |error| MakingError::Archives(of.name.clone(), error);
    let mut names: Vec<_> = match fs::read_dir(state.join(&directory)) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<_, _>>()
            .map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    names.sort();
    if names.is_empty() {
        return Err(MakingError::NoArchives(of.name.clone()));
    }
    Ok(names.into_iter().map(|name| directory.join(name)).collect())
}

fn mount(source: PathBuf, target: &str) -> Mount {
    let (target, owner) = (target.into(), Some(User::GGC));
    Mount { base: Base::State, source, target, access: Access::Layered, owner }
}

/// What a grant gives is the component user's in any case: `addGroupOwner` adds nothing.
fn host_path(volume: &Volume) -> Result<HostPath, BadPath> {
    let plain = |path: &str| PlainPath::try_from(PathBuf::from(path));
    let access = if volume.writable { HostAccess::ReadWrite } else { HostAccess::ReadOnly };
    let target = (volume.source != volume.destination).then(|| plain(&volume.destination));
    Ok(HostPath { path: plain(&volume.source)?, access, target: target.transpose()? })
}
