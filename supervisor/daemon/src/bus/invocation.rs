//! An invocation over the bus: from its options to its answer, in one piece or as lines on a socket.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hedgerow_api::{AnswerLine, Completion, Error, InvokeOptions, InvokeResult};
use hedgerow_function::{
    Answer, Completed, FunctionError, Invocation, InvokeError, RequestId, Target,
};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::payload::Reader;
use super::{Caller, Control};

/// Answers on sockets at once: each costs a task, two sockets and their buffers.
pub const DESCRIPTORS: usize = 256;

/// Bytes of an answer in one line.
const PIECE: usize = 48 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    RequestResponse,
    Event,
    DryRun,
}

/// What is asked, but for the payload.
#[derive(Debug)]
pub struct Request<C> {
    control: Arc<C>,
    caller: Caller,
    target: Target,
    kind: Kind,
    options: InvokeOptions,
}

/// The answer's last line cannot be written: nobody reads it.
struct HungUp;

impl<C: Control> Request<C> {
    /// # Errors
    /// [`Error::InvalidArgument`] where an option has no meaning.
    pub fn new(
        control: Arc<C>,
        caller: Caller,
        function: String,
        options: InvokeOptions,
    ) -> Result<Self, Error> {
        let kind = match options.invocation_type.as_deref() {
            None | Some("RequestResponse") => Kind::RequestResponse,
            Some("Event") => Kind::Event,
            Some("DryRun") => Kind::DryRun,
            Some(other) => {
                return Err(Error::InvalidArgument(format!(
                    "invocation-type {other:?}: it is RequestResponse, Event or DryRun"
                )));
            }
        };
        let target = Target { function, qualifier: options.qualifier.clone() };
        Ok(Self { control, caller, target, kind, options })
    }

    /// Whether there is such a function, in such a version.
    pub fn check(&self) -> Result<(), Error> {
        self.control.find_function(&self.target).map(|_| ()).map_err(error)
    }

    /// The answer in one piece.
    pub async fn whole(self, payload: Bytes) -> Result<(Vec<u8>, InvokeResult), Error> {
        let (completed, completion) = self.run(payload).await?;
        let Some(completed) = completed else { return Ok((vec![], completion.into())) };
        Ok(match completed.answer.whole().await {
            Ok(payload) => (payload.into(), completion.into()),
            Err(error) => (error.body.to_vec(), failed(completion, &error).into()),
        })
    }

    /// Reads the payload, and writes the answer as it comes.
    pub async fn stream(self, payload: Reader, mut socket: UnixStream) {
        let last = match payload.whole().await {
            Ok(payload) => self.answer(payload, &mut socket).await,
            Err(error) => Ok(AnswerLine::Refused(error.to_job())),
        };
        if let Ok(last) = last {
            // Who has hung up hears nothing.
            let _ = write(&mut socket, &last).await;
        }
    }

    /// All but the last line.
    async fn answer(self, payload: Bytes, socket: &mut UnixStream) -> Result<AnswerLine, HungUp> {
        let (completed, completion) = match self.run(payload).await {
            Ok(ran) => ran,
            Err(error) => return Ok(AnswerLine::Refused(error.to_job())),
        };
        let error = match completed.map(|completed| completed.answer) {
            None => return Ok(AnswerLine::Complete(completion)),
            Some(Answer::Success(payload)) => {
                write_payload(socket, &payload).await?;
                return Ok(AnswerLine::Complete(completion));
            }
            Some(Answer::Failure(error)) => error,
            Some(Answer::Stream(mut stream)) => loop {
                match stream.body.recv().await {
                    None => return Ok(AnswerLine::Complete(completion)),
                    Some(Ok(piece)) => write_payload(socket, &piece).await?,
                    Some(Err(fault)) => break fault.into(),
                }
            },
        };
        write_payload(socket, &error.body).await?;
        Ok(AnswerLine::Complete(failed(completion, &error)))
    }

    async fn run(self, payload: Bytes) -> Result<(Option<Completed>, Completion), Error> {
        let Self { control, caller, target, kind, options } = self;
        let request_id =
            RequestId::generate().map_err(|error| Error::Internal(error.to_string()))?;
        let mut completion =
            Completion { request_id: Some(request_id.to_string()), ..Completion::default() };
        let invocation = Invocation {
            request_id,
            payload,
            client_context: options.client_context,
            trace_id: options.trace_id,
            log_tail: options.log_tail.unwrap_or(false),
        };
        match kind {
            Kind::RequestResponse => {
                let invoked = control.invoke(caller, &target, invocation).await;
                let completed = invoked.map_err(error)?;
                completion.executed_version = Some(completed.executed_version.clone());
                let log_tail = completed.log_tail.as_deref();
                completion.log_tail = log_tail.map(|tail| String::from_utf8_lossy(tail).into());
                if let Answer::Stream(stream) = &completed.answer {
                    completion.content_type = Some(stream.content_type.clone());
                }
                return Ok((Some(completed), completion));
            }
            Kind::Event => {
                control.enqueue(caller, &target, invocation).await.map_err(error)?;
            }
            Kind::DryRun => {
                let function = control.find_function(&target).map_err(error)?;
                completion.executed_version = Some(function.version.clone());
            }
        }
        Ok((None, completion))
    }
}

fn failed(completion: Completion, error: &FunctionError) -> Completion {
    Completion {
        function_error: Some(FunctionError::KIND.to_owned()),
        error_type: Some(error.error_type.clone()),
        ..completion
    }
}

fn error(error: InvokeError) -> Error {
    let message = error.to_string();
    match error {
        InvokeError::ResourceNotFound(_) => Error::NoSuchFunction(message),
        InvokeError::InvalidRequestContent(_) | InvokeError::RequestTooLarge { .. } => {
            Error::InvalidArgument(message)
        }
        InvokeError::TooManyRequests(_) => Error::TooManyRequests(message),
        InvokeError::ResourceConflict(_) => Error::NotRunning(message),
        InvokeError::Service(_) => Error::Internal(message),
    }
}

async fn write_payload(socket: &mut UnixStream, payload: &[u8]) -> Result<(), HungUp> {
    for piece in payload.chunks(PIECE) {
        let line = match std::str::from_utf8(piece) {
            Ok(text) => AnswerLine::Payload(text.to_owned()),
            Err(_) => AnswerLine::PayloadBase64(STANDARD.encode(piece)),
        };
        write(socket, &line).await?;
    }
    Ok(())
}

async fn write(socket: &mut UnixStream, line: &AnswerLine) -> Result<(), HungUp> {
    // Strings always serialize.
    let mut line = serde_json::to_vec(line).unwrap_or_default();
    line.push(b'\n');
    socket.write_all(&line).await.map_err(|_| HungUp)
}

/// Ours, and the one that is passed on.
pub fn stream_pair() -> Result<(UnixStream, OwnedFd), Error> {
    let make = || {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        Ok((UnixStream::from_std(ours)?, theirs.into()))
    };
    make().map_err(|error: std::io::Error| Error::Internal(format!("no socket: {error}")))
}
