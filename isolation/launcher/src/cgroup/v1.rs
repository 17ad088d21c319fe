//! Fences in cgroup v1: a directory in the hierarchy of each controller.

use std::fs;
use std::path::{Path, PathBuf};

use hedgerow_isolation::plan::Limits;
use hedgerow_isolation::protocol::{Load, Usage};

use super::layout::Controller;
use super::{Error, create, field, read_number, write};

/// Microseconds over which `cpu.cfs_quota_us` counts.
const PERIOD: u64 = 100_000;

pub const FREEZER: &str = "freezer.state";
pub const THAWED: &str = "THAWED";

#[derive(Debug)]
pub struct Tree {
    own: Vec<(Controller, PathBuf)>,
}

#[derive(Debug)]
pub struct Cgroup {
    own: Vec<(Controller, PathBuf)>,
}

impl Tree {
    pub fn take(own: Vec<(Controller, PathBuf)>, name: &str) -> Result<Self, Error> {
        let own: Vec<_> = own.into_iter().map(|(c, directory)| (c, directory.join(name))).collect();
        own.iter().try_for_each(|(_, directory)| create(directory))?;
        Ok(Self { own })
    }

    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        distinct(&self.own)
    }

    pub fn create(&self, name: &str) -> Result<Cgroup, Error> {
        let own: Vec<_> =
            self.own.iter().map(|(c, directory)| (*c, directory.join(name))).collect();
        own.iter().try_for_each(|(_, directory)| create(directory))?;
        Ok(Cgroup { own })
    }

    pub fn release(&self) {
        for directory in self.directories() {
            let _ = fs::remove_dir(directory);
        }
    }
}

impl Cgroup {
    /// Controllers may share a hierarchy: each directory once.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        distinct(&self.own)
    }

    fn file(&self, controller: Controller, name: &str) -> Result<PathBuf, Error> {
        let found = self.own.iter().find(|(c, _)| *c == controller);
        found.map(|(_, d)| d.join(name)).ok_or(Error::NoController(controller.name()))
    }

    pub fn limit(&self, from: Limits, to: Limits) -> Result<(), Error> {
        if from.memory != to.memory {
            self.limit_memory(to.memory)?;
        }
        if from.cpu != to.cpu {
            // Below zero: no limit.
            let quota = to.cpu.map(|thousandths| u64::from(thousandths) * PERIOD / 1000);
            write(&self.file(Controller::Cpu, "cpu.cfs_period_us")?, &PERIOD.to_string())?;
            write(&self.file(Controller::Cpu, "cpu.cfs_quota_us")?, &or(quota, "-1"))?;
        }
        if from.pids != to.pids {
            write(&self.file(Controller::Pids, "pids.max")?, &or(to.pids, "max"))?;
        }
        Ok(())
    }

    fn limit_memory(&self, bytes: Option<u64>) -> Result<(), Error> {
        let bytes = or(bytes, "-1");
        let memory = self.file(Controller::Memory, "memory.limit_in_bytes")?;
        // Absent where the kernel does not account swap: then there is none to limit.
        let with_swap = self.file(Controller::Memory, "memory.memsw.limit_in_bytes")?;
        if !with_swap.exists() {
            return write(&memory, &bytes);
        }
        // The one may never be above the other: which must change first depends on the direction.
        match write(&memory, &bytes) {
            Ok(()) => write(&with_swap, &bytes),
            Err(_) => write(&with_swap, &bytes).and_then(|()| write(&memory, &bytes)),
        }
    }

    pub fn freeze(&self, frozen: bool) -> Result<(), Error> {
        let state = if frozen { "FROZEN" } else { THAWED };
        write(&self.file(Controller::Freezer, FREEZER)?, state)
    }

    pub fn usage(&self) -> Result<Usage, Error> {
        Ok(Usage {
            load: self.load()?,
            peak_memory: self.number(Controller::Memory, "memory.max_usage_in_bytes")?,
            oom_kills: self.oom_kills(),
        })
    }

    pub fn load(&self) -> Result<Load, Error> {
        Ok(Load {
            memory: self.number(Controller::Memory, "memory.usage_in_bytes")?,
            cpu_usec: self.number(Controller::Cpuacct, "cpuacct.usage")? / 1000,
            pids: self.number(Controller::Pids, "pids.current")?,
        })
    }

    /// 0 where the kernel has no such controller.
    fn number(&self, controller: Controller, name: &str) -> Result<u64, Error> {
        match self.file(controller, name) {
            Ok(file) => read_number(&file),
            Err(_) => Ok(0),
        }
    }

    pub fn oom_kills(&self) -> u64 {
        self.file(Controller::Memory, "memory.oom_control")
            .ok()
            .and_then(|file| fs::read_to_string(file).ok())
            .and_then(|text| field(&text, "oom_kill"))
            .unwrap_or(0)
    }
}

fn or(limit: Option<impl ToString>, none: &str) -> String {
    limit.map_or_else(|| none.to_owned(), |limit| limit.to_string())
}

fn distinct(own: &[(Controller, PathBuf)]) -> impl Iterator<Item = &Path> {
    own.iter()
        .enumerate()
        .filter(|(i, (_, directory))| !own.iter().take(*i).any(|(_, earlier)| earlier == directory))
        .map(|(_, (_, directory))| directory.as_path())
}
