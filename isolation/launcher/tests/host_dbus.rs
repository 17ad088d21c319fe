//! The host's system bus, as far as a grant goes.

mod common;

use std::fs;
use std::process::{Child, Command, Stdio};

use common::*;
use hedgerow_isolation::protocol::ExitStatus;

/// A bus that stands for the host's, with a service of two names.
struct Bus {
    daemon: Child,
    service: Child,
    address: String,
}

impl Bus {
    fn start(launcher: &Launcher) -> Self {
        let socket = launcher.path().join("bus");
        let address = format!("unix:path={}", socket.display());
        let configuration = launcher.path().join("bus.conf");
        // A rule about a group, as real buses have: then the bus asks for the groups of who connects.
        fs::write(
            &configuration,
            format!(
                "<busconfig><listen>{address}</listen><auth>EXTERNAL</auth><policy context='default'>\
                 <allow user='*'/><allow own='*'/><allow send_destination='*'/><allow receive_sender='*'/></policy>\
                 <policy group='root'><allow own='org.example'/></policy></busconfig>"
            ),
        )
        .unwrap();
        make_world_readable(launcher.path());
        let mut daemon = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", configuration.display()))
            .args(["--nofork", "--print-address=1"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        read_line(&mut std::fs::File::from(std::os::fd::OwnedFd::from(
            daemon.stdout.take().unwrap(),
        )));
        let mut service = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service.py"))
            .arg(&socket)
            .args(["org.example.Open", "org.example.Closed"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = service.stdout.take().unwrap();
        let said = read_line(&mut std::fs::File::from(std::os::fd::OwnedFd::from(said)));
        assert_eq!(said, "ready");
        Self { daemon, service, address }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        for child in [&mut self.service, &mut self.daemon] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn call(name: &str) -> String {
    format!("dbus-send --system --print-reply --dest={name} /a org.example.A.Get")
}

#[test]
fn a_component_calls_what_is_granted_and_nothing_else() {
    let launcher = Launcher::start();
    let bus = Bus::start(&launcher);
    launcher.grant(&format!(
        "[host-dbus]\naddress = '{}'\n[[grant]]\ncomponent = 'com.example.caller'\n\
         host-dbus = {{ talk = ['org.example.Open'] }}\n",
        bus.address
    ));
    let mut client = launcher.client();
    let caller = client.open(plan("caller"));
    let said = client.say(
        &caller,
        1,
        &format!("{}; echo $DBUS_SYSTEM_BUS_ADDRESS", call("org.example.Open")),
    );
    assert!(said.contains("string \"here\"") && said.contains("unix:path=/run/dbus/"), "{said}");
    let (status, _, stderr) = client.run(&caller, 2, &call("org.example.Closed"));
    assert!(status != ExitStatus::Code(0) && stderr.contains("ServiceUnknown"), "{stderr}");
    // As the fence's root, who has another number there.
    assert!(client.say_privileged(&caller, 3, &call("org.example.Open")).contains("here"));

    let other = client.open(plan("other"));
    let (status, ..) = client.run(&other, 1, &call("org.example.Open"));
    assert_ne!(status, ExitStatus::Code(0));
    client.close(&caller);
    client.close(&other);
    assert!(
        processes(&bus.address).iter().all(|pid| *pid == bus.daemon.id().cast_signed()),
        "a filter is left"
    );
    launcher.stop();
}

#[test]
fn the_filters_death_is_healed_and_so_is_the_relays() {
    let launcher = Launcher::start();
    let bus = Bus::start(&launcher);
    launcher.grant(&format!(
        "[host-dbus]\naddress = '{}'\n[[grant]]\ncomponent = '*'\nhost-dbus = {{ talk = ['org.example.*'] }}\n",
        bus.address
    ));
    let mut client = launcher.client();
    let fence = client.open(plan("healed"));
    client.say(&fence, 1, &call("org.example.Open"));
    let filter = processes("xdg-dbus-proxy --fd")
        .into_iter()
        .find(|pid| {
            fs::read_to_string(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|l| l.contains(&bus.address))
        })
        .unwrap();
    let status = fs::read_to_string(format!("/proc/{filter}/status")).unwrap();
    assert!(status.contains("Uid:\t65534\t65534"), "{status}");
    let relay: i32 =
        status.lines().find_map(|l| l.strip_prefix("PPid:\t")).unwrap().parse().unwrap();
    let end = |pid: i32| {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    };
    end(filter);
    let mut step = 1;
    let mut calls = |client: &mut Client| {
        eventually("the bus is there again", || {
            step += 1;
            (client.run(&fence, step, &call("org.example.Open")).0 == ExitStatus::Code(0))
                .then_some(())
        });
    };
    calls(&mut client);
    end(relay);
    calls(&mut client);
}
