//! What every driver works with.

use std::sync::Arc;

use hedgerow_function::{Events, Functions};
use hedgerow_ipc::Hub;
use hedgerow_isolation::moment::Moment;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::consent::Consent;
use crate::definition::Definition;
use crate::deployment::hex;
use crate::disk::Disk;
use crate::function::DaemonInstances;
use crate::launcher::Launcher;
use crate::layout::{Layout, layer};
use crate::observations::Observations;
use crate::records::Records;
use crate::registry::Registry;
use crate::services::DaemonServices;
use crate::settings::Settings;

#[derive(Debug)]
pub struct Surroundings {
    pub launcher: Launcher,
    pub registry: Arc<Registry>,
    pub records: Arc<Records>,
    pub layout: Layout,
    pub settings: Settings,
    pub disk: Arc<Disk>,
    pub hub: Hub,
    pub services: Arc<DaemonServices>,
    /// Whom to ask before a deployment changes things.
    pub consent: Arc<Consent>,
    pub observations: Arc<Observations>,
    /// What runs Lambda functions, and where their instances come from.
    pub functions: Functions,
    /// What they are asked to do some time.
    pub events: Events,
    pub instances: Arc<DaemonInstances>,
    /// Why Lambda's HTTP API is not served, though it should be.
    pub endpoint_fault: watch::Sender<Option<String>>,
    /// [`crate::os_release::identity`] of the running system.
    pub os_image: String,
}

impl Surroundings {
    /// Changes when, and only when, the install step of the definition must be repeated on this device.
    pub fn install_fingerprint(&self, definition: &Definition) -> String {
        let boot = match self.settings.compat.install_every_boot {
            true => Moment::now().boot_id,
            false => String::new(),
        };
        hex(&Sha256::digest(format!(
            "{}\n{}\n{boot}",
            definition.install_fingerprint, self.os_image
        )))
    }

    pub fn is_installed(&self, definition: &Definition) -> bool {
        // What it installed is in the layer: without that it is gone.
        let layer = self.layout.state.join(layer(definition.slot, &definition.version));
        self.records.is_installed(&definition.name, &self.install_fingerprint(definition))
            && layer.exists()
    }

    /// To be called when values in a component's configuration have changed, after they are durable.
    pub fn configuration_changed(&self, component: &str, paths: &[Vec<String>]) {
        self.services.configuration_changed(component, paths);
    }
}
