//! A fence that the last daemon left.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use hedgerow_ipc::Token;
use hedgerow_isolation::plan::FenceId;
use hedgerow_isolation::protocol::{Event, FenceReport, Request, Response};

use super::{Fence, FenceError};
use crate::definition::Definition;
use crate::driver::socket::listener_from;
use crate::driver::{Note, Surroundings};
use crate::launcher::{CallError, FenceEvents, Launcher};

/// What the launcher kept of a fence for this daemon.
#[derive(Debug)]
pub struct Adopted {
    pub report: FenceReport,
    listener: OwnedFd,
    /// stdout and stderr of each step of the report.
    pipes: Vec<[OwnedFd; 2]>,
    events: FenceEvents,
}

/// Asks the launcher for a fence that the last daemon left.
pub async fn adopt(launcher: &Launcher, fence: FenceId) -> Result<Adopted, FenceError> {
    // Listening begins before the launcher is asked, so that no exit falls between.
    let events = launcher.listen(fence.clone());
    let answer = launcher.call(Request::Adopt { fence }, vec![]).await?;
    let (Response::Adopted { fence: report, listener: true }, descriptors) = answer else {
        return Err(CallError::Confused.into());
    };
    let (expected, found) = (1 + 2 * report.steps.len(), descriptors.len());
    let mut descriptors = descriptors.into_iter();
    let Some(listener) = descriptors.next().filter(|_| found == expected) else {
        return Err(FenceError::Descriptors { expected, found });
    };
    let mut pipes = Vec::new();
    while let (Some(stdout), Some(stderr)) = (descriptors.next(), descriptors.next()) {
        pipes.push([stdout, stderr]);
    }
    Ok(Adopted { report, listener, pipes, events })
}

impl Fence {
    pub async fn adopt(
        around: &Arc<Surroundings>,
        definition: &Definition,
        note: Note,
        adopted: Adopted,
    ) -> Result<Self, FenceError> {
        let Adopted { report, listener, pipes, events } = adopted;
        let path = around.layout.ipc_socket(definition.slot);
        let listener =
            listener_from(listener).map_err(|source| FenceError::Socket { path, source })?;
        let token = Token::parse(&note.token).map_err(|_| CallError::Confused)?;
        let id = report.plan.fence.clone();
        let mut fence = Self::around(around, definition, id, token, events);
        fence.serve(around, listener, report.users);
        for (step, [stdout, stderr]) in report.steps.into_iter().zip(pipes) {
            let kind = note.steps.iter().find(|(id, _)| *id == step.id).map(|(_, kind)| *kind);
            fence.next_step = fence.next_step.max(step.id.0 + 1);
            if let Some(kind) = kind {
                fence.steps.insert(step.id, (kind, step.pid));
                fence.drain(step.id, kind, stdout, stderr);
            }
            if let Some(exit) = step.exit {
                let exited = Event::StepExited { fence: fence.id.clone(), step: step.id, exit };
                fence.replay.push_back(exited);
            }
        }
        fence.noted = Some(note);
        Ok(fence)
    }
}
