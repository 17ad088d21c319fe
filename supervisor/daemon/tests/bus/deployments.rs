//! Deployments as objects: what they would do, how they go, and how they are ended.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use hedgerow_api::{
    DeployOptions, DeploymentProperties, DeploymentProxy, DeploymentStage, DeploymentStatus, Error,
    JobState, deployments,
};

use crate::support::{World, within};

#[tokio::test]
async fn a_deployment_is_an_object_that_says_how_it_ended() {
    let world = World::new().await;
    let job = world.deploy("com.example.Broken").await;
    let path = world.deployment_of(&job).await;
    let deployment = DeploymentProperties::of(&world.client, &path).await.unwrap();
    assert_eq!(deployment.group, "LOCAL_DEPLOYMENTS");
    assert_eq!(deployment.components, ["com.example.Broken"]);
    assert_eq!(deployment.stage, DeploymentStage::Done);
    assert_eq!(deployment.status, DeploymentStatus::Failed);
    assert_eq!(deployment.detailed_status, "FAILED_ROLLBACK_COMPLETE");
    assert_eq!(deployment.error_stack[1], "COMPONENT_BROKEN");
    assert!(deployment.failure_cause.contains("step install"), "{deployment:?}");

    world.deploy("a").await;
    let newest_first: Vec<_> = deployments(&world.client).await.unwrap();
    assert_eq!(newest_first.len(), 2);
    assert_eq!(newest_first[1], deployment);
    let nobody = world.manager().await.get_deployment("nobody").await;
    assert!(matches!(nobody, Err(Error::NoSuchDeployment(_))), "{nobody:?}");
}

#[tokio::test]
async fn one_that_hangs_is_cancelled_once() {
    let world = World::new().await;
    let job = world.deploy("com.example.Slow").await;
    let path = world.deployment_of(&job).await;
    let deployment = DeploymentProxy::builder(&world.client).path(path).build().await.unwrap();
    let mut statuses = deployment.receive_status_changed().await;
    deployment.cancel().await.unwrap();
    within(async {
        while statuses.next().await.unwrap().get().await.unwrap() != DeploymentStatus::Canceled {}
    })
    .await;
    let job = world.finished(&job).await;
    assert_eq!(job.state, JobState::Failed);
    assert!(matches!(Error::from_job(&job.error), Some(Error::Cancelled(_))));
    let again = deployment.cancel().await;
    assert!(matches!(again, Err(Error::NotCancellable(_))), "{again:?}");
}

#[tokio::test]
async fn a_plan_is_json_and_changes_nothing() {
    let world = World::new().await;
    let add = BTreeMap::from([("a".to_owned(), "1.0.0".to_owned())]);
    let plan = world.manager().await.plan(&add, &[], world.directories()).await.unwrap();
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["added"]["a"], "1.0.0");
    assert!(deployments(&world.client).await.unwrap().is_empty());
    let refused = world.manager().await.plan(&add, &["a".into()], DeployOptions::default()).await;
    assert!(matches!(refused, Err(Error::InvalidArgument(_))), "{refused:?}");
}

#[tokio::test]
async fn a_configuration_is_changed_by_a_deployment_and_says_so() {
    let world = World::new().await;
    world.deploy("a").await;
    let component = world.component("a").await;
    let job = component.update_configuration(r#"{"k": [1], "l": "x"}"#, &[]).await.unwrap();
    assert_eq!(world.finished(&job).await.state, JobState::Succeeded);
    let (value, leaves) = component.get_configuration("/k").await.unwrap();
    assert_eq!(value, "[1]");
    assert_eq!((leaves.len(), leaves[0].pointer.as_str()), (1, "/k"));
    assert!(leaves[0].origin.starts_with("deployment "), "{leaves:?}");

    component.update_configuration("", &["/k".into()]).await.unwrap();
    let gone = component.get_configuration("/k").await;
    assert!(matches!(gone, Err(Error::InvalidArgument(_))), "{gone:?}");
    for (merge, expected) in [("", "nothing is to be merged"), ("[1]", "merge"), ("{", "merge")] {
        let refused = component.update_configuration(merge, &[]).await.unwrap_err();
        assert!(refused.message().contains(expected), "{refused}");
    }
}

#[tokio::test]
async fn a_component_is_paused_resumed_and_reset() {
    let world = World::new().await;
    world.deploy("a").await;
    world.control.snapshot.send_modify(|now| {
        now.components.get_mut("a").unwrap().last_error = "step run: exited".into();
    });
    let component = world.component("a").await;
    let mut paused = component.receive_paused_changed().await;
    component.pause().await.unwrap();
    component.pause().await.unwrap();
    within(async { while !paused.next().await.unwrap().get().await.unwrap() {} }).await;
    component.resume().await.unwrap();
    within(async { while paused.next().await.unwrap().get().await.unwrap() {} }).await;
    component.reset().await.unwrap();
    let mut errors = component.receive_last_error_changed().await;
    within(async { while !errors.next().await.unwrap().get().await.unwrap().is_empty() {} }).await;
}
