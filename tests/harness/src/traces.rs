//! What a Hedgerow leaves on the machine: processes, mounts, cgroups, links, rules.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What belongs to the Hedgerow under one directory, seen at one moment.
#[derive(Debug, Default)]
pub struct Traces {
    /// Processes whose arguments name the directory, or that see it mounted in a namespace of their own.
    pub processes: Vec<(i32, String)>,
    /// Mount points of the host below the directory.
    pub mounts: Vec<String>,
    /// Mount points below the directory that only the launcher sees, but for the template of every fence's root.
    pub launcher_mounts: Vec<String>,
    /// Cgroups of the processes, and those seen before that still exist.
    pub cgroups: BTreeSet<PathBuf>,
    /// Names of the cgroups of fences, each once.
    pub fence_cgroups: BTreeSet<String>,
    /// The host's ends of the links of fences.
    pub links: Vec<String>,
    /// Tables of nftables.
    pub tables: Vec<String>,
}

impl Traces {
    /// Looks now. `before` is what was seen earlier: an empty cgroup names nobody, so it is only known from when
    /// it had processes.
    pub fn of(root: &Path, before: &Traces) -> Traces {
        let needle = root.to_string_lossy().into_owned();
        let mut traces = Traces {
            cgroups: before.cgroups.iter().filter(|path| path.exists()).cloned().collect(),
            ..Traces::default()
        };
        let shared: Vec<PathBuf> =
            ["1", "self", "thread-self"].into_iter().filter_map(mount_namespace).collect();
        for pid in pids() {
            let directory = PathBuf::from(format!("/proc/{pid}"));
            let arguments = text(&directory.join("cmdline")).replace('\0', " ");
            let mounts = text(&directory.join("mountinfo"));
            // Whoever shares the machine's mounts sees all of them, ours or not.
            let sees = mounts.contains(&needle)
                && mount_namespace(&pid.to_string()).is_some_and(|own| !shared.contains(&own));
            let own = pid == std::process::id().cast_signed();
            if own || !(sees || is_ours(&arguments, &needle)) {
                continue;
            }
            traces.cgroups.extend(cgroups(&text(&directory.join("cgroup"))));
            if is_launcher(&arguments) {
                let template = format!("{needle}/run/launch/root");
                traces.launcher_mounts = points_below(&needle, &mounts);
                traces.launcher_mounts.retain(|point| !point.starts_with(&template));
            }
            traces.processes.push((pid, arguments));
        }
        traces.mounts = points_below(&needle, &text(Path::new("/proc/self/mountinfo")));
        let hash = hash(&root.join("run/launch"));
        traces.links = names(Path::new("/sys/class/net"))
            .filter(|name| name.starts_with(&format!("hr-{hash}")))
            .collect();
        traces.tables = tables().filter(|table| table.ends_with(&hash)).collect();
        traces.fence_cgroups = traces.cgroups.iter().flat_map(|path| fences_in(path)).collect();
        traces
    }

    /// The one that has the fences, not the one that watches over it.
    pub fn launcher(&self) -> Option<&(i32, String)> {
        self.processes.iter().find(|(_, arguments)| is_launcher(arguments))
    }

    /// The processes that are in fences: neither the daemon nor its bus nor its launcher.
    pub fn in_fences(&self) -> impl Iterator<Item = &(i32, String)> {
        self.processes.iter().filter(|(_, arguments)| {
            !matches!(program(arguments), "hedgerowd" | "hedgerow-launch" | "dbus-daemon")
        })
    }

    /// Whether there are this many fences, and nothing of any other: what a fence has is one init, one cgroup and
    /// no mount outside of it.
    pub fn is_in_order(&self, fences: usize) -> bool {
        let inits =
            self.processes.iter().filter(|(_, arguments)| program(arguments) == "hedgerow-init");
        // The launcher, and what watches over it.
        let launchers =
            self.processes.iter().filter(|(_, arguments)| program(arguments) == "hedgerow-launch");
        inits.count() == fences
            && self.launcher().is_some()
            && launchers.count() == 2
            && self.fence_cgroups.len() == fences
            && self.links.len() <= fences
            && self.launcher_mounts.is_empty()
            && self.mounts.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
            && self.mounts.is_empty()
            && self.cgroups.is_empty()
            && self.links.is_empty()
            && self.tables.is_empty()
    }

    /// Ends what is left, for a test that failed already.
    pub fn kill(&self) {
        for (pid, _) in &self.processes {
            // Gone meanwhile is as good.
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
    }

    /// Removes what a killed launcher could not. What still has processes stays.
    pub fn remove_cgroups(&self) {
        for path in &self.cgroups {
            for fence in fences_in(path) {
                let _ = fs::remove_dir(path.join(fence));
            }
            let _ = fs::remove_dir(path);
        }
    }
}

/// The binaries and the bus are started with the directory in their arguments; so is a shell that mentions it,
/// which is not ours.
fn is_ours(arguments: &str, needle: &str) -> bool {
    let program = program(arguments);
    (program.starts_with("hedgerow") || program == "dbus-daemon") && arguments.contains(needle)
}

fn is_launcher(arguments: &str) -> bool {
    program(arguments) == "hedgerow-launch" && arguments.split(' ').nth(1) != Some("respawn")
}

/// File name of the program.
fn program(arguments: &str) -> &str {
    let program = arguments.split(' ').next().unwrap_or_default();
    program.rsplit('/').next().unwrap_or_default()
}

fn points_below(directory: &str, mountinfo: &str) -> Vec<String> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    points.filter(|point| point.starts_with(directory)).map(str::to_owned).collect()
}

/// Fences have the cgroups `fence-…`.
fn fences_in(cgroup: &Path) -> Vec<String> {
    names(cgroup).filter(|name| name.starts_with("fence-")).collect()
}

fn names(directory: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

/// What tells the launcher of this directory from others: FNV-1a.
fn hash(directory: &Path) -> String {
    let bytes = directory.as_os_str().as_encoded_bytes().iter();
    let hash = bytes.fold(0x811c_9dc5_u32, |h, &b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}

/// Names of the tables of launchers.
fn tables() -> impl Iterator<Item = String> {
    let listed = Command::new("nft").args(["list", "tables", "inet"]).output();
    let text = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let names: Vec<String> = text
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.strip_prefix("table inet ").map(str::to_owned))
        .collect();
    names.into_iter()
}

/// The cgroups that a launcher makes are called `hedgerow-…`; what stands above those is not ours.
fn cgroups(lines: &str) -> impl Iterator<Item = PathBuf> {
    lines.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let hierarchy = match controllers.strip_prefix("name=").unwrap_or(controllers) {
            "" if Path::new("/sys/fs/cgroup/unified").exists() => "unified",
            other => other,
        };
        let mut ours = path.split_inclusive('/').scan(String::new(), |so_far, element| {
            so_far.push_str(element);
            Some((so_far.clone(), element.starts_with("hedgerow-") && !element.contains('.')))
        });
        let (path, _) = ours.find(|(_, ours)| *ours)?;
        let path = path.trim_matches('/');
        Some(Path::new("/sys/fs/cgroup").join(hierarchy).join(path))
    })
}

/// `None` of a process that is gone.
fn mount_namespace(process: &str) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{process}/ns/mnt")).ok()
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A process may end while it is looked at.
fn text(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_of_ours_is_the_topmost_one_that_the_launcher_made() {
        let lines =
            "2:memory:/user/hedgerow-0a1b/fence-c1\n1:name=systemd:/user\n0::/hedgerow-0a1b/x\n";
        let found: Vec<PathBuf> = cgroups(lines).collect();
        assert_eq!(found[0], Path::new("/sys/fs/cgroup/memory/user/hedgerow-0a1b"));
        assert!(found[1].ends_with("hedgerow-0a1b"), "{found:?}");
        assert_eq!(found.len(), 2);
    }
}
