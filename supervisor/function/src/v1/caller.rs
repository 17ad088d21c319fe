//! One instance that uses the SDK.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Request, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::callee::{Callee, Service};
use super::publish::Publication;
use super::{Device, DeviceError};
use crate::endpoint::find::find;
use crate::endpoint::invoke::{Ask, Kind, Outcome, invoke, kind};
use crate::endpoint::read::{read, throw_away};
use crate::endpoint::refusal::Refusal;
use crate::endpoint::reply::{Whole, document, nothing, refused};
use crate::endpoint::route::Route;
use crate::http::Pace;
use crate::{Events, FunctionSpec, Functions, InvokeError, RequestId, Target};

/// Calls of one instance at once; more are refused, so that its runtime still has connections.
pub const CALLS: usize = 24;

/// Bytes of requests that are in memory, of one instance: others wait. As many of answers that were not taken yet: others
/// are lost, for nobody can say when there is room. One of either always has room.
pub const ROOM: usize = 8 * 1024 * 1024;

/// An answer of which nothing is taken for so long is given up.
const IDLE: Duration = Duration::from_secs(60);

/// All that functions reach with the SDK. A handle: cheap to clone.
#[derive(Debug, Clone)]
pub struct Sdk {
    pub functions: Functions,
    pub events: Events,
    pub device: Arc<dyn Device>,
}

/// An instance of the function `spec`, in its calls.
#[derive(Debug)]
pub struct Caller {
    sdk: Sdk,
    spec: Arc<FunctionSpec>,
    places: Semaphore,
    room: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

impl Sdk {
    /// For one instance.
    pub fn caller(&self, spec: Arc<FunctionSpec>) -> Caller {
        Caller {
            sdk: self.clone(),
            spec,
            places: Semaphore::new(CALLS),
            room: Arc::new(Semaphore::new(ROOM)),
            answers: Arc::new(Semaphore::new(ROOM)),
        }
    }
}

impl Caller {
    /// Whether a request is one of the SDK.
    pub(crate) fn is_asked(path: &str) -> bool {
        path.starts_with("/2015-03-31/functions/")
    }

    pub(crate) async fn answer(&self, request: Request<Incoming>, pace: &Pace) -> Whole {
        pace.close_when_idle(IDLE);
        let request_id = match RequestId::generate() {
            Ok(request_id) => request_id,
            Err(error) => return refused(&InvokeError::Service(error.to_string()).into(), ""),
        };
        let Ok(_place) = self.places.try_acquire() else {
            let many = format!("an instance may make {CALLS} calls at once; try again later");
            return refused(&InvokeError::TooManyRequests(many).into(), request_id.as_str());
        };
        let limit = self.sdk.device.result_timeout();
        let (head, mut body) = request.into_parts();
        let answered = timeout(limit, self.obey(&head, &mut body, pace, &request_id)).await;
        match answered.unwrap_or_else(|_| Err(late(limit))) {
            Ok(reply) => reply,
            Err(refusal) => {
                throw_away(&head, &mut body, pace).await;
                refused(&refusal, request_id.as_str())
            }
        }
    }

    async fn obey(
        &self,
        head: &Parts,
        body: &mut Incoming,
        pace: &Pace,
        request_id: &RequestId,
    ) -> Result<Whole, Refusal> {
        let Route::Invoke(target) = Route::of(&head.method, &head.uri)? else {
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "UnknownOperationException",
                "functions are served Invoke only",
            ));
        };
        let body = read(body, &self.room, pace).await?;
        let ask = Ask { headers: &head.headers, body, request_id: request_id.clone() };
        match Callee::from(target) {
            Callee::Function(target) => self.invoke(target, ask).await,
            Callee::Service(Service::Router) => self.publish(ask).await,
            Callee::Service(Service::Shadows) => {
                let message = "there is no shadow service on this device yet";
                missing(&ask, json!({ "code": 501, "message": message }), message)
            }
            Callee::Service(Service::Secrets) => {
                let message = "there is no secret manager on this device yet";
                missing(&ask, json!({ "Status": 501, "Message": message }), message)
            }
        }
    }

    async fn invoke(&self, target: Target, ask: Ask<'_>) -> Result<Whole, Refusal> {
        let Sdk { functions, events, device } = &self.sdk;
        let may_invoke = |callee: &str| Ok(device.may_invoke(&self.spec.name, callee)?);
        let found = find(functions, target, may_invoke)?;
        let request_id = ask.request_id.clone();
        let outcome = invoke(functions, events, &found, ask).await?;
        Ok(self.hold(outcome)?.reply(&request_id))
    }

    async fn publish(&self, ask: Ask<'_>) -> Result<Whole, Refusal> {
        if kind(ask.headers)? != Kind::Event {
            return Err(Refusal::parameter("what is published is no question: invoke as an Event"));
        }
        let request_id = ask.request_id.clone();
        let publication = Publication::of(ask)?;
        publication.publish(&self.sdk, &self.spec).await?;
        Ok(nothing(StatusCode::ACCEPTED, &self.spec.version, &request_id))
    }

    /// Takes room for an answer, which is free again when the instance has taken the answer.
    fn hold(&self, outcome: Outcome) -> Result<Outcome, Refusal> {
        let Outcome::Answered { answered, version, log_tail } = outcome else {
            return Ok(outcome);
        };
        let answered = match answered {
            Ok(body) => Ok(self.held(body)?),
            Err(mut error) => {
                error.body = self.held(error.body)?;
                Err(error)
            }
        };
        Ok(Outcome::Answered { answered, version, log_tail })
    }

    fn held(&self, bytes: Bytes) -> Result<Bytes, Refusal> {
        // It fits: answers are limited to less than there is room.
        let weight = u32::try_from(bytes.len().min(ROOM)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.answers).try_acquire_many_owned(weight);
        let room = room.map_err(|_| no_room())?;
        Ok(Bytes::from_owner(Held { bytes, _room: room }))
    }
}

struct Held {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What the SDK makes its own exceptions of. An event that nobody takes is refused.
fn missing(ask: &Ask<'_>, error: Value, message: &str) -> Result<Whole, Refusal> {
    match kind(ask.headers)? {
        Kind::RequestResponse => Ok(document(&error, &ask.request_id)),
        Kind::Event | Kind::DryRun => {
            Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "ServiceException", message))
        }
    }
}

/// Not as one that may be tried again at once.
fn no_room() -> Refusal {
    Refusal::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "ServiceException",
        format!(
            "what was invoked has run, but answers to this instance's calls of {} MiB were not taken yet, and this one is \
             lost: take them, or make fewer calls at once",
            ROOM >> 20
        ),
    )
}

fn late(limit: Duration) -> Refusal {
    Refusal::new(
        StatusCode::GATEWAY_TIMEOUT,
        "ServiceException",
        format!(
            "there was no answer within {} s, which aws.greengrass.LambdaManager's \
             getResultTimeoutInSecond sets; what was invoked may still run",
            limit.as_secs_f64()
        ),
    )
}

impl From<DeviceError> for Refusal {
    fn from(error: DeviceError) -> Self {
        let (status, name) = match &error {
            DeviceError::Denied(_) => (StatusCode::FORBIDDEN, "AccessDeniedException"),
            DeviceError::Invalid(_) => (StatusCode::BAD_REQUEST, "InvalidParameterValueException"),
            DeviceError::Service(_) => (StatusCode::INTERNAL_SERVER_ERROR, "ServiceException"),
        };
        Self::new(status, name, error.to_string())
    }
}
