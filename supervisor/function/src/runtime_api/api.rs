//! What each call does.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, USER_AGENT};
use hyper::{Request, StatusCode};
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::forward::Forward;
use super::reply::{self, INVOCATION_ID, Reply};
use super::route::Route;
use super::{INIT_ERROR_LIMIT, RESPONSE_LIMIT, failure};
use crate::http::body::{self, Broken, TooLarge};
use crate::http::{BODY_DEADLINE, Pace};
use crate::{Answer, InstanceLink, ResponseStream, v1};

const RESPONSE_MODE: &str = "lambda-runtime-function-response-mode";

/// Bodies of one instance that are read into memory at once. Runtimes send one after the other.
const BODIES: usize = 2;

/// Of one instance, over all its connections.
#[derive(Debug)]
pub(super) struct Api {
    link: InstanceLink,
    caller: Option<v1::Caller>,
    is_polling: AtomicBool,
    /// How many events it was given.
    given: AtomicU64,
    /// By when a response that streams must have ended: some time after the pool gives up on the last event.
    stream_deadline: Mutex<Instant>,
    bodies: Semaphore,
}

/// The one poll of an instance that may wait.
struct Polling<'a>(&'a AtomicBool);

impl Api {
    pub fn new(link: InstanceLink, caller: Option<v1::Caller>) -> Self {
        Self {
            link,
            caller,
            is_polling: AtomicBool::new(false),
            given: AtomicU64::new(0),
            stream_deadline: Mutex::new(Instant::now()),
            bodies: Semaphore::new(BODIES),
        }
    }

    pub async fn answer(&self, request: Request<Incoming>, pace: &Pace) -> Reply {
        if let Some(caller) = &self.caller
            && v1::Caller::is_asked(request.uri().path())
        {
            return caller.answer(request, pace).await;
        }
        let (head, mut body) = request.into_parts();
        let answered = match Route::of(&head.method, head.uri.path()) {
            Route::Next => Ok(self.next(pace).await),
            Route::Response(id) if is_stream(&head.headers) => {
                self.stream(id, &head.headers, &mut body, pace).await
            }
            Route::Response(id) => self.response(id, &head.headers, &mut body, pace).await,
            Route::Error(id) => self.error(id, &head.headers, &mut body, pace).await,
            Route::InitError | Route::RestoreError => {
                self.init_error(&head.headers, &mut body, pace).await
            }
            Route::RestoreNext => Ok(reply::restored()),
            Route::WrongMethod => {
                let message = "this path is called with another method";
                Ok(reply::refused(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message))
            }
            Route::Unknown => {
                let message = "the Runtime API has no such path";
                Ok(reply::refused(StatusCode::NOT_FOUND, "NotFound", message))
            }
        };
        answered.unwrap_or_else(|Broken| {
            let message = "the request's body ends before its end";
            reply::refused(StatusCode::BAD_REQUEST, "InvalidRequestBody", message)
        })
    }

    async fn next(&self, pace: &Pace) -> Reply {
        let Some(_polling) = Polling::begin(&self.is_polling) else {
            let message = "another call of next waits already";
            return reply::refused(StatusCode::FORBIDDEN, "InvalidStateTransition", message);
        };
        let Some(work) = self.link.next().await else {
            // The instance is to end. A runtime that were told would only complain of it.
            return pending().await;
        };
        *self.stream_deadline.lock().unwrap_or_else(PoisonError::into_inner) =
            Instant::now() + left(work.deadline) + BODY_DEADLINE;
        let given = self.given.fetch_add(1, Ordering::Relaxed) + 1;
        let reply = reply::event(&work, given);
        pace.delivering(work);
        reply
    }

    async fn response(
        &self,
        id: &str,
        headers: &HeaderMap,
        body: &mut Incoming,
        pace: &Pace,
    ) -> Result<Reply, Broken> {
        match self.whole(body, RESPONSE_LIMIT, pace).await? {
            Ok(response) => {
                pace.serving();
                Ok(self.answered(id, headers, Answer::Success(response)).await)
            }
            Err(too_large) => {
                let answer = Answer::Failure(failure::too_large(too_large));
                let reply = self.answered(id, headers, answer).await;
                body::throw_away(body).await?;
                Ok(match is_python(headers) {
                    true => reply,
                    false => {
                        let message = "the response is larger than Lambda allows";
                        let status = StatusCode::PAYLOAD_TOO_LARGE;
                        reply::refused(status, "RequestEntityTooLarge", message)
                    }
                })
            }
        }
    }

    async fn stream(
        &self,
        id: &str,
        headers: &HeaderMap,
        body: &mut Incoming,
        pace: &Pace,
    ) -> Result<Reply, Broken> {
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or("application/octet-stream").to_owned();
        let (forward, pieces) = Forward::new();
        let stream = ResponseStream { content_type, body: pieces };
        let reply = self.answered(id, headers, Answer::Stream(stream)).await;
        match reply.status().is_success() {
            // Whoever polls already is not given up on for a stream that does not end.
            true => pace.until(self.stream_deadline()),
            false => pace.reading_body(),
        }
        forward.forward(body).await?;
        Ok(reply)
    }

    async fn error(
        &self,
        id: &str,
        headers: &HeaderMap,
        body: &mut Incoming,
        pace: &Pace,
    ) -> Result<Reply, Broken> {
        let error = match self.whole(body, RESPONSE_LIMIT, pace).await? {
            Ok(body) => failure::told(headers, body),
            Err(too_large) => failure::too_large(too_large),
        };
        let reply = self.answered(id, headers, Answer::Failure(error)).await;
        body::throw_away(body).await?;
        Ok(reply)
    }

    async fn init_error(
        &self,
        headers: &HeaderMap,
        body: &mut Incoming,
        pace: &Pace,
    ) -> Result<Reply, Broken> {
        let error = match self.whole(body, INIT_ERROR_LIMIT, pace).await? {
            Ok(body) => failure::told(headers, body),
            Err(too_large) => failure::too_large(too_large),
        };
        self.link.init_failed(error).await;
        body::throw_away(body).await?;
        Ok(reply::accepted())
    }

    /// All of a body, when it is its turn.
    async fn whole(
        &self,
        body: &mut Incoming,
        limit: usize,
        pace: &Pace,
    ) -> Result<Result<Bytes, TooLarge>, Broken> {
        // It is never closed.
        let _turn = self.bodies.acquire().await;
        pace.reading_body();
        body::whole(body, limit).await
    }

    fn stream_deadline(&self) -> Instant {
        *self.stream_deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answered(&self, id: &str, headers: &HeaderMap, answer: Answer) -> Reply {
        if !self.is_stale(headers) && self.link.answer(id.to_owned(), answer).await {
            // Whoever invoked waits for the answer, the runtime only to be told to go on.
            yield_now().await;
            return reply::accepted();
        }
        let message = "no event with this request id waits for an answer";
        reply::refused(StatusCode::BAD_REQUEST, "InvalidRequestID", message)
    }

    /// Whether it is about an earlier try of the same request.
    fn is_stale(&self, headers: &HeaderMap) -> bool {
        let given = self.given.load(Ordering::Relaxed);
        headers.get(INVOCATION_ID).is_some_and(|echo| *echo != given.to_string())
    }
}

impl<'a> Polling<'a> {
    fn begin(is_polling: &'a AtomicBool) -> Option<Self> {
        (!is_polling.swap(true, Ordering::Relaxed)).then_some(Self(is_polling))
    }
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Until a time in milliseconds since 1970.
fn left(deadline: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(deadline).saturating_sub(now)
}

fn is_stream(headers: &HeaderMap) -> bool {
    headers
        .get(RESPONSE_MODE)
        .is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"streaming"))
}

/// Its client ends the process at any status that is not a success.
fn is_python(headers: &HeaderMap) -> bool {
    headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"aws-lambda-python/"))
}
