//! `io.hedgerow.Edge1.Deployment`.

use std::sync::Arc;

use hedgerow_api::{Act, DeploymentStage, DeploymentStatus, Error};
use tokio::sync::watch;
use zbus::message::Header;
use zbus::{Connection, interface};

use super::tree::Tree;
use super::{Control, DeploymentView};

pub struct Deployment<C> {
    tree: Arc<Tree<C>>,
    view: watch::Receiver<DeploymentView>,
}

impl<C: Control> Deployment<C> {
    pub fn new(tree: Arc<Tree<C>>, view: watch::Receiver<DeploymentView>) -> Self {
        Self { tree, view }
    }

    /// The properties that differ between two views.
    pub fn changed(old: &DeploymentView, new: &DeploymentView) -> Vec<&'static str> {
        [
            ("Components", old.components != new.components),
            ("Stage", old.stage != new.stage),
            ("Progress", old.progress != new.progress),
            ("Status", old.status != new.status),
            ("DetailedStatus", old.detailed_status != new.detailed_status),
            ("ErrorStack", old.error_stack != new.error_stack),
            ("ErrorTypes", old.error_types != new.error_types),
            ("FailureCause", old.failure_cause != new.failure_cause),
        ]
        .into_iter()
        .filter_map(|(name, changed)| changed.then_some(name))
        .collect()
    }
}

#[interface(name = "io.hedgerow.Edge1.Deployment", introspection_docs = false)]
impl<C: Control> Deployment<C> {
    async fn cancel(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let caller = self.tree.access.check(connection, &header, Act::Deploy).await?;
        let id = self.view.borrow().id.clone();
        self.tree.control.cancel(caller, &id).await
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> String {
        self.view.borrow().id.clone()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn group(&self) -> String {
        self.view.borrow().group.clone()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn created(&self) -> i64 {
        self.view.borrow().created
    }

    #[zbus(property)]
    fn components(&self) -> Vec<String> {
        self.view.borrow().components.clone()
    }

    #[zbus(property)]
    fn stage(&self) -> DeploymentStage {
        self.view.borrow().stage
    }

    #[zbus(property)]
    fn progress(&self) -> u32 {
        self.view.borrow().progress
    }

    #[zbus(property)]
    fn status(&self) -> DeploymentStatus {
        self.view.borrow().status
    }

    #[zbus(property)]
    fn detailed_status(&self) -> String {
        self.view.borrow().detailed_status.clone()
    }

    #[zbus(property)]
    fn error_stack(&self) -> Vec<String> {
        self.view.borrow().error_stack.clone()
    }

    #[zbus(property)]
    fn error_types(&self) -> Vec<String> {
        self.view.borrow().error_types.clone()
    }

    #[zbus(property)]
    fn failure_cause(&self) -> String {
        self.view.borrow().failure_cause.clone()
    }
}
