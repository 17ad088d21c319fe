//! A device to look at.

use std::time::Duration;

use hedgerow_api::{
    ComponentProperties, ComponentState, FunctionHealth, FunctionProperties, InstanceCounts,
    Moment, Objects,
};

use super::figures::{Figures, History, Look};
use crate::clock::Clock;

/// So many seconds after the first look.
pub fn look(seconds: u64, mut objects: Objects) -> Look {
    let boottime = Duration::from_secs(10_000 + seconds);
    for function in &mut objects.functions {
        function.counted.boottime = (10_000 + seconds) * 1_000_000_000;
    }
    Look { clock: Clock { boot_id: "boot".to_owned(), boottime }, objects }
}

pub fn ago(seconds: u64) -> Moment {
    let boottime = (10_000 - seconds) * 1_000_000_000;
    Moment { boot_id: "boot".to_owned(), boottime, realtime: 0 }
}

pub fn component(name: &str, state: ComponentState) -> ComponentProperties {
    ComponentProperties {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        state,
        state_changed: ago(300),
        pid: 4711,
        restarts: 0,
        last_error: String::new(),
        status_codes: vec![],
        next_retry: Moment::default(),
        paused: false,
        memory: 12 << 20,
        cpu_time: 0,
        tasks: 3,
    }
}

pub fn function(name: &str) -> FunctionProperties {
    FunctionProperties {
        name: name.to_owned(),
        arn: format!("arn:aws:lambda:local:000000000000:function:{name}"),
        version: "1.0.0".to_owned(),
        aliases: [("live".to_owned(), "1.0.0".to_owned())].into(),
        runtime: "python3.11".to_owned(),
        handler: "app.handler".to_owned(),
        pinned: false,
        timeout: 3000,
        memory_size: 128 << 20,
        max_instances: 10,
        health: FunctionHealth::Ready,
        last_error: String::new(),
        next_retry: Moment::default(),
        instances: InstanceCounts { busy: 1, frozen: 2, ..InstanceCounts::default() },
        waiting: 0,
        invocations: 0,
        errors: 0,
        timeouts: 0,
        throttles: 0,
        cold_starts: 3,
        durations: vec![],
        duration_sum: 0,
        queue_depth: 0,
        queue_oldest: Moment::default(),
        dead_lettered: 0,
        counted: ago(0),
    }
}

/// Two looks, two seconds apart, at a device with a component that works, one that is broken, and a busy function.
pub fn figures() -> Figures {
    let mut broken = component("com.example.Broken", ComponentState::Broken);
    (broken.pid, broken.memory, broken.tasks) = (0, 0, 0);
    broken.restarts = 3;
    broken.last_error = "step run: exited with status 1 \u{2014} \x1b[31mno such file".to_owned();
    broken.status_codes = vec!["RUN_ERROR".to_owned()];
    let busy = component("com.example.industrial.gateway.ModbusReader", ComponentState::Running);
    let classify = function("com.example.Classify");
    let mut whole = component("com.example.Classify", ComponentState::Running);
    (whole.pid, whole.memory) = (0, 300 << 20);
    let before = Objects {
        components: vec![broken.clone(), whole.clone(), busy.clone()],
        functions: vec![classify.clone()],
        deployments: vec![],
    };
    let busy = ComponentProperties { cpu_time: 500_000, ..busy };
    let classify = FunctionProperties {
        invocations: 200,
        errors: 4,
        durations: vec![(5_000, 190), (20_000, 10)],
        duration_sum: 800_000,
        queue_depth: 12,
        queue_oldest: ago(88),
        ..classify
    };
    let now = Objects {
        components: vec![broken, whole, busy],
        functions: vec![classify],
        deployments: vec![],
    };
    let mut history = History::default();
    history.add(look(0, before));
    history.add(look(2, now))
}
