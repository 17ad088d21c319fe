//! What a deployment leaves for later, on a clock that goes on only where everybody waits.

use std::time::Duration;

use hedgerow_ipc::Principal;
use hedgerow_ipc::model::Operation;
use hedgerow_isolation::moment::Moment;
use tokio::time::{sleep, timeout};

use super::*;
use crate::fixture::{Fixture, function, name, recipe};
use crate::lifecycle::{Goal, State};
use crate::registry::{COMMANDS, Status};

const HOUR: Duration = Duration::from_secs(3600);

impl Fixture {
    fn start(&self) -> Deployments {
        let (around, jobs) = (Arc::clone(&self.around), Arc::clone(&self.jobs));
        Deployments::start(around, jobs, self.platform.clone()).expect("readable").0
    }
}

async fn ended(deployments: &Deployments, id: &DeploymentId) -> DeploymentStatus {
    let mut changes = deployments.watch();
    let ended = async {
        loop {
            let status = deployments.status(id).expect("known").status;
            if status.is_final() {
                return status;
            }
            changes.changed().await.expect("a history");
        }
    };
    timeout(HOUR, ended).await.expect("it ends")
}

#[tokio::test(start_paused = true)]
async fn how_a_deployment_ended_is_stored_once_there_is_room() {
    let device = Fixture::new();
    device.deploy(&[("a", recipe("a", &[], &[]))]);
    let id = device.commit(&[]).id;
    device.disk.set_room(Some(0));
    let deployments = device.start();
    sleep(HOUR).await;
    assert_eq!(deployments.status(&id).expect("known").status, DeploymentStatus::InProgress);
    device.disk.set_room(None);
    assert_eq!(ended(&deployments, &id).await, DeploymentStatus::Succeeded);
    assert_eq!(device.around.records.deployment_at_work().expect("readable"), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_removed_late_is_forgotten_without_another_deployment() {
    let device = Fixture::new();
    device.deploy(&[("a", recipe("a", &[], &[]))]);
    let mut record = device.commit(&[]);
    record.removed.insert(name("a"));
    record.phase = Phase::Removing;
    device.around.records.remove_unwanted(&record).expect("stored");
    let (commands, _deaf) = mpsc::channel(COMMANDS);
    device.around.registry.insert(running("a"), commands);
    let deployments = device.start();
    assert_eq!(ended(&deployments, &record.id).await, DeploymentStatus::Failed);
    sleep(HOUR).await;
    assert!(device.around.records.desired().expect("readable").contains_key(&name("a")));

    device.around.registry.remove("a");
    let forgotten = async {
        while !device.around.records.desired().expect("readable").is_empty() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    timeout(HOUR, forgotten).await.expect("it is forgotten");
}

fn running(name: &str) -> Status {
    Status {
        name: name.into(),
        version: "1.0.0".into(),
        digest: name.into(),
        goal: Goal::Run,
        state: State::Running,
        changed: Moment::now(),
        paused: false,
        next_retry: None,
        pid: None,
        restarts: 0,
        begun: 1,
        tried: true,
        fault: None,
        fence: None,
        hard_dependencies: vec![],
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_may_hear_what_its_deployed_version_hears_and_no_more() {
    let device = Fixture::new();
    let may_hear = |topics: &[&str]| {
        device.deploy(&[("f", function("f", topics))]);
        let definitions = definitions(&device.around, &device.platform).expect("readable");
        assert_eq!(definitions.defined.len(), 1, "{:?}", definitions.undefined);
        let who = Principal::Component("f".into());
        let hub = &device.around.hub;
        ["a/b", "c"].map(|topic| hub.authorize(&who, Operation::SubscribeToTopic, topic).is_ok())
    };
    assert_eq!(may_hear(&["a/b"]), [true, false]);
    assert_eq!(may_hear(&["c"]), [false, true]);
    assert_eq!(may_hear(&[]), [false, false]);
}
