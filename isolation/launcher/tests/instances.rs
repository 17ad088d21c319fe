//! What fences of Lambda functions have beyond those of components.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::chown;
use std::process::Command;

use common::*;
use hedgerow_isolation::plan::{Access, Base, Dependency, Mount, Network, Plan, StepId, User};
use hedgerow_isolation::protocol::{ErrorKind, ExitStatus, Request};

const ASK: &str =
    "exec timeout 10 bash -c 'exec 3<> /dev/tcp/127.0.0.1/9001; echo asked >&3; cat <&3'";

fn listening(name: &str, network: Network) -> Plan {
    Plan { network, listeners: vec![9001], ..plan(name) }
}

/// Opens a fence with a listener.
fn open(client: &mut Client, plan: Plan) -> TcpListener {
    let request = Request::Open { plan: Box::new(plan), note: String::new() };
    let (_, descriptors) = client.call(request, &[]).unwrap();
    only(descriptors)
}

fn only(descriptors: Vec<OwnedFd>) -> TcpListener {
    let [listener] = <[OwnedFd; 1]>::try_from(descriptors).unwrap();
    let listener = TcpListener::from(listener);
    listener.set_nonblocking(false).unwrap();
    listener
}

/// Answers one caller, and returns what it said.
fn answer(listener: &TcpListener) -> String {
    let mut connection: TcpStream = listener.accept().unwrap().0;
    let mut said = [0; 6];
    connection.read_exact(&mut said).unwrap();
    connection.write_all(b"answer").unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn a_fences_own_loopback_leads_to_the_daemon() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    for network in [Network::None, Network::Nat] {
        let plan = listening("function", network);
        let fence = plan.fence.clone();
        let listener = open(&mut client, plan);
        let asking = client.start(&fence, shell(1, ASK));
        assert_eq!(answer(&listener), "asked\n");
        assert_eq!(asking.output().0, "answer");
        assert_eq!(client.exit(StepId(1)).status, ExitStatus::Code(0));

        // The daemon dies; the next one goes on with it.
        drop((listener, client));
        client = launcher.client();
        let (report, has_ipc, descriptors) = client.adopt(&fence);
        assert_eq!((report.plan.listeners, has_ipc), (vec![9001], false));
        let [kept, _, _] = <[OwnedFd; 3]>::try_from(descriptors).unwrap();
        let listener = only(vec![kept]);
        let asking = client.start(&fence, shell(2, ASK));
        assert_eq!(answer(&listener), "asked\n");
        assert_eq!(asking.output().0, "answer");
        client.close(&fence);
    }
    launcher.stop();
}

#[test]
fn who_depends_on_a_function_does_not_reach_its_listener() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let function = listening("function", Network::Nat);
    let ids = function.ids;
    let _listener = open(&mut client, function);
    client.run(&id("function"), 1, "true");
    let dependencies = vec![Dependency { ids, layer: None, mounts: Vec::new() }];
    let dependent = client.open(Plan { network: Network::Nat, dependencies, ..plan("dependent") });
    let (status, _, stderr) = client.run(&dependent, 1, ASK);
    assert!(status != ExitStatus::Code(0) && stderr.contains("refused"), "{stderr}");
    launcher.stop();
}

#[test]
fn listeners_need_a_network_of_the_fences_own() {
    let launcher = Launcher::start();
    launcher.grant("[[grant]]\ncomponent = '*'\nhost-network = true\n");
    let refused = launcher.client().try_open(listening("function", Network::Host)).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
    assert!(refused.message.contains("a network of its own"), "{refused}");
}

#[test]
fn fences_of_a_function_share_its_ids_code_and_work_directory_and_have_their_own_tmp() {
    let launcher = Launcher::start();
    let state = launcher.path().join("state");
    for (path, text) in [
        ("code/app.py", "code"),
        ("one/python/shared", "one"),
        ("one/python/first", "first"),
        ("two/python/shared", "two"),
    ] {
        let path = state.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        chown(&path, Some(DAEMON_UID), None).unwrap();
        // As artifacts are by default: for their owner to read.
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
    }
    for name in ["code", "one", "one/python", "two", "two/python"] {
        chown(state.join(name), Some(DAEMON_UID), None).unwrap();
    }
    let place = |source: &str, target: &str| Mount {
        base: Base::State,
        source: source.into(),
        target: target.into(),
        access: Access::Layered,
        owner: Some(User::GGC),
    };
    let mounts = vec![
        place("code", "/var/task"),
        place("one", "/opt"),
        place("two", "/opt"),
        work("work", "/greengrass/v2/work/f"),
    ];
    let function = Plan { mounts, tmp: Some(1 << 20), ..plan("f") };
    let second = Plan { fence: id("f-2"), ..function.clone() };
    let mut client = launcher.client();
    for plan in [function, second] {
        let fence = client.open(plan);
        let script = "cd /opt/python; cat /var/task/app.py shared first; stat -c ' %U' /var/task/app.py shared; \
            rm -f /var/task/app.py 2>/dev/null || touch /opt/x 2>/dev/null || touch /usr/x 2>/dev/null || \
            echo safe; cat /tmp/own 2>/dev/null; echo mine > /tmp/own; head -c 2M /dev/zero 2>/dev/null > /tmp/large; \
            stat -c %s /tmp/large; echo line >> /greengrass/v2/work/f/log; wc -l < /greengrass/v2/work/f/log";
        let (_, said, _) = client.run(&fence, 1, script);
        let lines = if fence == id("f") { 1 } else { 2 };
        let room = (1 << 20) - 4096;
        let expected = format!("codetwofirst ggc_user\n ggc_user\nsafe\n{room}\n{lines}\n");
        assert_eq!(said, expected);
    }
    // Another component's are nobody else's.
    let thief = Plan { fence: id("thief"), name: "com.example.Thief".into(), ..plan("f") };
    let refused = client.try_open(thief).unwrap_err();
    assert!(refused.message.contains("another open fence"), "{refused}");
    launcher.stop();
}

#[test]
fn programs_are_the_hosts_own_and_configuration_is_the_fences() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("programs"));
    let file_system = "stat -f -c %T /usr";
    let script = format!(
        "{file_system}; stat -c %U /usr /etc/passwd; touch /usr/x 2> /dev/null || echo safe"
    );
    let said = client.say(&fence, 1, &script);
    let host = Command::new("sh").args(["-c", file_system]).output().unwrap();
    let host = String::from_utf8(host.stdout).unwrap();
    assert_eq!(said, format!("{host}nobody\nroot\nsafe\n"));
    launcher.stop();
}

#[test]
fn what_a_plan_needs_of_the_host_must_be_granted() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let mut needy = plan("needy");
    needy.needs.devices = vec!["/dev/null".into()];
    let wanted = serde_json::json!({ "path": "/usr/share", "target": "/tmp/share" });
    needy.needs.host_paths = vec![serde_json::from_value(wanted).unwrap()];
    for (line, missing) in [
        ("", "devices = [\"/dev/null\"]"),
        (
            "devices = ['/dev/nul*']",
            "host-paths = [{ path = \"/usr/share\", access = \"ro\", target = \"/tmp/share\" }]",
        ),
    ] {
        launcher.grant(&format!("[[grant]]\ncomponent = 'com.example.needy'\n{line}\n"));
        let refused = client.try_open(needy.clone()).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::NotGranted);
        assert!(refused.message.contains(missing), "{refused}");
        assert!(refused.message.contains("component = \"com.example.needy\""), "{refused}");
    }
    launcher.grant(
        "[[grant]]\ncomponent = 'com.example.needy'\ndevices = ['/dev/nul*']\n\
         host-paths = [{ path = '/usr/share', target = '/tmp/share' }]\n",
    );
    let fence = client.open(needy);
    client.say(&fence, 1, "test -c /dev/null && ls /tmp/share > /dev/null");
    launcher.stop();
}

#[test]
fn the_most_memory_that_a_fence_ever_had_is_known() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("memory"));
    client.say(&fence, 1, "head -c 20M /dev/zero > /tmp/large; rm /tmp/large");
    let usage = client.usage(&fence);
    assert!(usage.peak_memory >= 20 << 20 && usage.load.memory < usage.peak_memory, "{usage:?}");
    launcher.stop();
}

#[test]
fn what_is_granted_is_seen_where_the_root_has_nothing_of_that_name_and_the_root_stays_as_it_is() {
    let launcher = Launcher::start();
    let data = launcher.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("file"), "text").unwrap();
    for path in [&data, &data.join("file")] {
        chown(path, Some(DAEMON_UID), Some(DAEMON_UID)).unwrap();
    }
    let data = data.display();
    launcher.grant(&format!(
        "[[grant]]\ncomponent = 'com.example.volumes'\nhost-paths = [\n\
         {{ path = '{data}', target = '/data/in' }},\n\
         {{ path = '{data}', access = 'rw', target = '/usr/share/hedgerow-test/out' }},\n\
         {{ path = '{data}/file', target = '/var/run/one' }},\n\
         {{ path = '{data}/file', target = '/bin/hedgerow-test' }},\n]\n"
    ));
    let mut client = launcher.client();
    let fence = client.open(plan("volumes"));
    let script = "cat /data/in/file /run/one /usr/bin/hedgerow-test; cd /usr/share/hedgerow-test/out; echo more > new; \
        cat new; touch /data/in/x 2>/dev/null || touch /data/x 2>/dev/null || touch /x 2>/dev/null || \
        touch /usr/share/x 2>/dev/null || echo safe; test -x /usr/bin/env && stat -c %U /data";
    let (status, said, stderr) = client.run(&fence, 1, script);
    assert_eq!(status, ExitStatus::Code(0), "{stderr}");
    assert_eq!(said, "texttexttextmore\nsafe\nroot\n");
    // Its root does not write there either.
    let running = client.start(&fence, privileged(2, "touch /x /data/x /usr/share/x"));
    assert_eq!(running.output().1.matches("Read-only file system").count(), 3);
    launcher.stop();
}
