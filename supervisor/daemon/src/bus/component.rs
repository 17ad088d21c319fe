//! `io.hedgerow.Edge1.Component`.

use std::sync::Arc;

use hedgerow_api::{ComponentState, Error, Moment};
use tokio::sync::watch;
use zbus::message::Header;
use zbus::{Connection, OwnedFd, OwnedObjectPath, interface};

use super::tree::Tree;
use super::{ComponentView, Control};

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
        let caller = self.tree.access.check(connection, &header).await?;
        let job = self.tree.control.start(caller, &self.name).await?;
        self.tree.job(connection, job).await
    }

    #[zbus(out_args("job"))]
    async fn stop(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedObjectPath, Error> {
        let caller = self.tree.access.check(connection, &header).await?;
        let job = self.tree.control.stop(caller, &self.name).await?;
        self.tree.job(connection, job).await
    }

    #[zbus(out_args("job"))]
    async fn restart(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedObjectPath, Error> {
        let caller = self.tree.access.check(connection, &header).await?;
        let job = self.tree.control.restart(caller, &self.name).await?;
        self.tree.job(connection, job).await
    }

    #[zbus(out_args("stream"))]
    async fn open_log(
        &self,
        follow: bool,
        lines: u32,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedFd, Error> {
        let caller = self.tree.access.check(connection, &header).await?;
        Ok(self.tree.control.open_log(caller, &self.name, follow, lines).await?.into())
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

    #[zbus(property(emits_changed_signal = "false"))]
    async fn memory(&self) -> u64 {
        self.tree.control.memory(&self.name).await
    }
}
