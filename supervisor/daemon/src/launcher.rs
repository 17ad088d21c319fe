//! The daemon's end of the launcher's socket: calls with replies, and events by fence.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hedgerow_isolation::connection::Connection;
use hedgerow_isolation::plan::{FenceId, IdRange};
use hedgerow_isolation::protocol::{self, Call, Event, Message, Request, Response};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, mpsc, oneshot};

/// Calls that may wait for a launcher that is away.
const QUEUE: usize = 256;

/// Events of one fence that may wait for its driver: a fence has a handful of steps.
const FENCE_EVENTS: usize = 64;

/// Between two tries to reach the launcher.
const RETRY: Duration = Duration::from_millis(10);

/// The same, once that has taken a while.
const SLOW_RETRY: Duration = Duration::from_secs(1);

/// Tries before it is worth a warning: a launcher that has just been started takes its time.
const PATIENCE: u32 = 200;

#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("the launcher ended before it answered")]
    Gone,
    #[error(transparent)]
    Refused(#[from] protocol::Error),
    #[error("too much for the launcher: {0}")]
    Unsendable(io::Error),
    #[error("the launcher answered something else than was asked")]
    Confused,
}

type Answer = Result<(Response, Vec<OwnedFd>), CallError>;

#[derive(Debug)]
struct Outgoing {
    request: Request,
    descriptors: Vec<OwnedFd>,
    answer: oneshot::Sender<Answer>,
}

type Listeners = Arc<Mutex<HashMap<FenceId, mpsc::Sender<FenceEvent>>>>;

/// A handle on the connection; clones share it.
#[derive(Clone)]
pub struct Launcher {
    calls: mpsc::Sender<Outgoing>,
    listeners: Listeners,
    leaving: Arc<Notify>,
}

impl std::fmt::Debug for Launcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launcher").finish_non_exhaustive()
    }
}

/// The events of one fence, until dropped or [`Launcher::forget`].
pub type FenceEvents = mpsc::Receiver<FenceEvent>;

#[derive(Debug)]
pub enum FenceEvent {
    /// The launcher says so.
    Told(Event),
    /// The launcher has ended, and the fence with it.
    LauncherEnded,
}

impl Launcher {
    /// Connects (waiting for the launcher where it is not up yet) and learns which fences it holds.
    pub async fn connect(socket: PathBuf) -> (Self, Vec<FenceId>) {
        let (calls, queue) = mpsc::channel(QUEUE);
        let listeners = Listeners::default();
        let (link, fences) = open(&socket).await;
        let leaving = Arc::new(Notify::new());
        let handle =
            Self { calls, listeners: Arc::clone(&listeners), leaving: Arc::clone(&leaving) };
        tokio::spawn(serve(socket, link, queue, listeners, leaving));
        (handle, fences)
    }

    /// Subscribes to a fence's events; to be done before it is opened or adopted.
    pub fn listen(&self, fence: FenceId) -> FenceEvents {
        let (sender, receiver) = mpsc::channel(FENCE_EVENTS);
        self.lock().insert(fence, sender);
        receiver
    }

    pub fn forget(&self, fence: &FenceId) {
        self.lock().remove(fence);
    }

    /// Waits for the launcher where it is away, but not for one that ended with this call under way.
    pub async fn call(&self, request: Request, descriptors: Vec<OwnedFd>) -> Answer {
        let (answer, reply) = oneshot::channel();
        let outgoing = Outgoing { request, descriptors, answer };
        self.calls.send(outgoing).await.map_err(|_| CallError::Gone)?;
        reply.await.map_err(|_| CallError::Gone)?
    }

    /// For calls whose whole answer is that they are done.
    pub async fn run(&self, request: Request, descriptors: Vec<OwnedFd>) -> Result<(), CallError> {
        match self.call(request, descriptors).await? {
            (Response::Done, _) => Ok(()),
            _ => Err(CallError::Confused),
        }
    }

    /// Opens a fence. The result: the host's ids that its users have.
    pub async fn open(
        &self,
        request: Request,
        descriptors: Vec<OwnedFd>,
    ) -> Result<IdRange, CallError> {
        match self.call(request, descriptors).await? {
            (Response::Open { users }, _) => Ok(users),
            _ => Err(CallError::Confused),
        }
    }

    /// From now on no call waits for a launcher that is away.
    pub fn leave(&self) {
        self.leaving.notify_one();
    }

    /// To be called last: a launcher of this daemon's own ends, and has ended when this returns.
    pub async fn farewell(&self) {
        // Where it ends, the end of the connection is the answer.
        let _ = self.call(Request::Farewell, vec![]).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<FenceId, mpsc::Sender<FenceEvent>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Link = AsyncFd<Connection>;

async fn open(socket: &Path) -> (Link, Vec<FenceId>) {
    let mut tries = 0;
    loop {
        match greet(socket).await {
            Ok(greeted) => return greeted,
            Err(error) if tries == PATIENCE => {
                tracing::warn!("waiting for the launcher at {}: {error}", socket.display());
            }
            Err(_) => {}
        }
        tries += 1;
        tokio::time::sleep(if tries < PATIENCE { RETRY } else { SLOW_RETRY }).await;
    }
}

async fn greet(socket: &Path) -> io::Result<(Link, Vec<FenceId>)> {
    let link = register(Connection::connect(socket)?)?;
    let hello = Call { serial: 0, request: Request::Hello { version: protocol::VERSION } };
    send(&link, &hello, &[]).await?;
    match receive(&link).await? {
        Some((Message::Reply { result: Ok(Response::Welcome { fences }), .. }, _)) => {
            Ok((link, fences))
        }
        Some((Message::Reply { result: Err(error), .. }, _)) => Err(io::Error::other(error)),
        Some(_) => Err(io::Error::other("it did not answer the greeting")),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Carries calls and events for as long as the daemon lives, over one connection after another.
async fn serve(
    socket: PathBuf,
    mut link: Link,
    mut queue: mpsc::Receiver<Outgoing>,
    listeners: Listeners,
    leaving: Arc<Notify>,
) {
    loop {
        match carry(&link, &mut queue, &listeners).await {
            Ok(()) => return,
            Err(error) => tracing::error!("the launcher is gone, and every fence with it: {error}"),
        }
        // The launcher's death ended every fence: say so to each driver.
        let fences: Vec<_> =
            listeners.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for sender in fences {
            deliver(&sender, FenceEvent::LauncherEnded);
        }
        // A daemon that stops waits for no launcher: with it, every fence has ended.
        let (again, fences) = tokio::select! {
            opened = open(&socket) => opened,
            () = leaving.notified() => return,
        };
        tracing::info!("the launcher is back with {} fences", fences.len());
        link = again;
    }
}

/// `Ok` when the last handle is gone, `Err` when the connection is.
async fn carry(
    link: &Link,
    queue: &mut mpsc::Receiver<Outgoing>,
    listeners: &Listeners,
) -> io::Result<()> {
    let mut waiting: HashMap<u64, oneshot::Sender<Answer>> = HashMap::new();
    let (mut serial, mut is_leaving) = (0, false);
    loop {
        tokio::select! {
            outgoing = queue.recv() => {
                let Some(Outgoing { request, descriptors, answer }) = outgoing else { return Ok(()) };
                serial += 1;
                is_leaving |= request == Request::Farewell;
                let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
                match send(link, &Call { serial, request }, &borrowed).await {
                    Ok(()) => drop(waiting.insert(serial, answer)),
                    // The message is at fault, not the connection: a script of 200 KiB, say.
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                        let _ = answer.send(Err(CallError::Unsendable(error)));
                    }
                    Err(error) => return Err(error),
                }
            }
            received = receive(link) => {
                let (message, descriptors) = match received? {
                    Some(received) => received,
                    None if is_leaving => return Ok(()),
                    None => return Err(io::ErrorKind::UnexpectedEof.into()),
                };
                match message {
                    Message::Reply { serial, result } => {
                        if let Some(answer) = waiting.remove(&serial) {
                            // A caller that went away needs no answer.
                            let _ = answer.send(result.map(|r| (r, descriptors)).map_err(CallError::from));
                        }
                    }
                    Message::Event(event) => dispatch(event, listeners),
                }
            }
        }
    }
}

fn dispatch(event: Event, listeners: &Listeners) {
    let fence = match &event {
        Event::StepExited { fence, .. }
        | Event::Emptied { fence }
        | Event::Notice { fence, .. }
        | Event::FenceEnded { fence, .. } => fence,
    };
    let sender = listeners.lock().unwrap_or_else(PoisonError::into_inner).get(fence).cloned();
    match sender {
        Some(sender) => deliver(&sender, FenceEvent::Told(event)),
        None => tracing::debug!("an event of fence {fence}, which nobody listens to"),
    }
}

fn deliver(sender: &mpsc::Sender<FenceEvent>, event: FenceEvent) {
    if let Err(mpsc::error::TrySendError::Full(event)) = sender.try_send(event) {
        tracing::error!("a driver does not keep up with its fence: {event:?} is dropped");
    }
}

#[expect(
    deprecated,
    reason = "its replacement is unsafe; a Connection owns one descriptor all its life"
)]
pub fn register(connection: Connection) -> io::Result<Link> {
    AsyncFd::new(connection)
}

async fn send<T: serde::Serialize>(
    link: &Link,
    message: &T,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    link.async_io(Interest::WRITABLE, |inner| Ok(inner.send(message, descriptors)?)).await
}

pub async fn receive<T: serde::de::DeserializeOwned>(
    link: &Link,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    link.async_io(Interest::READABLE, |inner| Ok(inner.recv()?)).await
}

/// Keeps the calls of a launcher that does not answer.
#[cfg(test)]
#[derive(Debug)]
pub struct Silence {
    calls: mpsc::Receiver<Outgoing>,
}

#[cfg(test)]
impl Silence {
    /// Answers the next call after all; what it asked.
    pub async fn answer(&mut self, response: Response) -> Request {
        let (request, answer) = self.hear().await;
        // Who asked may have given up.
        let _ = answer.send(Ok((response, vec![])));
        request
    }

    /// The next call.
    pub async fn hear(&mut self) -> (Request, oneshot::Sender<Answer>) {
        let outgoing = self.calls.recv().await.expect("a call");
        (outgoing.request, outgoing.answer)
    }
}

#[cfg(test)]
impl Launcher {
    pub fn silent() -> (Self, Silence) {
        let (calls, queue) = mpsc::channel(QUEUE);
        let (listeners, leaving) = (Listeners::default(), Arc::new(Notify::new()));
        (Self { calls, listeners, leaving }, Silence { calls: queue })
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_isolation::protocol::MAX_MESSAGE;

    use super::*;

    #[tokio::test]
    async fn a_call_that_is_too_large_fails_alone() {
        let (ours, theirs) = Connection::pair().expect("a pair");
        ours.set_nonblocking().expect("possible");
        let (calls, mut queue) = mpsc::channel(1);
        let listeners = Listeners::default();
        let leaving = Arc::new(Notify::new());
        let launcher = Launcher { calls, listeners: Arc::clone(&listeners), leaving };
        tokio::spawn(async move {
            carry(&register(ours).expect("registered"), &mut queue, &listeners).await
        });
        let fence = FenceId::try_from("c1".to_owned()).expect("valid");
        let note = move |length| Request::Note { fence: fence.clone(), note: "n".repeat(length) };
        let refused = launcher.run(note(MAX_MESSAGE), vec![]).await;
        assert!(matches!(refused, Err(CallError::Unsendable(_))), "{refused:?}");

        let next = tokio::spawn(async move { launcher.run(note(1), vec![]).await });
        let call = tokio::task::spawn_blocking(move || theirs.recv::<Call>().map(|c| (c, theirs)));
        let (call, theirs) = call.await.expect("it returned").expect("a call");
        let serial = call.expect("still connected").0.serial;
        theirs.send(&Message::Reply { serial, result: Ok(Response::Done) }, &[]).expect("sent");
        next.await.expect("it returned").expect("done");
    }
}
