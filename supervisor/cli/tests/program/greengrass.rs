//! What a person gets who types what they always typed.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use hedgerow_api::ComponentState;

use crate::support::World;

const NAME: &str = "com.example.Sensor";

/// Exit code, standard output and standard error.
fn said(world: &World, arguments: &[&str]) -> (i32, String, String) {
    let output = world.greengrass(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn succeed(world: &World, arguments: &[&str]) -> String {
    let (code, out, errors) = said(world, arguments);
    assert_eq!(code, 0, "{arguments:?}: {errors}");
    out
}

#[test]
fn a_deployment_is_created_followed_and_listed() {
    let world = World::new();
    let merge = format!("{NAME}=1.2.3");
    let create =
        ["deployment", "create", "--recipeDir", "/", "--artifactDir", "/", "--merge", &merge];
    let out = succeed(&world, &create);
    let id = out.trim().strip_prefix("Local deployment submitted! Deployment Id: ").unwrap();
    assert_eq!(
        succeed(&world, &["deployment", "status", "-i", id]).lines().next(),
        Some(&*format!("{id}: SUCCEEDED"))
    );

    let config = format!(r#"{{"{NAME}": {{"MERGE": {{"load": 2}}, "RESET": []}}}}"#);
    let runs = format!("{NAME}:posixUser=ggc_user:ggc_group");
    let limits = format!(r#"{{"{NAME}": {{"memory": 1024, "cpus": 0.5}}}}"#);
    let all = [
        "deployment",
        "create",
        "-r",
        "/",
        "-a",
        "/",
        "-m",
        &merge,
        "--remove",
        "b,c",
        "-c",
        &config,
        "--runWith",
        &runs,
        "--systemLimits",
        &limits,
        "-g",
        "gateways",
        "-fp",
        "DO_NOTHING",
    ];
    succeed(&world, &all);
    let listed = succeed(&world, &["deployment", "list"]);
    assert_eq!(listed.lines().count(), 2);
    assert!(listed.contains(&format!("{id}: SUCCEEDED\n")), "{listed}");
    assert_eq!(
        succeed(&world, &["component", "details", "--name", NAME]),
        format!(
            "Component Name: {NAME}\n    Version: 1.2.3\n    State: RUNNING\n    Configuration: {{\"load\":2}}\n"
        )
    );
    let failed = ["deployment", "create", "-r", "/", "-m", "com.example.Broken=1.0.0"];
    let out = succeed(&world, &failed);
    let id = out.trim().rsplit(' ').next().unwrap();
    let status = succeed(&world, &["deployment", "status", "--deploymentId", id]);
    for expected in ["FAILED", "FAILED_ROLLBACK_COMPLETE", "COMPONENT_BROKEN"] {
        assert!(status.contains(expected), "{status}");
    }
    let (code, _, errors) = said(&world, &["deployment", "status", "-i", "nobody"]);
    assert_eq!(
        (code, errors.as_str()),
        (1, "greengrass-cli: no deployment \"nobody\" is remembered\n")
    );
    let (code, _, _) = said(&world, &["deployment", "cancel", "-i", id]);
    assert_eq!(code, 1);
    let slow = succeed(&world, &["deployment", "create", "-r", "/", "-m", "Slow=1.0.0"]);
    let id = slow.trim().rsplit(' ').next().unwrap();
    succeed(&world, &["deployment", "cancel", "-i", id]);
    assert!(succeed(&world, &["deployment", "status", "-i", id]).contains("CANCELED"));
}

#[test]
fn components_are_listed_restarted_and_stopped() {
    let world = World::new();
    world.deploy(NAME);
    world.deploy("com.example.Alarm");
    let listed = succeed(&world, &["component", "list"]);
    assert!(
        listed.starts_with(
            "Components currently running in Greengrass:\nComponent Name: com.example.Alarm\n"
        ),
        "{listed}"
    );
    let both = format!("{NAME}, com.example.Alarm");
    assert_eq!(succeed(&world, &["component", "stop", "--names", &both]), "");
    let now = world.control.snapshot.borrow().components.clone();
    assert!(now.values().all(|view| view.state == ComponentState::Finished), "{now:?}");
    succeed(&world, &["component", "restart", "-n", NAME]);
    assert!(succeed(&world, &["component", "details", "-n", NAME]).contains("RUNNING"));
    assert_eq!(said(&world, &["component", "stop", "-n", "nobody"]).0, 1);
}

#[test]
fn logs_are_filtered_merged_and_followed() {
    let world = World::new();
    world.deploy(NAME);
    world.deploy("com.example.Alarm");
    world.control.log(NAME, "2026-01-31T08:00:03.000Z [ERROR] run: third");
    world.control.log(NAME, "2026-01-31T08:00:01.000Z [INFO] run: first");
    world.control.log("com.example.Alarm", "2026-01-31T08:00:02.000Z [WARN] run: second");
    let window = ["--time-window", "2026-01-31T08:00:00,2026-01-31T09:00:00"];
    let get = [&["logs", "get", "--log-dir", "/greengrass/v2/logs"], &window[..]].concat();
    let lines = succeed(&world, &get);
    let order: Vec<_> = lines.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(order, ["first", "second", "third"]);
    assert!(lines.contains("[WARN] com.example.Alarm: run: second"), "{lines}");

    let graver =
        succeed(&world, &[&get[..], &["--filter", "level=WARN", "-f", "second,nothing"]].concat());
    assert_eq!(graver.lines().count(), 1, "{graver}");
    let around = succeed(&world, &[&get[..], &["-f", "second", "-b", "1", "-a", "1"]].concat());
    assert_eq!(around.lines().count(), 3, "{around}");
    let file = format!("/greengrass/v2/logs/{NAME}.log");
    let one = succeed(&world, &["logs", "get", "-lf", &file, "-nc", "--filter", "level=ERROR"]);
    assert!(one.ends_with("third\n") && one.lines().count() == 1, "{one}");
    let files = succeed(&world, &["logs", "list-log-files", "-ld", "/greengrass/v2/logs"]);
    assert!(files.contains(&file) && files.ends_with("Total 2 files found.\n"), "{files}");
    assert!(succeed(&world, &["logs", "list-keywords"]).contains("level=$str"));

    let mut child = world
        .greengrass(&["logs", "get", "-fol", "-f", "fourth"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    world.control.log(NAME, "2026-01-31T08:00:04.000Z [INFO] run: fourth");
    assert!(lines.next().unwrap().unwrap().ends_with("fourth"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn messages_go_out_and_come_in() {
    let world = World::new();
    let mut child =
        world.greengrass(&["pubsub", "sub", "-t", "a/b"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Published again and again until the subscription stands.
    let first = std::thread::spawn(move || lines.next().unwrap().unwrap());
    while !first.is_finished() {
        succeed(&world, &["pubsub", "pub", "-t", "a/b", "-m", "-5 degrees"]);
    }
    assert_eq!(first.join().unwrap(), "a/b  -5 degrees");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_is_not_here_is_said() {
    let world = World::new();
    let publish = ["iotcore", "pub", "-t", "a", "-m", "b"];
    for (arguments, expected) in [
        (&["get-debug-password"][..], "no local debug console"),
        (&publish, "no link to AWS IoT Core"),
    ] {
        let (code, out, errors) = said(&world, arguments);
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(errors.contains(expected), "{errors}");
    }
    assert_eq!(said(&world, &["deployment"]).0, 2);
    let windows = ["deployment", "create", "--runWith", "a:windowsUser=b"];
    assert!(said(&world, &windows).2.contains("not Windows"));
}
