use super::*;
use crate::fixture::{Fixture, recipe};
use crate::lifecycle::State;
use crate::registry::Status;

/// What no version of Hedgerow can read, though one of another name could.
const STRANGE: &str = "RecipeFormatVersion: '2031-01-01'\n";

impl Fixture {
    async fn recover(&self) {
        let fences = vec!["c1-1".to_owned().try_into().expect("an id")];
        recover(&self.around, &self.platform, fences).await.expect("recovered");
    }

    fn status(&self, name: &str) -> Status {
        self.around.registry.status(name).expect(name)
    }
}

/// `recipe` is stored in place of that of `a`, as a version that could read it would have left it.
fn device_with(recipe_of_a: &str) -> Fixture {
    let device = Fixture::new();
    let recipes = [
        ("a", recipe("a", &[], &[])),
        ("hard", recipe("hard", &["a"], &[])),
        ("soft", recipe("soft", &[], &["a"])),
        ("z", recipe("z", &[], &[])),
    ];
    device.deploy(&recipes);
    device.around.records.replace_recipe("a@1.0.0", recipe_of_a);
    device
}

#[tokio::test(start_paused = true)]
async fn a_recipe_that_cannot_be_read_breaks_its_component_alone() {
    let undisturbed = device_with(&recipe("a", &[], &[]));
    undisturbed.recover().await;
    let device = device_with(STRANGE);
    device.recover().await;
    let broken = device.status("a");
    assert_eq!((broken.state, broken.version.as_str()), (State::Broken, "1.0.0"));
    let message = broken.fault.expect("a reason").message;
    assert!(message.contains("a.yaml") && message.contains("deploy a again"), "{message}");
    // What needs it waits for it; the others are what they would have been.
    assert_eq!(device.status("hard").hard_dependencies, ["a"]);
    for name in ["hard", "soft", "z"] {
        assert_eq!(device.status(name).digest, undisturbed.status(name).digest, "{name}");
        assert_ne!(device.status(name).state, State::Broken, "{name}");
    }
    assert!(!device.around.registry.are_ready(&["a".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_package_that_is_missing_breaks_its_component_alone() {
    let device = device_with("");
    device.around.records.remove_package("a@1.0.0");
    device.recover().await;
    assert_eq!(device.status("a").state, State::Broken);
    assert_eq!(device.status("hard").hard_dependencies, ["a"]);
    assert_ne!(device.status("z").state, State::Broken);
}

#[tokio::test(start_paused = true)]
async fn a_component_that_was_undefined_follows_the_next_deployment() {
    let device = device_with(STRANGE);
    device.recover().await;
    device.around.records.replace_recipe("a@1.0.0", &recipe("a", &[], &[]));
    deployment::reconcile(&device.around, &device.platform).await.expect("reconciled");
    let mut changes = device.around.registry.watch();
    while device.status("a").digest.is_empty() || device.status("a").state == State::Broken {
        changes.changed().await.expect("a registry");
    }
    assert_eq!(device.status("a").fault, None);
}

#[tokio::test(start_paused = true)]
async fn a_component_that_is_undefined_stops_and_goes() {
    let device = device_with(STRANGE);
    device.recover().await;
    let registry = &device.around.registry;
    let is_up = |status: &Status| status.name == "a" && status.state != State::Finished;
    registry.end_in_order(Goal::Stop, is_up).await;
    registry.end_in_order(Goal::Remove, |status| status.name == "a").await;
    assert_eq!(registry.status("a"), None);
}

#[tokio::test(start_paused = true)]
async fn a_launcher_that_does_not_answer_does_not_hold_up_the_start() {
    let device = device_with(&recipe("a", &[], &[]));
    let start = Instant::now();
    device.recover().await;
    // On a clock that goes on only where everybody waits.
    assert!(start.elapsed() <= LIMIT + Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(device.around.registry.all().len(), 4);
}
