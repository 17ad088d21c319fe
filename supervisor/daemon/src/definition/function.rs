//! What of a definition is a Lambda function's.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hedgerow_component::ComponentName;
use hedgerow_component::lambda::{Container, Runtime, Volume};
use hedgerow_function::{FunctionSpec, Runtime as Asked};
use hedgerow_isolation::grants::{BadPath, Grant, HostAccess, HostPath, Lack, PlainPath};
use hedgerow_isolation::plan::{IdRange, Needs, User};
use serde::Serialize;

/// Directories are relative to the state directory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Function {
    pub spec: FunctionSpec,
    /// The recipe's own variables for its processes; [`FunctionSpec::environment`] comes after them.
    pub variables: BTreeMap<String, String>,
    pub container: Container,
    /// Its code, unpacked: `/var/task`.
    pub code: String,
    /// What is seen at `/opt`, the later over the earlier.
    pub layers: Vec<String>,
    /// Absent where no component brings one: then the function or a layer may.
    pub client: Option<Client>,
    /// What of its configuration has another effect than it says.
    #[serde(skip)]
    pub notices: Vec<String>,
}

/// A component that brings the client of a runtime, and perhaps an interpreter in `bin`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Client {
    pub component: String,
    /// What it is the client of: another version of the function's language than the function asks for, perhaps.
    pub runtime: Runtime,
    /// `/var/runtime`.
    pub directory: String,
}

impl Function {
    /// What it must have of the host.
    pub fn needs(&self) -> Result<Needs, BadPath> {
        let Container { volumes, devices, .. } = &self.container;
        let host_paths = volumes.iter().map(host_path).collect::<Result<_, _>>()?;
        let devices = devices.iter().map(|device| (&device.path).into()).collect();
        Ok(Needs { devices, host_paths })
    }

    /// What a person should know before relying on it. `granted`: what the component may have of the host.
    pub fn notices(&self, component: &ComponentName, granted: &Grant) -> Vec<String> {
        let mut notices: Vec<String> =
            self.notices.iter().map(|notice| format!("{component}: {notice}")).collect();
        let ungranted = self.needs().map(|needs| granted.lacks(&needs)).unwrap_or_default();
        notices.extend(ungranted.into_iter().map(|Lack { what, line }| {
            format!(
                "{component} asks for {what}, which no grant allows: until then no instance of it starts. To allow it, write \
                 into hedgerow.toml: [[grant]] component = {:?}, {line}",
                component.as_str()
            )
        }));
        let asked = &self.spec.runtime;
        match (&self.client, asked) {
            (Some(Client { component: client, runtime, .. }), _)
                if runtime.to_string() != asked.to_string() =>
            {
                notices.push(format!(
                    "{component} is for {asked} and is run by {runtime}, which {client} brings"
                ));
            }
            (None, Asked::Python { .. } | Asked::Node { .. }) => notices.push(format!(
                "no component brings what runs {asked}: unless the archive of {component} or a layer does, it will not \
                 start; deploy io.hedgerow.runtime.{asked}"
            )),
            (Some(_), _) | (None, Asked::Provided { .. }) => {}
        }
        notices
    }
}

/// `posixUser`, as far as it is known before there is a fence: `user` or `user:group`, each `ggc_user`, `root` or a number.
pub fn user_of_function(posix_user: &str) -> Option<User> {
    let id = |name: &str| match name {
        "root" => Some(0),
        "ggc_user" | "ggc_group" => Some(User::GGC.uid),
        number => number.parse().ok().filter(|id| *id < IdRange::COUNT),
    };
    let (user, group) = posix_user.split_once(':').unwrap_or((posix_user, posix_user));
    Some(User { uid: id(user)?, gid: id(group)? })
}

/// What a grant gives is the component user's in any case: `addGroupOwner` adds nothing.
fn host_path(volume: &Volume) -> Result<HostPath, BadPath> {
    let plain = |path: &str| PlainPath::try_from(PathBuf::from(path));
    let access = if volume.writable { HostAccess::ReadWrite } else { HostAccess::ReadOnly };
    let target = (volume.source != volume.destination).then(|| plain(&volume.destination));
    Ok(HostPath { path: plain(&volume.source)?, access, target: target.transpose()? })
}
