use std::time::Duration;

use super::*;
use crate::fixture::{Fixture, recipe};

#[tokio::test(start_paused = true)]
async fn what_is_told_after_a_recipe_took_the_place_of_a_built_in_is_heard() {
    let device = Fixture::new();
    device.deploy(&[("a", recipe("a", &[], &[]))]);
    let defined = crate::deployment::definitions(&device.around, &device.platform);
    let (definition, _) = defined.expect("readable").defined.remove(0);
    let built_in = Definition { place: Place::BuiltIn, ..definition.clone() };
    FencelessDriver::built_in(&device.around, built_in, Goal::Stop);
    let registry = &device.around.registry;
    // Both before the first is heard, as from one who tells without waiting.
    let commands = registry.commands("a").expect("a driver");
    commands.send(Command::Replace(Box::new(definition))).await.expect("heard");
    commands.send(Command::Goal(Goal::Run)).await.expect("heard");
    let mut changes = registry.watch();
    let heard = async {
        while registry.status("a").expect("there").goal != Goal::Run {
            changes.changed().await.expect("a registry");
        }
    };
    tokio::time::timeout(Duration::from_secs(60), heard).await.expect("it is heard");
}
