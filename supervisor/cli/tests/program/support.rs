//! A simulated daemon on a thread of its own, and the program beside it.

use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use hedgerow_api::Bus;
use hedgerow_daemon::bus::{Access, PrivateBus, serve};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::simulated::Simulated;

pub struct World {
    pub root: TempDir,
    pub control: Arc<Simulated>,
    stop: Option<oneshot::Sender<()>>,
    daemon: Option<JoinHandle<()>>,
}

impl World {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("run")).unwrap();
        let control = Arc::new(Simulated::new());
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let daemon = std::thread::spawn({
            let (path, control) = (root.path().to_owned(), control.clone());
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(async {
                    let uid = nix::unistd::getuid().as_raw();
                    let _bus = PrivateBus::start(&Bus::socket(&path), &[uid]).await.unwrap();
                    let connection = Bus::Root(path).connect().await.unwrap();
                    let access = Access::system().with_user(uid);
                    let served = serve(connection, control, access).await.unwrap();
                    ready.send(()).unwrap();
                    tokio::select! {
                        error = served.run() => panic!("{error}"),
                        _ = stopped => {}
                    }
                });
            }
        });
        is_ready.recv().unwrap();
        Self { root, control, stop: Some(stop), daemon: Some(daemon) }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hedgerow"));
        command.arg("--root").arg(self.root.path()).args(arguments).stdin(Stdio::null());
        command
    }

    /// This program under Greengrass' name.
    pub fn greengrass(&self, arguments: &[&str]) -> Command {
        let link = self.root.path().join("greengrass-cli");
        if !link.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_hedgerow"), &link).unwrap();
        }
        let mut command = Command::new(link);
        command.arg("--ggcRootPath").arg(self.root.path()).args(arguments).stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Its standard output, where it succeeds.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Its exit code and what it said, where it fails.
    pub fn fail(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?} succeeded");
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub fn deploy(&self, name: &str) {
        let addition = format!("{name}=1.0.0");
        self.succeed(&["deploy", "--recipe-dir", "/", "--artifact-dir", "/", "--add", &addition]);
    }

    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(daemon) = self.daemon.take() {
            daemon.join().unwrap();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop();
    }
}
