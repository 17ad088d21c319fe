//! The reference for cold starts: a fence of what the daemon makes an instance of, without a function in it.

use std::fs;

use anyhow::Result;
use hedgerow_isolation::plan::{Access, Base, Limits, Mount, Network, Plan, User};

use crate::start::launcher::Launcher;

/// As the daemon has it for a function that says nothing else.
const MEMORY: u64 = 128 << 20;
const TMP: u64 = 512 << 20;
const RUNTIME_API: u16 = 9001;

const NAME: &str = "bench.start";
const VERSION: &str = "1.0.0";

/// A link to the host, a limit of memory, no layer, and where an instance has its function, its component's directories
/// and its Runtime API.
pub fn plan(launcher: &Launcher) -> Result<Plan> {
    let root = "/greengrass/v2";
    let mount = |source: &str, target: String, access, owner| Mount {
        base: Base::State,
        source: source.into(),
        target: target.into(),
        access,
        owner,
    };
    let packages = format!("{root}/packages");
    let (artifacts, unarchived) = ("artifacts", "artifacts-unarchived");
    let own = |source, directory| {
        let target = format!("{packages}/{directory}/{NAME}/{VERSION}");
        mount(source, target, Access::Layered, Some(User::GGC))
    };
    let mounts = vec![
        own("artifacts", artifacts),
        own("code", unarchived),
        mount("ipc", format!("{root}/ipc"), Access::ReadOnly, None),
        mount("work", "/home/ggc_user".to_owned(), Access::ReadWrite, Some(User::GGC)),
        mount("work", format!("{root}/work/{NAME}"), Access::ReadWrite, Some(User::GGC)),
        mount("code", "/var/task".to_owned(), Access::Layered, Some(User::GGC)),
    ];
    for mount in &mounts {
        fs::create_dir_all(launcher.directory().join("state").join(&mount.source))?;
    }
    let plan = launcher.plan()?;
    Ok(Plan {
        network: Network::Nat,
        limits: Limits { memory: Some(MEMORY), ..plan.limits },
        mounts,
        layer: None,
        tmp: Some(TMP),
        listeners: vec![RUNTIME_API],
        ..plan
    })
}
