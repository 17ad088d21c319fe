//! Answers for callers that take them in one piece.

use bytes::{Bytes, BytesMut};
use serde_json::json;

use crate::runtime_api::RESPONSE_LIMIT;
use crate::{Answer, FunctionError, StreamFault};

impl Answer {
    /// The whole payload: of a stream too, where it is no longer than a response may be that is not one.
    pub async fn whole(self) -> Result<Bytes, FunctionError> {
        let mut stream = match self {
            Self::Success(payload) => return Ok(payload),
            Self::Failure(error) => return Err(error),
            Self::Stream(stream) => stream,
        };
        let mut whole = BytesMut::new();
        while let Some(piece) = stream.body.recv().await {
            let piece = piece.map_err(FunctionError::from)?;
            if whole.len() + piece.len() > RESPONSE_LIMIT {
                return Err(too_large());
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }
}

/// In the words of Lambda.
fn too_large() -> FunctionError {
    failed(
        "Function.ResponseSizeTooLarge",
        &format!(
            "Response payload size exceeded maximum allowed payload size ({RESPONSE_LIMIT} bytes)."
        ),
    )
}

fn failed(error_type: &str, message: &str) -> FunctionError {
    FunctionError {
        error_type: error_type.to_owned(),
        body: json!({ "errorType": error_type, "errorMessage": message }).to_string().into(),
    }
}

impl From<StreamFault> for FunctionError {
    fn from(fault: StreamFault) -> Self {
        match fault {
            StreamFault::Function(error) => error,
            StreamFault::Cut(_) => failed("Runtime.TruncatedResponse", &fault.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::ResponseStream;

    fn stream(pieces: Vec<Result<Bytes, StreamFault>>) -> Answer {
        let (sender, body) = mpsc::channel(pieces.len().max(1));
        for piece in pieces {
            sender.try_send(piece).unwrap();
        }
        Answer::Stream(ResponseStream { content_type: "text/plain".into(), body })
    }

    #[tokio::test]
    async fn a_stream_is_put_together_and_its_faults_are_the_functions() {
        let whole = stream(vec![Ok("ab".into()), Ok("c".into())]).whole().await;
        assert_eq!(whole, Ok(Bytes::from("abc")));
        assert_eq!(stream(vec![]).whole().await, Ok(Bytes::new()));

        let cut = vec![Ok("ab".into()), Err(StreamFault::Cut("hung up".into()))];
        let error = stream(cut).whole().await.unwrap_err();
        assert_eq!(error.error_type, "Runtime.TruncatedResponse");

        let half = Bytes::from(vec![b' '; RESPONSE_LIMIT / 2 + 1]);
        let error = stream(vec![Ok(half.clone()), Ok(half)]).whole().await.unwrap_err();
        assert_eq!(error.error_type, "Function.ResponseSizeTooLarge");
    }
}
