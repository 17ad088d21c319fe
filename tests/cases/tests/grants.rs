//! From what a component misses to the grant that gives it.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, eventually};

#[test]
fn what_a_component_misses_is_suggested_written_and_granted() -> Result<()> {
    // Where fences have nothing of the host.
    let data = tempfile::Builder::new().prefix("hedgerow-data-").tempdir_in("/srv")?;
    fs::set_permissions(data.path(), Permissions::from_mode(0o700))?;
    fs::write(data.path().join("table"), "kept\n")?;
    let table = data.path().join("table").display().to_string();
    let draft = Draft::new()?;
    let run = format!("run: cat {table} && head -c 1 /dev/kmsg");
    draft.component("test.Reader", "1.0.0", "", &run)?;
    draft.component("test.Installer", "1.0.0", "", &format!("install: cat {table}"))?;
    let hedgerow = Hedgerow::start("")?;
    let line = format!("host-paths = [{{ path = {table:?}, access = \"ro\" }}]");
    let said = hedgerow.say_deploy(&draft.source(), &["test.Installer=1.0.0"])?;
    ensure!(said.code == Some(1) && said.stderr.contains(&line), "{}", said.stderr);

    hedgerow.say_deploy(&draft.source(), &["test.Reader=1.0.0"])?;
    hedgerow.wait_for("test.Reader", "it failed", |c| !c.last_error.is_empty())?;
    let suggested = hedgerow.run(&["grants", "suggest", "test.Reader"])?;
    ensure!(suggested.contains(&line) && !suggested.contains("devices"), "{suggested}");
    hedgerow.run(&["grants", "suggest", "test.Reader", "--write"])?;
    let written = hedgerow.root().join("etc/hedgerow.toml.d/50-grant-test.Reader.toml");
    ensure!(fs::read_to_string(written)?.contains(&line));

    // With it the component comes as far as the device.
    hedgerow.say(&["restart", "test.Reader"])?;
    eventually("it reads", PATIENCE, || {
        Ok(hedgerow.log("test.Reader")?.contains("/dev/kmsg").then_some(()))
    })?;
    ensure!(hedgerow.log("test.Reader")?.contains("kept"));
    let suggested = hedgerow.run(&["grants", "suggest", "test.Reader"])?;
    ensure!(suggested.contains("devices = [\"/dev/kmsg\"]"), "{suggested}");
    hedgerow.finish()
}

#[test]
fn root_of_the_host_is_suggested_and_granted() -> Result<()> {
    let draft = Draft::new()?;
    // Writes what is there.
    let run = "run:\n  RequiresPrivilege: true\n  \
               Script: cat /proc/sys/vm/swappiness > /tmp/x && cat /tmp/x > /proc/sys/vm/swappiness && echo set";
    draft.component("test.Root", "1.0.0", "", run)?;
    let hedgerow = Hedgerow::start("")?;
    let said = hedgerow.say_deploy(&draft.source(), &["test.Root=1.0.0"])?;
    hedgerow.wait_for("test.Root", "it failed", |c| !c.last_error.is_empty())?;
    let suggested = hedgerow.run(&["grants", "suggest", "test.Root", "--write"])?;
    ensure!(suggested.contains("real-root = [\"CAP_SYS_ADMIN\"]"), "{suggested}; {}", said.stderr);
    ensure!(!hedgerow.log("test.Root")?.contains("] set"), "{}", hedgerow.log("test.Root")?);
    hedgerow.say(&["restart", "test.Root"])?;
    hedgerow.wait_for("test.Root", "it is done", |c| c.state == "FINISHED")?;
    hedgerow.finish()
}

#[test]
fn what_is_granted_of_the_hosts_bus_is_there_and_nothing_else() -> Result<()> {
    let bus = Bus::start()?;
    let draft = Draft::new()?;
    let call =
        |name| format!("dbus-send --system --print-reply --dest={name} /a org.example.A.Get");
    let (open, closed) = (call("org.example.Open"), call("org.example.Closed"));
    let run = format!("run: ({open} && {closed}) 2>&1; sleep 600");
    draft.component("test.Caller", "1.0.0", "", &run)?;
    let mut hedgerow = Hedgerow::start(&format!(
        "[host-dbus]\naddress = \"{}\"\n[[grant]]\ncomponent = \"test.Caller\"\n\
         host-dbus = {{ talk = [\"org.example.Open\"] }}\n",
        bus.address
    ))?;
    hedgerow.deploy(&draft.source(), &["test.Caller=1.0.0"])?;
    let answered = |hedgerow: &Hedgerow, times: usize| {
        eventually("both are answered", PATIENCE, || {
            let log = hedgerow.log("test.Caller")?;
            let refused = log.matches("Error org.freedesktop.DBus.Error.ServiceUnknown").count();
            Ok((log.matches("string \"here\"").count() == times && refused == times).then_some(()))
        })
    };
    answered(&hedgerow, 1)?;
    // So it is with the next daemon.
    hedgerow.kill_daemon()?;
    hedgerow.start_daemon()?;
    hedgerow.run(&["restart", "test.Caller"])?;
    answered(&hedgerow, 2)?;
    hedgerow.finish()
}

/// A bus that stands for the host's, with a service that has two names.
struct Bus {
    address: String,
    children: Vec<Child>,
    _directory: tempfile::TempDir,
}

impl Bus {
    fn start() -> Result<Bus> {
        let directory = tempfile::tempdir()?;
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
        let socket = directory.path().join("bus");
        let address = format!("unix:path={}", socket.display());
        let mut bus = Bus { address, children: Vec::new(), _directory: directory };
        let configuration = bus._directory.path().join("bus.conf");
        let text = format!(
            "<busconfig><listen>{}</listen><auth>EXTERNAL</auth><policy context='default'><allow user='*'/>\
             <allow own='*'/><allow send_destination='*'/><allow receive_sender='*'/></policy></busconfig>",
            bus.address
        );
        fs::write(&configuration, text)?;
        let file = format!("--config-file={}", configuration.display());
        bus.child(Command::new("dbus-daemon").args([&file, "--nofork", "--print-address=1"]))?;
        let service =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isolation/launcher/tests/service.py");
        let names = ["org.example.Open", "org.example.Closed"];
        bus.child(Command::new("python3").arg(service).arg(&socket).args(names))?;
        Ok(bus)
    }

    /// Starts it, and waits for its first line.
    fn child(&mut self, command: &mut Command) -> Result<()> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take();
        self.children.push(child);
        let mut line = String::new();
        BufReader::new(stdout.context("no pipe")?).read_line(&mut line)?;
        ensure!(!line.is_empty(), "{command:?} ended");
        Ok(())
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
