//! Which cgroup hierarchies this machine has, and where in them this process is. Pure: text in, paths out.

use std::path::{Path, PathBuf};

/// The v1 controllers that fences use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Controller {
    Memory,
    Cpu,
    Cpuacct,
    Pids,
    Freezer,
}

impl Controller {
    pub const ALL: [Self; 5] = [Self::Memory, Self::Cpu, Self::Cpuacct, Self::Pids, Self::Freezer];

    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Cpuacct => "cpuacct",
            Self::Pids => "pids",
            Self::Freezer => "freezer",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// One hierarchy with every controller.
    V2 { mount: PathBuf, own: PathBuf },
    /// A hierarchy per controller ("legacy" and "hybrid"): this process's directory in each.
    V1 { own: Vec<(Controller, PathBuf)> },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no cgroup file system with a memory or pids controller is mounted")]
pub struct NoCgroups;

/// Reads `/proc/self/mountinfo` and `/proc/self/cgroup` (cgroups(7), proc(5)).
pub fn layout(mountinfo: &str, cgroup: &str) -> Result<Layout, NoCgroups> {
    let own: Vec<_> = Controller::ALL
        .into_iter()
        .filter_map(|controller| Some((controller, v1_directory(controller, mountinfo, cgroup)?)))
        .collect();
    if own.iter().any(|(c, _)| matches!(c, Controller::Memory | Controller::Pids)) {
        return Ok(Layout::V1 { own });
    }
    let mount = mounts(mountinfo).find(|m| m.kind == "cgroup2").ok_or(NoCgroups)?;
    let path = memberships(cgroup).find(|m| m.hierarchy == "0").ok_or(NoCgroups)?.path;
    Ok(Layout::V2 { own: mount.directory(path).ok_or(NoCgroups)?, mount: mount.point })
}

fn v1_directory(controller: Controller, mountinfo: &str, cgroup: &str) -> Option<PathBuf> {
    let name = controller.name();
    let mount = mounts(mountinfo)
        .find(|m| m.kind == "cgroup" && m.options.split(',').any(|option| option == name))?;
    let member = memberships(cgroup).find(|m| m.controllers.split(',').any(|c| c == name))?;
    mount.directory(member.path)
}

struct Mount<'a> {
    /// The directory of the hierarchy that is mounted.
    root: PathBuf,
    point: PathBuf,
    kind: &'a str,
    /// Of the superblock: on v1 the controllers.
    options: &'a str,
}

impl Mount<'_> {
    /// Where a cgroup is found below this mount, if it is.
    fn directory(&self, cgroup: &str) -> Option<PathBuf> {
        let beneath = Path::new(cgroup).strip_prefix(&self.root).ok()?;
        Some(if beneath.as_os_str().is_empty() {
            self.point.clone()
        } else {
            self.point.join(beneath)
        })
    }
}

fn mounts(mountinfo: &str) -> impl Iterator<Item = Mount<'_>> {
    mountinfo.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let mut right = right.split(' ');
        Some(Mount {
            root: left.next()?.into(),
            point: left.next()?.into(),
            kind: right.next()?,
            options: right.nth(1)?,
        })
    })
}

struct Membership<'a> {
    hierarchy: &'a str,
    controllers: &'a str,
    path: &'a str,
}

fn memberships(cgroup: &str) -> impl Iterator<Item = Membership<'_>> {
    cgroup.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        Some(Membership {
            hierarchy: fields.next()?,
            controllers: fields.next()?,
            path: fields.next()?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_with_v2() {
        let mountinfo = "24 30 0:22 / /sys rw,nosuid - sysfs sysfs rw\n\
            29 24 0:26 / /sys/fs/cgroup rw,nosuid,nodev shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
        let cgroup = "0::/system.slice/hedgerow-launch.service\n";
        assert_eq!(
            layout(mountinfo, cgroup),
            Ok(Layout::V2 {
                mount: "/sys/fs/cgroup".into(),
                own: "/sys/fs/cgroup/system.slice/hedgerow-launch.service".into()
            })
        );
        assert_eq!(
            layout(mountinfo, "0::/\n"),
            Ok(Layout::V2 { mount: "/sys/fs/cgroup".into(), own: "/sys/fs/cgroup".into() })
        );
    }

    #[test]
    fn hybrid_with_shared_and_partial_hierarchies() {
        let mountinfo = "\
            40 39 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
            41 39 0:31 /outer /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            42 39 0:32 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
            43 39 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let cgroup = "3:cpu,cpuacct:/a\n2:memory:/outer/b\n1:pids:/\n0::/\n";
        let shared = PathBuf::from("/sys/fs/cgroup/cpu,cpuacct/a");
        assert_eq!(
            layout(mountinfo, cgroup),
            Ok(Layout::V1 {
                own: vec![
                    (Controller::Memory, "/sys/fs/cgroup/memory/b".into()),
                    (Controller::Cpu, shared.clone()),
                    (Controller::Cpuacct, shared),
                    (Controller::Pids, "/sys/fs/cgroup/pids".into()),
                ]
            })
        );
    }

    #[test]
    fn none() {
        assert_eq!(layout("24 30 0:22 / /sys rw - sysfs sysfs rw\n", "0::/\n"), Err(NoCgroups));
    }
}
