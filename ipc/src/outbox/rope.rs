//! Bytes on their way to a socket.

use crate::budget::Reservation;
use crate::pubsub::Published;
use bytes::{Buf as _, Bytes, BytesMut};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

/// A buffer that is kept for the next message, in bytes; larger ones are given back when empty.
const KEEP: usize = 16 * 1024;

/// Small messages copied one behind the other, large ones shared between the subscribers.
#[derive(Debug, Default)]
pub(super) struct Rope {
    chunks: VecDeque<Chunk>,
    tail: BytesMut,
    length: usize,
}

#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    /// The memory stays accounted for until the bytes are written.
    _held: Option<(Arc<Published>, Reservation)>,
}

impl Rope {
    pub fn len(&self) -> usize {
        self.length
    }

    /// Appends what `write` writes.
    pub fn append(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let before = self.tail.len();
        write(&mut self.tail);
        self.length += self.tail.len() - before;
    }

    /// Appends `bytes` without copying them.
    pub fn share(&mut self, bytes: Bytes, held: (Arc<Published>, Reservation)) {
        if !self.tail.is_empty() {
            self.chunks.push_back(Chunk { bytes: self.tail.split().freeze(), _held: None });
        }
        self.length += bytes.len();
        self.chunks.push_back(Chunk { bytes, _held: Some(held) });
    }

    /// The first pieces, for a vectored write.
    pub fn slices(&self) -> [IoSlice<'_>; 4] {
        let mut slices = [IoSlice::new(&[]); 4];
        let pieces = self.chunks.iter().map(|chunk| &chunk.bytes[..]);
        // Four pieces are head, shared body, CRC and what follows: one large message. The tail comes
        // last and so only when it is its turn.
        for (slice, piece) in slices.iter_mut().zip(pieces.chain([&self.tail[..]])) {
            *slice = IoSlice::new(piece);
        }
        slices
    }

    /// Forgets the first `count` bytes: they are written.
    pub fn advance(&mut self, mut count: usize) {
        self.length -= count;
        while let Some(chunk) = self.chunks.front_mut() {
            if count < chunk.bytes.len() {
                chunk.bytes.advance(count);
                return;
            }
            count -= chunk.bytes.len();
            self.chunks.pop_front();
        }
        self.tail.advance(count);
        if self.tail.is_empty() {
            if self.tail.capacity() > KEEP {
                self.tail = BytesMut::new();
            } else {
                self.tail.clear();
            }
        }
    }
}
