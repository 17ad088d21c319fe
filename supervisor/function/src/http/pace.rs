//! How long a connection may take to say what it says, and when an event was written whole.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::Work;

/// From the first byte of a request to the end of its headers.
pub const HEAD_DEADLINE: Duration = Duration::from_secs(10);

/// For the rest of a request, unless it is a stream: that one ends with its invocation's deadline, or so long after it.
pub const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// Shared by what reads a connection's bytes and what answers its requests. Between requests, and while one is worked
/// on, there is no deadline; between requests there may be one.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    /// How long nothing may be asked, and nothing of an answer be taken.
    idle: Option<Duration>,
    idle_until: Option<Instant>,
    /// On its way to the runtime.
    undelivered: Option<Work>,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Idle,
    /// Bytes are to come, until then.
    Reading(Instant),
    Serving,
}

impl Pace {
    pub fn new(idle: Option<Duration>) -> Self {
        let state = State { idle, ..State::default() };
        let pace = Self(Mutex::new(state));
        pace.served();
        pace
    }

    /// By when the bytes that are to come must have come.
    pub fn deadline(&self) -> Option<Instant> {
        let state = self.state();
        match state.phase {
            Phase::Reading(deadline) => Some(deadline),
            Phase::Idle => state.idle_until,
            Phase::Serving => None,
        }
    }

    /// The request, or its body, is there.
    pub fn serving(&self) {
        self.state().phase = Phase::Serving;
    }

    /// The request's body is to come.
    pub fn reading_body(&self) {
        self.until(Instant::now() + BODY_DEADLINE);
    }

    /// What is to come or to go has until then.
    pub fn until(&self, deadline: Instant) {
        self.state().phase = Phase::Reading(deadline);
    }

    /// From here on the connection may be idle for so long only.
    pub fn close_when_idle(&self, idle: Duration) {
        self.state().idle = Some(idle);
    }

    /// The next request may begin.
    pub fn served(&self) {
        let mut state = self.state();
        state.phase = Phase::Idle;
        state.idle_until = state.idle.map(|idle| Instant::now() + idle);
    }

    /// What is written next is this.
    pub fn delivering(&self, work: Work) {
        self.state().undelivered = Some(work);
    }

    fn bytes_came(&self) {
        let mut state = self.state();
        if matches!(state.phase, Phase::Idle) {
            state.phase = Phase::Reading(Instant::now() + HEAD_DEADLINE);
        }
    }

    /// A peer that takes its answer slowly takes it.
    fn bytes_went(&self) {
        let mut state = self.state();
        state.idle_until = state.idle.map(|idle| Instant::now() + idle);
    }

    fn all_is_written(&self) {
        if let Some(work) = self.state().undelivered.take() {
            work.delivered();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's bytes, as they come and go.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    pub stream: S,
    pub pace: Arc<Pace>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.pace.bytes_came();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if written.is_ready() {
            self.pace.bytes_went();
        }
        written
    }

    /// hyper flushes when it has written all that it has.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if let Poll::Ready(Ok(())) = flushed {
            self.pace.all_is_written();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        if written.is_ready() {
            self.pace.bytes_went();
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
