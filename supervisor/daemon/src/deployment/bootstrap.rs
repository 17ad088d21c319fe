//! The bootstrap steps of a deployment: in dependency order, each once, across reboots.

use std::time::Duration;

use hedgerow_api::Error;
use hedgerow_component::ComponentName;
use hedgerow_isolation::moment::Moment;
use tokio::time::timeout;

use super::carry_out::Setback;
use super::fault::{ErrorCode, Fault};
use super::reboot;
use super::reconcile::definitions;
use super::record::{DeploymentRecord, Phase};
use super::view::Stage;
use super::worker::Worker;
use crate::driver::{self, BootstrapError};
use crate::jobs::Failure;

/// What a bootstrap step may end with beside 0 (inventory 1.5): Greengrass's nucleus starts anew.
const RESTART: i32 = 100;
/// The device is to be rebooted before the next one runs.
const REBOOT: i32 = 101;

impl Worker {
    /// Runs those that are left. The components that the deployment changes are held meanwhile.
    pub(super) async fn bootstrap(&self, record: &mut DeploymentRecord) -> Result<(), Setback> {
        self.await_reboot(record).await?;
        let changed = record.changed.clone();
        self.reconcile_and_wait(record, |name| changed.contains(name), self.statuses()).await?;
        while let Some(name) = record.bootstraps.first().cloned() {
            self.history.advance(&record.id, Stage::Bootstrap, 58);
            self.jobs.progress(record.job, 58, format!("bootstrap of {name}"));
            let code = self.bootstrap_of(record, &name).await?;
            record.bootstraps.remove(0);
            if code == REBOOT {
                record.reboot = Some(Moment::now().boot_id);
            }
            self.around.records.advance(record).map_err(|error| Setback::internal(&error))?;
            self.await_reboot(record).await?;
        }
        Ok(())
    }

    async fn bootstrap_of(
        &self,
        record: &DeploymentRecord,
        name: &ComponentName,
    ) -> Result<i32, Setback> {
        let all = definitions(&self.around, &self.platform);
        let all = all.map_err(|error| Setback::internal(&error))?;
        let mut all = all.defined.into_iter();
        let definition = all.find(|(definition, _)| definition.name == name.as_str());
        let Some((definition, _)) = definition else { return Ok(0) };
        let failed = |code: ErrorCode, why: String| {
            let cause = format!("{name} {}: {why}", definition.version);
            let failure = Failure {
                component: Some(name.to_string()),
                step: Some("bootstrap".to_owned()),
                log: super::wait::last_lines(&self.around, name.as_str()),
                ..Failure::of(&Error::DeploymentFailed(cause.clone()))
            };
            let fault =
                Fault::of_component(name.as_str(), &[ErrorCode::ComponentUpdate, code], cause);
            Setback { fault, failure, canceled: false }
        };
        // A rollback cannot be canceled, so the recipe does not say how long it takes.
        let most = match record.phase {
            Phase::RollingBack => self.around.settings.deployment.apply_timeout(),
            Phase::Bootstrap | Phase::Applying | Phase::Removing | Phase::Ended { .. } => {
                Duration::MAX
            }
        };
        let canceled = self.cancellation_of(record);
        match driver::bootstrap(&self.around, &definition, most, canceled).await {
            Ok(Some(code @ (0 | RESTART | REBOOT))) => Ok(code),
            Ok(Some(code)) => Err(failed(
                ErrorCode::ComponentBootstrap,
                format!("bootstrap ended with exit code {code}; 0, 100 and 101 are success"),
            )),
            Ok(None) => Err(Setback::canceled()),
            Err(error @ BootstrapError::TimedOut(_)) => {
                Err(failed(ErrorCode::ComponentBootstrapTimeout, error.to_string()))
            }
            Err(error) => Err(failed(ErrorCode::ComponentBootstrap, error.to_string())),
        }
    }

    /// Where a reboot is due: asks for it and goes on in another boot only.
    async fn await_reboot(&self, record: &mut DeploymentRecord) -> Result<(), Setback> {
        let boot_id = Moment::now().boot_id;
        if record.reboot.take_if(|asked| *asked != boot_id).is_some() || record.reboot.is_none() {
            return Ok(());
        }
        let settings = &self.around.settings.deployment;
        self.jobs.progress(record.job, 58, "rebooting");
        tracing::info!(deployment = record.id.as_str(), "rebooting, as a bootstrap step wants it");
        let limit = settings.reboot_timeout();
        let asked = async {
            let Err(error) = reboot::ask(&settings.reboot_command).await else {
                return std::future::pending().await;
            };
            error.to_string()
        };
        let ended = tokio::select! {
            asked = timeout(limit, asked) => Some(asked.unwrap_or_else(|_| not_rebooted(limit))),
            () = self.cancellation_of(record) => None,
        };
        // Whatever comes now, a rollback included, does not ask for it again.
        record.reboot = None;
        let cause = ended.ok_or_else(Setback::canceled)?;
        let failure = Failure::of(&Error::DeploymentFailed(cause.clone()));
        let fault = Fault::new(&[ErrorCode::ComponentUpdate, ErrorCode::ComponentBootstrap], cause);
        Err(Setback { fault, failure, canceled: false })
    }
}

fn not_rebooted(limit: Duration) -> String {
    format!(
        "a bootstrap step wants a reboot, which was asked for, and did not come within {} s (deployment.reboot-timeout)",
        limit.as_secs()
    )
}
