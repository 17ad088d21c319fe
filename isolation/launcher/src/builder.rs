//! `hedgerow-builder build`: makes one fence with libcontainer, starts hedgerow-init in it and exits.
//!
//! A program of its own, because libcontainer forks without exec, changes its caller's directory and dumpable
//! flag, and is much code to have in the memory of a process that stays.
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
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use hedgerow_isolation::control::{self, descriptor};
use hedgerow_isolation::grants::Grant;
use hedgerow_isolation::plan::Plan;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::error::LibcontainerError;
use libcontainer::oci_spec::runtime::Spec as OciSpec;
use libcontainer::syscall::syscall::SyscallType;
use libcontainer::workload::{
    Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::FdFlags;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::descriptors;
use crate::joining::Joining;
use crate::network::link::{self, Link};
use crate::spec::{Sources, spec};
use crate::stage::{Materials, STAGE, Stage};

/// What is to be built. Descriptors beside it, which arrive as 3, 4, 5 …: the init's control socket, the
/// seccomp filter, the init program, [`crate::root`]'s copy, the mount with the host's bus where that is granted, the layer's directory where the plan has one, the source
/// of each of the plan's mounts; then for each dependency its layer's directory, where it has one, and its sources.
/// All but the first two are detached mounts.
#[derive(Debug, Serialize, Deserialize)]
pub struct Blueprint {
    pub plan: Plan,
    /// Directories of the fence's cgroups, into which the builder moves itself.
    pub cgroups: Vec<PathBuf>,
    /// Whether the machine's cgroup controllers are in the unified hierarchy.
    pub unified: bool,
    /// What joins the fence to the host's network.
    pub link: Option<Link>,
    /// What it is to have of the host.
    pub grant: Grant,
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

/// Serves the launcher at the other end of stdin.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The launcher's death ends this process, and this process's death the half-made init (see `setup_envs`).
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let channel = descriptors::launcher()?;
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
    let materials = Materials::sort(blueprint, descriptors).ok_or(Error::Descriptors)?;
    let init = materials.init.as_raw_fd();
    for inherited in [&materials.control, &materials.filter] {
        rustix::io::fcntl_setfd(inherited, FdFlags::empty())
            .map_err(|e| Error::System("cannot hand on a descriptor", e.into()))?;
    }
    // Refused without CAP_SYS_RESOURCE; then a fence keeps what the launcher has.
    let _ = fs::write("/proc/self/oom_score_adj", "0");

    let failed = |e| Error::System("cannot move to the fence's cgroups", e);
    let joining = Joining::begin(&blueprint.cgroups).map_err(failed)?;
    let stage = Stage::make(blueprint, &materials)
        .map_err(|e| Error::System("cannot stage the fence's directories", e))?;
    let sources = Sources {
        root: &stage.root,
        mounts: &stage.mounts,
        dependencies: &stage.dependencies,
        granted: &stage.granted,
        greengrass: &stage.greengrass,
        real_root: &blueprint.grant.real_root,
        sudo: &stage.sudo,
        sys: stage.sys.as_deref(),
        unified: blueprint.unified,
        cgroups_path: "/",
    };
    let config = serde_json::to_vec(&spec(plan, sources, &["hedgerow-init"])?)
        .map_err(|e| Error::System("cannot write the configuration", e.into()))?;
    fs::write(Path::new(STAGE).join("config.json"), config)
        .map_err(|e| Error::System("cannot write the configuration", e))?;

    joining.finish().map_err(failed)?;
    let null = fs::File::open("/dev/null").map_err(|e| Error::System("/dev/null", e))?;
    let mut container = ContainerBuilder::new(plan.fence.to_string(), SyscallType::default())
        .with_root_path(Path::new(STAGE).join("state"))?
        .with_preserved_fds(descriptor::COUNT)
        .with_stdin(null)
        .with_executor(ExecuteInit { program: init, arguments: arguments(&blueprint.grant) })
        .as_init(STAGE)
        .with_systemd(false)
        .with_detach(true)
        .build()?;
    if let (Some(link), Some(pid)) = (&blueprint.link, container.pid()) {
        link::join(link, pid.as_raw(), blueprint.grant.users(plan.ids))?;
    }
    Ok(container.start()?)
}

/// Runs in process 1 of the fence.
#[derive(Clone)]
struct ExecuteInit {
    program: RawFd,
    arguments: Vec<CString>,
}

/// What the init is called, and how far its root reaches.
fn arguments(grant: &Grant) -> Vec<CString> {
    let real = grant.real_root.is_granted().then_some(control::REAL_ROOT);
    let network = grant.real_root.has("CAP_NET_ADMIN").then_some(control::NETWORK_ADMINISTRATION);
    [c"hedgerow-init"].into_iter().chain(real).chain(network).map(CString::from).collect()
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
            nix::unistd::fexecve::<_, CString, CString>(&program, &self.arguments, &[]);
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
