//! A component that says nothing of what it misses, from that to the grants with which it works.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};

use anyhow::{Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, eventually};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

/// Wants a device, a directory of the host to read and one to write, a service of the host, the system bus, and to serve
/// others itself; none of which it says when it fails.
const SCRIPT: &str = r#"import os, socket, sys
got = []
def attempt(name, act):
    try:
        act()
        got.append(name)
    except OSError:
        pass
def serve():
    global server
    server = socket.socket()
    server.bind(("0.0.0.0", 8099))
data, port, device = sys.argv[1], int(sys.argv[2]), sys.argv[3]
attempt("device", lambda: os.close(os.open(device, os.O_RDONLY)))
attempt("table", lambda: open(data + "/in/table").close())
attempt("log", lambda: open(data + "/out/log", "a").close())
attempt("service", lambda: socket.create_connection(("127.0.0.1", port), 2).close())
attempt("mount", lambda: os.mknod("/tmp/node", 0o20600, 259))
serve()
print("got", *got)
"#;

#[test]
fn a_silent_component_is_observed_and_then_granted_what_it_missed() -> Result<()> {
    // Where fences have nothing of the host.
    let data = tempfile::Builder::new().prefix("hedgerow-data-").tempdir_in("/srv")?;
    for (name, owner) in [("in", 0), ("out", 12_345)] {
        let path = data.path().join(name);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o700))?;
        chown(&path, Some(owner), Some(owner))?;
    }
    fs::write(data.path().join("in/table"), "kept\n")?;
    let service = TcpListener::bind("127.0.0.1:0")?;
    let (data, port) = (data.path().display().to_string(), service.local_addr()?.port());
    let device = Device::make()?;
    let draft = Draft::new()?;
    let script = SCRIPT.replace('\n', "\n  ");
    let run =
        format!("run: |\n  python3 - {data} {port} {} <<'END'\n  {script}\n  END", device.path());
    draft.component("test.Silent", "1.0.0", "", &run)?;
    draft.component("test.Idle", "1.0.0", "", "run: sleep 600")?;
    let hedgerow = Hedgerow::start("")?;
    hedgerow.deploy(&draft.source(), &["test.Silent=1.0.0"])?;
    let tried = |times: usize| {
        eventually("it tried", PATIENCE, || {
            let log = hedgerow.log("test.Silent")?;
            let lines: Vec<_> = log.lines().filter(|line| line.contains("got")).collect();
            Ok((lines.len() == times).then(|| lines.concat()))
        })
    };
    ensure!(tried(1)?.trim_end().ends_with("got"), "{}", hedgerow.log("test.Silent")?);
    let suggested = hedgerow.run(&["grants", "suggest", "test.Silent"])?;
    ensure!(suggested.contains("hedgerow observe test.Silent"), "{suggested}");

    // It ends with the component, long before that.
    let shown = hedgerow.run(&["observe", "test.Silent", "--for", "10m"])?;
    for line in [
        &format!("devices = [\"{}\"]", device.path()),
        "host-network = true",
        "ports = [\"8099:8099/tcp\"]",
        "access = \"rw\"",
        "no grant can give this",
    ] {
        ensure!(shown.contains(line), "{line}: {shown}");
    }
    ensure!(!shown.contains(" /usr/") && !shown.contains(" /etc/"), "noise: {shown}");
    ensure!(tried(2)?.trim_end().ends_with("got"), "{}", hedgerow.log("test.Silent")?);

    let written = hedgerow.run(&["grants", "suggest", "test.Silent", "--write"])?;
    hedgerow.run(&["restart", "test.Silent"])?;
    let last = tried(3)?;
    ensure!(last.contains("got device table log"), "{last}; {written}");

    // One that goes on is started twice, and told apart from one that is stopped.
    hedgerow.deploy(&draft.source(), &["test.Idle=1.0.0"])?;
    let before = hedgerow.component("test.Idle")?;
    let shown = hedgerow.run(&["observe", "test.Idle", "--for", "1s"])?;
    ensure!(shown.contains("nothing was denied"), "{shown}");
    hedgerow.wait_for("test.Idle", "it runs again", |now| {
        now.state == "RUNNING" && now.pid != before.pid
    })?;
    hedgerow.run(&["stop", "test.Idle"])?;
    let refused = hedgerow.say(&["observe", "test.Idle"])?;
    ensure!(refused.stderr.contains("start it first"), "{}", refused.stderr);
    hedgerow.finish()
}

/// A device of the host's root alone: the kernel's zero by another name.
struct Device(String);

impl Device {
    fn make() -> Result<Device> {
        let device = Device(format!("/dev/hedgerow-{}-zero", std::process::id()));
        let owner = Mode::S_IRUSR | Mode::S_IWUSR;
        mknod(device.path(), SFlag::S_IFCHR, owner, makedev(1, 5))?;
        Ok(device)
    }

    fn path(&self) -> &str {
        &self.0
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
