//! The Lambda endpoint as the ecosystem uses it: with the unmodified boto3.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Hedgerow, PATIENCE, boto3, eventually, give_to_the_daemon};

const NAME: &str = "com.example.Echo";

/// A custom runtime: answers with what it was asked, or fails where that is `"fail"`.
const ECHO: &str = r#"#!/usr/bin/python3
import http.client, json, os
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
base = "/2018-06-01/runtime/invocation/"
while True:
    api.request("GET", base + "next")
    work = api.getresponse()
    event = json.loads(work.read())
    id = work.headers["Lambda-Runtime-Aws-Request-Id"]
    print("got", str(event)[:40], flush=True)
    if event == "fail":
        api.request("POST", base + id + "/error", json.dumps({"errorType": "Oops", "errorMessage": "no"}))
    elif event == "context":
        api.request("POST", base + id + "/response", work.headers["Lambda-Runtime-Client-Context"])
    else:
        api.request("POST", base + id + "/response", json.dumps(event))
    api.getresponse().read()
"#;

const CLIENT: &str = r#"
import base64, json, sys
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

def client(key="KEY", secret="secret"):
    return boto3.client("lambda", endpoint_url=sys.argv[1], region_name="eu-west-1", aws_access_key_id=key,
        aws_secret_access_key=secret, config=Config(retries={"max_attempts": 0}, read_timeout=60))

def refused(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError(f"{arguments} was not refused")

name, l = "com.example.Echo", client()
answer = l.invoke(FunctionName=name, Payload='{"a": [1, "ü"]}'.encode(), LogType="Tail")
assert json.loads(answer["Payload"].read()) == {"a": [1, "ü"]}, answer
assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] and "FunctionError" not in answer, answer
assert b"START RequestId" in base64.b64decode(answer["LogResult"]), answer
arn = l.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
context = base64.b64encode(b'{"custom": {"k": "v"}}').decode()
answer = l.invoke(FunctionName=arn, Qualifier=answer["ExecutedVersion"], Payload=b'"context"', ClientContext=context)
assert json.loads(answer["Payload"].read())["custom"] == {"k": "v"}

answer = l.invoke(FunctionName=name, Payload=b'"fail"')
assert answer["FunctionError"] == "Unhandled", answer
assert json.loads(answer["Payload"].read())["errorType"] == "Oops"
assert l.invoke(FunctionName=name, InvocationType="Event", Payload=b'"later"')["StatusCode"] == 202
assert l.invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204
large = json.dumps("x" * 5_000_000).encode()
assert l.invoke(FunctionName=name, Payload=large)["Payload"].read() == large

events = list(l.invoke_with_response_stream(FunctionName=name, Payload=b'"s"')["EventStream"])
assert events[0]["PayloadChunk"]["Payload"] == b'"s"', events
assert not events[-1]["InvokeComplete"].get("ErrorCode"), events
events = list(l.invoke_with_response_stream(FunctionName=name, Payload=b'"fail"')["EventStream"])
assert events[-1]["InvokeComplete"]["ErrorCode"] == "Oops", events

names = [f["FunctionName"] for page in l.get_paginator("list_functions").paginate() for f in page["Functions"]]
assert names == [name], names
assert l.get_function_configuration(FunctionName=name)["Runtime"] == "provided.al2023"

assert refused(l.invoke, FunctionName="com.example.Nobody") == ("ResourceNotFoundException", 404)
assert refused(l.invoke, FunctionName=name, Qualifier="99") == ("ResourceNotFoundException", 404)
assert refused(l.invoke, FunctionName=name, Payload=b"{") == ("InvalidRequestContentException", 400)
assert refused(l.invoke, FunctionName=name, Payload=b" " * 6_300_000)[1] == 413
assert refused(l.invoke, FunctionName=name, ClientContext="%%%") == ("InvalidRequestContentException", 400)
assert refused(client(secret="other").list_functions) == ("InvalidSignatureException", 403)
assert refused(client(key="OTHER").list_functions) == ("UnrecognizedClientException", 403)
narrow = client(key="NARROW")
assert refused(narrow.invoke, FunctionName=name) == ("AccessDeniedException", 403)
assert narrow.list_functions()["Functions"] == []
print("done")
"#;

const CREDENTIALS: &str = "\
[[credential]]
access-key-id = 'KEY'
secret-access-key = 'secret'
functions = ['com.example.*']

[[credential]]
access-key-id = 'NARROW'
secret-access-key = 'secret'
functions = ['org.example.*']
";

#[test]
fn boto3_invokes_and_lists_functions() -> Result<()> {
    let files = tempfile::tempdir()?;
    let credentials = files.path().join("credentials.toml");
    fs::set_permissions(files.path(), fs::Permissions::from_mode(0o755))?;
    fs::write(&credentials, CREDENTIALS)?;
    give_to_the_daemon(&credentials)?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let settings = format!(
        "[lambda-endpoint]\nlisten = '127.0.0.1:{port}'\ncredentials = '{}'\n",
        credentials.display()
    );
    let hedgerow = Hedgerow::start(&settings)?;
    let code = files.path().join("code");
    fs::create_dir(&code)?;
    fs::write(code.join("bootstrap"), ECHO)?;
    fs::set_permissions(code.join("bootstrap"), fs::Permissions::from_mode(0o755))?;
    let directory = code.display().to_string();
    hedgerow.run(&[
        "function",
        "create",
        NAME,
        "--directory",
        &directory,
        "--handler",
        "any",
        "--runtime",
        "provided.al2023",
    ])?;

    let sdk = boto3();
    ensure!(sdk.exists(), "{}: run `cargo xtask test`, which makes it", sdk.display());
    let client = files.path().join("client.py");
    fs::write(&client, CLIENT)?;
    let output = Command::new("/usr/bin/python3")
        .arg(&client)
        .arg(format!("http://127.0.0.1:{port}"))
        .env("PYTHONPATH", sdk)
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{errors}\n{}", hedgerow.log(NAME)?);
    eventually("the event", PATIENCE, || {
        Ok(hedgerow.log(NAME)?.contains("got later").then_some(()))
    })
    .with_context(|| hedgerow.log(NAME).unwrap_or_default())?;

    let unsigned = "GET /2015-03-31/functions/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = talk(port, unsigned)?;
    ensure!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    ensure!(answer.contains("MissingAuthenticationToken"), "{answer}");
    hedgerow.finish()
}

fn talk(port: u16, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
