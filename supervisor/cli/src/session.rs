//! The connection to the bus on which the daemon is.

use std::path::{Path, PathBuf};

use hedgerow_api::zbus::{self, Connection, DBusError};
use hedgerow_api::{Bus, ComponentProxy, Error, FunctionProxy, ManagerProxy, MessagingProxy};

use crate::failure::Failure;

#[derive(Debug, Clone)]
pub struct Session {
    bus: Bus,
    pub connection: Connection,
}

impl Session {
    pub async fn open(root: Option<PathBuf>) -> Result<Self, Failure> {
        Self::on(root.map_or(Bus::System, Bus::Root)).await
    }

    /// The same once more, where the bus has closed the connection.
    pub async fn again(&self) -> Result<Self, Failure> {
        Self::on(self.bus.clone()).await
    }

    async fn on(bus: Bus) -> Result<Self, Failure> {
        match bus.connect().await {
            Ok(connection) => Ok(Self { bus, connection }),
            Err(error) => Err(Failure::of(&bus, error)),
        }
    }

    /// The directory of a daemon that is not the system's.
    pub fn root(&self) -> Option<&Path> {
        match &self.bus {
            Bus::System => None,
            Bus::Root(root) => Some(root),
        }
    }

    pub async fn manager(&self) -> Result<ManagerProxy<'_>, Failure> {
        Ok(ManagerProxy::new(&self.connection).await?)
    }

    pub async fn messaging(&self) -> Result<MessagingProxy<'_>, Failure> {
        Ok(MessagingProxy::new(&self.connection).await?)
    }

    pub async fn component(&self, name: &str) -> Result<ComponentProxy<'_>, Failure> {
        let path = self.manager().await?.get_component(name).await?;
        Ok(ComponentProxy::builder(&self.connection).path(path).build().await?)
    }

    pub async fn function(&self, function: &str) -> Result<FunctionProxy<'_>, Failure> {
        let path = self.manager().await?.get_function(function).await?;
        Ok(FunctionProxy::builder(&self.connection).path(path).build().await?)
    }

    /// Says it in terms of the daemon where the bus itself refused.
    pub fn explain(&self, failure: Failure) -> Failure {
        let Failure::Refused(Error::Bus(error)) = failure else { return failure };
        match bus_error_name(&error).as_deref() {
            Some(
                "org.freedesktop.DBus.Error.ServiceUnknown"
                | "org.freedesktop.DBus.Error.NameHasNoOwner"
                | "org.freedesktop.DBus.Error.NoReply"
                | "org.freedesktop.DBus.Error.Disconnected",
            ) => Failure::of(&self.bus, error),
            // Starting it by activation went wrong.
            Some(name) if name.starts_with("org.freedesktop.DBus.Error.Spawn.") => {
                Failure::of(&self.bus, error)
            }
            Some("org.freedesktop.DBus.Error.AccessDenied") => {
                Failure::NotAuthorized(error.to_string())
            }
            Some(_) => Failure::Refused(Error::Bus(error)),
            None if self.connection.is_closed() => Failure::of(&self.bus, error),
            None => Failure::Refused(Error::Bus(error)),
        }
    }
}

/// Whether the bus's policy, and not the daemon, refused.
pub fn is_access_denied(error: &Error) -> bool {
    let Error::Bus(error) = error else { return false };
    bus_error_name(error).as_deref() == Some("org.freedesktop.DBus.Error.AccessDenied")
}

/// The bus's own errors come as another variant than those of its peers.
fn bus_error_name(error: &zbus::Error) -> Option<String> {
    match error {
        zbus::Error::MethodError(name, ..) => Some(name.to_string()),
        zbus::Error::FDO(error) => Some(error.name().to_string()),
        _ => None,
    }
}
