//! Processes as /proc shows them (proc(5)).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Memory of one process in bytes: its own pages, and its share of those that others map too.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    pub pss: u64,
    /// Of these, heap and stacks: what no file backs.
    pub anonymous: u64,
}

pub fn memory(pid: i32) -> Result<Memory> {
    let text = read(pid, "smaps_rollup")?;
    let kilobytes = |name: &str| -> Result<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        Ok(value.with_context(|| format!("smaps_rollup has no {name}"))? * 1024)
    };
    Ok(Memory { pss: kilobytes("Pss:")?, anonymous: kilobytes("Pss_Anon:")? })
}

/// Bytes that the process has caused to be written to storage so far.
pub fn written(pid: i32) -> Result<u64> {
    let text = read(pid, "io")?;
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|value| value.parse().ok()).context("/proc/PID/io has no write_bytes")
}

/// Clock ticks of CPU so far, those of its threads included.
pub fn cpu(pid: i32) -> Result<u64> {
    let text = read(pid, "stat")?;
    // A name may hold anything; what follows it is numbered from 3.
    let fields = text.rsplit_once(')').map(|(_, rest)| rest.split_whitespace());
    let times = fields.into_iter().flatten().skip(14 - 3).take(2);
    times.map(|field| field.parse::<u64>().with_context(|| format!("/proc/{pid}/stat"))).sum()
}

/// Microseconds of CPU of its main thread so far, to the nanosecond, as the scheduler counts them.
pub fn cpu_time(pid: i32) -> Result<f64> {
    let text = read(pid, "schedstat")?;
    let nanoseconds = text.split_whitespace().next().and_then(|value| value.parse::<u64>().ok());
    Ok(nanoseconds.with_context(|| format!("/proc/{pid}/schedstat"))? as f64 / 1e3)
}

/// The processes that its main thread has started and that have not ended.
pub fn children(pid: i32) -> Result<Vec<i32>> {
    let text = read(pid, &format!("task/{pid}/children"))?;
    text.split_whitespace().map(|child| Ok(child.parse()?)).collect()
}

/// How often its main thread has waited so far.
pub fn waits(pid: i32) -> Result<u64> {
    let text = read(pid, "status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    let waits = line.and_then(|value| value.trim().parse().ok());
    waits.with_context(|| format!("/proc/{pid}/status has no voluntary_ctxt_switches"))
}

/// Two CPUs that this process may use.
pub fn cpus() -> Result<[usize; 2]> {
    let allowed = sched_getaffinity(Pid::this())?;
    let mut usable = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false));
    let two = usable.next().zip(usable.next());
    two.map(|(one, other)| [one, other]).context("two CPUs are needed to measure")
}

/// Ties a process's main thread to one CPU: the daemon's is the one that serves. 0: this thread.
pub fn pin(pid: i32, cpu: usize) -> Result<()> {
    tie(pid, &[cpu])
}

/// Lets this thread run on the CPUs again.
pub fn unpin(cpus: &[usize]) -> Result<()> {
    tie(0, cpus)
}

fn tie(pid: i32, cpus: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu)?;
    }
    sched_setaffinity(Pid::from_raw(pid), &set).with_context(|| format!("process {pid}, {cpus:?}"))
}

/// A variable of the environment that the process was started with.
pub fn variable(pid: i32, name: &str) -> Result<String> {
    let text = read(pid, "environ")?;
    let value = text.split('\0').find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    Ok(value.with_context(|| format!("process {pid} has no variable {name}"))?.to_owned())
}

/// Effective user and group on the host.
pub fn user(pid: i32) -> Result<(u32, u32)> {
    let text = read(pid, "status")?;
    let effective = |name: &str| -> Result<u32> {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        value.with_context(|| format!("/proc/{pid}/status has no {name}"))
    };
    Ok((effective("Uid:")?, effective("Gid:")?))
}

/// Our own resident processes of the Hedgerow below `root`: the daemon, its launcher with what starts that anew,
/// and each fence's init.
pub fn resident(root: &Path, daemon: i32) -> Result<BTreeMap<i32, String>> {
    let needle = root.to_string_lossy().into_owned();
    let mut found = BTreeMap::from([(daemon, "hedgerowd".to_owned())]);
    let all = all()?;
    let (mut launcher, mut fences) = (None, 0);
    for one in all
        .iter()
        .filter(|one| one.arguments.contains("hedgerow-launch") && one.arguments.contains(&needle))
    {
        if one.arguments.contains(" respawn ") {
            found.insert(one.pid, "hedgerow-launch-respawn".to_owned());
        } else {
            launcher = Some(one.pid);
            found.insert(one.pid, "hedgerow-launch".to_owned());
        }
    }
    let launcher = launcher.context("no launcher runs")?;
    for init in all
        .iter()
        .filter(|one| one.parent == launcher && one.arguments.starts_with("hedgerow-init"))
    {
        fences += 1;
        found.insert(init.pid, format!("hedgerow-init-{fences}"));
    }
    Ok(found)
}

struct Process {
    pid: i32,
    parent: i32,
    arguments: String,
}

fn all() -> Result<Vec<Process>> {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Gone since the directory was read: not one of ours.
        let (Ok(arguments), Ok(status)) = (read(pid, "cmdline"), read(pid, "status")) else {
            continue;
        };
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        let parent = parent.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        processes.push(Process { pid, parent, arguments: arguments.replace('\0', " ") });
    }
    ensure!(!processes.is_empty(), "/proc shows no process");
    Ok(processes)
}

fn read(pid: i32, file: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{file}");
    let bytes = fs::read(&path).with_context(|| path)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
