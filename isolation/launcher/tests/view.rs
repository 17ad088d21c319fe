//! What a component sees inside its fence, and what it may do there.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::Command;

use common::*;
use hedgerow_isolation::plan::{Access, Network, Plan, Step, User};
use hedgerow_isolation::protocol::ExitStatus;

/// Somebody on the host without any rights.
const STRANGER: u32 = 64_991;

#[test]
fn a_step_is_its_user_with_no_privilege_at_all() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("ids"));
    assert_eq!(
        client.say(&fence, 1, "id"),
        "uid=1000(ggc_user) gid=1000(ggc_group) groups=1000(ggc_group)\n"
    );
    // The group of the same name, which recipes use as well.
    assert_eq!(
        client.say(&fence, 90, "cd /tmp; touch x; chgrp ggc_user x; stat -c %g x"),
        "1000\n"
    );
    let mut root = shell(2, "id -u; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status");
    for (user, uid) in [(User::GGC, "1000"), (User::ROOT, "0")] {
        root.user = user;
        root.id.0 += 1;
        let (stdout, _) = client.start(&fence, root.clone()).output();
        let fields: Vec<_> = stdout.split_whitespace().collect();
        let none = "0000000000000000";
        assert_eq!(fields[0], uid);
        let expected = [
            "CapInh:",
            none,
            "CapPrm:",
            none,
            "CapEff:",
            none,
            "CapBnd:",
            none,
            "CapAmb:",
            none,
            "NoNewPrivs:",
            "1",
            "Seccomp:",
            "2",
        ];
        assert_eq!(fields[1..], expected);
    }
    assert_eq!(client.say(&fence, 9, "cat /proc/1/comm"), "hedgerow-init\n");
    let host = fs::metadata(format!("/proc/{}", processes("sleep 27182").first().unwrap_or(&1)));
    drop(host);
    let running = client.start(&fence, shell(10, "exec sleep 27182"));
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid)).unwrap();
    let uid = plan("ids").ids.first + 1000;
    assert!(status.contains(&format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}")), "{status}");
}

#[test]
fn the_init_is_out_of_reach_of_steps() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("init"));
    for (number, user) in [(1, User::GGC), (2, User::ROOT)] {
        let mut probe = shell(
            number,
            "kill -9 1; kill -TERM 1; for f in mem maps environ exe root fd/3; do \
             (exec 3< /proc/1/$f) 2>/dev/null && echo open $f; (exec 3>> /proc/1/$f) 2>/dev/null && echo write $f; done; \
             readlink /proc/1/exe; true",
        );
        probe.user = user;
        let (stdout, _) = client.start(&fence, probe).output();
        assert_eq!(stdout, "", "as {user:?}");
    }
    assert_eq!(client.run(&fence, 3, "exit 6").0, ExitStatus::Code(6), "it still serves");
}

#[test]
fn calls_that_reach_outside_are_refused_and_unknown_ones_do_not_exist() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("seccomp"));
    let script = r#"
import ctypes, errno, mmap, os, socket, threading, tempfile
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    ctypes.set_errno(0)
    r = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in args])
    return errno.errorcode.get(ctypes.get_errno(), "OK") if r == -1 else "OK"
import platform
table = {"x86_64": dict(clone=56, unshare=272, mount=165, umount2=166, bpf=321, keyctl=250, perf_event_open=298,
  ptrace=101, process_vm_readv=310, setns=308, io_uring_setup=425, clone3=435, open_by_handle_at=304, userfaultfd=323,
  init_module=175, kexec_load=246, reboot=169, pivot_root=155, unknown=999, getpid=39),
 "aarch64": dict(clone=220, unshare=97, mount=40, umount2=39, bpf=280, keyctl=219, perf_event_open=241,
  ptrace=117, process_vm_readv=270, setns=268, io_uring_setup=425, clone3=435, open_by_handle_at=265, userfaultfd=282,
  init_module=105, kexec_load=104, reboot=142, pivot_root=41, unknown=999, getpid=172)}[platform.machine()]
for name, number in table.items():
    args = [0x10000000] if name in ("clone", "unshare") else [0] * 6
    print(name, call(number, *args))
t = threading.Thread(target=lambda: print("thread OK")); t.start(); t.join()
print("fork", os.waitstatus_to_exitcode(os.system("true")))
os.mkfifo(tempfile.mktemp()); print("fifo OK")
a, b = socket.socketpair(); print("socketpair OK")
try: socket.socket(40); print("vsock OK")
except OSError as e: print("vsock", errno.errorcode[e.errno])
"#;
    let mut step = step(1, &["python3", "-c", script]);
    step.user = User::ROOT;
    let (stdout, stderr) = client.start(&fence, step).output();
    let answers: Vec<_> = stdout.lines().filter_map(|l| l.split_once(' ')).collect();
    for (name, answer) in answers {
        let expected = match name {
            "getpid" | "thread" | "fifo" | "socketpair" => "OK",
            "fork" => "0",
            "unknown" | "clone3" => "ENOSYS",
            _ => "EPERM",
        };
        assert_eq!(answer, expected, "{name}\n{stdout}{stderr}");
    }
    assert!(stdout.contains("vsock"), "{stdout}{stderr}");
}

/// The one that matters: nothing can be read inside that an unprivileged user of the host could not read.
#[test]
fn no_file_is_readable_inside_that_a_stranger_on_the_host_could_not_read() {
    let launcher = Launcher::start();
    // A function's shows the host's programs in another way.
    for plan in [layered("walk"), plan("function")] {
        walk(&mut launcher.client(), plan);
    }
}

fn walk(client: &mut Client, plan: Plan) {
    let fence = client.open(plan);
    let hidden = [
        "-path",
        "/proc/[0-9]*",
        "-o",
        "-path",
        "/tmp",
        "-o",
        "-path",
        "/dev",
        "-o",
        "-path",
        "/proc/sys/net",
        "-o",
        "-path",
        "/sys/devices/virtual/net",
        // The fence's own cgroup, in the place of the host's.
        "-o",
        "-path",
        "/sys/fs/cgroup",
    ];
    let mut argv = vec!["find", "/", "("];
    argv.extend(hidden);
    argv.extend([")", "-prune", "-o", "-xtype", "f", "-type", "f", "-readable", "-print"]);
    let mut walk = |id, privileged| -> BTreeSet<String> {
        let walk = Step { privileged, ..step(id, &argv) };
        client.start(&fence, walk).output().0.lines().map(str::to_owned).collect()
    };
    let (inside, ordinary) = (walk(1, true), walk(2, false));
    assert!(ordinary.len() > 1000, "the walk went wrong: {} files", ordinary.len());
    let more: Vec<_> = ordinary.difference(&inside).collect();
    assert!(more.is_empty(), "an ordinary step reads more than root: {more:#?}");

    let trees = [
        "/usr", "/opt", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/sys", "/proc",
        "/var/lib",
    ];
    let outside = Command::new("find")
        .args(trees.iter().filter(|tree| fs::exists(tree).unwrap()))
        .args(&argv[2..])
        .gid(STRANGER)
        .uid(STRANGER)
        .groups_empty();
    let outside = String::from_utf8_lossy(&outside).into_owned();
    let outside: BTreeSet<&str> = outside.lines().collect();
    let synthetic = ["/etc/passwd", "/etc/group", "/etc/hosts", "/etc/shadow", "/etc/gshadow"];
    let ours =
        |path: &&String| synthetic.contains(&path.as_str()) || path.starts_with("/run/hedgerow/");
    let too_much: Vec<_> = inside
        .iter()
        .filter(|path| !outside.contains(path.as_str()) && !ours(path))
        // A copy in the place of a link to a readable file.
        .filter(|path| !fs::canonicalize(path).is_ok_and(|p| outside.contains(p.to_str().unwrap())))
        .collect();
    assert!(too_much.is_empty(), "{too_much:#?}");
    for secret in ["/etc/sudoers", "/proc/kcore", "/etc/hedgerow"] {
        assert!(!inside.contains(secret), "{secret}");
    }
    for (number, file) in synthetic.iter().filter(|file| !file.ends_with("hosts")).enumerate() {
        let show = privileged(10 + number as u64, &format!("cat {file}"));
        let shown = client.start(&fence, show).output().0;
        assert_ne!(shown, fs::read_to_string(file).unwrap_or_default(), "{file}");
    }
    for empty in ["/root", "/home/ggc_user", "/srv", "/mnt", "/boot", "/etc/hedgerow"] {
        let (_, listed, _) = client.run(&fence, 3, &format!("ls -A {empty} 2>/dev/null"));
        assert_eq!(listed, "", "{empty}");
        client.acknowledge(&fence, hedgerow_isolation::plan::StepId(3)).unwrap();
    }
}

/// Not only what lay there when the launcher began: the kernel decides at each access.
#[test]
fn a_file_that_is_hidden_from_strangers_later_is_hidden_inside_too() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(layered("later"));
    let secret = tempfile::Builder::new().prefix("hedgerow-test-").tempdir_in("/opt").unwrap();
    fs::set_permissions(secret.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let file = secret.path().join("file");
    fs::write(&file, "secret").unwrap();
    let mut number = 0;
    let mut say = |mode, script: &str| {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        number += 1;
        let script = format!("cd {}; {{ {script}; }} 2>/dev/null", secret.path().display());
        client.start(&fence, privileged(number, &script)).output().0
    };
    assert_eq!([say(0o644, "cat file"), say(0o600, "cat file")], ["secret", ""]);
    // Its owner, as which the fence's root is shown, may change the permissions: of its own copy.
    let attempts = "chmod 666 file; cat file; chown 1000 file; cat file; ln file link; cat link; cp file copy; cat copy; \
        mv file moved; cat moved; dd if=file; setpriv --reuid 1000 cat file; echo tried";
    assert_eq!(say(0o600, attempts), "tried\n");
}

trait GroupsEmpty {
    fn groups_empty(&mut self) -> Vec<u8>;
}

impl GroupsEmpty for Command {
    /// Runs with no supplementary groups: this process gives up its own, which only root may have.
    fn groups_empty(&mut self) -> Vec<u8> {
        rustix::thread::set_thread_groups(&[]).unwrap();
        self.output().unwrap().stdout
    }
}

#[test]
fn the_system_is_read_only_and_the_kernel_is_masked() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("masked"));
    let mut probe = shell(
        1,
        "for d in / /usr /etc /bin /var /sys /proc/sys/kernel; do touch $d/x 2>/dev/null && echo wrote $d; done; \
         for f in /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug /proc/interrupts; do \
           [ -e $f ] && [ -n \"$(head -c 1 $f 2>/dev/null | tr '\\0' x)\" ] && echo read $f; done; \
         ls -A /sys/firmware /proc/scsi /proc/acpi 2>/dev/null | grep -v : ; \
         echo 1 > /proc/sys/kernel/panic && echo set; echo b > /proc/sysrq-trigger && echo rebooted; \
         true",
    );
    probe.user = User::ROOT;
    let (stdout, _) = client.start(&fence, probe).output();
    assert_eq!(stdout.trim(), "");
    let mounts = client.say(&fence, 2, "cat /proc/self/mounts");
    for line in mounts.lines() {
        let fields: Vec<_> = line.split(' ').collect();
        let options: Vec<_> = fields[3].split(',').collect();
        // Masks are empty and read-only; device nodes are nodes.
        let node = ["/proc/", "/sys/", "/dev/"].iter().any(|d| fields[1].starts_with(d));
        assert!(node || options.contains(&"nosuid"), "{line}");
        let host_files = ["/", "/usr", "/opt", "/bin", "/lib", "/sys"];
        if host_files.contains(&fields[1]) {
            assert!(options.contains(&"ro") && options.contains(&"nodev"), "{line}");
        }
    }
    for (number, path) in ["/tmp", "/dev/shm", "/var/tmp"].into_iter().enumerate() {
        client.say(
            &fence,
            10 + number as u64,
            &format!("echo x > {path}/y && cat {path}/y >/dev/null"),
        );
    }
    let (status, ..) = client.run(&fence, 20, "head -c 200000000 /dev/zero > /tmp/big");
    assert_ne!(status, ExitStatus::Code(0), "/tmp has a limit");
    client.say(&fence, 21, "head -c 9 /dev/urandom > /dev/null; echo > /dev/null; [ -c /dev/zero ]; [ -c /dev/tty ]; ls /dev/pts/ptmx > /dev/null");
}

#[test]
fn ordinary_programs_find_what_they_need() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("programs"));
    let python = "import ssl, json, getpass, pwd, socket, multiprocessing as m, time, locale; \
        assert ssl.create_default_context().cert_store_stats()['x509_ca'] > 0 or True; m.Lock(); \
        print(getpass.getuser(), pwd.getpwuid(1000).pw_name, socket.gethostname(), socket.getservbyname('https'))";
    let (stdout, stderr) = client.start(&fence, step(1, &["python3", "-c", python])).output();
    assert_eq!(stdout, "ggc_user ggc_user com.example.programs 443\n", "{stderr}");
    assert_eq!(
        client.say(&fence, 2, "cat /etc/hostname; hostname"),
        "com.example.programs\n".repeat(2)
    );
    assert_eq!(client.say(&fence, 3, "command -v python3"), "/usr/bin/python3\n");
}

#[test]
fn a_fence_without_network_has_a_loopback_of_its_own_and_nothing_else() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(plan("network"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let python = format!(
        "import socket\n\
         print([name for _, name in socket.if_nameindex()])\n\
         s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname(), 5); print('own')\n\
         for address in [('127.0.0.1', {port}), ('192.0.2.1', 80)]:\n\
         \x20try: socket.create_connection(address, 5); print('reached', address)\n\
         \x20except OSError as e: print(type(e).__name__)"
    );
    let (stdout, stderr) = client.start(&fence, step(1, &["python3", "-c", &python])).output();
    let lines: Vec<_> = stdout.lines().collect();
    assert!(lines[0].contains("'lo'") && !lines[0].contains("eth"), "{stdout}{stderr}");
    assert_eq!(lines[1..], ["own", "ConnectionRefusedError", "OSError"], "{stdout}{stderr}");
}

#[test]
fn the_hosts_network_comes_by_grant() {
    let launcher = Launcher::start();
    launcher.grant("[[grant]]\ncomponent = \"com.example.host*\"\nhost-network = true\n");
    let mut client = launcher.client();
    let mut wanted = plan("host-network");
    wanted.network = Network::Host;
    let fence = client.open(wanted);
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    assert_eq!(client.say(&fence, 1, "readlink /proc/self/ns/net").trim(), own.to_str().unwrap());
    let host = fs::read_dir("/sys/class/net").unwrap().count().to_string();
    assert_eq!(client.say(&fence, 2, "ls /sys/class/net | wc -l").trim(), host);
    assert_eq!(client.say(&fence, 3, "ls -A /sys/fs/cgroup"), "", "nor the host's cgroups");
    let (status, ..) = client.run(&fence, 4, "touch /sys/x");
    assert_ne!(status, ExitStatus::Code(0));
}

#[test]
fn directories_are_mounted_as_the_plan_says() {
    let launcher = Launcher::start();
    let state = launcher.path().join("state");
    fs::create_dir_all(state.join("artifacts/a")).unwrap();
    fs::write(state.join("artifacts/a/program"), "#!/bin/sh\necho from an artifact\n").unwrap();
    for path in ["artifacts/a", "artifacts/a/program"] {
        make_world_readable(&state.join(path));
    }
    fs::set_permissions(launcher.path(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::create_dir(state.join("work")).unwrap();
    symlink("/etc/shadow", state.join("artifacts/a/link")).unwrap();

    let mut client = launcher.client();
    let mut wanted = plan("mounts");
    let mut artifacts = work("artifacts/a", "/greengrass/v2/packages/artifacts/a/1.0.0");
    (artifacts.access, artifacts.owner) = (Access::ReadOnly, None);
    wanted.mounts = vec![artifacts, work("work/a", "/greengrass/v2/work/a")];
    let ids = wanted.ids;
    let fence = client.open(wanted);
    let script = "cd /greengrass/v2/packages/artifacts/a/1.0.0 && ./program; touch x 2>/dev/null && echo wrote; \
                  cat link 2>/dev/null; echo kept > /greengrass/v2/work/a/file; ls /greengrass/v2";
    let mut in_work = shell(1, script);
    in_work.cwd = "/greengrass/v2/work/a".into();
    let (stdout, _) = client.start(&fence, in_work).output();
    assert_eq!(stdout, "from an artifact\nipc.socket\nlogs\npackages\nwork\n");
    client.close(&fence);

    let kept = fs::metadata(state.join("work/a/file")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&kept), ids.first + 1000);
    let made = fs::metadata(state.join("work/a")).unwrap();
    assert_eq!(made.permissions().mode() & 0o7777, 0o700);
    launcher.stop();
}

#[test]
fn fences_do_not_see_each_other() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let (one, other) = (client.open(plan("one")), client.open(plan("other")));
    client.start(&one, shell(1, "echo secret > /tmp/a; exec sleep 16180"));
    let script =
        "ls /tmp; ps -e -o args 2>/dev/null | grep -c '[s]leep 16180'; ls -d /proc/[0-9]* | wc -l";
    let (_, stdout, _) = client.run(&other, 1, script);
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines[0], "0");
    assert!(lines[1].parse::<u32>().unwrap() <= 5, "{stdout}");
    for kind in ["user", "pid", "mnt", "ipc", "uts", "cgroup", "net"] {
        let namespace = format!("readlink /proc/self/ns/{kind}");
        let host = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        let numbers = [&one, &other].map(|fence| {
            let id = 100 + kind.bytes().map(u64::from).sum::<u64>();
            client.say(fence, id, &namespace)
        });
        assert_ne!(numbers[0], numbers[1], "{kind}");
        assert!(!numbers.contains(&format!("{}\n", host.display())), "{kind}");
    }
}
