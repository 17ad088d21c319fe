mod scenarios;
mod world;

use std::time::Duration;

use super::{Action, Event, Limits, Pool, Ticket};
use crate::InstanceId;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn on_demand(max_instances: usize) -> Limits {
    Limits {
        pinned: false,
        max_instances,
        max_waiting: 10,
        timeout: 3 * SECOND,
        init_timeout: Some(10 * SECOND),
        max_idle: 60 * SECOND,
    }
}

fn pinned() -> Limits {
    Limits { pinned: true, init_timeout: None, ..on_demand(1) }
}
