//! What becomes of an event after a try, as Lambda does it: a function that fails is tried again after one minute and
//! after two; what the function never saw (throttled, or ours to mend) is tried after 1 s, doubled up to 5 min, for as long
//! as the event may live.

use std::time::Duration;

use crate::{FunctionError, InvokeError, QueuePolicy};

use super::dead_letter::Condition;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    /// It ran, and failed.
    Failed {
        error: FunctionError,
        executed_version: String,
    },
    /// It did not run, or nobody knows.
    Refused(InvokeError),
    /// What is stored is no event.
    Unreadable,
    /// It is not stored any more.
    Missing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Complete,
    /// The event counts one try more and waits for so long.
    Retry(Duration),
    /// The event is the next again; nothing of its function is tried for a while.
    Pause,
    GiveUp(Condition),
}

/// `tries`: those that failed, this one among them.
pub(crate) fn judge(outcome: &Outcome, tries: u32, policy: &QueuePolicy) -> Verdict {
    match outcome {
        Outcome::Answered | Outcome::Missing => Verdict::Complete,
        Outcome::Failed { .. } if tries > policy.retries => {
            Verdict::GiveUp(Condition::RetriesExhausted)
        }
        Outcome::Failed { .. } => Verdict::Retry(policy.retry_delay.saturating_mul(tries)),
        Outcome::Refused(error) => match error {
            InvokeError::TooManyRequests(_)
            | InvokeError::ResourceConflict(_)
            | InvokeError::Service(_) => Verdict::Pause,
            // The version that it was meant for is not deployed: a deployment may be rolled back yet.
            InvokeError::ResourceNotFound(_) if tries <= policy.retries => {
                Verdict::Retry(policy.retry_delay.saturating_mul(tries))
            }
            // Another definition of the function than the one that the event was meant for.
            InvokeError::ResourceNotFound(_)
            | InvokeError::InvalidRequestContent(_)
            | InvokeError::RequestTooLarge { .. } => Verdict::GiveUp(Condition::Undeliverable),
        },
        Outcome::Unreadable => Verdict::GiveUp(Condition::Undeliverable),
    }
}

/// After so many refusals one after the other, from 1.
pub(crate) fn pause(refusals: u32) -> Duration {
    let doubled = 2u32.saturating_pow(refusals.saturating_sub(1));
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}
