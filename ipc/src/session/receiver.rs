//! Reading frames from a socket.
//!
//! Frames are decoded where they were read, in a buffer that all connections of a thread share. Only
//! the beginning of an unfinished frame is copied to memory of the connection, which grows with the
//! bytes that arrive and never with the length that the peer announces.

use crate::budget::{Budget, Reservation};
use crate::wire::frame::{self, Decoded, Frame, FrameError};
use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::unix::OwnedReadHalf;

/// Bytes read at once. Also the share of a peer that floods, before others have their turn.
const SCRATCH: usize = 32 * 1024;

/// Beginnings of frames up to this size are not accounted for: their number is bounded by the
/// connections.
const FREE: usize = 8 * 1024;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The thread's read buffer, on loan.
#[derive(Debug)]
pub(super) struct Scratch {
    buffer: Vec<u8>,
    filled: usize,
}

impl Scratch {
    fn take() -> Scratch {
        let mut buffer = BUFFER.take();
        buffer.resize(SCRATCH, 0);
        Scratch { buffer, filled: 0 }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    /// More may wait in the socket.
    pub fn is_full(&self) -> bool {
        self.filled == SCRATCH
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        BUFFER.set(std::mem::take(&mut self.buffer));
    }
}

/// Why frames cannot be received any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReceiveError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the memory for large frames is used up")]
    NoMemory,
}

/// What is done with the frames.
pub(super) trait FrameHandler {
    type Error: From<ReceiveError>;
    /// Largest frame that is accepted now.
    fn limit(&self) -> usize;
    fn handle(&mut self, frame: Frame<'_>) -> Result<(), Self::Error>;
}

#[derive(Debug)]
pub(super) struct Receiver {
    socket: OwnedReadHalf,
    partial: Vec<u8>,
    /// Length at which `partial` can be decoded further.
    needed: usize,
    /// Memory of one listener's peers, and of all peers.
    budgets: [Arc<Budget>; 2],
    held: Option<[Reservation; 2]>,
}

impl Receiver {
    pub fn new(socket: OwnedReadHalf, budgets: [Arc<Budget>; 2]) -> Receiver {
        Receiver { socket, partial: Vec::new(), needed: 0, budgets, held: None }
    }

    /// Whether a frame has begun and not ended.
    pub fn is_within_frame(&self) -> bool {
        !self.partial.is_empty()
    }

    /// Reads once; nothing at the end of the stream. May be cancelled without losing bytes.
    pub async fn read(&mut self) -> io::Result<Scratch> {
        poll_fn(|context| {
            let mut scratch = Scratch::take();
            let mut buffer = ReadBuf::new(&mut scratch.buffer);
            match Pin::new(&mut self.socket).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) => {
                    scratch.filled = buffer.filled().len();
                    Poll::Ready(Ok(scratch))
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Hands every frame that `bytes` completes to `handler` and keeps the rest.
    pub fn feed<H: FrameHandler>(
        &mut self,
        mut bytes: &[u8],
        handler: &mut H,
    ) -> Result<(), H::Error> {
        while !bytes.is_empty() {
            if self.partial.is_empty() {
                match frame::decode(bytes, handler.limit()).map_err(ReceiveError::from)? {
                    Decoded::Frame(frame, length) => {
                        handler.handle(frame)?;
                        bytes = &bytes[length..];
                    }
                    Decoded::Partial(needed) => {
                        self.needed = needed;
                        self.keep(bytes)?;
                        return Ok(());
                    }
                }
                continue;
            }
            let missing = self.needed.saturating_sub(self.partial.len());
            let (part, rest) = bytes.split_at(missing.min(bytes.len()));
            self.keep(part)?;
            bytes = rest;
            if self.partial.len() < self.needed {
                continue;
            }
            match frame::decode(&self.partial, handler.limit()).map_err(ReceiveError::from)? {
                Decoded::Frame(frame, _) => {
                    let handled = handler.handle(frame);
                    self.partial = Vec::new();
                    self.held = None;
                    handled?;
                }
                Decoded::Partial(needed) => self.needed = needed,
            }
        }
        Ok(())
    }

    /// Appends to the unfinished frame, doubling its memory where it must grow.
    fn keep(&mut self, bytes: &[u8]) -> Result<(), ReceiveError> {
        let length = self.partial.len() + bytes.len();
        if length > self.partial.capacity() {
            let capacity = length.max(2 * self.partial.len()).min(self.needed.max(length));
            if capacity > FREE {
                self.held = None;
                let [peer, all] = &self.budgets;
                let reservations = peer.reserve(capacity).zip(all.reserve(capacity));
                self.held = Some(reservations.ok_or(ReceiveError::NoMemory)?.into());
            }
            self.partial.reserve_exact(capacity - self.partial.len());
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }
}
