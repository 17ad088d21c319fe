//! A fence as an OCI runtime configuration.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use hedgerow_isolation::control::{PATH, SUDO};
use hedgerow_isolation::grants::RealRoot;
use hedgerow_isolation::plan::{Access, IdRange, Network, Plan, TMP};
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Capability, LinuxBuilder, LinuxCapabilitiesBuilder, LinuxIdMapping, LinuxIdMappingBuilder,
    LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType, Mount, MountBuilder, ProcessBuilder,
    RootBuilder, Spec, SpecBuilder, UserBuilder,
};

use crate::granted::Granted;

/// Where the builder prepared what the configuration refers to.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    pub root: &'a Path,
    /// One directory for each of the plan's [`Plan::places`], in order.
    pub mounts: &'a [PathBuf],
    /// One directory for each mount of the plan's dependencies, in order.
    pub dependencies: &'a [PathBuf],
    pub granted: &'a [Granted],
    /// See [`crate::greengrass`].
    pub greengrass: &'a Path,
    pub real_root: &'a RealRoot,
    /// The program that components call by the name `sudo`.
    pub sudo: &'a Path,
    /// A copy of the host's `/sys`, for a fence with the host's network: a sysfs shows the network namespace
    /// of whoever mounts it, and a fence may not mount one for a namespace that is not its own.
    pub sys: Option<&'a Path>,
    /// Whether the machine's cgroup controllers are in the unified hierarchy: then the fence sees its own part.
    pub unified: bool,
    /// The cgroup that the runtime is to join.
    pub cgroups_path: &'a str,
}

/// Hidden from the fence: the runtime specification's usual list, as containers know it.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What the root of a fence may do there, as containers know it: without raw sockets and device nodes.
/// hedgerow-init hands it on to privileged steps only.
const CAPABILITIES: [Capability; 12] = [
    Capability::AuditWrite,
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::NetBindService,
    Capability::Setfcap,
    Capability::Setgid,
    Capability::Setpcap,
    Capability::Setuid,
    Capability::SysChroot,
];

/// The configuration that makes `plan`'s fence; its process runs `arguments`.
pub fn spec(plan: &Plan, sources: Sources<'_>, arguments: &[&str]) -> Result<Spec, OciSpecError> {
    let real_root = sources.real_root;
    let linux = LinuxBuilder::default()
        .namespaces(namespaces(plan.network, real_root)?)
        .cgroups_path(sources.cgroups_path);
    let linux = match real_root.is_granted() {
        true => linux,
        false => linux.uid_mappings([mapping(plan.ids)?]).gid_mappings([mapping(plan.ids)?]),
    };
    let linux = match may_mount(real_root) {
        true => linux.masked_paths([]).readonly_paths([]),
        false => linux
            .masked_paths(MASKED.map(str::to_owned))
            .readonly_paths(READ_ONLY.map(str::to_owned)),
    };
    let mut linux = linux.build()?;
    // The limits are the launcher's to set.
    linux.set_resources(None);

    let user = UserBuilder::default().uid(0u32).gid(0u32).build()?;
    let capabilities: HashSet<_> = CAPABILITIES
        .into_iter()
        // For the loopback interface, in a namespace of its own only.
        .chain((plan.network != Network::Host).then_some(Capability::NetAdmin))
        .chain(granted_capabilities(real_root))
        .collect();
    let capabilities = LinuxCapabilitiesBuilder::default()
        .bounding(capabilities.clone())
        .permitted(capabilities.clone())
        .effective(capabilities)
        .inheritable([])
        .ambient([])
        .build()?;
    let process = ProcessBuilder::default()
        .terminal(false)
        .user(user)
        .cwd("/")
        .args(arguments.iter().map(|&a| a.to_owned()).collect::<Vec<_>>())
        // HOME, so that nobody looks for it in the password file.
        .env([format!("PATH={PATH}"), "HOME=/".to_owned()])
        .capabilities(capabilities)
        .no_new_privileges(true)
        .rlimits([])
        .build()?;

    SpecBuilder::default()
        .version("1.0.2")
        .hostname(host_name(&plan.name))
        .root(RootBuilder::default().path(sources.root).readonly(plan.layer.is_none()).build()?)
        .process(process)
        .mounts(mounts(plan, sources)?)
        .linux(linux)
        .build()
}

/// Whoever may mount could take any mask away.
fn may_mount(root: &RealRoot) -> bool {
    root.has("CAP_SYS_ADMIN")
}

fn granted_capabilities(root: &RealRoot) -> Vec<Capability> {
    root.capabilities().filter_map(|name| name.parse().ok()).collect()
}

fn namespaces(network: Network, root: &RealRoot) -> Result<Vec<LinuxNamespace>, OciSpecError> {
    use LinuxNamespaceType::{Cgroup, Ipc, Mount, Network as Net, Pid, User, Uts};
    let own = match network {
        Network::None | Network::Nat => Some(Net),
        Network::Host => None,
    };
    let user = (!root.is_granted()).then_some(User);
    user.into_iter()
        .chain([Pid, Mount, Ipc, Uts, Cgroup])
        .chain(own)
        .map(|kind| LinuxNamespaceBuilder::default().typ(kind).build())
        .collect()
}

fn mapping(ids: IdRange) -> Result<LinuxIdMapping, OciSpecError> {
    LinuxIdMappingBuilder::default()
        .container_id(0u32)
        .host_id(ids.first)
        .size(IdRange::COUNT)
        .build()
}

/// The component's name as a host name: 63 bytes at most, cut between characters.
fn host_name(name: &str) -> String {
    let end = (0..=name.len().min(63)).rev().find(|&i| name.is_char_boundary(i)).unwrap_or(0);
    name[..end].to_owned()
}

fn mounts(plan: &Plan, sources: Sources<'_>) -> Result<Vec<Mount>, OciSpecError> {
    let system = "nosuid,noexec,nodev";
    let sys = if may_mount(sources.real_root) { "rw" } else { "ro" };
    let mut mounts = vec![
        mount("/proc", "proc", "proc", system)?,
        mount("/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=64k")?,
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5",
        )?,
        mount("/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=64m")?,
        mount("/dev/mqueue", "mqueue", "mqueue", system)?,
        mount(
            "/tmp",
            "tmpfs",
            "tmpfs",
            &format!("nosuid,nodev,mode=1777,size={}", plan.tmp.unwrap_or(TMP)),
        )?,
        mount("/run", "tmpfs", "tmpfs", "nosuid,nodev,mode=755,size=16m")?,
        bind("/greengrass", sources.greengrass, "bind,nosuid,nodev")?,
        match sources.sys {
            None => mount("/sys", "sysfs", "sysfs", &format!("{system},{sys}"))?,
            Some(copy) => bind("/sys", copy, &format!("rbind,{system},{sys}"))?,
        },
    ];
    if sources.unified && sources.sys.is_none() {
        mounts.push(mount("/sys/fs/cgroup", "cgroup", "cgroup", &format!("{system},relatime,ro"))?);
    }
    let wanted = plan.places().filter_map(<[_]>::first);
    for (wanted, source) in wanted.zip(sources.mounts) {
        let access = match wanted.access {
            Access::ReadOnly => "rbind,nosuid,nodev,ro",
            Access::Layered if plan.layer.is_none() => "rbind,nosuid,nodev,ro",
            Access::ReadWrite | Access::Layered => "rbind,nosuid,nodev",
        };
        mounts.push(bind(&wanted.target, source, access)?);
    }
    let foreign = plan.dependencies.iter().flat_map(|dependency| &dependency.mounts);
    for (wanted, source) in foreign.zip(sources.dependencies) {
        mounts.push(bind(&wanted.target, source, "rbind,nosuid,nodev,ro")?);
    }
    for granted in sources.granted {
        mounts.push(bind(&granted.target, &granted.source, granted.options)?);
    }
    mounts.push(bind(SUDO, sources.sudo, "bind,nosuid,nodev,ro")?);
    Ok(mounts)
}

fn mount(target: &str, kind: &str, source: &str, options: &str) -> Result<Mount, OciSpecError> {
    MountBuilder::default()
        .destination(target)
        .typ(kind)
        .source(source)
        .options(options.split(',').map(str::to_owned).collect::<Vec<_>>())
        .build()
}

fn bind(target: impl AsRef<Path>, source: &Path, options: &str) -> Result<Mount, OciSpecError> {
    MountBuilder::default()
        .destination(target.as_ref())
        .typ("bind")
        .source(source)
        .options(options.split(',').map(str::to_owned).collect::<Vec<_>>())
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_cut_between_characters() {
        assert_eq!(host_name("com.example.Sensor"), "com.example.Sensor");
        assert_eq!(host_name(&"a".repeat(128)).len(), 63);
        assert_eq!(host_name(&"é".repeat(64)), "é".repeat(31));
    }
}
