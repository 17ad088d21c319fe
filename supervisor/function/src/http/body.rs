//! What a request carries: whole, or thrown away.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

/// More than the limit, which is in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLarge {
    pub limit: usize,
}

/// The body ended before its end.
#[derive(Debug)]
pub(crate) struct Broken;

/// All of it. One that is too large is not read to its end.
pub(crate) async fn whole(
    body: &mut Incoming,
    limit: usize,
) -> Result<Result<Bytes, TooLarge>, Broken> {
    let announced = body.size_hint();
    if announced.lower() > limit as u64 {
        return Ok(Err(TooLarge { limit }));
    }
    let Some(first) = data(body).await? else {
        return Ok(Ok(Bytes::new()));
    };
    if body.is_end_stream() && first.len() <= limit {
        return Ok(Ok(first));
    }
    let expected = announced.exact().unwrap_or_default() as usize;
    let mut all = BytesMut::with_capacity(expected.max(first.len()));
    let mut next = Some(first);
    while let Some(piece) = next {
        if all.len() + piece.len() > limit {
            return Ok(Err(TooLarge { limit }));
        }
        all.extend_from_slice(&piece);
        next = data(body).await?;
    }
    Ok(Ok(all.freeze()))
}

/// Reads what is left, so that a client that writes first and reads then gets to read.
pub(crate) async fn throw_away(body: &mut Incoming) -> Result<(), Broken> {
    while data(body).await?.is_some() {}
    Ok(())
}

async fn data(body: &mut Incoming) -> Result<Option<Bytes>, Broken> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| Broken)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}
