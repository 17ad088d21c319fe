//! What a grant puts into a fence of the host.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use common::*;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

/// A user of the host who owns things.
const OWNER: u32 = 12_345;

#[test]
fn a_granted_device_is_the_components_and_no_other_is() {
    let launcher = Launcher::start();
    let node = format!("/dev/hedgerow-{}-zero", std::process::id());
    let forget = Forget(&node);
    // Of the host's root alone; the one that the kernel calls zero.
    mknodat(CWD, &node, FileType::CharacterDevice, Mode::RUSR, makedev(1, 5)).unwrap();
    launcher.grant(&format!(
        "[[grant]]\ncomponent = 'com.example.reader'\ndevices = ['/dev/hedgerow-{}-*', '/dev/nothing']\n",
        std::process::id()
    ));
    let mut client = launcher.client();
    let read = format!("head -c 3 {node} | od -An -tx1");
    let reader = client.open(plan("reader"));
    assert_eq!(client.say(&reader, 1, &read).trim(), "00 00 00");
    let other = client.open(plan("other"));
    let (_, _, stderr) = client.run(&other, 1, &read);
    assert!(stderr.contains("No such file"), "{stderr}");
    drop(forget);
}

#[test]
fn a_granted_path_is_as_if_the_component_owned_it() {
    let launcher = Launcher::start();
    let data = launcher.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("table"), "kept\n").unwrap();
    for path in [&data.join("table"), &data] {
        chown(path, Some(OWNER), Some(OWNER)).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    }
    let data = data.to_str().unwrap();
    launcher.grant(&format!(
        "[[grant]]\ncomponent = 'com.example.*er'\n\
         host-paths = [{{ path = '{data}', target = '/tmp/read' }}, {{ path = '/no/such', target = '/tmp/x' }}]\n\
         [[grant]]\ncomponent = 'com.example.writer'\n\
         host-paths = [{{ path = '{data}', access = 'rw', target = '/tmp/written' }}]\n"
    ));
    let mut client = launcher.client();
    let reader = client.open(plan("reader"));
    assert_eq!(client.say(&reader, 1, "cat /tmp/read/table"), "kept\n");
    let (_, _, stderr) = client.run(&reader, 2, "echo x > /tmp/read/table");
    assert!(stderr.contains("Read-only file system"), "{stderr}");
    let writer = client.open(plan("writer"));
    client.say(
        &writer,
        1,
        "echo new > /tmp/written/more; cp /bin/true /tmp/written/run; chmod u+s /tmp/written/run",
    );
    let more = Path::new(data).join("more");
    assert_eq!(fs::metadata(&more).unwrap().uid(), OWNER);
    assert_eq!(fs::read_to_string(more).unwrap(), "new\n");
}

#[test]
fn nobody_writes_as_the_hosts_root() {
    let launcher = Launcher::start();
    let data = launcher.path().join("data");
    fs::create_dir(&data).unwrap();
    std::os::unix::fs::symlink(&data, launcher.path().join("link")).unwrap();
    let mut client = launcher.client();
    let groups = launcher.path().join("groups");
    fs::create_dir(&groups).unwrap();
    chown(&groups, Some(OWNER), Some(0)).unwrap();
    let cases =
        [("data", "belongs to root"), ("groups", "root's group"), ("link", "symbolic links")];
    for (name, reason) in cases {
        let path = launcher.path().join(name);
        launcher.grant(&format!(
            "[[grant]]\ncomponent = '*'\n\
             host-paths = [{{ path = '{}', access = 'rw', target = '/tmp/x' }}]\n",
            path.display()
        ));
        let refused = client.try_open(plan("writer")).unwrap_err();
        assert!(refused.message.contains(reason), "{refused}");
    }
}

struct Forget<'a>(&'a str);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0);
    }
}
