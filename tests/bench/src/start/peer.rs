//! Another container runtime, given what a fence is made of.

use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hedgerow_isolation::grants::RealRoot;
use hedgerow_isolation::plan::Plan;
use hedgerow_launcher::root::{BASE, TREES};
use hedgerow_launcher::spec::{Sources, spec};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

use super::launcher::Launcher;

/// Where a hybrid machine has its v2 hierarchy. crun takes it for the one with the controllers and fails, so it is
/// hidden from it.
const UNIFIED: &str = "/sys/fs/cgroup/unified";

/// A bundle (config.json), in a mount namespace that has what it refers to.
pub struct Stage {
    /// Left last: what is mounted in the bundle must be out of sight before its directory is removed.
    _home: Home,
    bundle: PathBuf,
}

impl Stage {
    /// Takes this process there until the stage is dropped: it must have one thread.
    pub fn enter(launcher: &Launcher, plan: &Plan) -> Result<Stage> {
        let home = Home(File::open("/proc/self/ns/mnt")?);
        let namespace = File::open(format!("/proc/{}/ns/mnt", launcher.pid()))?;
        setns(namespace, CloneFlags::CLONE_NEWNS).context("the launcher's mount namespace")?;
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none)?;
        let unified = is_v2(Path::new("/sys/fs/cgroup"))?;
        if !unified && Path::new(UNIFIED).exists() {
            mount(Some("none"), UNIFIED, Some("tmpfs"), MsFlags::empty(), none)?;
        }

        let bundle = launcher.directory().join("bundle");
        let root = bundle.join("root");
        fs::create_dir_all(&root)?;
        bind_read_only(&launcher.root().join(BASE), &root)?;
        // A root of plain mounts, where a fence has overlays.
        for tree in TREES.iter().filter(|tree| fs::symlink_metadata(tree).is_ok_and(|t| t.is_dir()))
        {
            let target = root.join(tree.trim_start_matches('/'));
            bind_read_only(Path::new(tree), &target)?;
        }
        let greengrass = bundle.join("greengrass");
        fs::create_dir_all(&greengrass)?;
        let options = Some("mode=755,size=64k");
        mount(Some("tmpfs"), &greengrass, Some("tmpfs"), MsFlags::empty(), options)?;
        chown(&greengrass, Some(plan.ids.first), Some(plan.ids.first))?;
        let sources = Sources {
            root: &root,
            mounts: &[launcher.directory().join("state/work")],
            dependencies: &[],
            granted: &[],
            greengrass: &greengrass,
            real_root: &RealRoot::No,
            sudo: Path::new("/bin/true"),
            sys: None,
            unified,
            cgroups_path: "/hedgerow-bench-peer",
        };
        let config = serde_json::to_vec(&spec(plan, sources, &["/bin/true"])?)?;
        fs::write(bundle.join("config.json"), config)?;
        Ok(Stage { bundle, _home: home })
    }
}

/// The mount namespace that this process came from, and goes back to when this is dropped.
struct Home(File);

impl Drop for Home {
    fn drop(&mut self) {
        if let Err(errno) = setns(&self.0, CloneFlags::CLONE_NEWNS) {
            // Whoever went on would remove the launcher's directory, and with it what of the host is mounted there.
            eprintln!("error: cannot leave the launcher's mounts: {errno}");
            std::process::exit(1);
        }
    }
}

/// Whoever removes the bundle, in whatever namespace, must not remove what the host has.
fn bind_read_only(source: &Path, target: &Path) -> Result<()> {
    let none = None::<&str>;
    mount(Some(source), target, none, MsFlags::MS_BIND, none)?;
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    Ok(mount(none, target, none, read_only, none)?)
}

fn is_v2(directory: &Path) -> Result<bool> {
    let found = nix::sys::statfs::statfs(directory)?;
    Ok(found.filesystem_type() == nix::sys::statfs::CGROUP2_SUPER_MAGIC)
}

/// An installed runtime.
pub struct Peer {
    program: &'static str,
}

impl Peer {
    pub fn find(program: &'static str) -> Result<Peer> {
        let found = Command::new(program).arg("--version").stdout(Stdio::null()).status();
        let found = found.with_context(|| format!("{program}: run `cargo xtask setup`"))?;
        ensure!(found.success(), "{program} --version: {found}");
        Ok(Peer { program })
    }

    /// Creates, starts, waits, deletes.
    pub fn cold(&self, stage: &Stage) -> Result<Duration> {
        let name = format!("hedgerow-bench-{}", std::process::id());
        let mut command = Command::new(self.program);
        command.arg("run").arg("--bundle").arg(&stage.bundle).arg(name).stdin(Stdio::null());
        let start = Instant::now();
        let status = command.status()?;
        let took = start.elapsed();
        ensure!(status.success(), "{} run: {status}", self.program);
        Ok(took)
    }
}
