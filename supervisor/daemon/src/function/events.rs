//! Asynchronous events of functions: where they are kept, and who is told of those that are given up.

use std::sync::Arc;

use hedgerow_function::{
    DeadLetter, DeadLetters, DeviceClock, EventQueue, EventSource, FunctionSpec, feed,
};
use hedgerow_ipc::model::Operation;
use hedgerow_ipc::{Hub, JsonText, MalformedJson, Message, Principal, PublishError};
use tokio::task::AbortHandle;

use super::DaemonInstances;
use super::event_log::{Observer, StoredEvents};
use super::sources::DaemonFeeds;
use crate::driver::Surroundings;

/// Takes up the events that waited, and has sources make new ones until the result is aborted. A queue that cannot be read
/// keeps nothing else from running.
pub fn start(
    around: &Arc<Surroundings>,
    queue: EventQueue,
    observer: Option<Observer>,
) -> anyhow::Result<AbortHandle> {
    let clock = DeviceClock::new()?;
    let log = Arc::new(StoredEvents::new(around.layout.event_queue(), observer));
    let dead_letters =
        DeadLetterTopics { hub: around.hub.clone(), instances: Arc::clone(&around.instances) };
    let max_size = around.settings.function.queue_max_size;
    queue.start(log, Arc::new(dead_letters), clock.clone(), max_size);
    let (functions, events) = (around.functions.clone(), around.events.clone());
    let feeds = Arc::new(DaemonFeeds { around: Arc::clone(around) });
    Ok(tokio::spawn(feed(functions, events, feeds, clock)).abort_handle())
}

/// What its deployment gives a function to do: to hear its topics, and to publish its dead letters.
pub fn rights(function: &FunctionSpec) -> Vec<(Operation, String)> {
    let heard = function.sources.iter().filter_map(|source| match source {
        EventSource::Topic { filter } => Some((Operation::SubscribeToTopic, filter.clone())),
        EventSource::IotCore { filter } => Some((Operation::SubscribeToIoTCore, filter.clone())),
        EventSource::Schedule { .. } | EventSource::File { .. } => None,
    });
    let told = function.queue.dead_letter.clone().map(|topic| (Operation::PublishToTopic, topic));
    heard.chain(told).collect()
}

/// Publishes on the function's dead-letter topic, as the function.
#[derive(Debug)]
struct DeadLetterTopics {
    hub: Hub,
    instances: Arc<DaemonInstances>,
}

#[derive(Debug, thiserror::Error)]
enum TellError {
    #[error(transparent)]
    Json(#[from] MalformedJson),
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl DeadLetters for DeadLetterTopics {
    async fn publish(&self, function: &FunctionSpec, letter: DeadLetter) {
        let DeadLetter { request_id, condition, body } = letter;
        let told = match &function.queue.dead_letter {
            None => "there is no hedgerow.deadLetterTopic to tell".to_owned(),
            Some(topic) => match self.tell(function, topic, &body) {
                Ok(()) => format!("told on topic {topic:?}"),
                Err(error) => format!("it cannot be told on topic {topic:?}: {error}"),
            },
        };
        let what = format!("event {request_id} is given up ({condition}); {told}");
        tracing::warn!(component = function.name, "{what}");
        self.instances.warn(&function.name, &what);
    }
}

impl DeadLetterTopics {
    fn tell(&self, function: &FunctionSpec, topic: &str, body: &[u8]) -> Result<(), TellError> {
        let message = Message::Json(JsonText::parse(&String::from_utf8_lossy(body))?);
        let who = Principal::Component(function.name.as_str().into());
        self.hub.publish(&who, topic, &message)?;
        Ok(())
    }
}
