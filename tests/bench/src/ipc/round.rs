//! One round: a client that does nothing but measure.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, BytesMut};
use clap::Args;
use hedgerow_ipc::model::Operation;
use hedgerow_ipc::wire::frame::{self, Decoded};
use hedgerow_ipc::wire::rpc::{self, ACCEPTED, Kind, Message};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::{Gid, Pid, Uid, setgroups, setresgid, setresuid};
use serde::{Deserialize, Serialize};

use crate::components::TOPIC;
use crate::sample::percentile;

/// The variable that carries the component's token; an argument could be read by everybody.
pub const TOKEN: &str = "HEDGEROW_BENCH_TOKEN";

/// Bytes of a message.
const PAYLOAD: [u8; 100] = [b'x'; 100];
const WARM_UP: usize = 500;
const ROUND_TRIPS: usize = 4000;
const IN_FLIGHT: usize = 16;
const PIPELINED: usize = 32_000;

/// Largest frame from the server, in bytes.
const LIMIT: usize = 64 * 1024;

#[derive(Args)]
pub struct Round {
    socket: PathBuf,
    #[arg(long)]
    cpu: usize,
    /// Measure publish to subscriber as this user; without, an echo
    #[arg(long, requires = "group")]
    user: Option<u32>,
    #[arg(long)]
    group: Option<u32>,
}

/// What a round tells its parent: microseconds, and messages per second.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Measured {
    pub median: f64,
    pub p95: f64,
    pub rate: f64,
}

impl Round {
    pub fn run(self) -> Result<()> {
        let mut set = CpuSet::new();
        set.set(self.cpu)?;
        sched_setaffinity(Pid::from_raw(0), &set)?;
        let measured = match self.user.zip(self.group) {
            None => measure(&mut Echo::connect(&self)?)?,
            Some((user, group)) => {
                // While still root: no user but the daemon gets to a component's socket on the host.
                let directory = self.socket.parent().context("a socket without a directory")?;
                std::env::set_current_dir(directory)?;
                let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
                setgroups(&[])?;
                setresgid(group, group, group)?;
                setresuid(user, user, user)?;
                measure(&mut Channel::connect("ipc.socket", &std::env::var(TOKEN)?)?)?
            }
        };
        println!("{}", serde_json::to_string(&measured)?);
        Ok(())
    }
}

/// Somewhere messages go in and come out again.
trait Loop {
    /// Sends `count` messages at once.
    fn send(&mut self, count: usize) -> Result<()>;
    /// Waits for one message at least; how many came.
    fn receive(&mut self) -> Result<usize>;
    /// Waits for whatever else `count` messages bring, outside of what is timed one by one.
    fn settle(&mut self, count: usize) -> Result<()>;
}

fn measure(side: &mut impl Loop) -> Result<Measured> {
    let mut round_trips = Vec::with_capacity(ROUND_TRIPS);
    for number in 0..WARM_UP + ROUND_TRIPS {
        let start = Instant::now();
        side.send(1)?;
        ensure!(side.receive()? == 1, "one message became several");
        let took = start.elapsed();
        if number >= WARM_UP {
            round_trips.push(took.as_secs_f64() * 1e6);
        }
        side.settle(1)?;
    }

    let start = Instant::now();
    side.send(IN_FLIGHT)?;
    let (mut sent, mut received) = (IN_FLIGHT, 0);
    while received < PIPELINED {
        let count = side.receive()?;
        side.settle(count)?;
        received += count;
        let more = count.min(PIPELINED - sent);
        if more > 0 {
            side.send(more)?;
            sent += more;
        }
    }
    ensure!(received == PIPELINED, "{received} messages arrived of {PIPELINED}");
    let rate = PIPELINED as f64 / start.elapsed().as_secs_f64();
    Ok(Measured {
        median: percentile(&mut round_trips, 50.0),
        p95: percentile(&mut round_trips, 95.0),
        rate,
    })
}

/// The bare echo.
struct Echo {
    socket: UnixStream,
    buffer: Vec<u8>,
    partial: usize,
}

impl Echo {
    fn connect(round: &Round) -> Result<Echo> {
        let socket = UnixStream::connect(&round.socket)?;
        Ok(Echo { socket, buffer: PAYLOAD.repeat(IN_FLIGHT), partial: 0 })
    }
}

impl Loop for Echo {
    fn send(&mut self, count: usize) -> Result<()> {
        let bytes = self.buffer.get(..count * PAYLOAD.len()).context("too many at once")?;
        Ok(self.socket.write_all(bytes)?)
    }

    fn receive(&mut self) -> Result<usize> {
        while self.partial < PAYLOAD.len() {
            match self.socket.read(&mut self.buffer)? {
                0 => bail!("the echo hung up"),
                length => self.partial += length,
            }
        }
        let count = self.partial / PAYLOAD.len();
        self.partial %= PAYLOAD.len();
        Ok(count)
    }

    fn settle(&mut self, _: usize) -> Result<()> {
        Ok(())
    }
}

/// A publisher and a subscriber, each with a connection of its own.
struct Channel {
    publisher: Peer,
    subscriber: Peer,
    request: String,
}

impl Channel {
    fn connect(socket: &str, token: &str) -> Result<Channel> {
        let mut subscriber = Peer::connect(socket, token)?;
        let topic = serde_json::json!({ "topic": TOPIC }).to_string();
        subscriber.queue(Operation::SubscribeToTopic, &topic);
        subscriber.flush()?;
        subscriber.receive_exactly(1)?;
        // A hundred times "x" in base64.
        let base64 = format!("{}eA==", "eHh4".repeat(PAYLOAD.len() / 3));
        let message = serde_json::json!({
            "topic": TOPIC,
            "publishMessage": { "binaryMessage": { "message": base64 } },
        });
        let publisher = Peer::connect(socket, token)?;
        Ok(Channel { publisher, subscriber, request: message.to_string() })
    }
}

impl Loop for Channel {
    fn send(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.publisher.queue(Operation::PublishToTopic, &self.request);
        }
        self.publisher.flush()
    }

    fn receive(&mut self) -> Result<usize> {
        self.subscriber.receive()
    }

    /// The publisher's acknowledgements.
    fn settle(&mut self, count: usize) -> Result<()> {
        self.publisher.receive_exactly(count)
    }
}

/// A raw connection: frames out, frames counted in.
struct Peer {
    socket: UnixStream,
    unsent: BytesMut,
    received: BytesMut,
    stream: i32,
    /// Messages received before they were asked for.
    ahead: usize,
}

impl Peer {
    fn connect(socket: &str, token: &str) -> Result<Peer> {
        let socket = UnixStream::connect(socket)?;
        let mut peer = Peer {
            socket,
            unsent: BytesMut::new(),
            received: BytesMut::with_capacity(LIMIT),
            stream: 0,
            ahead: 0,
        };
        let payload = serde_json::json!({ "authToken": token }).to_string();
        rpc::write_connect(&mut peer.unsent, payload.as_bytes());
        peer.flush()?;
        peer.receive_exactly(1).context("the daemon refuses the connection")?;
        Ok(peer)
    }

    fn queue(&mut self, operation: Operation, request: &str) {
        self.stream += 1;
        let (header, shape) = (operation.header(), operation.request_type());
        rpc::write_request(&mut self.unsent, self.stream, header, shape, request.as_bytes());
    }

    fn flush(&mut self) -> Result<()> {
        self.socket.write_all(&self.unsent)?;
        self.unsent.clear();
        Ok(())
    }

    fn receive_exactly(&mut self, count: usize) -> Result<()> {
        while self.ahead < count {
            self.ahead += self.receive()?;
        }
        self.ahead -= count;
        Ok(())
    }

    /// Reads until there is a whole message; how many there were.
    fn receive(&mut self) -> Result<usize> {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.socket.read(&mut buffer)? {
                0 => bail!("the daemon hung up"),
                length => self.received.extend_from_slice(&buffer[..length]),
            }
            let mut count = 0;
            while let Decoded::Frame(frame, length) = frame::decode(&self.received, LIMIT)? {
                let message = Message::read(frame)?;
                let good = message.kind == Kind::Application
                    || (message.kind == Kind::ConnectAck && message.flags & ACCEPTED != 0);
                ensure!(good, "the daemon says: {}", String::from_utf8_lossy(frame.payload));
                self.received.advance(length);
                count += 1;
            }
            if count > 0 {
                return Ok(count);
            }
        }
    }
}
