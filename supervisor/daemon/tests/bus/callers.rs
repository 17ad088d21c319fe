//! Who may call, by the credentials that the bus vouches for, and by polkit.

use std::collections::HashMap;
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use hedgerow_api::zbus::{OwnedVariant, interface};
use hedgerow_api::{Act, Bus, DeployOptions, ManagerProxy};
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

/// Where polkit is. It allows one action, asks for a password where it may, and refuses the rest.
#[derive(Debug, Clone, Default)]
struct Authority {
    asked: Arc<Mutex<Vec<Question>>>,
}

/// Subject's kind, action, flags.
type Question = (String, String, u32);

#[interface(name = "org.freedesktop.PolicyKit1.Authority")]
impl Authority {
    fn check_authorization(
        &self,
        subject: (String, HashMap<String, OwnedVariant>),
        action: String,
        _details: HashMap<String, String>,
        flags: u32,
        _cancellation: String,
    ) -> (bool, bool, HashMap<String, String>) {
        let is_control = action == Act::Control.action_id();
        let is_deploy = action == Act::Deploy.action_id();
        self.asked.lock().unwrap().push((subject.0, action, flags));
        (is_control, is_deploy, HashMap::new())
    }
}

#[tokio::test]
async fn polkit_decides_for_everyone_else() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("run")).unwrap();
    set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
    let own = nix::unistd::getuid();
    let socket = Bus::socket(root.path());
    let _bus = PrivateBus::start(&socket, &[own.as_raw(), NOBODY]).await.unwrap();
    let access = Access { group: None, user: None };
    let control = Arc::new(Simulated::new());
    tokio::spawn(serve(connect(&root).await, control, access).await.unwrap().run());
    let authority = Authority::default();
    let polkit = connect(&root).await;
    let path = "/org/freedesktop/PolicyKit1/Authority";
    polkit.object_server().at(path, authority.clone()).await.unwrap();
    polkit.request_name("org.freedesktop.PolicyKit1").await.unwrap();

    let component = "/io/hedgerow/Edge1/component/a";
    if own.is_root() {
        let client = connect(&root).await;
        let add = [("a".to_owned(), "1.0.0".to_owned())].into();
        let directory = std::fs::File::open(root.path()).unwrap();
        let options = DeployOptions {
            recipe_dir: Some(std::os::fd::OwnedFd::from(directory).into()),
            ..DeployOptions::default()
        };
        ManagerProxy::new(&client).await.unwrap().deploy(&add, &[], options).await.unwrap();
    }
    let call = |object: &'static str, words: &'static [&'static str]| {
        let mut command = match own.is_root() {
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "busctl"]);
                command
            }
            false => Command::new("busctl"),
        };
        command.arg(format!("--address=unix:path={}", socket.display()));
        command.args(["call", "io.hedgerow.Edge1", object]).args(words);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let manager = "/io/hedgerow/Edge1";
    const LIST: &[&str] = &["io.hedgerow.Edge1.Manager", "ListComponents"];
    const DEPLOY: &[&str] =
        &["io.hedgerow.Edge1.Manager", "Deploy", "a{ss}asa{sv}", "0", "1", "a", "0"];
    const PAUSE: &[&str] = &["io.hedgerow.Edge1.Component", "Pause"];
    for (object, words, expected) in [
        (manager, LIST, "polkit does not allow io.hedgerow.Edge1.inspect"),
        (manager, DEPLOY, "polkit asks for authentication (io.hedgerow.Edge1.deploy)"),
    ] {
        let refused: Output = within(call(object, words)).await.unwrap();
        let errors = String::from_utf8_lossy(&refused.stderr);
        assert!(errors.contains(expected), "{errors}");
    }
    if own.is_root() {
        let allowed: Output = within(call(component, PAUSE)).await.unwrap();
        let errors = String::from_utf8_lossy(&allowed.stderr);
        assert!(allowed.status.success(), "{errors}");
        let asked = authority.asked.lock().unwrap().clone();
        let (subject, action, _) = asked.last().unwrap();
        assert_eq!(
            (subject.as_str(), action.as_str()),
            ("system-bus-name", Act::Control.action_id())
        );
    }
}
