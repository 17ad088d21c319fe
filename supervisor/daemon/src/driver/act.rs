//! Carrying out what the machine answers.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::syncfs;

use super::fence::{Begun, Fence, FenceError};
use super::{Driver, plus};
use crate::lifecycle::{Action, Event, StepKind, StepNews, Timer};

impl Driver {
    pub(super) async fn carry_out(&mut self, action: Action) {
        match action {
            Action::Open => self.open().await,
            Action::Start(step) => {
                self.thaw().await;
                self.start(step).await;
            }
            Action::Terminate => {
                self.thaw().await;
                match &self.fence {
                    Some(fence) => fence.terminate().await,
                    None => self.pending.push_back(Event::Emptied),
                }
            }
            Action::Close => {
                self.thaw().await;
                self.close().await;
            }
            Action::RecordInstalled => self.record_installed().await,
            Action::Arm(timer, wait) => self.arm(timer, wait),
            Action::Disarm => {
                self.alarm.disarm();
                self.next_retry = None;
            }
        }
    }

    async fn open(&mut self) {
        match Fence::open(&self.around, &self.definition, &self.machine).await {
            Ok(fence) => {
                self.fence = Some(fence);
                self.pending.push_back(Event::Opened);
            }
            Err(error) => {
                self.blame_state(error.reason(), error.to_string());
                self.pending.push_back(Event::OpenFailed(error.blame()));
            }
        }
    }

    async fn start(&mut self, step: StepKind) {
        let begun = match &mut self.fence {
            Some(fence) => fence.start(step).await,
            None => Err(FenceError::NotOpen),
        };
        match begun {
            Ok(Begun::Step) => self.started(step),
            Ok(Begun::Probe) => {}
            Err(error) => self.start_failed(step, &error),
        }
    }

    /// Its `Skipif` has been asked, and says no.
    pub(super) async fn start_script(&mut self, step: StepKind) {
        let started = match &mut self.fence {
            Some(fence) => fence.start_script(step).await,
            None => Err(FenceError::NotOpen),
        };
        match started {
            Ok(()) => self.started(step),
            Err(error) => self.start_failed(step, &error),
        }
    }

    fn started(&mut self, step: StepKind) {
        if matches!(step, StepKind::Startup | StepKind::Run) && self.fault.is_some() {
            self.restarts += 1;
        }
        self.pending.push_back(Event::Step(step, StepNews::Started));
    }

    fn start_failed(&mut self, step: StepKind, error: &FenceError) {
        self.blame_step(step, error.reason(), error.to_string());
        self.pending.push_back(Event::Step(step, StepNews::StartFailed(error.blame())));
    }

    async fn close(&mut self) {
        if let Some(fence) = self.fence.take() {
            let was = fence.definition.digest.clone();
            fence.close().await;
            if was != self.definition.digest {
                self.pending.push_back(Event::Adjusted { steps: self.definition.steps() });
            }
        }
        if let Some(definition) = self.replacement.take() {
            self.replace(*definition);
        }
        self.pending.push_back(Event::Closed);
    }

    async fn record_installed(&self) {
        let Some(fence) = &self.fence else { return };
        let print = self.around.install_fingerprint(&fence.definition);
        let (around, name) = (Arc::clone(&self.around), self.definition.name.clone());
        let recorded = tokio::task::spawn_blocking(move || {
            // A power cut must not keep the record and lose what the step wrote.
            syncfs(File::open(&around.layout.state)?)?;
            around.records.set_installed(&name, &print).map_err(io::Error::other)
        });
        if let Err(error) = recorded.await.unwrap_or_else(|error| Err(error.into())) {
            // The component runs all the same; its install step runs again after a restart.
            tracing::error!(component = self.definition.name, "cannot record the install: {error}");
        }
    }

    fn arm(&mut self, timer: Timer, wait: Option<Duration>) {
        let wait = match timer {
            Timer::Step(step) => self.timeout_of(step),
            Timer::Grace => wait,
            Timer::Backoff => wait.map(|wait| jittered(wait).min(self.policy.max_backoff)),
        };
        self.next_retry = match timer {
            Timer::Backoff => wait.map(plus),
            Timer::Step(_) | Timer::Grace => None,
        };
        match wait {
            Some(wait) => self.alarm.arm(timer, wait),
            None => self.alarm.disarm(),
        }
    }

    pub(super) fn timeout_of(&self, step: StepKind) -> Option<Duration> {
        let definition = self.fence.as_ref().map_or(&self.definition, |fence| &fence.definition);
        let own = definition.steps.get(&step).and_then(|definition| definition.timeout);
        own.or(step.default_timeout())
    }
}

/// From three quarters to five quarters of the time: components that failed together are not tried together.
pub(super) fn jittered(wait: Duration) -> Duration {
    let random = RandomState::new().hash_one(wait);
    wait * 3 / 4 + wait / 2 * u32::from((random % 1024) as u16) / 1024
}
