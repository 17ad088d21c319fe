//! Every runtime, invoked by every way: with the unmodified clients of each.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use hedgerow_harness::{
    Hedgerow, PATIENCE, boto3, eventually, function, give_to_the_daemon, rust_function,
};
use serde_json::{Value, json};

use super::code::{answer, with_image};

/// Name, code, handler and runtime.
fn functions() -> [(&'static str, PathBuf, &'static str, &'static str); 4] {
    let node = function("echo-node");
    [
        ("com.example.Python", function("echo-python"), "app.handler", "python3.11"),
        ("com.example.Node", node.clone(), "index.handler", "nodejs20.x"),
        ("com.example.Stream", node, "index.stream", "nodejs20.x"),
        ("com.example.Rust", rust_function(), "any", "provided.al2023"),
    ]
}

/// Over D-Bus (dbus-python) with the payload inline and by descriptor, and with boto3, one function after the other.
const CLIENT: &str = r#"
import base64, json, os, socket, sys
import boto3, dbus
from botocore.config import Config

root, endpoint = sys.argv[1:3]
bus = dbus.bus.BusConnection(f"unix:path={root}/run/bus.sock")
manager = dbus.Interface(bus.get_object("io.hedgerow.Edge1", "/io/hedgerow/Edge1"), "io.hedgerow.Edge1.Manager")
aws = boto3.client("lambda", endpoint_url=endpoint, region_name="eu-west-1", aws_access_key_id="KEY",
    aws_secret_access_key="secret", config=Config(retries={"max_attempts": 0}))

def function(name):
    return dbus.Interface(bus.get_object("io.hedgerow.Edge1", manager.GetFunction(name)), "io.hedgerow.Edge1.Function")

def inline(name, event, **options):
    options = dbus.Dictionary(options, signature="sv")
    payload, result = function(name).Invoke(dbus.ByteArray(json.dumps(event).encode()), options, byte_arrays=True)
    return json.loads(payload), result

def by_descriptor(name, event):
    ours, theirs = socket.socketpair()
    answer = function(name).InvokeFd(dbus.types.UnixFd(theirs), dbus.Dictionary({}, signature="sv"))
    theirs.close()
    ours.sendall(json.dumps(event).encode())
    ours.close()
    lines = [json.loads(line) for line in os.fdopen(answer.take())]
    # A part that ends within a character is no text.
    parts = [line["payload"].encode() if "payload" in line else base64.b64decode(line["payload_base64"]) for line in lines[:-1]]
    return json.loads(b"".join(parts)), lines[-1]["complete"]

context = json.dumps({"custom": {"from": "here"}})
for name in ["com.example.Python", "com.example.Node", "com.example.Rust"]:
    assert inline(name, {"n": 1})[0] == {"n": 1}
    told, result = inline(name, {"context": 1}, **{"client-context": context, "qualifier": "prod", "log-tail": True})
    assert told["custom"] == {"from": "here"} and told["has_time"], told
    assert told["request_id"] == result["request-id"] and name in told["arn"], told
    assert result["executed-version"] == "1.0.0" and "REPORT RequestId" in result["log-tail"], result
    error, result = inline(name, {"raise": "as told"})
    assert error["errorMessage"] == "as told" and result["function-error"] == "Unhandled", (error, result)

    large = "ä" * 1_000_000
    said, complete = by_descriptor(name, large)
    assert said == large and complete["executed-version"] == "1.0.0", complete

    answer = aws.invoke(FunctionName=name, Qualifier="prod", Payload=b'{"n": 2}', LogType="Tail")
    assert json.load(answer["Payload"]) == {"n": 2} and answer["ExecutedVersion"] == "1.0.0", answer
    assert b"REPORT RequestId" in base64.b64decode(answer["LogResult"]), answer
    answer = aws.invoke(FunctionName=name, Payload=b'{"raise": "as told"}')
    assert answer["FunctionError"] == "Unhandled", answer
    answer = aws.invoke(FunctionName=name, Payload=b'{"exit": 3}')
    assert json.load(answer["Payload"])["errorType"] == "Runtime.ExitError", answer
    assert aws.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"n": 3}')["StatusCode"] == 202
    assert aws.invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204

def stream(event):
    said = aws.invoke_with_response_stream(FunctionName="com.example.Stream", Payload=json.dumps(event))
    *chunks, end = said["EventStream"]
    return b"".join(chunk["PayloadChunk"]["Payload"] for chunk in chunks), end["InvokeComplete"]

pieces, end = stream({"pieces": ["one ", "two ", "three"]})
assert pieces == b"one two three" and "ErrorCode" not in end, (pieces, end)
# It fails after it has said something: the error comes in the trailers of what it streams.
pieces, end = stream({"pieces": ["one ", "two "], "raise": "as told"})
assert pieces == b"one two " and "as told" in end["ErrorDetails"], (pieces, end)
print("done")
"#;

const CREDENTIALS: &str = "\
[[credential]]
access-key-id = 'KEY'
secret-access-key = 'secret'
functions = ['com.example.*']
";

#[test]
fn every_runtime_is_invoked_by_every_way() -> Result<()> {
    let files = tempfile::tempdir()?;
    fs::set_permissions(files.path(), fs::Permissions::from_mode(0o755))?;
    let credentials = files.path().join("credentials.toml");
    fs::write(&credentials, CREDENTIALS)?;
    give_to_the_daemon(&credentials)?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let hedgerow = with_image(&format!(
        "[lambda-endpoint]\nlisten = '127.0.0.1:{port}'\ncredentials = '{}'\n",
        credentials.display()
    ))?;
    for (name, code, handler, runtime) in functions() {
        let code = code.display().to_string();
        let words = ["function", "create", name, "--directory", &code, "--handler", handler];
        let more = ["--runtime", runtime, "--topic", "to/all"];
        hedgerow.run(&[&words[..], &more].concat())?;
        hedgerow.run(&["config", "set", name, r#"/hedgerow/aliases={"prod":"1.0.0"}"#])?;
    }

    let client = files.path().join("client.py");
    fs::write(&client, CLIENT)?;
    let output = Command::new("/usr/bin/python3")
        .arg(&client)
        .arg(hedgerow.root())
        .arg(format!("http://127.0.0.1:{port}"))
        .env("PYTHONPATH", boto3())
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{errors}\n{}", hedgerow.complaints());

    hedgerow.run(&["topic", "pub", "--json-payload", "to/all", r#"{"context": 1}"#])?;
    for (name, ..) in functions() {
        invoked_by_command(&hedgerow, name)?;
    }
    hedgerow.finish()
}

/// And by the topic, before that or after it.
fn invoked_by_command(hedgerow: &Hedgerow, name: &str) -> Result<()> {
    if name == "com.example.Stream" {
        ensure!(answer(hedgerow, name, r#"{"pieces": ["one ", "two"]}"#)? == "one two");
        return Ok(());
    }
    let said: Value = serde_json::from_str(&answer(hedgerow, &format!("{name}:prod"), "[4]")?)?;
    ensure!(said == json!([4]), "{said}");
    let refused = hedgerow.say(&["invoke", &format!("{name}:no")])?;
    ensure!(refused.code == Some(1) && refused.stderr.contains("no"), "{refused:?}");
    // What this test sent, the event of boto3 and the message of the topic among it.
    eventually("what it was asked", PATIENCE, || {
        let shown = hedgerow.run(&["function", "show", name])?;
        Ok(shown.contains(" 10: 3 errors,").then_some(()))
    })
}
