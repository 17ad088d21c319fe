//! `hedgerow invoke`.

use std::io::Write;
use std::process::{Output, Stdio};

use crate::simulated::functions;
use crate::support::World;

fn world() -> World {
    let world = World::new();
    world.control.snapshot.send_modify(|now| {
        for name in ["com.example.Echo", "com.example.Broken", "com.example.Talking"] {
            now.functions.insert(name.to_owned(), functions::view(name));
        }
    });
    // What the daemon has put on the bus can be asked for.
    world.succeed(&["status"]);
    world
}

#[test]
fn what_a_function_answers_is_printed_as_it_is() {
    let world = world();
    let echo = ["invoke", "com.example.Echo"];
    assert_eq!(world.succeed(&echo), "{}");
    assert_eq!(world.succeed(&[&echo[..], &["--payload", "[1, 2]"]].concat()), "[1, 2]");

    let file = world.root.path().join("event.json");
    let event = format!("\"{}\"", "x".repeat(1_000_000));
    std::fs::write(&file, &event).unwrap();
    let file = format!("@{}", file.display());
    assert_eq!(world.succeed(&["invoke", "com.example.Echo:prod", "-p", &file]), event);

    let mut command = world.command(&[&echo[..], &["--tail", "--payload", "-"]].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"\xff\x00").unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    assert!(status.success());
    assert_eq!(stdout, b"\xff\x00");
    assert_eq!(stderr, b"START\nEND\n");
}

#[test]
fn functions_are_listed_and_shown() {
    let world = world();
    let list = world.succeed(&["function", "list"]);
    let lines: Vec<_> = list.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    let names = ["com.example.Broken", "com.example.Echo", "com.example.Talking"];
    assert_eq!(lines[1..], names, "{list}");
    let shown = world.succeed(&["function", "show", "com.example.Echo"]);
    for what in ["arn ", "runtime ", "instances ", "invocations ", "queued "] {
        assert!(shown.lines().any(|line| line.starts_with(what)), "{what}: {shown}");
    }
    let json = world.succeed(&["--json", "function", "show", "com.example.Echo"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["name"], "com.example.Echo");
    let none = world.run(&["function", "show", "com.example.None"]);
    assert!(String::from_utf8(none.stderr).unwrap().contains("com.example.None"));
    assert!(!none.status.success());
}

#[test]
fn a_functions_error_is_an_exit_code_and_its_text() {
    let world = world();
    for (function, said) in [
        ("com.example.Broken", "{\"errorType\":\"Oops\",\"errorMessage\":\"no\"}"),
        ("com.example.Talking", "one two {\"errorType\":\"Oops\",\"errorMessage\":\"no\"}"),
    ] {
        let output = world.run(&["invoke", function]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), said);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(errors, "hedgerow: the function failed: Oops\n");
    }
}

#[test]
fn an_event_is_queued_and_a_dry_run_runs_nothing() {
    let world = world();
    let id = world.succeed(&["invoke", "com.example.Echo", "--async", "--payload", "{}"]);
    assert_eq!(id.trim().len(), 36, "{id}");
    assert_eq!(world.succeed(&["invoke", "com.example.Echo", "--dry-run"]), "");
    let now = world.control.snapshot.borrow();
    let echo = &now.functions["com.example.Echo"];
    assert_eq!((echo.queue_depth, echo.invocations), (1, 0));
}

#[test]
fn what_is_not_there_is_said() {
    let world = world();
    for arguments in [
        &["invoke", "com.example.Nobody"][..],
        &["invoke", "com.example.Echo", "--qualifier", "7"],
        &["invoke", "com.example.Echo:7", "--dry-run"],
    ] {
        let (code, said) = world.fail(arguments);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("com.example."), "{said}");
    }
    let (code, said) = world.fail(&["invoke", "com.example.Echo", "--payload", "@/nowhere"]);
    assert!(code == 1 && said.contains("/nowhere"), "{said}");
}
