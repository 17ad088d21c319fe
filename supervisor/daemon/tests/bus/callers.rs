//! Who may call, by the credentials that the bus vouches for.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use std::sync::Arc;

use hedgerow_api::Bus;
use hedgerow_daemon::bus::{Access, PrivateBus, serve};

use crate::simulated::Simulated;
use crate::support::{connect, within};

const NOBODY: u32 = 65534;
const GROUP: u32 = 64999;

/// Where the test has root's power to become someone else, it does; else it is itself who is refused.
#[tokio::test]
async fn only_the_group_may_call() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("run")).unwrap();
    set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
    let own = nix::unistd::getuid();
    let socket = Bus::socket(root.path());
    let _bus = PrivateBus::start(&socket, &[own.as_raw(), NOBODY]).await.unwrap();
    let access = Access { group: Some(GROUP), user: None };
    let control = Arc::new(Simulated::new());
    tokio::spawn(serve(connect(&root).await, control, access).await.unwrap().run());

    let call = |groups: &'static [&'static str]| {
        let mut command = match own.is_root() {
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", "65534", "--regid", "65534"]).args(groups).arg("busctl");
                command
            }
            false => Command::new("busctl"),
        };
        command
            .arg(format!("--address=unix:path={}", socket.display()))
            .args(["call", "io.hedgerow.Edge1", "/io/hedgerow/Edge1", "io.hedgerow.Edge1.Manager"])
            .arg("ListComponents");
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let stranger: Output = within(call(&["--clear-groups"])).await.unwrap();
    let errors = String::from_utf8_lossy(&stranger.stderr);
    assert!(!stranger.status.success());
    assert!(errors.contains("is neither root nor in group hedgerow"), "{errors}");
    if own.is_root() {
        let member: Output = within(call(&["--groups", "64999"])).await.unwrap();
        let errors = String::from_utf8_lossy(&member.stderr);
        assert!(member.status.success(), "{errors}");
    }
}
