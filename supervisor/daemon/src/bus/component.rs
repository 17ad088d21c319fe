//! `io.hedgerow.Edge1.Component`.

use std::sync::Arc;

use hedgerow_api::{Act, ComponentState, ConfigurationLeaf, Error, Moment};
use tokio::sync::watch;
use zbus::message::Header;
use zbus::{Connection, OwnedFd, OwnedObjectPath, interface};

use super::tree::Tree;
use super::{ComponentView, Control, options};

pub struct Component<C> {
    tree: Arc<Tree<C>>,
    name: String,
    view: watch::Receiver<ComponentView>,
}

impl<C: Control> Component<C> {
    pub fn new(tree: Arc<Tree<C>>, name: String, view: watch::Receiver<ComponentView>) -> Self {
        Self { tree, name, view }
    }

    /// The properties that differ between two views.
    pub fn changed(old: &ComponentView, new: &ComponentView) -> Vec<&'static str> {
        [
            ("Version", old.version != new.version),
            ("State", old.state != new.state),
            ("StateChanged", old.state_changed != new.state_changed),
            ("Pid", old.pid != new.pid),
            ("Restarts", old.restarts != new.restarts),
            ("LastError", old.last_error != new.last_error),
            ("StatusCodes", old.status_codes != new.status_codes),
            ("NextRetry", old.next_retry != new.next_retry),
            ("Paused", old.paused != new.paused),
        ]
        .into_iter()
        .filter_map(|(name, changed)| changed.then_some(name))
        .collect()
    }
}

#[interface(name = "io.hedgerow.Edge1.Component", introspection_docs = false)]
impl<C: Control> Component<C> {
    #[zbus(out_args("job"))]
    async fn start(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedObjectPath, Error> {
        let caller = self.tree.access.check(connection, &header, Act::Control).await?;
        let job = self.tree.control.start(caller, &self.name).await?;
        self.tree.job(connection, job).await
    }

    #[zbus(out_args("job"))]
    async fn stop(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedObjectPath, Error> {
        let caller = self.tree.access.check(connection, &header, Act::Control).await?;
        let job = self.tree.control.stop(caller, &self.name).await?;
        self.tree.job(connection, job).await
    }

    #[zbus(out_args("job"))]
    async fn restart(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedObjectPath, Error> {
        let caller = self.tree.access.check(connection, &header, Act::Control).await?;
        let job = self.tree.control.restart(caller, &self.name).await?;
        self.tree.job(connection, job).await
    }

    #[zbus(out_args("job"))]
    async fn observe(
        &self,
        seconds: u32,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedObjectPath, Error> {
        let caller = self.tree.access.check(connection, &header, Act::Control).await?;
        let job = self.tree.control.observe(caller, &self.name, seconds).await?;
        self.tree.job(connection, job).await
    }

    #[zbus(out_args("observation"))]
    async fn get_observation(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Error> {
        let caller = self.tree.access.check(connection, &header, Act::Inspect).await?;
        Ok(self.tree.control.observation(caller, &self.name).await?.to_string())
    }

    #[zbus(out_args("stream"))]
    async fn open_log(
        &self,
        follow: bool,
        lines: u32,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedFd, Error> {
        let caller = self.tree.access.check(connection, &header, Act::ReadLogs).await?;
        Ok(self.tree.control.open_log(caller, &self.name, follow, lines).await?.into())
    }

    async fn pause(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let caller = self.tree.access.check(connection, &header, Act::Control).await?;
        self.tree.control.pause(caller, &self.name, true).await
    }

    async fn resume(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let caller = self.tree.access.check(connection, &header, Act::Control).await?;
        self.tree.control.pause(caller, &self.name, false).await
    }

    async fn reset(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let caller = self.tree.access.check(connection, &header, Act::Control).await?;
        self.tree.control.reset(caller, &self.name).await
    }

    #[zbus(out_args("value", "leaves"))]
    async fn get_configuration(
        &self,
        pointer: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(String, Vec<ConfigurationLeaf>), Error> {
        let caller = self.tree.access.check(connection, &header, Act::ReadConfiguration).await?;
        let (value, leaves) = self.tree.control.configuration(caller, &self.name, pointer).await?;
        Ok((value.to_string(), leaves))
    }

    #[zbus(out_args("recipe"))]
    async fn get_recipe(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Error> {
        let caller = self.tree.access.check(connection, &header, Act::ReadConfiguration).await?;
        Ok(self.tree.control.recipe(caller, &self.name).await?.to_string())
    }

    #[zbus(out_args("job"))]
    async fn update_configuration(
        &self,
        merge: String,
        reset: Vec<String>,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedObjectPath, Error> {
        let caller = self.tree.access.check(connection, &header, Act::Configure).await?;
        let request = options::update(&self.name, &merge, reset)?;
        let job = self.tree.control.deploy(caller, request).await?;
        self.tree.job(connection, job).await
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn name(&self) -> &str {
        &self.name
    }

    #[zbus(property)]
    fn version(&self) -> String {
        self.view.borrow().version.clone()
    }

    #[zbus(property)]
    fn state(&self) -> ComponentState {
        self.view.borrow().state
    }

    // The macro makes a `state_changed` of its own, for `State`.
    #[zbus(property, name = "StateChanged")]
    fn changed_at(&self) -> Moment {
        self.view.borrow().state_changed.clone()
    }

    #[zbus(property)]
    fn pid(&self) -> u32 {
        self.view.borrow().pid
    }

    #[zbus(property)]
    fn restarts(&self) -> u32 {
        self.view.borrow().restarts
    }

    #[zbus(property)]
    fn last_error(&self) -> String {
        self.view.borrow().last_error.clone()
    }

    #[zbus(property)]
    fn status_codes(&self) -> Vec<String> {
        self.view.borrow().status_codes.clone()
    }

    #[zbus(property)]
    fn next_retry(&self) -> Moment {
        self.view.borrow().next_retry.clone()
    }

    #[zbus(property)]
    fn paused(&self) -> bool {
        self.view.borrow().paused
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn memory(&self) -> u64 {
        self.tree.load(&self.name).await.memory
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn cpu_time(&self) -> u64 {
        self.tree.load(&self.name).await.cpu_time
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn tasks(&self) -> u32 {
        self.tree.load(&self.name).await.tasks
    }
}
