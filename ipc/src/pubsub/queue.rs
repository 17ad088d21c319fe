//! The messages that wait for one subscriber.

use super::Published;
use crate::budget::{Budget, Reservation};
use crate::limits::Limits;
use std::collections::VecDeque;
use std::sync::Arc;

/// A bounded queue that loses its oldest messages.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// Dropped since the last message taken; they came before the next one.
    lost: u64,
}

/// A queued message and the share of the subscriber's memory that it takes.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub published: Arc<Published>,
    held: Reservation,
}

impl Waiting {
    /// What must live as long as the message's bytes are in use.
    pub fn into_parts(self) -> (Arc<Published>, Reservation) {
        (self.published, self.held)
    }
}

impl Queue {
    /// Adds a message, dropping the oldest until it fits, or itself where it cannot. Returns how
    /// many were dropped.
    pub fn push(
        &mut self,
        published: &Arc<Published>,
        limits: &Limits,
        memory: &Arc<Budget>,
    ) -> u64 {
        let lost_before = self.lost;
        let size = published.size();
        while !self.waiting.is_empty()
            && (self.waiting.len() >= limits.queue_messages
                || self.bytes.saturating_add(size) > limits.queue_bytes)
        {
            self.drop_oldest();
        }
        loop {
            if let Some(held) = memory.reserve(size) {
                self.bytes += size;
                self.waiting.push_back(Waiting { published: Arc::clone(published), held });
                break;
            }
            if self.waiting.is_empty() {
                self.lost += 1;
                break;
            }
            self.drop_oldest();
        }
        self.lost - lost_before
    }

    /// Takes the oldest message, and how many were dropped before it.
    pub fn pop(&mut self) -> Option<(Waiting, u64)> {
        let waiting = self.waiting.pop_front()?;
        self.bytes -= waiting.published.size();
        Some((waiting, std::mem::take(&mut self.lost)))
    }

    /// Drops every message; returns how many.
    pub fn clear(&mut self) -> u64 {
        let dropped = self.waiting.len() as u64;
        while !self.waiting.is_empty() {
            self.drop_oldest();
        }
        dropped
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.waiting.pop_front() {
            self.bytes -= oldest.published.size();
            self.lost += 1;
        }
    }
}
