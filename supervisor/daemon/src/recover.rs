//! What a new daemon does with what the last one left: fences, half-done jobs, packages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hedgerow_api::JobKind;
use hedgerow_component::platform::Platform;
use hedgerow_isolation::plan::FenceId;
use hedgerow_isolation::protocol::FenceReport;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::definition::Definition;
use crate::deployment::{self, Awaited, await_components, collect_packages};
use crate::driver::{self, Driver, FenceError, Note, Surroundings};
use crate::function;
use crate::jobs::Jobs;
use crate::lifecycle::Goal;
use crate::records::RecordsError;
use crate::release;

/// How long what is left may hold up the start: systemd gives up on a daemon that is not ready after 90 s
/// (DefaultTimeoutStartSec=, systemd-system.conf(5)).
const LIMIT: Duration = Duration::from_secs(60);

/// Decides per fence: the same definition and nobody waiting on a dead connection: keep. Anything else:
/// close, and start anew what is desired.
pub async fn recover(
    around: &Arc<Surroundings>,
    platform: &Platform,
    fences: Vec<FenceId>,
) -> Result<(), RecordsError> {
    let desired: BTreeMap<String, (Definition, Goal)> = deployment::definitions(around, platform)?
        .defined
        .into_iter()
        .map(|(definition, goal)| (definition.name.clone(), (definition, goal)))
        .collect();
    let deadline = Instant::now() + LIMIT;
    let mut discards = JoinSet::new();
    for fence in fences {
        if function::is_instance(&fence) {
            // Queued events are delivered again.
            let launcher = around.launcher.clone();
            discards.spawn(async move { function::close_left(&launcher, fence).await });
            continue;
        }
        let adoption = timeout_at(deadline, adopt(around, &desired, &fence));
        match adoption.await.unwrap_or(Err(NotKept::Late)) {
            Ok(component) => tracing::info!(component, "goes on in fence {fence}"),
            Err(why) => {
                tracing::info!("closing fence {fence}: {why}");
                discards.spawn(driver::discard(Arc::clone(around), fence));
            }
        }
    }
    // Their successors use the same directories. Where they are late, the launcher refuses to open one beside the
    // other, and it is tried again.
    let closed = async { while discards.join_next().await.is_some() {} };
    if timeout_at(deadline, closed).await.is_err() {
        let (left, seconds) = (discards.len(), LIMIT.as_secs());
        tracing::warn!(
            "{left} fences are not closed after {seconds} s; it goes on without waiting"
        );
        discards.detach_all();
    }
    match timeout_at(deadline, deployment::reconcile(around, platform)).await {
        Ok(reconciled) => drop(reconciled?),
        Err(_) => tracing::error!("a driver takes no command after {} s", LIMIT.as_secs()),
    }
    collect_packages(around);
    if around.records.deployment_at_work()?.is_none() {
        // What is cut short here is removed after the next deployment.
        let _ = timeout_at(deadline, release::unused(around)).await;
    }
    Ok(())
}

/// Why a fence does not outlive the daemon that opened it.
#[derive(Debug, thiserror::Error)]
enum NotKept {
    #[error("the launcher has not handed it over after {} s", LIMIT.as_secs())]
    Late,
    #[error("nothing that is desired belongs to it as it is")]
    NotDesired,
    #[error(transparent)]
    Fence(#[from] FenceError),
}

/// Keeps a fence, and returns whose it is.
async fn adopt(
    around: &Arc<Surroundings>,
    desired: &BTreeMap<String, (Definition, Goal)>,
    fence: &FenceId,
) -> Result<String, NotKept> {
    let adopted = driver::adopt(&around.launcher, fence.clone()).await?;
    let kept = keepable(&adopted.report, desired).ok_or(NotKept::NotDesired)?;
    let (definition, goal, note) = kept;
    let name = definition.name.clone();
    Driver::adopt(around, definition, goal, note, adopted).await?;
    Ok(name)
}

fn keepable(
    report: &FenceReport,
    desired: &BTreeMap<String, (Definition, Goal)>,
) -> Option<(Definition, Goal, Note)> {
    let note: Note = serde_json::from_str(&report.note).ok()?;
    let (definition, goal) = desired.get(&note.component)?;
    let same = note.digest == definition.digest && report.ended.is_none();
    (same && note.is_adoptable(&report.steps)).then(|| (definition.clone(), *goal, note))
}

/// Jobs that were at work when the last daemon ended: what they decided is desired by now, so what is left of
/// them is the wait.
pub fn resume_jobs(
    around: &Arc<Surroundings>,
    jobs: &Arc<Jobs>,
    platform: &Platform,
) -> Result<(), RecordsError> {
    let desired = deployment::definitions(around, platform)?;
    // A deployment goes on by its own record.
    for job in jobs.unfinished().into_iter().filter(|job| job.kind != JobKind::Deploy) {
        let targets = desired.targets().filter(|(name, _)| job.components.contains(name)).collect();
        let awaited = Awaited { targets, before: BTreeMap::new() };
        let (around, jobs) = (Arc::clone(around), Arc::clone(jobs));
        tokio::spawn(async move {
            let id = job.id;
            let outcome = await_components(&around, awaited, job.outcome, |percent, stage| {
                jobs.progress(id, percent, stage);
            })
            .await;
            jobs.finish(id, outcome);
        });
    }
    Ok(())
}

#[cfg(test)]
#[path = "recover/tests.rs"]
mod tests;
