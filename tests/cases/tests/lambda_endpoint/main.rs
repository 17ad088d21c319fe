//! The Lambda endpoint as the ecosystem uses it: with the unmodified boto3, and with curl.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Hedgerow, PATIENCE, boto3, eventually, give_to_the_daemon};

const NAME: &str = "com.example.Echo";

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
fn boto3_calls_over_tcp_with_keys_of_the_endpoints_own() -> Result<()> {
    let files = tempfile::tempdir()?;
    fs::set_permissions(files.path(), Permissions::from_mode(0o755))?;
    let credentials = files.path().join("credentials.toml");
    fs::write(&credentials, CREDENTIALS)?;
    give_to_the_daemon(&credentials)?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let settings = format!(
        "[function]\ninvocations-max-size = 8388608\n\n\
         [lambda-endpoint]\nlisten = '127.0.0.1:{port}'\ncredentials = '{}'\n",
        credentials.display()
    );
    let taken = TcpListener::bind(("127.0.0.1", port))?;
    let hedgerow = Hedgerow::start(&settings)?;
    create_echo(&hedgerow)?;
    let in_use = format!("cannot listen on 127.0.0.1:{port}");
    ensure!(hedgerow.run(&["doctor"])?.contains(&in_use), "it says nothing of the port");
    drop(taken);
    eventually("the port is free, and the endpoint there", PATIENCE, || {
        Ok((!hedgerow.run(&["doctor"])?.contains(&in_use)).then_some(()))
    })?;
    let url = format!("http://127.0.0.1:{port}");
    run_python(include_str!("tcp.py"), &[&url])
        .with_context(|| hedgerow.log(NAME).unwrap_or_default())?;
    eventually("the event", PATIENCE, || {
        Ok(hedgerow.log(NAME)?.contains("got later").then_some(()))
    })
    .with_context(|| hedgerow.log(NAME).unwrap_or_default())?;

    let invoke = format!("{url}/2015-03-31/functions/{NAME}/invocations?Qualifier=%24LATEST");
    let signed = ["--aws-sigv4", "aws:amz:eu-west-1:lambda", "--user", "KEY:secret"];
    let signed = curl(Command::new("curl").args(signed).args(["--data", "[1]", &invoke]))?;
    ensure!(signed == "[1] 200", "{signed}");
    let unsigned = curl(Command::new("curl").args(["--data", "[1]", &invoke]))?;
    ensure!(unsigned.ends_with(" 403") && unsigned.contains("is not signed"), "{unsigned}");
    hedgerow.finish()
}

#[test]
fn over_a_unix_socket_those_call_who_may_by_the_kernels_word() -> Result<()> {
    let files = tempfile::tempdir()?;
    // The daemon makes the socket, as a user without rights.
    fs::set_permissions(files.path(), Permissions::from_mode(0o777))?;
    let socket = files.path().join("lambda.sock");
    let path = socket.display().to_string();
    let settings = format!("[lambda-endpoint]\nlisten = 'unix:{path}'\n");
    let mut hedgerow = Hedgerow::start(&settings)?;
    create_echo(&hedgerow)?;
    let invoke = |word: &str| run_python(include_str!("unix.py"), &[&path, word]);
    let answer = invoke("one").with_context(|| hedgerow.log(NAME).unwrap_or_default())?;
    ensure!(answer == "one", "{answer}");

    let list = ["--unix-socket", &path, "http://localhost/2015-03-31/functions/"];
    let listed = curl(Command::new("curl").args(list))?;
    ensure!(listed.contains(NAME), "{listed}");
    let nobody = ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "curl"];
    let refused = curl(Command::new("setpriv").args(nobody).args(list))?;
    ensure!(refused.ends_with(" 403") && refused.contains("in group hedgerow"), "{refused}");

    // It left its socket behind.
    hedgerow.kill_daemon()?;
    hedgerow.start_daemon()?;
    let again = || Ok(invoke("two").is_ok_and(|answer| answer == "two").then_some(()));
    eventually("the socket is served again", PATIENCE, again)?;

    hedgerow.stop_daemon()?;
    fs::remove_file(&socket)?;
    fs::write(&socket, "another's")?;
    hedgerow.start_daemon()?;
    let said = hedgerow.run(&["doctor"])?;
    ensure!(said.contains("is no socket: remove it"), "{said}");
    ensure!(fs::read_to_string(&socket)? == "another's", "it is not its file");
    hedgerow.finish()
}

fn create_echo(hedgerow: &Hedgerow) -> Result<()> {
    let code = tempfile::tempdir()?;
    let bootstrap = code.path().join("bootstrap");
    fs::write(&bootstrap, include_str!("bootstrap.py"))?;
    fs::set_permissions(&bootstrap, Permissions::from_mode(0o755))?;
    let directory = code.path().display().to_string();
    let code = ["--directory", &directory, "--handler", "any", "--runtime", "provided.al2023"];
    hedgerow.run(&[&["function", "create", NAME][..], &code].concat())?;
    Ok(())
}

/// What it prints.
fn run_python(script: &str, arguments: &[&str]) -> Result<String> {
    let sdk = boto3();
    ensure!(sdk.exists(), "{}: run `cargo xtask test`, which makes it", sdk.display());
    let mut python = Command::new("/usr/bin/python3");
    let output = python.args(["-c", script]).args(arguments).env("PYTHONPATH", sdk).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The body and the status.
fn curl(command: &mut Command) -> Result<String> {
    let output = command.args(["--silent", "--write-out", " %{http_code}"]).output()?;
    Ok(String::from_utf8(output.stdout)?)
}
