//! The D-Bus objects: thin interfaces over [`Control`], which knows how things are done.
//!
//! [`serve`] builds the object tree and takes the name; [`Served::run`] then mirrors every change of the
//! control's snapshot onto the tree until the bus is gone, which is an error to come back from:
//! connect again, serve again. The contract itself is the crate documentation of `hedgerow_api`.

mod access;
mod component;
mod control;
mod deployment;
mod directory;
mod function;
mod invocation;
mod job;
mod loads;
mod manager;
mod messaging;
mod options;
mod payload;
mod polkit;
mod private;
mod pump;
mod tree;

use std::sync::Arc;

use hedgerow_api::{BUS_NAME, ROOT_PATH};
use thiserror::Error;
use zbus::Connection;
use zbus::fdo::{ObjectManager, RequestNameFlags};

pub use access::{Access, Caller};
pub use control::{
    Change, ComponentView, Control, Delivery, DeployRequest, DeploymentView, FunctionView, JobId,
    JobView, Load, Snapshot, Subscription,
};
use manager::Manager;
use messaging::Messaging;
pub use private::{PrivateBus, PrivateBusError};
use tree::Tree;

/// Why the bus is not served, or no longer.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The bus went away; connect again.
    #[error("the message bus closed the connection")]
    Disconnected,
    /// Another daemon is there already.
    #[error("another process owns {BUS_NAME} on this bus")]
    NameTaken,
    /// The bus's policy does not let this user own the name, or the bus broke the protocol.
    #[error("the message bus: {0}")]
    Bus(#[from] zbus::Error),
    /// The control is gone, so nothing can change any more.
    #[error("the control ended")]
    ControlEnded,
}

/// Puts all objects on the connection and then takes the name, so that nobody sees half a tree.
///
/// # Errors
/// [`ServeError::NameTaken`] and [`ServeError::Bus`].
pub async fn serve<C: Control>(
    connection: Connection,
    control: Arc<C>,
    access: Access,
) -> Result<Served<C>, ServeError> {
    let tree = Arc::new(Tree::new(control, access));
    let server = connection.object_server();
    server.at(ROOT_PATH, ObjectManager).await?;
    server.at(ROOT_PATH, Manager::new(tree.clone())).await?;
    server.at(ROOT_PATH, Messaging::new(tree.clone())).await?;
    tree.reconcile(&connection).await?;
    // The default flags would let anyone who may own the name take it over.
    match connection.request_name_with_flags(BUS_NAME, RequestNameFlags::DO_NOT_QUEUE).await {
        Ok(_) => Ok(Served { connection, tree }),
        Err(zbus::Error::NameTaken) => Err(ServeError::NameTaken),
        Err(error) => Err(error.into()),
    }
}

/// A tree that is on the bus.
#[derive(Debug)]
pub struct Served<C> {
    connection: Connection,
    tree: Arc<Tree<C>>,
}

impl<C: Control> Served<C> {
    /// Mirrors changes until the bus or the control is gone; the answer says which.
    pub async fn run(self) -> ServeError {
        let mut changes = self.tree.control.changes();
        // What changed while the name was being taken is mirrored first.
        changes.mark_changed();
        loop {
            tokio::select! {
                () = self.connection.closed() => return ServeError::Disconnected,
                changed = changes.changed() => if changed.is_err() {
                    return ServeError::ControlEnded;
                },
            }
            changes.mark_unchanged();
            if let Err(error) = self.tree.reconcile(&self.connection).await {
                return match self.connection.is_closed() {
                    true => ServeError::Disconnected,
                    false => error.into(),
                };
            }
        }
    }
}
