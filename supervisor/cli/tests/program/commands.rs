//! What a person gets for what they type.

use std::io::{BufRead, BufReader};
use std::process::Command;

use hedgerow_api::ComponentState;
use serde_json::Value;

use crate::support::World;

const NAME: &str = "com.example.Sensor";

#[test]
fn a_deployment_says_what_it_started_and_removed() {
    let world = World::new();
    let add = format!("{NAME}=1.2.3");
    let deploy = ["deploy", "--recipe-dir", "/", "--artifact-dir", "/", "--add", &add];
    let output = world.run(&deploy);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("started: {NAME}\n"));
    let progress = String::from_utf8(output.stderr).unwrap();
    assert!(progress.ends_with("100% finished\n"), "{progress:?}");

    let text = world.succeed(&["deploy", "--remove", NAME, "--json"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["state"], "succeeded");
    assert_eq!(report["removed"][0], NAME);
    assert_eq!(world.succeed(&["status"]), "no component is deployed\n");
}

#[test]
fn a_failed_deployment_names_component_step_and_last_lines() {
    let world = World::new();
    let deploy = ["deploy", "--recipe-dir", "/", "--add", "com.example.Broken=1.0.0"];
    let (code, said) = world.fail(&deploy);
    assert_eq!(code, 1);
    for expected in
        ["exited with status 1", "component: com.example.Broken", "step: install", "    giving up"]
    {
        assert!(said.contains(expected), "{said}");
    }
    let output = world.run(&[&deploy[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["error"]["name"], "io.hedgerow.Edge1.Error.DeploymentFailed");
    assert_eq!(report["error"]["log"][1], "giving up");
}

#[test]
fn doctor_explains_the_machine_and_a_component() {
    let world = World::new();
    assert!(
        world.succeed(&["doctor"]).contains("by NAT, fences have addresses in 172.31.224.0/20")
    );
    world.succeed(&["deploy", "--recipe-dir", "/", "--add", &format!("{NAME}=1.2.3")]);
    assert!(world.succeed(&["doctor", NAME]).contains(&format!("{NAME} 1.2.3")));
    let (code, said) = world.fail(&["doctor", "com.example.Nobody"]);
    assert!(code == 1 && said.contains("com.example.Nobody"), "{said}");
}

#[test]
fn a_refused_deployment_is_an_error_at_once() {
    let world = World::new();
    let (code, said) = world.fail(&["deploy", "--add", "a=1.0.0"]);
    assert_eq!((code, said.as_str()), (1, "hedgerow: no recipe directory was given\n"));
    let absent = ["deploy", "--recipe-dir", "/nowhere", "--add", "a=1.0.0"];
    let (code, said) = world.fail(&absent);
    assert_eq!(code, 1);
    assert!(said.contains("/nowhere"), "{said}");
}

#[test]
fn the_status_is_a_table_and_json() {
    let world = World::new();
    world.deploy(NAME);
    world.deploy("com.example.Alarm");
    world.control.snapshot.send_modify(|now| {
        let view = now.components.get_mut(NAME).unwrap();
        view.state = ComponentState::Broken;
        view.pid = 0;
        view.restarts = 3;
        view.last_error = "step run: exited with status 7".into();
    });
    let text = world.succeed(&["status"]);
    let rows: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "VERSION", "STATE", "SINCE", "PID", "MEMORY", "RESTARTS"]);
    assert_eq!(rows[1][..3], ["com.example.Alarm", "1.0.0", "RUNNING"]);
    assert_eq!(rows[2][..3], [NAME, "1.0.0", "BROKEN"]);
    assert_eq!(rows[2].last(), Some(&"3"));
    assert!(text.ends_with(&format!("{NAME}: step run: exited with status 7\n")), "{text}");

    let all: Value = serde_json::from_str(&world.succeed(&["--json", "status"])).unwrap();
    assert_eq!(all[1]["last_error"], "step run: exited with status 7");
    assert_eq!(all[1]["memory"], 4 << 20);
    let one: Value = serde_json::from_str(&world.succeed(&["status", NAME, "--json"])).unwrap();
    assert_eq!((&one["state"], &one["restarts"]), (&"BROKEN".into(), &3.into()));
    let detail = world.succeed(&["status", NAME]);
    assert!(detail.contains("last error  step run"), "{detail}");
    let (code, said) = world.fail(&["status", "nobody"]);
    assert_eq!((code, said.as_str()), (1, "hedgerow: no component \"nobody\" is deployed\n"));
}

#[test]
fn a_component_is_stopped_started_and_restarted() {
    let world = World::new();
    world.deploy(NAME);
    for (verb, expected) in [("stop", "FINISHED"), ("start", "RUNNING"), ("restart", "RUNNING")] {
        assert_eq!(world.succeed(&[verb, NAME]), format!("{NAME} is {expected}\n"));
    }
    let (code, _) = world.fail(&["stop", "nobody"]);
    assert_eq!(code, 1);
}

#[test]
fn a_component_is_paused_and_its_failures_forgotten() {
    let world = World::new();
    world.deploy(NAME);
    assert_eq!(world.succeed(&["pause", NAME]), format!("{NAME} is RUNNING and paused\n"));
    assert!(world.succeed(&["status"]).contains("RUNNING (paused)"));
    assert_eq!(world.succeed(&["resume", NAME]), format!("{NAME} is RUNNING\n"));
    world.control.snapshot.send_modify(|now| {
        now.components.get_mut(NAME).unwrap().state = ComponentState::Broken;
    });
    assert_eq!(world.succeed(&["reset", NAME]), format!("{NAME} is RUNNING\n"));
}

#[test]
fn a_plan_says_what_would_be_and_nothing_is() {
    let world = World::new();
    let update = world.root.path().join("update.json");
    std::fs::write(&update, format!(r#"{{"{NAME}": {{"MERGE": {{"load": 2}}}}}}"#)).unwrap();
    let add = format!("{NAME}=1.2.3");
    let plan = ["plan", "--recipe-dir", "/", "--add", &add, "--remove", "old", "--update-config"];
    let plan = [&plan[..], &[update.to_str().unwrap()]].concat();
    assert_eq!(
        world.succeed(&plan),
        format!(
            "+ {NAME} 1.2.3\n- old 1.0.0\nconfiguration of {NAME}:\n    + /load = 2\nto copy: 4 KiB\n"
        )
    );
    assert_eq!(world.succeed(&["deployment", "list"]), "no deployment is remembered\n");
    let json: Value =
        serde_json::from_str(&world.succeed(&[&plan[..], &["--json"]].concat())).unwrap();
    assert_eq!(json["bytes_to_copy"], 4096);
    let (code, said) = world.fail(&["plan", "--update-config", "/nowhere.json"]);
    assert_eq!(code, 1);
    assert!(said.contains("cannot open /nowhere.json"), "{said}");
    let (_, said) = world.fail(&["plan", "--update-config", "{"]);
    assert!(said.contains("option configuration"), "{said}");
}

#[test]
fn deployments_are_listed_shown_and_cancelled() {
    let world = World::new();
    world.fail(&["deploy", "--recipe-dir", "/", "--add", "com.example.Broken=1.0.0"]);
    let slow =
        ["deploy", "--recipe-dir", "/", "--add", "Slow=1.0.0", "--group", "gateways", "--no-wait"];
    let said = world.succeed(&slow);
    let id = said.strip_prefix("deployment ").unwrap().trim();
    let listed = world.succeed(&["deployment", "list"]);
    let rows: Vec<Vec<_>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["ID", "GROUP", "CREATED", "STATUS", "DETAIL"]);
    assert_eq!((rows[1][0], rows[1][1], rows[1][3]), (id, "thinggroup/gateways", "IN_PROGRESS"));
    assert_eq!(rows[2][3..], ["FAILED", "FAILED_ROLLBACK_COMPLETE"]);

    let cancelled = world.succeed(&["deployment", "cancel", id]);
    assert_eq!(cancelled, format!("deployment {id} is being cancelled\n"));
    let detail = world.succeed(&["deployment", "status", id]);
    assert!(detail.contains("status      CANCELED"), "{detail}");
    let (code, said) = world.fail(&["deployment", "cancel", id]);
    assert_eq!(code, 1);
    assert!(said.contains("has ended"), "{said}");
    let broken: Value =
        serde_json::from_str(&world.succeed(&["--json", "deployment", "status", rows[2][0]]))
            .unwrap();
    assert_eq!(broken["error_stack"][1], "COMPONENT_BROKEN");
    let (code, said) = world.fail(&["deployment", "status", "nobody"]);
    assert_eq!((code, said.as_str()), (1, "hedgerow: no deployment \"nobody\" is remembered\n"));
}

#[test]
fn a_configuration_is_shown_with_its_origin_set_and_reset() {
    let world = World::new();
    world.deploy(NAME);
    world.succeed(&["config", "set", NAME, "/load=2", "/unit=kg", "/list=[1, 2]"]);
    assert_eq!(world.succeed(&["config", "show", NAME, "/unit"]), "kg\n");
    assert_eq!(world.succeed(&["config", "show", NAME, "/unit", "--json"]), "\"kg\"\n");
    let all: Value = serde_json::from_str(&world.succeed(&["config", "show", NAME])).unwrap();
    assert_eq!(all, serde_json::json!({"list": [1, 2], "load": 2, "unit": "kg"}));
    let origins = world.succeed(&["config", "show", NAME, "--origin"]);
    let row: Vec<_> = origins.lines().nth(2).unwrap().split_whitespace().collect();
    assert_eq!(
        (row[0], row[1], row[2], row[4]),
        ("/load", "2", "deployment", "2027-01-15T08:00:00Z")
    );

    world.succeed(&["config", "reset", NAME, "/load"]);
    let (code, said) = world.fail(&["config", "show", NAME, "/load"]);
    assert_eq!((code, said.as_str()), (1, "hedgerow: there is no /load\n"));
}

#[test]
fn a_shell_completes_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        for (program, option) in [("hedgerow", "update-config"), ("greengrass-cli", "recipeDir")] {
            let completions = ["completions", shell, "--program", program];
            let output =
                Command::new(env!("CARGO_BIN_EXE_hedgerow")).args(completions).output().unwrap();
            let script = String::from_utf8(output.stdout).unwrap();
            assert!(script.contains(option) && script.contains("deployment"), "{script}");
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let directory = tempfile::tempdir().unwrap();
    let manual = Command::new(env!("CARGO_BIN_EXE_hedgerow"))
        .arg("manual")
        .arg(directory.path().join("man1"))
        .status();
    assert!(manual.unwrap().success());
    for (page, words) in [
        ("hedgerow.1", "Exit codes"),
        ("hedgerow-deploy.1", "update\\-config"),
        ("hedgerow-config-show.1", "origin"),
        ("greengrass-cli-deployment-create.1", "recipeDir"),
    ] {
        let path = directory.path().join("man1").join(page);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(words), "{page}: {text}");
    }
}

#[test]
fn logs_are_printed_and_followed() {
    let world = World::new();
    world.deploy(NAME);
    assert_eq!(world.succeed(&["logs", NAME]), "hello\nworld\n");
    assert_eq!(world.succeed(&["logs", "-n", "1", NAME]), "world\n");
    let mut child = world.spawn(&["logs", "-f", "-n", "1", NAME]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "world");
    world.succeed(&["stop", NAME]);
    assert_eq!(lines.next().unwrap().unwrap(), "now FINISHED");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn messages_go_out_and_come_in() {
    let world = World::new();
    for json in [false, true] {
        let mut arguments = vec!["topic", "sub", "sensors/#", "--count", "2"];
        arguments.extend(json.then_some("--json"));
        let mut child = world.spawn(&arguments);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Published again and again until the subscription stands and the first has come.
        let first = std::thread::spawn(move || (lines.next().unwrap().unwrap(), lines));
        while !first.is_finished() {
            world.succeed(&["topic", "pub", "sensors/a", "--json-payload", r#"{"load": 1}"#]);
        }
        let (line, mut lines) = first.join().unwrap();
        match json {
            true => {
                let record: Value = serde_json::from_str(&line).unwrap();
                assert_eq!(record["payload"], r#"{"load": 1}"#);
                assert_eq!(record["json"], true);
            }
            false => assert_eq!(line, r#"sensors/a  {"load": 1}"#),
        }
        world.succeed(&["topic", "pub", "sensors/b", "-5"]);
        assert!(lines.next().unwrap().unwrap().contains("sensors/"));
        assert!(child.wait().unwrap().success());
    }
    let (code, said) = world.fail(&["topic", "pub", "a", "--json-payload", "{"]);
    assert_eq!(code, 1);
    assert!(said.contains("not JSON"), "{said}");
    let (code, said) = world.fail(&["topic", "pub", "secret/a", "x"]);
    assert_eq!(code, 1);
    assert!(said.contains("no rule lets"), "{said}");
}

#[test]
fn a_daemon_that_is_not_there_is_exit_code_3() {
    let mut world = World::new();
    world.stop();
    let (code, said) = world.fail(&["status"]);
    assert_eq!(code, 3);
    assert!(said.contains("no daemon answers at"), "{said}");
    assert!(said.contains("hedgerowd --root"), "{said}");
}

#[test]
fn a_daemon_that_dies_during_a_job_is_exit_code_3() {
    let mut world = World::new();
    world.deploy("com.example.Stuck");
    let mut child = world.spawn(&["stop", "com.example.Stuck"]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), " 10% Stop com.example.Stuck");
    world.stop();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let said = lines.next().unwrap().unwrap();
    assert!(said.contains("went away") || said.contains("no daemon answers"), "{said}");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for arguments in
        [&["deploy"][..], &["deploy", "--add", "a"], &["logs", "-n", "0", "a"], &["frobnicate"]]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_hedgerow")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
