//! What components use.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use hedgerow_isolation::plan::FenceId;
use hedgerow_isolation::protocol::{self, Request, Response};
use tokio::time::timeout;

use crate::bus::Load;
use crate::driver::Surroundings;

/// A launcher that is away is not waited for.
const PROMPT: Duration = Duration::from_secs(1);

/// By component; one without a fence is left out. That of a function is what its instances use together.
pub async fn of(around: &Surroundings) -> BTreeMap<String, Load> {
    let asked = timeout(PROMPT, around.launcher.call(Request::Loads, vec![]));
    let Ok(Ok((Response::Loads(loads), _))) = asked.await else { return BTreeMap::new() };
    let loads: HashMap<FenceId, protocol::Load> = loads.into_iter().collect();
    let components = around.registry.all().into_iter();
    let fences = components.filter_map(|status| Some((status.name, status.fence?)));
    let mut all = BTreeMap::<_, Load>::new();
    for (name, fence) in fences.chain(around.instances.fences()) {
        if let Some(load) = loads.get(&fence) {
            let sum = all.entry(name).or_default();
            sum.memory += load.memory;
            sum.cpu_time += load.cpu_usec;
            sum.tasks = sum.tasks.saturating_add(u32::try_from(load.pids).unwrap_or(u32::MAX));
        }
    }
    all
}
