//! Why an instance failed, and how Lambda words it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use crate::{Ended, FunctionError, InvokeError, OpenError, RequestId};

/// What ended an instance, or an invocation on it, before it was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    Open(OpenError),
    /// The runtime said so itself before its first `next`.
    Init(FunctionError),
    InitTimeout(Duration),
    InitExit(Ended),
    Timeout(Duration),
    Exit(Ended),
    /// It polled for work and hung up before the work could be written, again and again.
    HungUp,
    /// The operator stopped the function, or a deployment removed it.
    Stopped,
}

impl Fault {
    /// What the caller gets: the function's failure, or ours.
    pub fn answer(&self, request: &RequestId) -> Result<FunctionError, InvokeError> {
        match self {
            Self::Init(error) => Ok(error.clone()),
            Self::Open(OpenError::Function(_))
            | Self::InitTimeout(_)
            | Self::Timeout(_)
            | Self::HungUp
            | Self::InitExit(Ended::Exited(_) | Ended::Signalled(_) | Ended::OutOfMemory)
            | Self::Exit(Ended::Exited(_) | Ended::Signalled(_) | Ended::OutOfMemory) => {
                Ok(FunctionError {
                    error_type: self.error_type().into_owned(),
                    body: self.body(request),
                })
            }
            Self::Open(OpenError::Machine(_))
            | Self::InitExit(Ended::Gone(_))
            | Self::Exit(Ended::Gone(_)) => Err(InvokeError::Service(self.to_string())),
            Self::Stopped => Err(InvokeError::ResourceConflict(self.to_string())),
        }
    }

    /// `Sandbox.Timedout`, `Runtime.ExitError` …
    pub fn error_type(&self) -> Cow<'static, str> {
        match self {
            Self::Open(OpenError::Function(_)) => "Runtime.InvalidEntrypoint".into(),
            Self::Init(error) => error.error_type.clone().into(),
            Self::InitTimeout(_) | Self::Timeout(_) => "Sandbox.Timedout".into(),
            Self::InitExit(ended) | Self::Exit(ended) => match ended {
                Ended::OutOfMemory => "Runtime.OutOfMemory".into(),
                Ended::Exited(_) | Ended::Signalled(_) => "Runtime.ExitError".into(),
                Ended::Gone(_) => "Sandbox.Failure".into(),
            },
            Self::HungUp => "Runtime.HungUp".into(),
            Self::Open(OpenError::Machine(_)) | Self::Stopped => "Sandbox.Failure".into(),
        }
    }

    /// What Lambda writes into the function's log about it, between the function's own lines and `END`. `at`: RFC 3339.
    pub fn log_line(&self, request: &RequestId, at: &str) -> String {
        match self {
            Self::Timeout(_) => format!("{at} {request} {self}\n"),
            Self::Open(_)
            | Self::Init(_)
            | Self::InitTimeout(_)
            | Self::InitExit(_)
            | Self::Exit(_)
            | Self::HungUp
            | Self::Stopped => {
                format!("RequestId: {request} Error: {self}\n{}", self.error_type())
            }
        }
    }

    fn body(&self, request: &RequestId) -> Bytes {
        let error_type = self.error_type();
        let message = format!("RequestId: {request} Error: {self}");
        json!({ "errorType": error_type, "errorMessage": message }).to_string().into()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Init(error) => {
                write!(f, "{}: {}", error.error_type, String::from_utf8_lossy(&error.body))
            }
            Self::InitTimeout(limit) => {
                write!(
                    f,
                    "Runtime initialization timed out after {:.2} seconds",
                    limit.as_secs_f64()
                )
            }
            Self::Timeout(limit) => {
                write!(f, "Task timed out after {:.2} seconds", limit.as_secs_f64())
            }
            Self::InitExit(ended) | Self::Exit(ended) => match ended {
                Ended::Exited(0) => f.write_str("Runtime exited without providing a reason"),
                Ended::Exited(status) => {
                    write!(f, "Runtime exited with error: exit status {status}")
                }
                Ended::Signalled(signal) => {
                    write!(f, "Runtime exited with error: signal: {}", signal_name(*signal))
                }
                Ended::OutOfMemory => f.write_str("Runtime exited with error: signal: killed"),
                Ended::Gone(why) => write!(f, "the instance is gone: {why}"),
            },
            Self::HungUp => {
                f.write_str("Runtime closed its connection each time before it had read the event")
            }
            Self::Stopped => f.write_str("the function was stopped or removed while it ran"),
        }
    }
}

/// As Lambda (that is, Go's `syscall` package) calls it.
fn signal_name(signal: i32) -> Cow<'static, str> {
    match signal {
        1 => "hangup".into(),
        2 => "interrupt".into(),
        3 => "quit".into(),
        4 => "illegal instruction".into(),
        5 => "trace/breakpoint trap".into(),
        6 => "aborted".into(),
        7 => "bus error".into(),
        8 => "floating point exception".into(),
        9 => "killed".into(),
        10 => "user defined signal 1".into(),
        11 => "segmentation fault".into(),
        12 => "user defined signal 2".into(),
        13 => "broken pipe".into(),
        14 => "alarm clock".into(),
        15 => "terminated".into(),
        other => format!("signal {other}").into(),
    }
}
