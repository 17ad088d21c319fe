//! The connection to hedgerowd: who is there, and what waits to be sent.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use hedgerow_isolation::connection::{Connection, Failure, Packet};
use hedgerow_isolation::protocol::{Call, Error, ErrorKind, Event, Message, Request, Response};
use serde::Deserialize;

/// Messages that wait for a daemon which does not read. One more, and it is disconnected: its successor is told
/// everything anew.
const MAX_WAITING: usize = 512;

/// Where a reply goes: one request of one connection. A reply to a connection that is no more goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    pub connection: u64,
    pub serial: u64,
}

/// What the launcher has to say, in order.
#[derive(Debug)]
pub enum Output {
    Reply(Ticket, Result<Response, Error>, Vec<OwnedFd>),
    Event(Event),
}

#[derive(Debug)]
pub struct Daemon {
    connection: Connection,
    pub number: u64,
    pub greeted: bool,
    waiting: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
}

/// What came from the daemon.
#[derive(Debug)]
pub enum Incoming {
    Request(u64, Request, Vec<OwnedFd>),
    /// A request that this launcher does not understand.
    Unknown(u64, Error),
    Nothing,
    Gone,
}

impl Daemon {
    pub fn new(connection: Connection, number: u64) -> Self {
        Self { connection, number, greeted: false, waiting: VecDeque::new() }
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }

    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub fn receive(&self) -> Incoming {
        match self.connection.recv_packet() {
            Ok(Some(packet)) => understand(packet),
            Err(failure) if failure.would_block() => Incoming::Nothing,
            Ok(None) | Err(_) => Incoming::Gone,
        }
    }

    /// False once the daemon is to be disconnected.
    pub fn send(&mut self, message: &Message, descriptors: Vec<OwnedFd>) -> bool {
        let Ok(bytes) = serde_json::to_vec(message) else { return false };
        self.waiting.push_back((bytes, descriptors));
        self.flush() && self.waiting.len() <= MAX_WAITING
    }

    /// Sends what the socket takes; false once the daemon is gone.
    pub fn flush(&mut self) -> bool {
        while let Some((bytes, descriptors)) = self.waiting.front() {
            let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
            match self.connection.send_bytes(bytes, &borrowed) {
                Ok(()) => {}
                Err(failure) if failure.would_block() => return true,
                // The message is at fault, not the daemon: the limits elsewhere keep this from happening.
                Err(Failure::TooLarge(size)) => say!("a message of {size} bytes was not sent"),
                Err(_) => return false,
            }
            self.waiting.pop_front();
        }
        true
    }
}

#[derive(Deserialize)]
struct Serial {
    serial: u64,
}

fn understand(packet: Packet) -> Incoming {
    match serde_json::from_slice::<Call>(&packet.bytes) {
        Ok(call) => Incoming::Request(call.serial, call.request, packet.descriptors),
        Err(why) => match serde_json::from_slice::<Serial>(&packet.bytes) {
            Ok(Serial { serial }) => {
                let message = format!("not a request that this launcher knows: {why}");
                Incoming::Unknown(serial, Error::new(ErrorKind::Invalid, message))
            }
            // Whatever this peer speaks, it is not our protocol.
            Err(_) => Incoming::Gone,
        },
    }
}
