//! The lines that Lambda writes around an invocation into a function's log, to the character.

use std::fmt;
use std::time::Duration;

use crate::fault::Fault;
use crate::{Report, RequestId};

const MIB: u64 = 1024 * 1024;

/// How an invocation or an initialization ended, where it did not go well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    Timeout,
    /// E.g. `Runtime.ExitError`.
    Error(String),
}

/// `INIT_REPORT`: written of a cold start that failed.
#[derive(Debug)]
pub(crate) struct InitReport<'a> {
    pub duration: Duration,
    pub fault: &'a Fault,
}

pub(crate) fn start(request: &RequestId, version: &str) -> String {
    format!("START RequestId: {request} Version: {version}")
}

pub(crate) fn end(request: &RequestId) -> String {
    format!("END RequestId: {request}")
}

impl Status {
    pub(crate) fn of(fault: &Fault) -> Self {
        match fault {
            Fault::Timeout(_) | Fault::InitTimeout(_) => Self::Timeout,
            Fault::Open(_)
            | Fault::Init(_)
            | Fault::InitExit(_)
            | Fault::Exit(_)
            | Fault::HungUp
            | Fault::Stopped => Self::Error(fault.error_type().into_owned()),
        }
    }
}

/// The fields are separated by tabs, and one stands at the end.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The cold start is billed as well.
        let billed = (self.duration + self.init.unwrap_or_default()).as_nanos().div_ceil(1_000_000);
        write!(
            f,
            "REPORT RequestId: {}\tDuration: {:.2} ms\tBilled Duration: {billed} ms\tMemory Size: {} MB\tMax Memory Used: {} MB\t",
            self.request_id,
            milliseconds(self.duration),
            self.memory_size / MIB,
            self.max_memory_used.div_ceil(MIB),
        )?;
        if let Some(init) = self.init {
            write!(f, "Init Duration: {:.2} ms\t", milliseconds(init))?;
        }
        match &self.status {
            Some(status) => write!(f, "{status}\t"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for InitReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = milliseconds(self.duration);
        let status = Status::of(self.fault);
        write!(f, "INIT_REPORT Init Duration: {took:.2} ms\tPhase: init\t{status}\t")
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("Status: timeout"),
            Self::Error(error_type) => write!(f, "Status: error\tError Type: {error_type}"),
        }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests;
