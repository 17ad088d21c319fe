//! `sudo` inside a fence, and the users that a step can be.

mod common;

use std::fs;

use common::*;
use hedgerow_isolation::plan::{Account, Step, StepId};
use hedgerow_isolation::protocol::ExitStatus;

#[test]
fn sudo_runs_what_recipes_give_it() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(layered("sudo"));
    let cases = [
        ("sudo id -un", "root\n"),
        ("sudo -n -u ggc_user id -un", "ggc_user\n"),
        ("sudo -u '#1000' -g tty id -gn", "tty\n"),
        ("cd /usr/share && sudo pwd", "/usr/share\n"),
        ("echo in | sudo tee /etc/made", "in\n"),
        ("cat /etc/made && stat -c %U /etc/made", "in\nroot\n"),
        ("A=1 sudo B=2 sh -c 'echo $A$B$SUDO_USER$HOME'", "12ggc_user/root\n"),
        ("HOME=/tmp sudo -E sh -c 'echo $HOME'", "/tmp\n"),
        ("sudo sh -c 'echo out; echo err >&2' 2>&1 | sort", "err\nout\n"),
        ("sudo sh -c 'exit 7'; echo $?", "7\n"),
        ("sudo sh -c 'kill -9 $$'; [ $? -eq 137 ] && echo killed", "killed\n"),
        (
            "sudo nothing 2>&1 | grep -c 'cannot execute'; sudo -u nobody-here id 2>&1",
            "1\nsudo: there is no user \"nobody-here\" in the fence\n",
        ),
        ("sudo sudo sudo id -u", "0\n"),
        ("/usr/bin/sudo -i pwd", "/root\n"),
        ("sudo -s 'echo $0 | wc -l'", "1\n"),
        ("sudo -v && echo ok", "ok\n"),
        ("sudo useradd -m -G tty sensor && sudo -u sensor id -Gn", "sensor tty\n"),
        ("sudo grep CapEff /proc/self/status | grep -c 00000000a00405fb", "1\n"),
        ("sudo -u ggc_user grep CapBnd /proc/self/status | grep -c 0000000000000000", "1\n"),
    ];
    for (number, (script, expected)) in (1..).zip(cases) {
        assert_eq!(client.run(&fence, number, script).1, expected, "{script}");
    }
    assert!(!fs::exists("/etc/made").unwrap());
}

#[test]
fn a_signal_to_sudo_reaches_the_command_and_so_does_its_end() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    let fence = client.open(layered("signals"));
    let trap = "exec sudo sh -c 'trap \"echo caught; exit 5\" TERM; echo ready; while :; do sleep 0.01; done'";
    let mut running = client.start(&fence, shell(1, trap));
    assert_eq!(running.line(), "ready");
    client.signal(&fence, Some(StepId(1)), 15).unwrap();
    assert_eq!(running.line(), "caught");
    assert_eq!(client.exit(StepId(1)).status, ExitStatus::Code(5));

    let mut running =
        client.start(&fence, shell(2, "exec sudo sh -c 'echo ready; exec sleep 31415'"));
    assert_eq!(running.line(), "ready");
    client.signal(&fence, Some(StepId(2)), 9).unwrap();
    eventually("the command ends", || processes("sleep 31415").is_empty().then_some(()));
    client.close(&fence);
    launcher.stop();
}

fn as_account(id: u64, name: &str, directory: &str, script: &str) -> Step {
    let account = Account { name: name.to_owned(), directories: vec![directory.into()] };
    Step { account: Some(account), ..shell(id, script) }
}

#[test]
fn a_step_runs_as_the_user_that_a_deployment_names() {
    let launcher = Launcher::start();
    let mut client = launcher.client();
    fs::create_dir(launcher.path().join("state/work")).unwrap();
    let mut wanted = layered("users");
    let directory = "/greengrass/v2/work/a";
    wanted.mounts = vec![work("work/c1", directory)];
    let fence = client.open(wanted.clone());
    let cases = [
        ("ggc_user:ggc_group", "id -un; id -gn; touch kept", "ggc_user\nggc_group\n"),
        (
            "pump",
            "id -un; id -gn; stat -c %U . kept; echo x > kept; echo > /dev/stdout",
            "pump\npump\npump\npump\n\n",
        ),
        ("pump:tty", "id -gn", "tty\n"),
        (
            "valve:www-users",
            "id -un; id -gn; getent group www-users > /dev/null && stat -c %G kept",
            "valve\nwww-users\nwww-users\n",
        ),
        ("1234:55", "id -u; id -g", "1234\n55\n"),
        ("root", "id -u; touch /usr/bin/x && echo may", "0\nmay\n"),
        ("ggc_user:ggc_group", "cat kept; stat -c %U kept", "x\nggc_user\n"),
    ];
    for (number, (name, script, expected)) in (1..).zip(cases) {
        let script = format!("cd {directory}; {script}");
        let running = client.start(&fence, as_account(number, name, directory, &script));
        let (stdout, stderr) = running.output();
        assert_eq!((stdout.as_str(), stderr.as_str()), (expected, ""), "{name}: {script}");
    }
    for name in ["", "a b", "../x", "a:b:c", "99999999", "pump:"] {
        let refused =
            client.try_start(&fence, as_account(90, name, directory, "true")).err().unwrap();
        assert!(refused.message.contains("as whom"), "{refused}");
    }
    client.close(&fence);

    let fence = client.open(wanted);
    let running = client.start(&fence, as_account(1, "pump", directory, "id -u"));
    assert_eq!(running.output().0, "1001\n", "the layer remembers");
    client.close(&fence);
    launcher.stop();
}
