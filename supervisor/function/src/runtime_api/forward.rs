//! A response that streams.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use tokio::sync::mpsc;
use tokio::sync::mpsc::OwnedPermit;

use super::failure;
use crate::StreamFault;
use crate::http::body::{Broken, throw_away};

/// Bytes of a streamed response, as in Lambda.
pub const STREAM_LIMIT: u64 = 200 * 1024 * 1024;

/// Pieces of a stream that wait for its reader.
const PIECES: usize = 8;

/// Trailer of a stream: base64 of a failure's JSON.
const ERROR_BODY: &str = "lambda-runtime-function-error-body";

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
