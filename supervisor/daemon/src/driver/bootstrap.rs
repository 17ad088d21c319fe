//! A component's `bootstrap`: a deployment runs it before it switches to a version, in a fence of its own.

use std::sync::Arc;
use std::time::Duration;

use hedgerow_isolation::protocol::{self, ExitStatus};
use tokio::time::timeout;

use super::fence::{Begun, Exited, Fence, FenceError, News};
use super::{Surroundings, observe};
use crate::definition::{Definition, skip_if};
use crate::lifecycle::{GRACE, Goal, Machine, StepKind};

#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    #[error(transparent)]
    Fence(#[from] FenceError),
    #[error("bootstrap took longer than its timeout of {} s", .0.as_secs())]
    TimedOut(Duration),
    #[error("{0}")]
    Failed(String),
    #[error("its fence ended: {0}")]
    FenceEnded(String),
    #[error("its fence ended: the launcher ended")]
    LauncherEnded,
}

/// Runs it and returns its exit code; 0 where there is none, or its `Skipif` holds. The component must have no fence.
///
/// It takes `most` at most, whatever the recipe says.
///
/// Dropping the future leaves the fence to the next [`super::discard`] of what nobody knows, so it is not to be
/// dropped: cancel by `canceled`, which ends the step.
pub async fn bootstrap(
    around: &Arc<Surroundings>,
    definition: &Definition,
    most: Duration,
    canceled: impl Future<Output = ()>,
) -> Result<Option<i32>, BootstrapError> {
    let Some(step) = definition.steps.get(&StepKind::Bootstrap) else { return Ok(Some(0)) };
    let limit = limit(step.timeout, most);
    // No daemon takes this fence for the component's own.
    let apart = Definition { digest: String::new(), ..definition.clone() };
    let machine = Machine::new(Goal::Stop, definition.steps(), true);
    let mut fence = Fence::open(around, &apart, &machine).await?;
    let ended = tokio::select! {
        ended = timeout(limit, run(&mut fence)) => match ended {
            Ok(ended) => ended.map(Some),
            Err(_) => Err(BootstrapError::TimedOut(limit)),
        },
        () = canceled => Ok(None),
    };
    if let Err(error) = &ended {
        fence.log_line(&error.to_string());
    }
    if !matches!(ended, Ok(Some(_))) {
        fence.terminate().await;
        let emptied = async { while !is_end(&fence.next().await) {} };
        // What does not go by then is ended by the closing.
        let _ = timeout(GRACE, emptied).await;
    }
    fence.close().await;
    ended
}

fn limit(own: Option<Duration>, most: Duration) -> Duration {
    own.or(StepKind::Bootstrap.default_timeout()).unwrap_or(most).min(most)
}

async fn run(fence: &mut Fence) -> Result<i32, BootstrapError> {
    match fence.start(StepKind::Bootstrap).await? {
        Begun::Step => {}
        Begun::Probe => {
            let success = exit_of(fence).await?.1 == ExitStatus::Code(0);
            let step = fence.definition.steps.get(&StepKind::Bootstrap);
            let condition = step.and_then(|step| step.skip_if.as_ref());
            if condition.is_some_and(|condition| skip_if::is_met(condition, success)) {
                fence.log_line("bootstrap is skipped: its Skipif is true");
                return Ok(0);
            }
            fence.start_script(StepKind::Bootstrap).await?;
        }
    }
    let (exit, status) = exit_of(fence).await?;
    match status {
        ExitStatus::Code(code) => Ok(code),
        ExitStatus::Signal(_) => {
            let memory = fence.definition.run_with.limits.memory;
            let text = observe::describe(StepKind::Bootstrap, &exit, memory);
            Err(BootstrapError::Failed(text))
        }
    }
}

async fn exit_of(fence: &mut Fence) -> Result<(protocol::Exit, ExitStatus), BootstrapError> {
    loop {
        match fence.next().await {
            News::Event(protocol::Event::StepExited { step, exit, .. }) => {
                if let Some(Exited::Step(_) | Exited::Probe(_)) = fence.exited(step) {
                    let status = exit.status;
                    return Ok((exit, status));
                }
            }
            News::Event(protocol::Event::FenceEnded { cause, .. }) => {
                return Err(BootstrapError::FenceEnded(cause));
            }
            News::LauncherEnded | News::Gone => return Err(BootstrapError::LauncherEnded),
            News::Event(protocol::Event::Notice { text, .. }) => fence.log_line(&text),
            News::Event(protocol::Event::Emptied { .. }) | News::Drained => {}
        }
    }
}

fn is_end(news: &News) -> bool {
    match news {
        News::Event(protocol::Event::Emptied { .. } | protocol::Event::FenceEnded { .. })
        | News::LauncherEnded
        | News::Gone => true,
        News::Event(protocol::Event::StepExited { .. } | protocol::Event::Notice { .. })
        | News::Drained => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_recipe_makes_a_bootstrap_take_longer_than_it_may() {
        let second = Duration::from_secs(1);
        assert_eq!(limit(Some(second * 9), second * 5), second * 5);
        assert_eq!(limit(Some(second), second * 5), second);
        assert_eq!(limit(None, second), second);
        assert_eq!(limit(Some(second * 9), Duration::MAX), second * 9);
    }
}
