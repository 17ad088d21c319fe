//! Pausing a component: every process of its fence is frozen where it is.

use hedgerow_isolation::protocol::Request;

use super::Driver;
use crate::lifecycle::State;
use crate::registry::PauseError;

impl Driver {
    /// The time of a step does not pass meanwhile. Already so is a success.
    pub(super) async fn pause(&mut self) -> Result<(), PauseError> {
        if self.paused {
            return Ok(());
        }
        let state = self.machine.state;
        let (State::Running, Some(fence)) = (state, &self.fence) else {
            return Err(PauseError::NotRunning(state));
        };
        let freeze = Request::Freeze { fence: fence.id.clone() };
        self.around.launcher.run(freeze, vec![]).await?;
        self.paused = true;
        self.alarm.hold();
        self.note().await;
        self.publish();
        Ok(())
    }

    pub(super) async fn resume(&mut self) -> Result<(), PauseError> {
        if !self.paused {
            return Ok(());
        }
        if let Some(fence) = &self.fence {
            let thaw = Request::Thaw { fence: fence.id.clone() };
            self.around.launcher.run(thaw, vec![]).await?;
        }
        self.paused = false;
        self.alarm.release();
        self.note().await;
        self.publish();
        Ok(())
    }

    /// What is frozen can neither be asked to end nor run another step.
    pub(super) async fn thaw(&mut self) {
        if let Err(error) = self.resume().await {
            // Closing the fence does not need it.
            tracing::warn!(component = self.definition.name, "cannot resume it: {error}");
            self.paused = false;
        }
    }

    /// The limits of what runs are those of the definition from now on.
    pub(super) async fn limit(&mut self) {
        let Some(fence) = &self.fence else { return };
        let limits = self.definition.run_with.limits;
        let limit = Request::Limit { fence: fence.id.clone(), limits };
        if let Err(error) = self.around.launcher.run(limit, vec![]).await {
            // The next start has them.
            tracing::warn!(component = self.definition.name, "cannot change its limits: {error}");
        }
    }
}
