//! Waits for the times of a schedule.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;

use super::schedule::{Cron, Rate, Schedule};
use super::{Occurrence, SourceFault};
use crate::{Clock, FunctionSpec, RequestId};

/// What was due is done once, however long the device slept or its clock was wrong; what was missed is not made up for.
pub async fn run(
    spec: &FunctionSpec,
    schedule: &Schedule,
    input: Option<&str>,
    clock: &impl Clock,
    heard: mpsc::Sender<Occurrence>,
) -> SourceFault {
    let event = |at: i64| {
        let payload = match input {
            Some(input) => Bytes::copy_from_slice(input.as_bytes()),
            None => scheduled_event(spec, at),
        };
        Occurrence { payload, client_context: None }
    };
    match schedule {
        Schedule::Rate(rate) => every(*rate, &spec.name, clock, event, heard).await,
        Schedule::Cron(cron) => at_times(cron, clock, event, heard).await,
    }
}

async fn every(
    rate: Rate,
    name: &str,
    clock: &impl Clock,
    event: impl Fn(i64) -> Occurrence,
    heard: mpsc::Sender<Occurrence>,
) -> SourceFault {
    loop {
        clock.sleep_until(rate.next(name, clock.boottime())).await;
        if heard.send(event(clock.unix())).await.is_err() {
            return gone();
        }
    }
}

async fn at_times(
    cron: &Cron,
    clock: &impl Clock,
    event: impl Fn(i64) -> Occurrence,
    heard: mpsc::Sender<Occurrence>,
) -> SourceFault {
    let mut last = None;
    loop {
        let Some(due) = cron.next_after(last, clock.unix()) else {
            return SourceFault::Unusable("it comes at no time any more".to_owned());
        };
        clock.sleep_until_unix(due).await;
        if Cron::is_in_time(due, clock.unix()) {
            last = Some(due);
            if heard.send(event(due)).await.is_err() {
                return gone();
            }
        }
    }
}

fn gone() -> SourceFault {
    SourceFault::Unusable("nobody listens".to_owned())
}

/// What EventBridge sends to the target of a scheduled rule.
fn scheduled_event(spec: &FunctionSpec, at: i64) -> Bytes {
    // arn:aws:lambda:<region>:<account>:function:<name>
    let part = |n| spec.arn.split(':').nth(n).unwrap_or_default();
    let (partition, region, account) = (part(1), part(3), part(4));
    let time = UNIX_EPOCH + Duration::from_secs(u64::try_from(at).unwrap_or(0));
    let event = json!({
        "version": "0",
        // It is for people; an event without one is better than none.
        "id": RequestId::generate().map(String::from).unwrap_or_default(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": account,
        "time": humantime::format_rfc3339_seconds(time.max(SystemTime::UNIX_EPOCH)).to_string(),
        "region": region,
        "resources": [format!("arn:{partition}:events:{region}:{account}:rule/{}", spec.name)],
        "detail": {},
    });
    event.to_string().into()
}
