//! What a new daemon does with what the last one left: fences, half-done jobs, packages.

use std::collections::BTreeMap;
use std::sync::Arc;

use hedgerow_api::JobKind;
use hedgerow_component::platform::Platform;
use hedgerow_isolation::plan::FenceId;
use hedgerow_isolation::protocol::FenceReport;
use tokio::task::JoinSet;

use crate::definition::Definition;
use crate::deployment::{self, Awaited, ReconcileError, await_components, collect_packages};
use crate::driver::{self, Driver, Note, Surroundings};
use crate::jobs::Jobs;
use crate::lifecycle::Goal;
use crate::release;

/// Decides per fence: the same definition and nobody waiting on a dead connection: keep. Anything else:
/// close, and start anew what is desired.
pub async fn recover(
    around: &Arc<Surroundings>,
    platform: &Platform,
    fences: Vec<FenceId>,
) -> Result<(), ReconcileError> {
    let desired: BTreeMap<String, (Definition, Goal)> = deployment::definitions(around, platform)?
        .into_iter()
        .map(|(definition, goal)| (definition.name.clone(), (definition, goal)))
        .collect();
    let mut discards = JoinSet::new();
    for fence in fences {
        let adopted = match driver::adopt(&around.launcher, fence.clone()).await {
            Ok(adopted) => adopted,
            Err(error) => {
                tracing::warn!("cannot keep fence {fence}: {error}");
                discards.spawn(driver::discard(Arc::clone(around), fence));
                continue;
            }
        };
        let Some((definition, goal, note)) = keepable(&adopted.report, &desired) else {
            tracing::info!(component = adopted.report.plan.name, "closing fence {fence}");
            discards.spawn(driver::discard(Arc::clone(around), fence));
            continue;
        };
        let name = definition.name.clone();
        match Driver::adopt(around, definition, goal, note, adopted).await {
            Ok(()) => tracing::info!(component = name, "goes on in fence {fence}"),
            Err(error) => {
                tracing::warn!(component = name, "cannot keep fence {fence}: {error}");
                discards.spawn(driver::discard(Arc::clone(around), fence));
            }
        }
    }
    // Their successors use the same directories.
    discards.join_all().await;
    deployment::reconcile(around, platform).await?;
    collect_packages(around);
    if around.records.deployment_at_work()?.is_none() {
        release::unused(around).await;
    }
    Ok(())
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
) -> Result<(), ReconcileError> {
    let desired = deployment::definitions(around, platform)?;
    // A deployment goes on by its own record.
    for job in jobs.unfinished().into_iter().filter(|job| job.kind != JobKind::Deploy) {
        let targets = desired
            .iter()
            .filter(|(definition, _)| job.components.contains(&definition.name))
            .map(|(definition, goal)| (definition.name.clone(), (definition.digest.clone(), *goal)))
            .collect();
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
