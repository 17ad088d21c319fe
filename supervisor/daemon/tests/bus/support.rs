//! A private bus with a simulated daemon on it.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use hedgerow_api::zbus::{Connection, OwnedObjectPath};
use hedgerow_api::{
    Bus, ComponentProxy, DeployOptions, JobProperties, JobProxy, JobState, ManagerProxy,
    MessagingProxy,
};
use hedgerow_daemon::bus::{Access, PrivateBus, serve};
use tempfile::TempDir;

use crate::simulated::Simulated;

/// Far more than anything here takes; only a hang meets it.
const DEADLINE: Duration = Duration::from_secs(20);

pub struct World {
    pub root: TempDir,
    _bus: PrivateBus,
    pub control: Arc<Simulated>,
    pub client: Connection,
}

impl World {
    pub async fn new() -> Self {
        let (root, _bus) = private_bus().await;
        let control = Arc::new(Simulated::new());
        let connection = connect(&root).await;
        let access = Access::system().with_user(nix::unistd::getuid().as_raw());
        let served = serve(connection, control.clone(), access).await.unwrap();
        tokio::spawn(served.run());
        let client = connect(&root).await;
        Self { root, _bus, control, client }
    }

    pub async fn manager(&self) -> ManagerProxy<'static> {
        ManagerProxy::new(&self.client).await.unwrap()
    }

    pub async fn messaging(&self) -> MessagingProxy<'static> {
        MessagingProxy::new(&self.client).await.unwrap()
    }

    pub async fn component(&self, name: &str) -> ComponentProxy<'static> {
        let path = self.manager().await.get_component(name).await.unwrap();
        ComponentProxy::builder(&self.client).path(path).build().await.unwrap()
    }

    pub async fn deploy(&self, name: &str) -> OwnedObjectPath {
        let add = BTreeMap::from([(name.to_owned(), "1.0.0".to_owned())]);
        self.manager().await.deploy(&add, &[], self.directories()).await.unwrap()
    }

    /// The object of the deployment that the job carries out.
    pub async fn deployment_of(&self, job: &OwnedObjectPath) -> OwnedObjectPath {
        let job = JobProperties::of(&self.client, job).await.unwrap();
        let id = job.result.deployment.expect("it names its deployment");
        self.manager().await.get_deployment(&id).await.unwrap()
    }

    pub fn directories(&self) -> DeployOptions {
        let directory = || Some(std::os::fd::OwnedFd::from(File::open(self.root.path()).unwrap()));
        DeployOptions {
            recipe_dir: directory().map(Into::into),
            artifact_dir: directory().map(Into::into),
            ..DeployOptions::default()
        }
    }

    /// Follows the job's signals to its end.
    pub async fn finished(&self, job: &OwnedObjectPath) -> JobProperties {
        let proxy = JobProxy::builder(&self.client).path(job.clone()).build().await.unwrap();
        let mut states = proxy.receive_state_changed().await;
        within(async {
            while let Some(state) = states.next().await {
                if state.get().await.is_ok_and(JobState::is_final) {
                    break;
                }
            }
        })
        .await;
        JobProperties::of(&self.client, job).await.unwrap()
    }
}

pub async fn private_bus() -> (TempDir, PrivateBus) {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("run")).unwrap();
    let uid = nix::unistd::getuid().as_raw();
    let bus = PrivateBus::start(&Bus::socket(root.path()), &[uid]).await.unwrap();
    (root, bus)
}

pub async fn connect(root: &TempDir) -> Connection {
    Bus::Root(root.path().to_owned()).connect().await.unwrap()
}

pub async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future).await.expect("it hangs")
}
