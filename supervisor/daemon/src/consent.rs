//! Who wants to be asked before a deployment changes things.
//!
//! Components say so over IPC, the deployment engine asks. All of it is in memory: a subscription ends with the
//! connection that made it, and whoever does not answer in time is not waited for (an update) or stops the deployment
//! (a configuration that nobody found valid).

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hedgerow_ipc::model::{
    ComponentUpdatePolicyEvents, ConfigurationValidityStatus, Event, PostComponentUpdateEvent,
    PreComponentUpdateEvent, ValidateConfigurationUpdateEvent, ValidateConfigurationUpdateEvents,
};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

/// Events that may wait for one subscriber. Whoever leaves more unread loses the subscription.
const UNREAD: usize = 16;

/// Subscriptions of one kind that one component may have at once.
const SUBSCRIPTIONS: usize = 16;

#[derive(Debug, Default)]
pub struct Consent {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    updates: Vec<Subscriber>,
    validations: Vec<Subscriber>,
    /// The question about an update that is open; there is one deployment at a time.
    update: Option<UpdateQuestion>,
    /// Open questions about configurations, by component.
    validation: HashMap<String, ValidationQuestion>,
}

#[derive(Debug)]
struct Subscriber {
    component: String,
    events: mpsc::Sender<Event>,
    /// Deployments that it was asked about and that are not over.
    asked: BTreeSet<String>,
}

#[derive(Debug)]
struct UpdateQuestion {
    deployment: String,
    /// Of each component that has not answered.
    waiting: HashMap<String, oneshot::Sender<Duration>>,
}

#[derive(Debug)]
struct ValidationQuestion {
    deployment: String,
    verdict: oneshot::Sender<Verdict>,
}

/// What a component says of a configuration.
#[derive(Debug)]
struct Verdict {
    status: ConfigurationValidityStatus,
    message: Option<String>,
}

/// What the components say to an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Proceed,
    /// Ask again after this time: the longest that anybody wanted.
    Wait(Duration),
}

/// Why an answer to an update is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeferError {
    #[error(
        "{component} is not subscribed to component updates, so it is not asked for its consent"
    )]
    NotSubscribed { component: String },
    #[error(
        "the time to answer the update of deployment {deployment:?} has passed, or it was never asked for or has been \
         answered"
    )]
    TooLate { deployment: String },
}

/// One component wants to be asked too often.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{component} has the {limit} subscriptions of this kind allowed already")]
pub struct TooMany {
    pub component: String,
    pub limit: usize,
}

/// Nobody waits for this validity report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{component} has not been asked to validate a configuration for deployment {deployment:?}, or the time to answer \
     has passed"
)]
pub struct NotAsked {
    pub component: String,
    pub deployment: String,
}

/// Why a configuration is not to be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("{component} rejects its new configuration: {message}")]
    Rejected { component: String, message: String },
    #[error("{component} did not say within {} s whether its new configuration is valid", timeout.as_secs())]
    TimedOut { component: String, timeout: Duration },
    #[error("{component} hung up before it said whether its new configuration is valid")]
    Gone { component: String },
}

impl Consent {
    /// `PreComponentUpdateEvent` and `PostComponentUpdateEvent` of every deployment from now on.
    ///
    /// # Errors
    /// The component has 16 of these subscriptions already.
    pub fn subscribe_updates(&self, component: &str) -> Result<mpsc::Receiver<Event>, TooMany> {
        subscribe(&mut self.state().updates, component)
    }

    /// Makes [`ask_update`](Self::ask_update) wait, or acknowledges the update where there is nothing to wait for.
    ///
    /// # Errors
    /// The component is not subscribed, or nobody waits for its answer.
    pub fn defer(
        &self,
        component: &str,
        deployment: &str,
        recheck_after: Option<Duration>,
        message: Option<&str>,
    ) -> Result<(), DeferError> {
        let mut state = self.state();
        if !state.updates.iter().any(|one| one.is_of(component)) {
            return Err(DeferError::NotSubscribed { component: component.to_owned() });
        }
        let too_late = || DeferError::TooLate { deployment: deployment.to_owned() };
        let question = state.update.as_mut().filter(|open| open.deployment == deployment);
        let answer =
            question.and_then(|open| open.waiting.remove(component)).ok_or_else(too_late)?;
        let wait = recheck_after.unwrap_or_default();
        answer.send(wait).map_err(|_| too_late())?;
        if !wait.is_zero() {
            let message = message.unwrap_or_default();
            tracing::info!(component, deployment, ?wait, message, "the update is deferred");
        }
        Ok(())
    }

    /// `ValidateConfigurationUpdateEvent`s for the component's own configuration.
    ///
    /// # Errors
    /// The component has 16 of these subscriptions already.
    pub fn subscribe_validation(&self, component: &str) -> Result<mpsc::Receiver<Event>, TooMany> {
        subscribe(&mut self.state().validations, component)
    }

    /// Answers what [`validate`](Self::validate) asked.
    ///
    /// # Errors
    /// It did not ask this component, or does not wait any more.
    pub fn report_validity(
        &self,
        component: &str,
        deployment: &str,
        status: ConfigurationValidityStatus,
        message: Option<String>,
    ) -> Result<(), NotAsked> {
        let not_asked =
            || NotAsked { component: component.to_owned(), deployment: deployment.to_owned() };
        let mut state = self.state();
        let asked = state.validation.get(component).is_some_and(|q| q.deployment == deployment);
        let question = if asked { state.validation.remove(component) } else { None };
        let verdict = question.ok_or_else(not_asked)?.verdict;
        verdict.send(Verdict { status, message }).map_err(|_| not_asked())
    }

    /// Asks every subscribed component, as Greengrass does, whether the deployment may change the `affected` ones
    /// now. Returns when all have answered or `timeout` has passed; whoever has not answered agrees. Nobody is
    /// asked when nothing is affected.
    pub async fn ask_update(
        &self,
        deployment: &str,
        affected: &[String],
        timeout: Duration,
    ) -> Answer {
        if affected.is_empty() {
            return Answer::Proceed;
        }
        let deadline = Instant::now() + timeout;
        let mut answers = self.pose_update(deployment);
        let mut longest = Duration::ZERO;
        while let Ok(Some(answer)) = timeout_at(deadline, answers.join_next()).await {
            longest = longest.max(answer.unwrap_or_default());
        }
        self.state().update = None;
        if longest.is_zero() { Answer::Proceed } else { Answer::Wait(longest) }
    }

    /// Asks the component whether `configuration` is valid, where it has subscribed to that; else it is.
    ///
    /// # Errors
    /// It says no, or does not answer within `timeout`.
    pub async fn validate(
        &self,
        deployment: &str,
        component: &str,
        configuration: Value,
        limit: Duration,
    ) -> Result<(), Invalid> {
        let component = component.to_owned();
        let Some((verdict, subscribers)) =
            self.pose_validation(deployment, &component, configuration)
        else {
            return Ok(());
        };
        let answered = timeout(limit, async {
            tokio::select! {
                verdict = verdict => verdict.ok(),
                () = all_closed(&subscribers) => None,
            }
        })
        .await;
        self.state().validation.remove(&component);
        match answered {
            Ok(Some(Verdict { status: ConfigurationValidityStatus::Accepted, .. })) => Ok(()),
            Ok(Some(Verdict { status: ConfigurationValidityStatus::Rejected, message })) => {
                let message = message.unwrap_or_else(|| "it gives no reason".to_owned());
                Err(Invalid::Rejected { component, message })
            }
            Ok(None) => Err(Invalid::Gone { component }),
            Err(_) => Err(Invalid::TimedOut { component, timeout: limit }),
        }
    }

    /// Tells every subscriber that was asked about the deployment that it is over, whatever came of it.
    pub fn announce_done(&self, deployment: &str) {
        let event = PostComponentUpdateEvent { deployment_id: deployment.to_owned() };
        let event = ComponentUpdatePolicyEvents::PostUpdateEvent(event);
        let event = Event::SubscribeToComponentUpdates(event);
        self.state().updates.retain_mut(|one| !one.asked.remove(deployment) || one.send(&event));
    }

    /// Sends the question; what is returned ends once every asked component has answered or hung up.
    fn pose_update(&self, deployment: &str) -> JoinSet<Duration> {
        let event = PreComponentUpdateEvent {
            deployment_id: deployment.to_owned(),
            // Nothing that a deployment does makes the daemon restart the components that it does not change.
            is_ggc_restarting: false,
        };
        let event = ComponentUpdatePolicyEvents::PreUpdateEvent(event);
        let event = Event::SubscribeToComponentUpdates(event);
        let mut state = self.state();
        state.updates.retain_mut(|subscriber| {
            subscriber.asked.insert(deployment.to_owned());
            subscriber.send(&event)
        });
        let mut asked: HashMap<&str, Vec<mpsc::Sender<Event>>> = HashMap::new();
        for subscriber in &state.updates {
            asked.entry(&subscriber.component).or_default().push(subscriber.events.clone());
        }
        let (mut answers, mut waiting) = (JoinSet::new(), HashMap::new());
        for (component, subscribers) in asked {
            let (sender, answer) = oneshot::channel();
            waiting.insert(component.to_owned(), sender);
            answers.spawn(async move {
                tokio::select! {
                    answer = answer => answer.unwrap_or_default(),
                    () = all_closed(&subscribers) => Duration::ZERO,
                }
            });
        }
        state.update = Some(UpdateQuestion { deployment: deployment.to_owned(), waiting });
        answers
    }

    /// Sends the question; `None` where nobody is subscribed.
    fn pose_validation(
        &self,
        deployment: &str,
        component: &str,
        configuration: Value,
    ) -> Option<(oneshot::Receiver<Verdict>, Vec<mpsc::Sender<Event>>)> {
        let event = ValidateConfigurationUpdateEvent {
            configuration: Some(configuration),
            deployment_id: deployment.to_owned(),
        };
        let event = ValidateConfigurationUpdateEvents::ValidateConfigurationUpdateEvent(event);
        let event = Event::SubscribeToValidateConfigurationUpdates(event);
        let mut state = self.state();
        state.validations.retain(|one| !one.is_of(component) || one.send(&event));
        let own = state.validations.iter().filter(|one| one.is_of(component));
        let subscribers: Vec<_> = own.map(|subscriber| subscriber.events.clone()).collect();
        if subscribers.is_empty() {
            return None;
        }
        let (sender, verdict) = oneshot::channel();
        let question = ValidationQuestion { deployment: deployment.to_owned(), verdict: sender };
        state.validation.insert(component.to_owned(), question);
        Some((verdict, subscribers))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn subscribe(
    subscribers: &mut Vec<Subscriber>,
    component: &str,
) -> Result<mpsc::Receiver<Event>, TooMany> {
    subscribers.retain(|subscriber| !subscriber.events.is_closed());
    if subscribers.iter().filter(|one| one.is_of(component)).count() >= SUBSCRIPTIONS {
        return Err(TooMany { component: component.to_owned(), limit: SUBSCRIPTIONS });
    }
    let (events, receiver) = mpsc::channel(UNREAD);
    subscribers.push(Subscriber {
        component: component.to_owned(),
        events,
        asked: BTreeSet::new(),
    });
    Ok(receiver)
}

impl Subscriber {
    fn is_of(&self, component: &str) -> bool {
        self.component == component && !self.events.is_closed()
    }

    /// `false` when the subscription is over.
    fn send(&self, event: &Event) -> bool {
        match self.events.try_send(event.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(_)) => {
                let component = self.component.as_str();
                tracing::warn!(component, "it reads no events; the subscription is ended");
                false
            }
        }
    }
}

async fn all_closed(subscribers: &[mpsc::Sender<Event>]) {
    for subscriber in subscribers {
        subscriber.closed().await;
    }
}

#[cfg(test)]
mod tests;
