//! Requests: publish/subscribe is answered here, the rest by [`Services`].

use super::conversation::{Conversation, Stream};
use crate::authorization::{Denied, is_decided_by_services, resource};
use crate::hub::{PublishError, SubscribeError};
use crate::model::{
    Operation, OperationError, PublishToTopicResponse, Request, Response, SubscribeToTopicRequest,
    SubscribeToTopicResponse,
};
use crate::pubsub::{Content, Filter, Subscriber, topic};
use crate::services::Services;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;

/// A PublishToTopic request, borrowed from the frame so that a JSON message is passed on as it
/// stands. A test keeps it equal to the generated type.
#[derive(Deserialize)]
struct Publish<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(borrow, rename = "publishMessage")]
    message: PublishMessage<'a>,
}

#[derive(Deserialize)]
enum PublishMessage<'a> {
    #[serde(borrow, rename = "jsonMessage")]
    Json(Json<'a>),
    #[serde(borrow, rename = "binaryMessage")]
    Binary(Binary<'a>),
}

#[derive(Deserialize)]
struct Json<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Binary<'a> {
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

impl<S: Services> Conversation<S> {
    /// Answers a request, or sees to it that it will be answered.
    pub(super) fn request(&mut self, stream: i32, header: &str, payload: &[u8]) {
        let Some(operation) = Operation::from_header(header) else {
            // An error of the model, so that clients show it: they have no words for other answers.
            let error = OperationError::service(format!("there is no operation {header:?}"));
            self.reply(stream, Err(error));
            return;
        };
        let done = match operation {
            Operation::PublishToTopic => Some(self.publish(payload)),
            Operation::SubscribeToTopic => self.subscribe(stream, payload).err().map(Err),
            operation => self.call(stream, operation, payload).err().map(Err),
        };
        if let Some(outcome) = done {
            if let Err(error) = &outcome {
                let (who, message) = (&self.shared.identity.principal, error.message());
                tracing::debug!(%who, ?operation, message, "IPC request refused");
            }
            self.reply(stream, outcome);
        }
    }

    fn publish(&mut self, payload: &[u8]) -> Result<Response, OperationError> {
        let invalid = |reason: &dyn std::fmt::Display| {
            OperationError::invalid_arguments(Operation::PublishToTopic, reason.to_string())
        };
        let request: Publish<'_> = serde_json::from_slice(payload).map_err(|e| invalid(&e))?;
        topic::check(&request.topic, self.limits().topic_bytes).map_err(|e| invalid(&e))?;
        let content = match &request.message {
            PublishMessage::Json(json) => match json.message {
                Some(raw) => Content::raw(raw).map_err(|e| invalid(&e))?,
                None => Content::Json("null"),
            },
            PublishMessage::Binary(binary) => {
                let text = binary.message.as_deref().unwrap_or_default();
                Content::base64(text).map_err(|e| invalid(&e))?
            }
        };
        let (hub, who) = (&self.shared.hub, &self.shared.identity.principal);
        let permit = hub.authorize(who, Operation::PublishToTopic, &request.topic)?;
        hub.publish_permitted(&permit, content, &mut self.dirty)?;
        Ok(Response::PublishToTopic(PublishToTopicResponse {}))
    }

    fn subscribe(&mut self, stream: i32, payload: &[u8]) -> Result<(), OperationError> {
        const OPERATION: Operation = Operation::SubscribeToTopic;
        let invalid = |reason: String| OperationError::invalid_arguments(OPERATION, reason);
        let request: SubscribeToTopicRequest =
            serde_json::from_slice(payload).map_err(|e| invalid(e.to_string()))?;
        let filter = Filter::parse(&request.topic, self.limits().topic_bytes)
            .map_err(|e| invalid(e.to_string()))?;
        self.check_stream_count()?;
        let (hub, who) = (&self.shared.hub, &self.shared.identity.principal);
        let permit = hub.authorize(who, OPERATION, filter.as_str())?;
        let subscriber = Subscriber::Stream(Arc::clone(&self.outbox), stream);
        self.outbox.open_queue(stream);
        match hub.subscribe_permitted(&permit, &filter, request.receive_mode, subscriber) {
            Ok(id) => self.streams.insert(stream, Stream::Topic(filter, id)),
            Err(error) => {
                self.outbox.close_queue(stream);
                return Err(error.into());
            }
        };
        let response = SubscribeToTopicResponse { topic_name: Some(request.topic) };
        self.begin(stream, Response::SubscribeToTopic(response));
        Ok(())
    }

    fn call(
        &mut self,
        stream: i32,
        operation: Operation,
        payload: &[u8],
    ) -> Result<(), OperationError> {
        if let Some(missing) = self.shared.services.missing(operation) {
            return Err(OperationError::not_provided(operation, missing));
        }
        let request = Request::decode(operation, payload)
            .map_err(|e| OperationError::invalid_arguments(operation, e.to_string()))?;
        self.check_stream_count()?;
        let (hub, who) = (&self.shared.hub, self.shared.identity.principal.clone());
        if !is_decided_by_services(operation) {
            let _permit = hub.authorize(&who, operation, &resource(&request))?;
        }
        let services = Arc::clone(&self.shared.services);
        self.streams.insert(stream, Stream::Call);
        self.calls.spawn(async move { (stream, services.call(&who, request).await) });
        Ok(())
    }

    fn check_stream_count(&self) -> Result<(), OperationError> {
        let limit = self.limits().streams;
        // A call whose stream the peer has closed goes on, and counts.
        if self.streams.len().max(self.calls.len()) < limit {
            return Ok(());
        }
        Err(OperationError::service(format!("this connection has {limit} open streams already")))
    }
}

impl From<Denied> for OperationError {
    fn from(denied: Denied) -> OperationError {
        OperationError::unauthorized(denied.to_string())
    }
}

impl From<PublishError> for OperationError {
    fn from(error: PublishError) -> OperationError {
        match error {
            PublishError::Denied(denied) => denied.into(),
            PublishError::Topic(_) => {
                OperationError::invalid_arguments(Operation::PublishToTopic, error.to_string())
            }
            PublishError::TooLarge { .. } | PublishError::NoMemory => {
                OperationError::service(error.to_string())
            }
        }
    }
}

impl From<SubscribeError> for OperationError {
    fn from(error: SubscribeError) -> OperationError {
        match error {
            SubscribeError::Denied(denied) => denied.into(),
            SubscribeError::Filter(_) => {
                OperationError::invalid_arguments(Operation::SubscribeToTopic, error.to_string())
            }
            SubscribeError::TooMany { .. } => OperationError::service(error.to_string()),
        }
    }
}
