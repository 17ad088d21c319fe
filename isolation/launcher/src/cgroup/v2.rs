//! Fences in cgroup v2: one directory each.

use std::fs;
use std::path::{Path, PathBuf};

use hedgerow_isolation::plan::Limits;
use hedgerow_isolation::protocol::{Load, Usage};

use super::{Error, create, field, read, read_number, write};

/// Microseconds over which `cpu.max` counts.
const PERIOD: u64 = 100_000;

/// The leaf into which the launcher moves, because a cgroup that has controllers for its children may hold no
/// process itself (cgroups(7), "no internal processes").
const LEAF: &str = "launcher";

#[derive(Debug)]
pub struct Tree {
    directory: PathBuf,
    /// Whether `directory` is there for this launcher only.
    made: bool,
}

#[derive(Debug)]
pub struct Cgroup {
    directory: PathBuf,
}

impl Tree {
    pub fn take(mount: PathBuf, own: PathBuf, name: &str) -> Result<Self, Error> {
        // A restarted launcher, or systemd's DelegateSubgroup=, starts in the leaf.
        let own = match own.parent() {
            Some(parent) if own.ends_with(LEAF) => parent.to_owned(),
            _ => own,
        };
        let (directory, made) =
            if own != mount && divide(&own) { (own, false) } else { (mount.join(name), true) };
        if made {
            enable_controllers(&mount);
            create(&directory)?;
            enable_controllers(&directory);
        }
        Ok(Self { directory, made })
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn create(&self, name: &str) -> Result<Cgroup, Error> {
        let directory = self.directory.join(name);
        create(&directory)?;
        Ok(Cgroup { directory })
    }

    pub fn release(&self) {
        if self.made {
            let _ = fs::remove_dir(&self.directory);
        }
    }
}

/// Moves this process out of the way into the leaf; false where the cgroup is not only ours.
fn divide(own: &Path) -> bool {
    let pid = std::process::id().to_string();
    let alone = fs::read_to_string(own.join("cgroup.procs"))
        .is_ok_and(|members| members.lines().all(|member| member == pid));
    let leaf = own.join(LEAF);
    let moved = alone && create(&leaf).is_ok() && write(&leaf.join("cgroup.procs"), &pid).is_ok();
    if moved {
        enable_controllers(own);
    }
    moved
}

/// One by one: a controller that is missing must not keep the others away. A plan whose limit needs it fails.
fn enable_controllers(directory: &Path) {
    for controller in ["memory", "cpu", "pids"] {
        let _ = fs::write(directory.join("cgroup.subtree_control"), format!("+{controller}"));
    }
}

impl Cgroup {
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn limit_file(&self, name: &str, controller: &'static str) -> Result<PathBuf, Error> {
        let file = self.directory.join(name);
        if file.exists() { Ok(file) } else { Err(Error::NoController(controller)) }
    }

    pub fn limit(&self, from: Limits, to: Limits) -> Result<(), Error> {
        if from.memory != to.memory {
            write(&self.limit_file("memory.max", "memory")?, &or_max(to.memory))?;
            // Absent where the kernel does not account swap: then there is none to limit.
            if let Ok(swap) = self.limit_file("memory.swap.max", "memory") {
                write(&swap, if to.memory.is_some() { "0" } else { "max" })?;
            }
        }
        if from.cpu != to.cpu {
            let quota = to.cpu.map(|thousandths| u64::from(thousandths) * PERIOD / 1000);
            let file = self.limit_file("cpu.max", "cpu")?;
            write(&file, &format!("{} {PERIOD}", or_max(quota)))?;
        }
        if from.pids != to.pids {
            write(&self.limit_file("pids.max", "pids")?, &or_max(to.pids))?;
        }
        Ok(())
    }

    pub fn freeze(&self, frozen: bool) -> Result<(), Error> {
        let file = self.limit_file("cgroup.freeze", "freezer (Linux 5.2)")?;
        write(&file, if frozen { "1" } else { "0" })
    }

    pub fn usage(&self) -> Result<Usage, Error> {
        let load = self.load()?;
        let peak_memory = self.number("memory.peak")?.max(load.memory);
        Ok(Usage { load, peak_memory, oom_kills: self.oom_kills() })
    }

    pub fn load(&self) -> Result<Load, Error> {
        let cpu = read(&self.directory.join("cpu.stat"))?;
        Ok(Load {
            memory: self.number("memory.current")?,
            cpu_usec: field(&cpu, "usage_usec").unwrap_or(0),
            pids: self.number("pids.current")?,
        })
    }

    /// 0 where the kernel does not keep it.
    fn number(&self, name: &str) -> Result<u64, Error> {
        match self.directory.join(name) {
            file if file.exists() => read_number(&file),
            _ => Ok(0),
        }
    }

    pub fn oom_kills(&self) -> u64 {
        fs::read_to_string(self.directory.join("memory.events"))
            .ok()
            .and_then(|text| field(&text, "oom_kill"))
            .unwrap_or(0)
    }
}

fn or_max(limit: Option<impl ToString>) -> String {
    limit.map_or_else(|| "max".to_owned(), |limit| limit.to_string())
}
