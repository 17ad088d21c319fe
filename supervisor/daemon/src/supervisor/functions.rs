//! What functions do, mirrored onto the bus at a bounded rate.

use std::collections::BTreeMap;
use std::time::{Duration, Instant as StdInstant};

use hedgerow_api::{FunctionHealth, InstanceCounts, Moment};
use hedgerow_function::{Counts, Functions, Health, Overview};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::bus::{FunctionView, Snapshot};
use crate::jobs;

/// Between two looks at functions that are at work. One that comes or goes is seen at once.
const PACE: Duration = hedgerow_api::FUNCTION_PACE;

/// Keeps the functions of the snapshot up to date; idle functions cost nothing.
pub async fn mirror(functions: Functions, snapshot: watch::Sender<Snapshot>) -> ! {
    let (mut list, mut activity) = (functions.changes(), functions.activity());
    let mut watched = BTreeMap::new();
    loop {
        list.mark_unchanged();
        activity.mark_unchanged();
        follow(&functions, &mut watched);
        let news = look(&mut watched);
        snapshot.send_if_modified(|now| {
            let before = now.functions.len();
            now.functions.retain(|name, _| watched.contains_key(name));
            let is_changed = !news.is_empty() || now.functions.len() != before;
            now.functions.extend(news);
            is_changed
        });
        let next = Instant::now() + PACE;
        let at_work = async {
            // The senders live in the handle.
            let _ = activity.changed().await;
            sleep_until(next).await;
        };
        tokio::select! {
            _ = list.changed() => {}
            () = at_work => {}
        }
    }
}

/// Watches the functions that there are now, and no others.
fn follow(functions: &Functions, watched: &mut BTreeMap<String, watch::Receiver<Overview>>) {
    // A sender that is gone is that of a function that is: one of the same name may be there again.
    watched.retain(|_, overview| overview.has_changed().is_ok());
    for spec in functions.list() {
        if !watched.contains_key(&spec.name)
            && let Some(mut overview) = functions.watch(&spec.name)
        {
            overview.mark_changed();
            watched.insert(spec.name.clone(), overview);
        }
    }
}

fn look(
    watched: &mut BTreeMap<String, watch::Receiver<Overview>>,
) -> BTreeMap<String, FunctionView> {
    let changed = watched.iter_mut().filter(|(_, seen)| seen.has_changed().unwrap_or(false));
    changed.map(|(name, seen)| (name.clone(), view(&seen.borrow_and_update()))).collect()
}

fn view(overview: &Overview) -> FunctionView {
    let Overview { spec, health, instances, waiting, metrics, longest_idle: _ } = overview;
    let (health, last_error, next_retry) = match health {
        Health::Stopped => (FunctionHealth::Stopped, String::new(), Moment::default()),
        Health::Idle => (FunctionHealth::Idle, String::new(), Moment::default()),
        Health::Starting => (FunctionHealth::Starting, String::new(), Moment::default()),
        Health::Ready => (FunctionHealth::Ready, String::new(), Moment::default()),
        Health::Failing { error, since: _, retry_at } => {
            (FunctionHealth::Failing, error.clone(), moment(*retry_at))
        }
    };
    let microseconds = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let durations = metrics.durations.buckets().filter(|(_, count)| *count > 0);
    FunctionView {
        name: spec.name.clone(),
        arn: spec.arn.clone(),
        version: spec.version.clone(),
        aliases: spec.aliases.clone(),
        runtime: spec.runtime.to_string(),
        handler: spec.handler.clone(),
        pinned: spec.pinned,
        timeout: u64::try_from(spec.timeout.as_millis()).unwrap_or(u64::MAX),
        memory_size: spec.memory,
        max_instances: spec.max_instances,
        health,
        last_error,
        next_retry,
        instances: counts(instances),
        waiting: number(*waiting),
        invocations: metrics.invocations,
        errors: metrics.errors,
        timeouts: metrics.timeouts,
        throttles: metrics.throttles,
        cold_starts: metrics.cold_starts,
        durations: durations.map(|(bound, n)| (bound.map_or(0, microseconds), n)).collect(),
        duration_sum: microseconds(metrics.durations.sum()),
        queue_depth: metrics.queue.depth,
        queue_oldest: metrics.queue.oldest.map(moment).unwrap_or_default(),
        dead_lettered: metrics.queue.dead_lettered,
        counted: jobs::moment(&hedgerow_isolation::moment::Moment::now()),
    }
}

fn counts(counts: &Counts) -> InstanceCounts {
    let Counts { starting, busy, idle, frozen, draining, ending } = *counts;
    InstanceCounts {
        starting: number(starting),
        busy: number(busy),
        idle: number(idle),
        frozen: number(frozen),
        draining: number(draining),
        ending: number(ending),
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// On the clocks of [`Moment`]. The monotonic clock stands still while the machine is suspended: what was before that
/// seems later than it was.
fn moment(instant: StdInstant) -> Moment {
    let (now, here) = (jobs::moment(&hedgerow_isolation::moment::Moment::now()), StdInstant::now());
    let ahead = i64::try_from(instant.saturating_duration_since(here).as_nanos());
    let ago = i64::try_from(here.saturating_duration_since(instant).as_nanos());
    let (ahead, ago) = (ahead.unwrap_or(i64::MAX), ago.unwrap_or(i64::MAX));
    Moment {
        boot_id: now.boot_id,
        boottime: now.boottime.saturating_add_signed(ahead).saturating_add_signed(-ago),
        realtime: now.realtime.saturating_add(ahead).saturating_sub(ago),
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_function::Histogram;

    use super::*;

    #[test]
    fn durations_have_the_bounds_that_the_contract_names() {
        let bounds: Vec<_> = Histogram::default().buckets().map(|(bound, _)| bound).collect();
        let named = hedgerow_api::DURATION_BOUNDS.map(|bound| Some(Duration::from_micros(bound)));
        assert_eq!(bounds, [&named[..], &[None]].concat());
    }

    #[test]
    fn a_moment_is_as_far_away_as_its_instant() {
        let here = jobs::moment(&hedgerow_isolation::moment::Moment::now());
        let now = StdInstant::now();
        let hour = Duration::from_secs(3600);
        let soon = moment(now + hour);
        assert!(soon.boottime > here.boottime + 3_599_000_000_000, "{soon:?}");
        assert!(soon.boottime < here.boottime + 3_660_000_000_000, "{soon:?}");
        if let Some(past) = now.checked_sub(Duration::from_millis(1)) {
            assert!(moment(past).boottime < soon.boottime - 3_599_000_000_000);
        }
    }
}
