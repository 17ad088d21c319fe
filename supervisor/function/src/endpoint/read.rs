//! A request's body.

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use tokio::sync::Semaphore;

use super::refusal::Refusal;
use crate::http::Pace;
use crate::http::body::{self, Broken, throw_away};
use crate::{InvokeError, PAYLOAD_LIMIT};

/// All of it. `room`: bytes of bodies that may be read at once; others wait.
pub(crate) async fn read(
    mut body: Incoming,
    room: &Semaphore,
    pace: &Pace,
) -> Result<Bytes, Refusal> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let announced = usize::try_from(body.size_hint().upper().unwrap_or(PAYLOAD_LIMIT as u64));
    let announced = announced.unwrap_or(usize::MAX);
    pace.reading_body();
    if announced > PAYLOAD_LIMIT {
        return Err(too_large(body, announced, pace).await);
    }
    // It fits: the limit is far below.
    let weight = u32::try_from(announced).unwrap_or(u32::MAX);
    let busy = |error: tokio::sync::AcquireError| InvokeError::Service(error.to_string());
    let _room = room.acquire_many(weight).await.map_err(busy)?;
    let whole = body::whole(&mut body, PAYLOAD_LIMIT).await;
    match whole {
        Ok(Ok(whole)) => {
            pace.serving();
            Ok(whole)
        }
        Ok(Err(_)) => Err(too_large(body, PAYLOAD_LIMIT + 1, pace).await),
        Err(Broken) => {
            Err(InvokeError::InvalidRequestContent("the body ended early".into()).into())
        }
    }
}

/// Most clients write all that they have before they read why nobody wants it.
async fn too_large(mut body: Incoming, size: usize, pace: &Pace) -> Refusal {
    // One that is cut off is no worse.
    let _ = throw_away(&mut body).await;
    pace.serving();
    InvokeError::RequestTooLarge { size, limit: PAYLOAD_LIMIT }.into()
}
