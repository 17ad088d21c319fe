//! The task of one connection: waits for whatever comes next and hands it on.

use super::Shared;
use super::conversation::{Conversation, Finish};
use super::receiver::Receiver;
use crate::outbox::Outbox;
use crate::services::Services;
use std::fmt;
use std::io;
use std::sync::Arc;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep_until};

pub(super) struct Connection<S: Services> {
    receiver: Receiver,
    outbox: Arc<Outbox>,
    conversation: Conversation<S>,
    accepted_at: Instant,
    /// When the frame that is being received began.
    frame_since: Option<Instant>,
}

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// The peer hung up.
    Eof,
    Io(io::Error),
    /// The peer broke a rule and was told so.
    Finished(Finish),
    NoHandshake,
    FrameStalled,
    RepliesUnread,
    WriteFailed,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Eof => f.write_str("the peer hung up"),
            End::Io(error) => write!(f, "cannot read: {error}"),
            End::Finished(finish) => finish.fmt(f),
            End::NoHandshake => f.write_str("no CONNECT within the deadline"),
            End::FrameStalled => f.write_str("a frame stayed unfinished beyond the deadline"),
            End::RepliesUnread => f.write_str("replies stayed unread beyond the deadline"),
            End::WriteFailed => f.write_str("cannot write, or its memory was needed"),
        }
    }
}

impl<S: Services> Connection<S> {
    pub fn new(stream: UnixStream, shared: Arc<Shared<S>>) -> Connection<S> {
        let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
        let (reader, writer) = stream.into_split();
        let budgets = [Arc::clone(&shared.received), Arc::clone(shared.hub.received())];
        let (limits, memory) = (Arc::clone(shared.hub.limits()), Arc::clone(&shared.queued));
        let outbox = Arc::new(Outbox::new(writer, limits, memory));
        Connection {
            receiver: Receiver::new(reader, budgets),
            conversation: Conversation::new(shared, Arc::clone(&outbox), uid),
            outbox,
            accepted_at: Instant::now(),
            frame_since: None,
        }
    }

    pub async fn run(mut self) -> End {
        let end = self.serve().await;
        if let End::Finished(finish) = &end {
            self.conversation.tell(finish);
            self.linger().await;
        }
        end
    }

    async fn serve(&mut self) -> End {
        loop {
            let status = self.outbox.status();
            if status.failed {
                return End::WriteFailed;
            }
            // A peer that does not read its replies may not ask for more.
            let listen = status.unread_replies <= self.conversation.limits().unread_replies;
            let deadline = self.deadline(status.deadline, listen);
            tokio::select! {
                biased;
                () = self.outbox.changed() => self.conversation.forget_ended(),
                () = self.outbox.drain(), if status.blocked => {}
                Some(done) = self.conversation.calls.join_next() => {
                    if let Err(finish) = self.conversation.answer(done) {
                        return End::Finished(finish);
                    }
                }
                // Whoever does not read gets no more of them.
                Some(next) = self.conversation.events.join_next(), if !status.blocked => {
                    if let Err(finish) = self.conversation.event(next) {
                        return End::Finished(finish);
                    }
                }
                read = self.receiver.read(), if listen => match read {
                    Ok(scratch) if scratch.bytes().is_empty() => return End::Eof,
                    Ok(scratch) => {
                        let full = scratch.is_full();
                        let fed = self.receiver.feed(scratch.bytes(), &mut self.conversation);
                        drop(scratch);
                        self.conversation.flush();
                        if let Err(finish) = fed {
                            return End::Finished(finish);
                        }
                        self.note_frame();
                        if full {
                            // There is more, but others have waited for a whole buffer.
                            tokio::task::yield_now().await;
                        }
                    }
                    Err(error) => return End::Io(error),
                },
                () = until(deadline.as_ref().map(|(at, _)| *at)), if deadline.is_some() => {
                    if let Some((_, end)) = deadline {
                        return end;
                    }
                }
            }
        }
    }

    /// The deadline that comes first, and what it means.
    fn deadline(&self, replies: Option<Instant>, listening: bool) -> Option<(Instant, End)> {
        let limits = self.conversation.limits();
        if !self.conversation.is_open() {
            return Some((self.accepted_at + limits.handshake_deadline, End::NoHandshake));
        }
        let replies = replies.map(|at| (at, End::RepliesUnread));
        // While nothing is read, the frame is not the peer's to finish.
        let frame = self.frame_since.filter(|_| listening);
        let frame = frame.map(|since| (since + limits.frame_deadline, End::FrameStalled));
        replies.into_iter().chain(frame).min_by_key(|(at, _)| *at)
    }

    fn note_frame(&mut self) {
        if self.receiver.is_within_frame() {
            self.frame_since.get_or_insert_with(Instant::now);
        } else {
            self.frame_since = None;
        }
    }

    /// Waits until the peer has read why it is refused and hung up. Closing first would make the
    /// clients report a closed socket instead of the reason.
    async fn linger(&mut self) {
        let deadline = Instant::now() + self.conversation.limits().linger;
        loop {
            let status = self.outbox.status();
            if status.failed {
                return;
            }
            tokio::select! {
                biased;
                () = self.outbox.drain(), if status.blocked => {}
                read = self.receiver.read() => match read {
                    Ok(scratch) if !scratch.bytes().is_empty() => {
                        drop(scratch);
                        tokio::task::yield_now().await;
                    }
                    _ => return,
                },
                () = sleep_until(deadline) => return,
            }
        }
    }
}

async fn until(deadline: Option<Instant>) {
    if let Some(deadline) = deadline {
        sleep_until(deadline).await;
    }
}
