//! What waits to be written to one IPC peer: replies, and messages of its subscriptions.
//!
//! Whoever adds something may write it at once, so that a message reaches its subscriber without
//! waking another task. When the socket is full, the session's own task takes over and everybody
//! else just leaves what they have.

mod rope;

use self::rope::Rope;
use crate::budget::Budget;
use crate::limits::Limits;
use crate::pubsub::{Published, Queue};
use crate::wire::rpc::{self, Kind, TERMINATE};
use bytes::BytesMut;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Messages are encoded for the socket up to this many bytes ahead; the rest stays in queues, where
/// it can still be dropped.
const AHEAD: usize = 64 * 1024;

/// Messages from this size on are shared between subscribers and not copied.
const SHARE: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) struct Outbox {
    socket: OwnedWriteHalf,
    limits: Arc<Limits>,
    /// Shared by all peers of one listener.
    memory: Arc<Budget>,
    state: Mutex<State>,
    /// Wakes the session's task: the socket is full, or has failed.
    wake: Notify,
}

#[derive(Debug)]
struct State {
    /// Encoded, in the order in which the peer will read it.
    encoded: Rope,
    /// Bytes written so far, and how many there will be when the last reply is.
    written: u64,
    replies_until: u64,
    queues: HashMap<i32, StreamQueue>,
    /// Streams that were ended from this side and that the session's task has not forgotten yet.
    ended: Vec<i32>,
    /// Whose turn it is: a stream for each of its messages, in the order of publishing.
    order: VecDeque<i32>,
    /// Somebody has undertaken to flush.
    dirty: bool,
    /// The socket is full.
    blocked: bool,
    failed: bool,
    /// Since when the peer has read nothing of the replies that wait, and how much it had read then.
    stuck: Option<(Instant, u64)>,
}

#[derive(Debug, Default)]
struct StreamQueue {
    queue: Queue,
    /// How often the stream stands in `order`.
    turns: usize,
}

/// What adding a message did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pushed {
    pub dropped: u64,
    /// The caller must see to it that the outbox is flushed.
    pub newly_dirty: bool,
}

/// What the session's task needs to know to wait for the right thing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status {
    pub blocked: bool,
    pub failed: bool,
    /// Reply bytes, and messages encoded before them, that the peer has not read.
    pub unread_replies: usize,
    /// When a peer that reads none of its replies is given up.
    pub deadline: Option<Instant>,
}

impl Outbox {
    pub fn new(socket: OwnedWriteHalf, limits: Arc<Limits>, memory: Arc<Budget>) -> Outbox {
        let state = State {
            encoded: Rope::default(),
            written: 0,
            replies_until: 0,
            queues: HashMap::new(),
            ended: Vec::new(),
            order: VecDeque::new(),
            dirty: false,
            blocked: false,
            failed: false,
            stuck: None,
        };
        Outbox { socket, limits, memory, state: Mutex::new(state), wake: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a reply; the caller flushes when its batch is through.
    pub fn reply(&self, write: impl FnOnce(&mut BytesMut)) {
        let mut state = self.state();
        state.encoded.append(write);
        state.replies_until = state.written + state.encoded.len() as u64;
    }

    /// Appends an event. Unlike a reply, it drops no peer that leaves it unread; it is the caller who waits until
    /// the socket takes more.
    pub fn event(&self, write: impl FnOnce(&mut BytesMut)) {
        self.state().encoded.append(write);
    }

    /// Makes room for the messages of a subscription. They come after the replies appended so far.
    pub fn open_queue(&self, stream: i32) {
        self.state().queues.insert(stream, StreamQueue::default());
    }

    /// Drops what still waits for a subscription.
    pub fn close_queue(&self, stream: i32) {
        self.state().queues.remove(&stream);
    }

    /// Ends a subscription from this side: what still waits is dropped and the peer is told. The caller flushes.
    pub fn end_queue(&self, stream: i32) {
        let mut state = self.state();
        if state.failed || state.queues.remove(&stream).is_none() {
            return;
        }
        state.encoded.append(|out| rpc::write_bare(out, Kind::Application, TERMINATE, stream));
        state.ended.push(stream);
        self.wake.notify_one();
    }

    /// The streams that [`end_queue`](Outbox::end_queue) has ended since.
    pub fn take_ended(&self) -> Vec<i32> {
        std::mem::take(&mut self.state().ended)
    }

    /// Queues a message of a subscription.
    pub fn push(&self, stream: i32, published: &Arc<Published>) -> Pushed {
        let state = &mut *self.state();
        if state.failed {
            return Pushed::default();
        }
        let Some(stream_queue) = state.queues.get_mut(&stream) else {
            return Pushed::default();
        };
        let dropped = stream_queue.queue.push(published, &self.limits, &self.memory);
        if stream_queue.turns < stream_queue.queue.len() {
            stream_queue.turns += 1;
            state.order.push_back(stream);
        }
        let newly_dirty = !state.dirty && !state.blocked;
        state.dirty |= newly_dirty;
        Pushed { dropped, newly_dirty }
    }

    /// Bytes that [`give_up_queue`](Outbox::give_up_queue) would release.
    pub fn queued_bytes(&self) -> usize {
        self.state().queued_bytes()
    }

    /// Gives up what is queued, for want of memory. A peer that holds a large message half-read is
    /// cut off: nothing else would release that. Returns how many messages were dropped.
    pub fn give_up_queue(&self) -> u64 {
        let mut state = self.state();
        let dropped = state.queues.values_mut().map(|stream| stream.queue.clear()).sum();
        if state.holds_much() {
            state.fail();
            self.wake.notify_one();
        }
        dropped
    }

    /// Writes as much as the socket takes now.
    pub fn flush(&self) {
        let mut state = self.state();
        state.dirty = false;
        if state.blocked || state.failed {
            return;
        }
        loop {
            state.encode_ahead();
            if state.encoded.len() == 0 {
                state.stuck = None;
                return;
            }
            match self.socket.try_write_vectored(&state.encoded.slices()) {
                Ok(count) if count > 0 => {
                    state.encoded.advance(count);
                    state.written += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    state.block();
                    break;
                }
                Ok(_) | Err(_) => {
                    state.fail();
                    break;
                }
            }
        }
        self.wake.notify_one();
    }

    /// Waits until the session's task has something to do here: the socket has become full, or
    /// has failed.
    pub async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Waits until a full socket takes more, and gives it more.
    pub async fn drain(&self) {
        if self.socket.writable().await.is_err() {
            self.state().fail();
            return;
        }
        self.state().blocked = false;
        self.flush();
    }

    pub fn status(&self) -> Status {
        let state = self.state();
        let unread = state.replies_until.saturating_sub(state.written);
        Status {
            blocked: state.blocked,
            failed: state.failed,
            unread_replies: usize::try_from(unread).unwrap_or(usize::MAX),
            deadline: state.stuck.map(|(since, _)| since + self.limits.write_deadline),
        }
    }
}

impl State {
    fn encode_ahead(&mut self) {
        while self.encoded.len() < AHEAD {
            let Some(stream) = self.order.pop_front() else { return };
            let Some(stream_queue) = self.queues.get_mut(&stream) else { continue };
            stream_queue.turns = stream_queue.turns.saturating_sub(1);
            let Some((waiting, _lost)) = stream_queue.queue.pop() else { continue };
            let (published, held) = waiting.into_parts();
            if published.size() < SHARE {
                self.encoded.append(|out| published.template.write(out, stream));
                continue;
            }
            let (head, rest, crc) = published.template.parts(stream);
            self.encoded.append(|out| out.extend_from_slice(&head));
            self.encoded.share(rest, (published, held));
            self.encoded.append(|out| out.extend_from_slice(&crc));
        }
    }

    /// The socket is full.
    fn block(&mut self) {
        self.blocked = true;
        self.stuck = match self.stuck {
            _ if self.replies_until <= self.written => None,
            Some((since, written)) if written == self.written => Some((since, written)),
            _ => Some((Instant::now(), self.written)),
        };
    }

    fn queued_bytes(&self) -> usize {
        let queues: usize = self.queues.values().map(|stream| stream.queue.bytes()).sum();
        queues + if self.holds_much() { self.encoded.len() } else { 0 }
    }

    /// A large message is on its way to the socket.
    fn holds_much(&self) -> bool {
        self.encoded.len() > 2 * AHEAD
    }

    /// Nothing more can be written; the memory is given back at once.
    fn fail(&mut self) {
        self.failed = true;
        self.encoded = Rope::default();
        self.queues.clear();
        self.ended.clear();
        self.order.clear();
        self.stuck = None;
    }
}
