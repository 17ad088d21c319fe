//! What a fence is to be, as plain data. Nothing here acts.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::grants::HostPath;

/// User and group ids of one fence: `first ..= first + COUNT - 1` on the host are `0 ..= COUNT - 1` inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IdRange {
    pub first: u32,
}

impl IdRange {
    /// Ids in every range (a whole 16-bit space, as user_namespaces(7) users expect).
    pub const COUNT: u32 = 65_536;

    /// The host's id for an id inside the fence, or `None` where it lies outside the range.
    pub fn host(self, inside: u32) -> Option<u32> {
        (inside < Self::COUNT).then(|| self.first.checked_add(inside)).flatten()
    }

    pub fn contains(self, host: u32) -> bool {
        host >= self.first && host - self.first < Self::COUNT
    }
}

/// Short name of a fence, safe in paths, cgroup names and socket addresses: `[a-z0-9-]{1,32}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FenceId(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a fence id: 1 to 32 characters of a-z, 0-9 and -")]
pub struct BadFenceId(String);

impl TryFrom<String> for FenceId {
    type Error = BadFenceId;

    fn try_from(text: String) -> Result<Self, BadFenceId> {
        let ok = (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if ok { Ok(Self(text)) } else { Err(BadFenceId(text)) }
    }
}

impl From<FenceId> for String {
    fn from(id: FenceId) -> Self {
        id.0
    }
}

impl FenceId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which network a fence sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// A namespace of its own with the loopback interface up and nothing else.
    None,
    /// A namespace of its own, joined to the host by a masqueraded link.
    #[default]
    Nat,
    /// The host's own. Needs the administrator's grant.
    Host,
}

/// Limits of the whole fence, kept by its cgroup. `None` leaves the kernel's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory, swap not counted on top (`memory.max`, `memory.limit_in_bytes`).
    pub memory: Option<u64>,
    /// Thousandths of one CPU (`cpu.max`, `cpu.cfs_quota_us`): 1500 is one and a half.
    pub cpu: Option<u32>,
    /// Processes and threads (`pids.max`).
    pub pids: Option<u32>,
}

/// Which of the launcher's own directories a [`Mount`] source lies in. No other source exists, so that a
/// subverted daemon cannot name a path of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// `/var/lib/hedgerow` (`--root`: `DIR/state`).
    State,
    /// `/run/hedgerow` (`--root`: `DIR/run`).
    Runtime,
    /// Artifacts of the operating system's image, `/usr/lib/hedgerow/components/artifacts` (`--root`: below `DIR`).
    /// Read-only, and nobody's but root's.
    Image,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    ReadOnly,
    ReadWrite,
    /// Writes go to the plan's [`Layer`], the source stays as it is. Whoever owns the source is shown as the mount's
    /// `owner`.
    Layered,
}

/// A directory bound into the fence, `nosuid` and `nodev`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    pub base: Base,
    /// Relative to `base`; resolved beneath it without following any symbolic link.
    pub source: PathBuf,
    /// Absolute path inside the fence.
    pub target: PathBuf,
    pub access: Access,
    /// With [`Access::Layered`], who the files are shown to belong to. Else, when set, the launcher makes the source
    /// directory where it is missing (mode 0700) and gives it to
    /// this user and group of the fence.
    pub owner: Option<User>,
}

/// A user and group inside the fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

impl User {
    pub const ROOT: User = User { uid: 0, gid: 0 };
    /// `ggc_user:ggc_group` of the synthetic `/etc/passwd`, Greengrass's default component user.
    pub const GGC: User = User { uid: 1000, gid: 1000 };
}

/// Everything the launcher needs to open a fence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub fence: FenceId,
    /// The component's name: what grants are matched against, and (cut to 63 characters) the host name inside.
    pub name: String,
    pub ids: IdRange,
    pub network: Network,
    pub limits: Limits,
    /// Several in a row with one target, all [`Access::Layered`], are seen as one directory: of files of the same name
    /// the last one's.
    pub mounts: Vec<Mount>,
    /// Where writes to the fence's root and to [`Access::Layered`] mounts go. `None`: neither can be written.
    pub layer: Option<Layer>,
    /// Components of which this one sees something.
    pub dependencies: Vec<Dependency>,
    /// Bytes of `/tmp`, which is memory of the fence. `None`: [`TMP`].
    pub tmp: Option<u64>,
    /// Ports of the fence's own 127.0.0.1 that are the daemon's: sockets listen there before the first step starts.
    /// For the fence alone, whoever depends on it. Not with the host's network.
    pub listeners: Vec<u16>,
    /// What it must have of the host, to be opened at all.
    pub needs: Needs,
}

/// Bytes of `/tmp` where a plan says nothing else.
pub const TMP: u64 = 128 << 20;

/// What a grant has to give.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Needs {
    /// Paths of device nodes.
    pub devices: Vec<PathBuf>,
    pub host_paths: Vec<HostPath>,
}

/// What a fence writes outside its mounts: kept until the daemon discards it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// A directory of [`Base::State`], made by the launcher where it is missing, and root's own.
    pub source: PathBuf,
    /// Bytes that it may take.
    pub quota: Option<u64>,
}

/// Directories of another component, read-only, with its users shown as the same users of this fence. What does not
/// exist is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    pub ids: IdRange,
    /// [`Layer::source`] of the other component: what it changed in its [`Access::Layered`] mounts is seen.
    pub layer: Option<PathBuf>,
    pub mounts: Vec<Mount>,
}

impl Plan {
    /// The mounts by what is to be seen at one target.
    pub fn places(&self) -> impl Iterator<Item = &[Mount]> {
        self.mounts.chunk_by(|one, next| one.target == next.target)
    }

    /// Whether the fence uses this directory of [`Base::State`], one above it or one below it.
    pub fn uses(&self, directory: &Path) -> bool {
        self.sources().any(|source| source.starts_with(directory) || directory.starts_with(source))
    }

    /// The directories of [`Base::State`] that the fence uses.
    pub fn sources(&self) -> impl Iterator<Item = &PathBuf> {
        let dependencies = self.dependencies.iter();
        let mounts = self.mounts.iter().chain(dependencies.clone().flat_map(|d| &d.mounts));
        let layers = self.layer.iter().map(|layer| &layer.source);
        let layers = layers.chain(dependencies.filter_map(|d| d.layer.as_ref()));
        mounts.filter(|m| m.base == Base::State).map(|m| &m.source).chain(layers)
    }
}

/// Tells one step of a fence from another for as long as the fence lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StepId(pub u64);

/// A user by the name that it has inside the fence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// `user` or `user:group`, names or numbers. Names that the fence does not know are added to its users; root has
    /// the rights of a privileged step.
    pub name: String,
    /// What is in these becomes the user's, where the directory is another's. What does not exist is left out.
    pub directories: Vec<PathBuf>,
}

/// A program to run inside an open fence, as a child of its init.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub id: StepId,
    /// Program and arguments; the program is looked up in the fence's fixed PATH where it has no slash.
    pub argv: Vec<String>,
    /// The whole environment: nothing is inherited.
    pub env: BTreeMap<String, String>,
    pub cwd: PathBuf,
    pub user: User,
    /// In the place of `user`.
    pub account: Option<Account>,
    /// Runs as the fence's root, with a container's usual capabilities over what is in the fence, whatever the
    /// user.
    pub privileged: bool,
}
