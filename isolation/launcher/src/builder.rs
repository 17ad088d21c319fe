//! `hedgerow-launch build`: makes one fence with libcontainer, starts hedgerow-init in it and exits.
//!
//! A process of its own, because libcontainer forks without exec, changes its caller's directory and dumpable
//! flag, and is much code to have in a process that stays.
//!
//! ```text
//!  launcher ──exec──► builder ──clone──► intermediate ──clone──► (user, pid, mount … namespaces) ──exec──► init
//!     │  Blueprint + descriptors ►│                                                              │
//!     │◄───────── or: Failed ─────│                                                              │
//!     │◄──────────────────────────────── Ready, over the control socket ─────────────────────────│
//!     │  closes the channel ►     │ exits; the init becomes the launcher's child (subreaper)
//! ```

use std::collections::HashMap;
use std::error::Error as _;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use hedgerow_isolation::connection::Connection;
use hedgerow_isolation::control::descriptor;
use hedgerow_isolation::plan::{Access, Network, Plan};
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::error::LibcontainerError;
use libcontainer::oci_spec::runtime::Spec as OciSpec;
use libcontainer::syscall::syscall::SyscallType;
use libcontainer::workload::{
    Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError,
};
use nix::sched::CloneFlags;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::FdFlags;
use rustix::mount::{MountAttrFlags, MountPropagationFlags};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::mount::{self, Reach};
use crate::network::link::{self, Link};
use crate::spec::{Sources, spec};

/// What is to be built. Descriptors beside it, which arrive as 3, 4, 5 …: the init's control socket, the
/// seccomp filter, the init program, the root tree, then the source of each of the plan's mounts. The root tree
/// and the sources are detached mounts.
#[derive(Debug, Serialize, Deserialize)]
pub struct Blueprint {
    pub plan: Plan,
    /// Whether the machine's cgroup controllers are in the unified hierarchy.
    pub unified: bool,
    /// What joins the fence to the host's network.
    pub link: Option<Link>,
}

/// The builder's only answer. Success is for the init itself to report.
#[derive(Debug, Serialize, Deserialize)]
pub struct Failed(pub String);

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
    #[error("descriptors did not arrive where they belong")]
    Descriptors,
    #[error("configuration: {0}")]
    Spec(#[from] oci_spec::OciSpecError),
    #[error("network: {0}")]
    Network(#[from] link::Error),
    #[error("{}", chain(.0))]
    Container(#[from] LibcontainerError),
}

/// Directory over which the builder mounts its own tmpfs, in its own mount namespace. Every parent must be open
/// to all: the fence's root, who is nobody on the host, resolves paths below it.
const STAGE: &str = "/tmp";

/// Serves the launcher at the other end of stdin.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The launcher's death ends this process, and this process's death the half-made init (see `setup_envs`).
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let channel = Connection::from(rustix::io::fcntl_dupfd_cloexec(io::stdin(), 100)?);
    let Some((blueprint, descriptors)) = channel.recv::<Blueprint>()? else { return Ok(()) };
    match build(&blueprint, descriptors) {
        // Stay until the launcher has the init's word: until then this process's death must end the init.
        Ok(()) => drop(channel.recv::<()>()?),
        Err(error) => channel.send(&Failed(error.to_string()), &[])?,
    }
    Ok(())
}

fn build(blueprint: &Blueprint, descriptors: Vec<OwnedFd>) -> Result<(), Error> {
    let plan = &blueprint.plan;
    let [control, filter, init, root, sources @ ..] = descriptors.as_slice() else {
        return Err(Error::Descriptors);
    };
    let placed =
        control.as_raw_fd() == descriptor::CONTROL && filter.as_raw_fd() == descriptor::FILTER;
    if !placed || sources.len() != plan.mounts.len() {
        return Err(Error::Descriptors);
    }
    for inherited in [control, filter] {
        rustix::io::fcntl_setfd(inherited, FdFlags::empty())
            .map_err(|e| Error::System("cannot hand on a descriptor", e.into()))?;
    }
    // Refused without CAP_SYS_RESOURCE; then a fence keeps what the launcher has.
    let _ = fs::write("/proc/self/oom_score_adj", "0");

    let stage = Stage::make(plan, root, sources, blueprint.unified)
        .map_err(|e| Error::System("cannot stage the fence's directories", e))?;
    let sources = Sources {
        root: &stage.root,
        mounts: &stage.mounts,
        sys: stage.sys.as_deref(),
        unified: blueprint.unified,
        cgroups_path: "/",
    };
    let config = serde_json::to_vec(&spec(plan, sources, &["hedgerow-init"])?)
        .map_err(|e| Error::System("cannot write the configuration", e.into()))?;
    fs::write(Path::new(STAGE).join("config.json"), config)
        .map_err(|e| Error::System("cannot write the configuration", e))?;

    let null = fs::File::open("/dev/null").map_err(|e| Error::System("/dev/null", e))?;
    let mut container = ContainerBuilder::new(plan.fence.to_string(), SyscallType::default())
        .with_root_path(Path::new(STAGE).join("state"))?
        .with_preserved_fds(descriptor::COUNT)
        .with_stdin(null)
        .with_executor(ExecuteInit { program: init.as_raw_fd() })
        .as_init(STAGE)
        .with_systemd(false)
        .with_detach(true)
        .build()?;
    if let (Some(link), Some(pid)) = (&blueprint.link, container.pid()) {
        link::join(link, pid.as_raw(), plan.ids)?;
    }
    Ok(container.start()?)
}

/// What the configuration refers to, in a mount namespace of the builder's own.
struct Stage {
    root: PathBuf,
    mounts: Vec<PathBuf>,
    sys: Option<PathBuf>,
}

impl Stage {
    fn make(plan: &Plan, root: &OwnedFd, sources: &[OwnedFd], unified: bool) -> io::Result<Self> {
        nix::sched::unshare(CloneFlags::CLONE_NEWNS)?;
        rustix::mount::mount_change(
            "/",
            MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
        )?;
        neutralize_cgroups(unified)?;
        let sys = match plan.network {
            Network::Host => Some(mount::copy_path("/sys", Reach::One)?),
            Network::None | Network::Nat => None,
        };
        mount::attach_path(mount::tmpfs("1m")?.as_fd(), STAGE)?;
        let place = |name: &str, tree: &OwnedFd| -> io::Result<PathBuf> {
            let path = Path::new(STAGE).join(name);
            fs::create_dir(&path)?;
            mount::attach_path(tree.as_fd(), &format!("{STAGE}/{name}"))?;
            Ok(path)
        };
        let mut mounts = Vec::new();
        for (index, (wanted, tree)) in plan.mounts.iter().zip(sources).enumerate() {
            mount::restrict(tree.as_fd(), restrictions(wanted.access), Reach::One)?;
            mounts.push(place(&format!("mount-{index}"), tree)?);
        }
        Ok(Self {
            root: place("root", root)?,
            mounts,
            sys: sys.map(|tree| place("sys", &tree)).transpose()?,
        })
    }
}

fn restrictions(access: Access) -> MountAttrFlags {
    let always = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    match access {
        Access::ReadOnly => always | MountAttrFlags::MOUNT_ATTR_RDONLY,
        Access::ReadWrite => always,
    }
}

/// The launcher has put this process into its cgroups, and only it writes there. libcontainer insists on joining
/// one as well: let it find the root of the unified hierarchy (every kernel can mount it, also where the
/// controllers are elsewhere), and let its write go nowhere.
fn neutralize_cgroups(unified: bool) -> io::Result<()> {
    if !unified {
        mount::attach_path(mount::cgroup2()?.as_fd(), "/sys/fs/cgroup")?;
    }
    let nowhere = mount::copy_path("/dev/null", Reach::One)?;
    mount::attach_path(nowhere.as_fd(), "/sys/fs/cgroup/cgroup.procs")
}

/// Runs in process 1 of the fence.
#[derive(Clone)]
struct ExecuteInit {
    program: RawFd,
}

impl Executor for ExecuteInit {
    fn validate(&self, _: &OciSpec) -> Result<(), ExecutorValidationError> {
        Ok(())
    }

    /// The last word before libcontainer waits for the container's start: ties this process to the builder.
    fn setup_envs(&self, _: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        let failed = |e: rustix::io::Errno| ExecutorSetEnvsError::SetEnvs(Box::new(e));
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed)?;
        // Had the builder died before, it would be because the launcher has.
        // SAFETY: the control socket, open in this process until it executes the init.
        let control = unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor::CONTROL) };
        let mut source = [PollFd::from_borrowed_fd(control, PollFlags::empty())];
        match poll(&mut source, Some(&Timespec::default())) {
            Ok(0) => Ok(()),
            Ok(_) => Err(ExecutorSetEnvsError::Other("the launcher is gone".to_owned())),
            Err(errno) => Err(failed(errno)),
        }
    }

    fn exec(&self, _: &OciSpec) -> Result<(), ExecutorError> {
        // SAFETY: the builder opened it and the child inherited it; exec takes it or the process ends.
        let program = unsafe { OwnedFd::from_raw_fd(self.program) };
        let Err(errno) =
            nix::unistd::fexecve::<_, CString, CString>(&program, &[c"hedgerow-init".into()], &[]);
        Err(ExecutorError::Execution(Box::new(errno)))
    }
}

/// libcontainer's errors say little each, and all of it together.
fn chain(error: &LibcontainerError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
