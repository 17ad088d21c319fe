//! The end of an invocation: the caller's answer, the lines in the log, the figures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep};

use super::{Seat, Task};
use crate::fault::Fault;
use crate::log_tail::{Capture, LOG_TAIL};
use crate::pool::{Outcome, Ticket};
use crate::report::{self, Status};
use crate::{Answer, Completed, FunctionSpec, InstanceId, Instances, InvokeError, LogTail, Report};

/// The memory of an instance is not measured more often.
const MEASURE_EVERY: Duration = Duration::from_secs(1);

/// What a function wrote before it answered has come through its pipe within this.
const LOG_LAG: Duration = Duration::from_millis(20);

/// What is written at the end of an invocation, and the answer of a caller who wants the log with it.
#[derive(Debug)]
pub(super) struct PendingReport {
    id: InstanceId,
    /// Lines that Lambda writes between the function's own and `REPORT`.
    last_lines: String,
    spec: Arc<FunctionSpec>,
    report: Report,
    peak_memory: Arc<AtomicU64>,
    measure: bool,
    tailed: Option<Tailed>,
}

#[derive(Debug)]
struct Tailed {
    reply: oneshot::Sender<Result<Completed, InvokeError>>,
    completed: Completed,
    capture: Capture,
    start: String,
}

impl<I: Instances> Task<I> {
    pub(super) fn finish(
        &mut self,
        id: InstanceId,
        ticket: Ticket,
        outcome: Outcome,
        duration: Duration,
        init: Option<Duration>,
    ) {
        let answer = self.answer.take();
        let (Some(mut call), Some(seat)) = (self.calls.remove(&ticket), self.seats.get_mut(&id))
        else {
            return;
        };
        seat.delivered = None;
        let request_id = call.invocation.request_id.clone();
        let executed_version = seat.spec.version.clone();
        let complete = |answer| Completed { answer, executed_version, log_tail: None };
        let (result, fault) = match outcome {
            Outcome::Answered => (answer.map(|answer| Ok(complete(answer))), None),
            Outcome::Failed(fault) => {
                let answer = fault.answer(&request_id).map(Answer::Failure);
                (Some(answer.map(complete)), Some(fault))
            }
        };

        let is_error = match &result {
            Some(Ok(completed)) => matches!(completed.answer, Answer::Failure(_)),
            Some(Err(_)) => true,
            None => false,
        };
        let mut last_lines = String::new();
        if let Some(fault) = &fault {
            let at = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
            last_lines = fault.log_line(&request_id, &at) + "\n";
        }
        last_lines += &report::end(&request_id);

        let measure = seat.measured.is_none_or(|at| at.elapsed() >= MEASURE_EVERY);
        if measure {
            seat.measured = Some(Instant::now());
        }
        let tailed = match (result, seat.capture.take(), call.take_reply()) {
            (Some(Ok(completed)), Some(capture), Some(reply)) => {
                let start = report::start(&request_id, &seat.spec.version);
                Some(Tailed { reply, completed, capture, start })
            }
            (Some(result), _, Some(reply)) => {
                // A caller that went away does not want it.
                let _ = reply.send(result);
                None
            }
            // A stream, whose beginning was the answer.
            (None, _, _) | (_, _, None) => None,
        };
        self.reports.push(PendingReport {
            id,
            last_lines,
            report: Report {
                request_id,
                duration,
                init,
                memory_size: seat.spec.memory,
                max_memory_used: 0,
                status: fault.as_ref().map(Status::of),
            },
            spec: Arc::clone(&seat.spec),
            peak_memory: Arc::clone(&seat.peak_memory),
            measure,
            tailed,
        });
        let is_timeout = matches!(fault, Some(Fault::Timeout(_)));
        self.count(|metrics| {
            metrics.invocations += 1;
            metrics.errors += u64::from(is_error);
            metrics.timeouts += u64::from(is_timeout);
            metrics.durations.record(duration);
        });
    }

    /// To be written before the instance goes.
    pub(super) fn take_report(&mut self, id: InstanceId) -> Option<PendingReport> {
        let place = self.reports.iter().position(|report| report.id == id)?;
        Some(self.reports.swap_remove(place))
    }

    /// Beside: callers have their answers first.
    pub(super) fn write_reports(&mut self) {
        for report in self.reports.drain(..) {
            let instances = Arc::clone(&self.instances);
            tokio::spawn(async move { report.write(&*instances).await });
        }
    }
}

impl PendingReport {
    pub async fn write(self, instances: &impl Instances) {
        let log = |line: &str| instances.log(&self.spec.name, line);
        self.last_lines.lines().for_each(log);
        if self.measure
            && let Some(usage) = instances.usage(self.id).await
        {
            self.peak_memory.fetch_max(usage.peak_memory, Ordering::Relaxed);
        }
        let max_memory_used = self.peak_memory.load(Ordering::Relaxed);
        let report = Report { max_memory_used, ..self.report }.to_string();
        log(&report);
        if let Some(tailed) = self.tailed {
            tailed.send(&self.last_lines, &report).await;
        }
    }
}

impl Tailed {
    async fn send(self, last_lines: &str, report: &str) {
        sleep(LOG_LAG).await;
        let Self { reply, completed, capture, start } = self;
        let mut log = format!("{start}\n").into_bytes();
        log.extend(capture.take());
        if log.last().is_some_and(|byte| *byte != b'\n') {
            log.push(b'\n');
        }
        log.extend_from_slice(format!("{last_lines}\n{report}\n").as_bytes());
        let log = Bytes::from(log);
        let log = log.slice(log.len().saturating_sub(LOG_TAIL)..);
        // A caller that went away does not want it.
        let _ = reply.send(Ok(Completed { log_tail: Some(log), ..completed }));
    }
}

impl Seat {
    pub(super) fn new(
        spec: Arc<FunctionSpec>,
        present: watch::Sender<()>,
        starting: oneshot::Sender<()>,
    ) -> Self {
        Self {
            spec,
            _present: present,
            starting: Some(starting),
            poll: None,
            delivered: None,
            log_tail: LogTail::default(),
            capture: None,
            peak_memory: Arc::default(),
            measured: None,
        }
    }
}
