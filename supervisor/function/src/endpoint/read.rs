//! A request's body.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::header::EXPECT;
use hyper::http::request::Parts;
use tokio::sync::Semaphore;

use super::refusal::Refusal;
use crate::http::Pace;
use crate::http::body::{self, Broken};
use crate::{InvokeError, PAYLOAD_LIMIT};

/// Bytes that are read of a request that is refused anyway.
const THROWN_AWAY: usize = 4 * PAYLOAD_LIMIT;

/// All of it. `room`: bytes of bodies that may be read at once; others wait.
pub(crate) async fn read(
    body: &mut Incoming,
    room: &Semaphore,
    pace: &Pace,
) -> Result<Bytes, Refusal> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let too_large = |size| InvokeError::RequestTooLarge { size, limit: PAYLOAD_LIMIT };
    let announced = usize::try_from(body.size_hint().upper().unwrap_or(PAYLOAD_LIMIT as u64));
    let announced = announced.unwrap_or(usize::MAX);
    if announced > PAYLOAD_LIMIT {
        return Err(too_large(announced).into());
    }
    pace.reading_body();
    // It fits: the limit is far below.
    let weight = u32::try_from(announced).unwrap_or(u32::MAX);
    let busy = |error: tokio::sync::AcquireError| InvokeError::Service(error.to_string());
    let _room = room.acquire_many(weight).await.map_err(busy)?;
    let whole = body::whole(body, PAYLOAD_LIMIT).await;
    pace.serving();
    match whole {
        Ok(Ok(whole)) => Ok(whole),
        Ok(Err(_)) => Err(too_large(PAYLOAD_LIMIT + 1).into()),
        Err(Broken) => {
            Err(InvokeError::InvalidRequestContent("the body ended early".into()).into())
        }
    }
}

/// Reads what is left of a request that is refused: a client that writes first and reads then would not get to read why.
pub(crate) async fn throw_away(head: &Parts, body: &mut Incoming, pace: &Pace) {
    // Such a client waits to be told before it sends anything.
    if head.headers.contains_key(EXPECT) {
        return;
    }
    pace.reading_body();
    let mut left = THROWN_AWAY;
    while let Some(Ok(frame)) = body.frame().await {
        let size = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(size) {
            Some(less) => left = less,
            None => break,
        }
    }
    pace.serving();
}
