//! What a function has of the host, as whom it runs, and in how much memory.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Hedgerow, Said};
use serde_json::{Value, json};

use super::{Code, NAME, create, run};

/// A custom runtime: runs each event in a shell, and answers with what that says.
const SHELL: &str = r#"#!/usr/bin/python3
import http.client, json, os, subprocess
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
base = "/2018-06-01/runtime/invocation/"
while True:
    api.request("GET", base + "next")
    asked = api.getresponse()
    script = json.loads(asked.read())
    said = subprocess.run(script, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    api.request("POST", base + asked.headers["Lambda-Runtime-Aws-Request-Id"] + "/response", json.dumps(said.stdout))
    api.getresponse().read()
"#;

fn invoke(hedgerow: &Hedgerow, script: &str) -> Result<Said> {
    hedgerow.say(&["invoke", NAME, "--payload", &json!(script).to_string()])
}

fn answer(hedgerow: &Hedgerow, script: &str) -> Result<String> {
    let said = invoke(hedgerow, script)?;
    let answer = serde_json::from_str(said.stdout.trim());
    answer
        .with_context(|| format!("{script}: {said:?}\n{}", hedgerow.log(NAME).unwrap_or_default()))
}

/// Why it does not start.
fn refusal(hedgerow: &Hedgerow) -> Result<String> {
    let said = invoke(hedgerow, "true")?;
    let error: Value = serde_json::from_str(&said.stdout).with_context(|| format!("{said:?}"))?;
    Ok(error["errorMessage"].as_str().unwrap_or_default().to_owned())
}

fn set(hedgerow: &Hedgerow, key: &str, value: &Value) -> Result<Said> {
    hedgerow.say(&["config", "set", NAME, &format!("{key}={value}")])
}

fn notices(hedgerow: &Hedgerow, configuration: &Value) -> Result<String> {
    let document = json!({ NAME: { "MERGE": configuration } }).to_string();
    hedgerow.run(&["plan", "--update-config", &document])
}

#[test]
fn what_a_function_asks_of_the_host_is_granted_or_refused() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    let data = hedgerow.root().join("data");
    fs::create_dir(&data)?;
    fs::write(data.join("table"), "kept\n")?;
    // For its group: addGroupOwner.
    fs::set_permissions(data.join("table"), Permissions::from_mode(0o640))?;
    chown(data.join("table"), Some(64_991), Some(64_990))?;
    fs::set_permissions(&data, Permissions::from_mode(0o750))?;
    chown(&data, Some(64_990), Some(64_990))?;
    let code = Code::new("bootstrap", SHELL)?;
    run(&hedgerow, &create(&code, "any", "provided", &[]))?;
    let data = data.display().to_string();
    let volume = |destination: &str, permission: &str| json!({ "source": data, "destination": destination, "permission": permission, "addGroupOwner": true });
    let parameters = json!({
        "memorySize": 65_536,
        "volumes": { "0": volume("/data/in", "ro"), "1": volume("/var/lib/out", "rw") },
        "devices": { "0": { "path": "/dev/kmsg", "permission": "rw" } },
    });

    // Nothing is granted.
    let asks = notices(&hedgerow, &json!({ "containerParams": parameters }))?;
    for part in [
        "the device /dev/kmsg, which no grant",
        "devices = [\"/dev/kmsg\"]",
        "target = \"/data/in\"",
    ] {
        ensure!(asks.contains(part), "{asks}");
    }
    let taken = set(&hedgerow, "/containerParams/volumes", &json!([volume("/proc/x", "ro")]))?;
    ensure!(taken.stderr.contains("volumes/0/destination: \"/proc/x\": no volume"), "{taken:?}");
    set(&hedgerow, "/containerParams", &parameters)?;
    let refused = refusal(&hedgerow)?;
    ensure!(refused.contains("devices = [\"/dev/kmsg\"]"), "{refused:?}");

    let grant = |paths: &str| {
        let text = format!(
            "[[grant]]\ncomponent = {NAME:?}\ndevices = [\"/dev/kmsg\", \"/dev/hedgerow-*\"]\nhost-paths = [{paths}]\n"
        );
        fs::write(hedgerow.root().join("etc/hedgerow.toml"), text)
    };
    let read = format!("{{ path = {data:?}, target = \"/data/in\" }}");
    grant(&read)?;
    let again = |hedgerow: &Hedgerow| -> Result<()> {
        hedgerow.run(&["stop", NAME])?;
        hedgerow.run(&["start", NAME]).map(drop)
    };
    again(&hedgerow)?;
    let refused = refusal(&hedgerow)?;
    let line = format!("{{ path = {data:?}, access = \"rw\", target = \"/var/lib/out\" }}");
    ensure!(refused.contains(&line), "{refused:?}");
    grant(&format!("{read}, {line}"))?;
    again(&hedgerow)?;
    let script = "cat /data/in/table; echo new > /var/lib/out/written; cat /data/in/written; test -c /dev/kmsg && echo device; \
                  touch /data/in/x; touch /data/x; ls -A /opt; ls -d /sys/class/net";
    let said = answer(&hedgerow, script)?;
    let expected = [
        "kept",
        "new",
        "device",
        "Read-only file system",
        "Read-only file system",
        "/sys/class/net",
    ];
    ensure!(said.lines().count() == expected.len(), "{said}");
    ensure!(said.lines().zip(expected).all(|(line, part)| line.contains(part)), "{said}");

    // Granted, and not there.
    set(&hedgerow, "/containerParams/devices/0/path", &json!("/dev/hedgerow-0"))?;
    let absent = refusal(&hedgerow)?;
    ensure!(absent.contains("needs /dev/hedgerow-0 of the host, which is not there"), "{absent:?}");
    hedgerow.finish()
}

#[test]
fn a_function_runs_as_its_user_and_within_its_memory() -> Result<()> {
    let hedgerow = Hedgerow::start("")?;
    let code = Code::new("bootstrap", SHELL)?;
    run(&hedgerow, &create(&code, "any", "provided", &["--memory", "32"]))?;
    ensure!(answer(&hedgerow, "id -un; touch ~/mine")? == "ggc_user\n");
    let eats = "python3 -c 'kept = bytearray(64 << 20)'";
    let said = answer(&hedgerow, eats)?;
    ensure!(said.contains("Killed"), "{said}");
    let said = invoke(&hedgerow, "kill $PPID")?;
    ensure!(said.stdout.contains("Runtime.ExitError"), "it was not for want of memory: {said:?}");

    let run_with = json!({ NAME: { "posixUser": "1234:1235" } }).to_string();
    hedgerow.run(&["deploy", "--run-with", &run_with])?;
    ensure!(answer(&hedgerow, "id -u; id -g; touch ~/mine && echo mine")? == "1234\n1235\nmine\n");
    let run_with = json!({ NAME: { "posixUser": "gateway" } }).to_string();
    let told = hedgerow.run(&["plan", "--run-with", &run_with])?;
    ensure!(told.contains("it runs as ggc_user and not as gateway"), "{told}");
    hedgerow.run(&["deploy", "--run-with", &run_with])?;
    ensure!(answer(&hedgerow, "id -un; touch ~/mine && echo mine")? == "ggc_user\nmine\n");

    let configuration =
        json!({ "containerMode": "NoContainer", "containerParams": { "memorySize": 1 } });
    let told = notices(&hedgerow, &configuration)?;
    ensure!(told.contains("NoContainer is a fence as any component has one"), "{told}");

    let manager = "aws.greengrass.LambdaManager";
    let update = json!({ manager: { "MERGE": { "getResultTimeoutInSecond": 1 } } }).to_string();
    let change = ["--add", &format!("{manager}=*"), "--update-config", &update];
    let told = hedgerow.run(&[&["plan"], &change[..]].concat())?;
    ensure!(told.contains("timeoutInSeconds is 3, and an invocation ends after the 1"), "{told}");
    hedgerow.run(&[&["deploy"], &change[..]].concat())?;
    let late = invoke(&hedgerow, "sleep 60")?;
    ensure!(late.stdout.contains("Task timed out after 1.00 seconds"), "{late:?}");
    ensure!(hedgerow.log(NAME)?.contains("timeoutInSeconds is 3, and an invocation ends"));
    hedgerow.finish()
}
