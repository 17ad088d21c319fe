//! What one peer may take of this process.

use std::time::Duration;

/// Bounds on peers. The defaults suit a device with 64 MiB of memory and dozens of components;
/// every memory bound is an upper limit, nothing is allocated until bytes arrive.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections open at once per listener, handshaken or not. Further ones are closed at once.
    pub connections: usize,
    /// Time from accepting a connection until its CONNECT frame is complete.
    pub handshake_deadline: Duration,
    /// How long a refused or misbehaving peer is waited for to read why and hang up. (The AWS
    /// clients report "socket closed" instead of the refusal when the server closes first.)
    pub linger: Duration,
    /// Largest frame, in bytes: 24 MiB is what the AWS clients send and accept.
    pub frame_bytes: usize,
    /// Time in which the next bytes of a begun frame must arrive.
    pub frame_deadline: Duration,
    /// Streams open at once per connection: subscriptions and unanswered calls.
    pub streams: usize,
    /// Length of a topic or topic filter, in bytes.
    pub topic_bytes: usize,
    /// Messages waiting for one subscriber; beyond, its oldest are dropped and counted.
    pub queue_messages: usize,
    /// Bytes waiting for one subscriber; beyond, its oldest are dropped and counted. A single
    /// message may be larger than this.
    pub queue_bytes: usize,
    /// Reply bytes that a peer may leave unread before no more of its requests are read.
    pub unread_replies: usize,
    /// Time in which a peer must read at least something of the replies that wait for it; then it
    /// is dropped. Unread subscription messages alone never drop a peer.
    pub write_deadline: Duration,
    /// Bytes of frames being received from one listener's peers together, and as many again of
    /// messages that wait for them.
    pub peer_bytes: usize,
    /// Bytes of frames being received from all peers together. A peer whose large frame does not
    /// fit is dropped; small frames are not counted.
    pub received_bytes: usize,
    /// Bytes of messages that wait for all subscribers together. When they are used up, the
    /// subscriber with the longest queue loses it.
    pub queued_bytes: usize,
    /// Topics that one principal may be subscribed to at once.
    pub subscriptions: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        const MIB: usize = 1024 * 1024;
        Limits {
            connections: 64,
            handshake_deadline: Duration::from_secs(10),
            linger: Duration::from_secs(1),
            frame_bytes: 24 * MIB,
            frame_deadline: Duration::from_secs(30),
            streams: 256,
            topic_bytes: 4096,
            queue_messages: 256,
            queue_bytes: MIB,
            unread_replies: 256 * 1024,
            write_deadline: Duration::from_secs(60),
            peer_bytes: 28 * MIB,
            received_bytes: 48 * MIB,
            queued_bytes: 64 * MIB,
            subscriptions: 1024,
        }
    }
}
