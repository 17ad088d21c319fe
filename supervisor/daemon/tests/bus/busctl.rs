//! The same with nothing but `busctl(1)`, as an engineer at a device would.

use std::process::{Command, Output};

use hedgerow_api::{Bus, path};

use crate::support::{World, within};

const NAME: &str = "com.example.Sensor";
const SERVICE: &str = "io.hedgerow.Edge1";
const MANAGER: &[&str] = &["call", SERVICE, "/io/hedgerow/Edge1", "io.hedgerow.Edge1.Manager"];

async fn busctl(world: &World, arguments: &[&str]) -> Output {
    let socket = Bus::socket(world.root.path());
    let mut command = Command::new("busctl");
    command.arg(format!("--address=unix:path={}", socket.display())).args(arguments);
    within(tokio::task::spawn_blocking(move || command.output().unwrap())).await.unwrap()
}

async fn succeed(world: &World, arguments: &[&str]) -> String {
    let output = busctl(world, arguments).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "busctl {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_component_is_deployed_seen_and_stopped() {
    let world = World::new().await;
    let deploy = [
        MANAGER,
        &["Deploy", "a{ss}asa{sv}", "1", NAME, "1.2.3", "0", "2"],
        &["recipe-path", "s", "/usr", "artifact-path", "s", "/usr"],
    ]
    .concat();
    let output = busctl(&world, &deploy).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let answer = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answer, "o \"/io/hedgerow/Edge1/job/1\"\n");

    let object = path::component(NAME);
    let component = [SERVICE, object.as_str(), "io.hedgerow.Edge1.Component"];
    let tree = succeed(&world, &["tree", "--list", SERVICE]).await;
    assert!(tree.lines().any(|line| line == object.as_str()), "{tree}");
    assert!(tree.lines().any(|line| line == "/io/hedgerow/Edge1/job/1"), "{tree}");
    let get = |property| ["get-property", component[0], component[1], component[2], property];
    assert_eq!(succeed(&world, &get("State")).await, "s \"RUNNING\"\n");
    assert_eq!(succeed(&world, &get("Version")).await, "s \"1.2.3\"\n");
    assert_eq!(succeed(&world, &get("Memory")).await, "t 4194304\n");
    let seen = succeed(&world, &["introspect", component[0], component[1]]).await;
    for expected in
        [".OpenLog", ".Memory", ".StateChanged", "emits-change", "org.freedesktop.DBus.Properties"]
    {
        assert!(seen.contains(expected), "{seen}");
    }
    let stop = ["call", component[0], component[1], component[2], "Stop"];
    assert_eq!(succeed(&world, &stop).await, "o \"/io/hedgerow/Edge1/job/2\"\n");
    assert_eq!(succeed(&world, &get("State")).await, "s \"FINISHED\"\n");
    let job = ["get-property", SERVICE, "/io/hedgerow/Edge1/job/2", "io.hedgerow.Edge1.Job"];
    assert_eq!(succeed(&world, &[&job[..], &["State"]].concat()).await, "s \"succeeded\"\n");
    assert_eq!(
        succeed(&world, &[&job[..], &["Result"]].concat()).await,
        format!("a{{sv}} 1 \"started\" as 1 \"{NAME}\"\n")
    );
}

#[tokio::test]
async fn an_error_is_readable_and_a_property_cannot_be_set() {
    let world = World::new().await;
    world.deploy(NAME).await;
    let get = [MANAGER, &["GetComponent", "s", "nobody"]].concat();
    let refused = busctl(&world, &get).await;
    assert!(!refused.status.success());
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(errors.contains("no component \"nobody\" is deployed"), "{errors}");

    let object = path::component(NAME);
    let set = [
        "set-property",
        SERVICE,
        object.as_str(),
        "io.hedgerow.Edge1.Component",
        "State",
        "s",
        "NEW",
    ];
    assert!(!busctl(&world, &set).await.status.success());
    let unknown = [MANAGER, &["Deploy", "a{ss}asa{sv}", "0", "1", NAME, "1", "force", "b", "true"]];
    let refused = busctl(&world, &unknown.concat()).await;
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(errors.contains("force"), "{errors}");
}
