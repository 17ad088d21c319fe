//! What a request carries: whole, as a stream, or thrown away.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::HeaderMap;
use tokio::sync::mpsc;
use tokio::sync::mpsc::OwnedPermit;

use super::failure;
use crate::StreamFault;

/// Bytes of a response or of a failure's description, as in Lambda.
pub const RESPONSE_LIMIT: usize = 6 * 1024 * 1024 + 100;

/// Bytes of a description why a runtime could not start. It goes into the function's log.
pub const INIT_ERROR_LIMIT: usize = 256 * 1024;

/// Bytes of a streamed response, as in Lambda.
pub const STREAM_LIMIT: u64 = 200 * 1024 * 1024;

/// Pieces of a stream that wait for its reader.
const PIECES: usize = 8;

/// Trailer of a stream: base64 of a failure's JSON.
const ERROR_BODY: &str = "lambda-runtime-function-error-body";

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
pub(super) async fn throw_away(body: &mut Incoming) -> Result<(), Broken> {
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

/// A response on its way to the caller, piece by piece. One that is dropped before its end is told to be cut.
#[derive(Debug)]
pub(super) struct Forward {
    pieces: mpsc::Sender<Result<Bytes, StreamFault>>,
    /// Room for a fault, however slow the caller is.
    last: Option<OwnedPermit<Result<Bytes, StreamFault>>>,
}

impl Forward {
    pub fn new() -> (Self, mpsc::Receiver<Result<Bytes, StreamFault>>) {
        let (pieces, body) = mpsc::channel(PIECES + 1);
        // There is room in what is new.
        let last = pieces.clone().try_reserve_owned().ok();
        (Self { pieces, last }, body)
    }

    /// To the end, with or without somebody who listens.
    pub async fn forward(mut self, body: &mut Incoming) -> Result<(), Broken> {
        let mut size = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Broken)?;
            match frame.into_data() {
                Ok(data) => {
                    size += data.len() as u64;
                    if size > STREAM_LIMIT {
                        let why = format!("it has more than {STREAM_LIMIT} bytes");
                        self.end_with(StreamFault::Cut(why));
                        return throw_away(body).await;
                    }
                    if self.pieces.send(Ok(data)).await.is_err() {
                        return throw_away(body).await;
                    }
                }
                Err(frame) => {
                    if let Some(fault) =
                        frame.into_trailers().ok().and_then(|trailers| told(&trailers))
                    {
                        self.end_with(fault);
                    }
                }
            }
        }
        // Whole, or its fault is told.
        drop(self.last.take());
        Ok(())
    }

    fn end_with(&mut self, fault: StreamFault) {
        if let Some(last) = self.last.take() {
            last.send(Err(fault));
        }
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let why = "the runtime hung up in the middle of its response";
        self.end_with(StreamFault::Cut(why.to_owned()));
    }
}

/// The failure that a stream's trailers tell of.
fn told(trailers: &HeaderMap) -> Option<StreamFault> {
    if !trailers.contains_key(failure::ERROR_TYPE) && !trailers.contains_key(ERROR_BODY) {
        return None;
    }
    let encoded = trailers.get(ERROR_BODY).map(|body| body.as_bytes()).unwrap_or_default();
    let body = BASE64_STANDARD.decode(encoded).unwrap_or_else(|_| encoded.to_vec());
    Some(StreamFault::Function(failure::told(trailers, body.into())))
}
