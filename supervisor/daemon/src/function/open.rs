//! Fences of instances, from the request to open one to its end.

use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hedgerow_function::{
    Ended, FunctionSpec, Instance, InstanceLink, LogTail, OpenError, runtime_api, v1,
};
use hedgerow_isolation::moment::Moment;
use hedgerow_isolation::plan::{FenceId, IdRange, Network, Step, StepId, User};
use hedgerow_isolation::protocol::{Error, ErrorKind, Event, Exit, ExitStatus, Request, Response};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::command::{Look, command};
use super::component::Component;
use super::environment::environment;
use super::instances::{DaemonInstances, Version};
use super::making::TASK;
use super::output::drain;
use crate::launcher::{CallError, FenceEvent, FenceEvents, Launcher};
use crate::log::Stream;

/// The one step of an instance: its runtime.
const RUNTIME: StepId = StepId(1);

/// A fence and its runtime: the launcher gives up on a fence that is not open after 60 s.
const OPENING: Duration = Duration::from_secs(75);

/// A fence that is not gone by then is worth an error, and again each time that so much more has passed.
const CLOSING: Duration = Duration::from_secs(60);

/// Connections that are still read once the fence is gone: what their processes sent has arrived.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// How their names begin, and no other fence's.
const PREFIX: char = 'f';

/// Never one that was used before, by this daemon or by its predecessors of this boot.
pub fn fresh_id(slot: u32) -> FenceId {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let milliseconds = Moment::now().boottime / 1_000_000;
    // 10, 11 and 4 digits: 65,536 in one millisecond would meet.
    let number = NUMBER.fetch_add(1, Ordering::Relaxed) & 0xffff;
    FenceId::try_from(format!("{PREFIX}{slot}-{milliseconds:x}-{number:x}"))
        .unwrap_or_else(|_| unreachable!("digits and lower-case letters, at most 32"))
}

pub fn is_instance(fence: &FenceId) -> bool {
    fence.as_str().starts_with(PREFIX)
}

/// Returns when nothing of it is left, however long the kernel holds on to its processes. One that is not open is closed.
pub async fn close(launcher: &Launcher, fence: FenceId) {
    let mut closing = pin!(async {
        let close = || Request::Close { fence: fence.clone() };
        match launcher.run(close(), vec![]).await {
            // It ended the fence by ending itself; its successor cleans up and answers.
            Err(CallError::Gone) => launcher.run(close(), vec![]).await,
            closed => closed,
        }
    });
    let began = Instant::now();
    let closed = loop {
        match timeout(CLOSING, &mut closing).await {
            Ok(closed) => break closed,
            Err(_) => {
                let seconds = began.elapsed().as_secs();
                tracing::error!(
                    "fence {fence} is not closed after {seconds} s; until it is, it counts as an instance"
                );
            }
        }
    };
    if let Err(error) = closed {
        tracing::error!("cannot close fence {fence}: {error}");
    }
    launcher.forget(&fence);
}

/// A fence in which nothing has run yet.
#[derive(Debug)]
pub struct Made {
    pub fence: FenceId,
    pub events: FenceEvents,
    users: IdRange,
    /// The socket of its Runtime API.
    listener: TcpListener,
}

/// Starts the runtime in the fence, which is opened unless it is there. Where that fails, what there is of it is still
/// to be closed.
pub async fn open(
    with: &DaemonInstances,
    version: &Version,
    spec: &FunctionSpec,
    link: InstanceLink,
    fence: FenceId,
    made: Option<Made>,
) -> Result<Instance, OpenError> {
    let opening = timeout(OPENING, async {
        let made = match made {
            Some(made) => made,
            None => make(&with.launcher, version, fence).await?,
        };
        begin(with, version, spec, link, made).await
    });
    opening.await.unwrap_or_else(|_| Err(late()))
}

fn late() -> OpenError {
    OpenError::Machine(format!("its fence was not open after {} s", OPENING.as_secs()))
}

async fn begin(
    with: &DaemonInstances,
    version: &Version,
    spec: &FunctionSpec,
    link: InstanceLink,
    made: Made,
) -> Result<Instance, OpenError> {
    let launcher = &with.launcher;
    let Made { fence, events, users, listener } = made;
    version.component.serve(with, users);
    let argv = find_command(launcher, version, &fence).await?.clone();
    let component = &version.component;
    let step = Step {
        id: RUNTIME,
        argv,
        env: environment(&component.environment, &version.making.setenv, spec, &fence),
        cwd: TASK.into(),
        user: User::GGC,
        account: Some(version.making.account()),
        privileged: false,
    };
    let caller = with.sdk.get().map(|sdk| sdk.caller(Arc::new(spec.clone())));
    tokio::spawn(serve(listener, link, caller));
    let request = Request::Start { fence, step };
    let (_, descriptors) = launcher.call(request, vec![]).await.map_err(failed)?;
    let [stdout, stderr] = only(descriptors)?;
    let log_tail = LogTail::default();
    for (pipe, stream) in [(stdout, Stream::Stdout), (stderr, Stream::Stderr)] {
        let drained = drain(pipe, stream, log_tail.clone(), Arc::clone(component));
        drained.map_err(|error| OpenError::Machine(format!("its output: {error}")))?;
    }
    let (tell, ended) = oneshot::channel();
    tokio::spawn(watch(events, tell, Arc::clone(component)));
    Ok(Instance { ended, log_tail })
}

/// All of [`open`] that can be done before an instance is wanted.
pub async fn prepare(
    launcher: &Launcher,
    version: &Version,
    fence: FenceId,
) -> Result<Made, OpenError> {
    let preparing = timeout(OPENING, async {
        let made = make(launcher, version, fence).await?;
        find_command(launcher, version, &made.fence).await?;
        Ok(made)
    });
    preparing.await.unwrap_or_else(|_| Err(late()))
}

/// Opens the fence. Where that fails, what there is of it is still to be closed.
async fn make(launcher: &Launcher, version: &Version, fence: FenceId) -> Result<Made, OpenError> {
    let events = launcher.listen(fence.clone());
    let mut plan = version.making.plan(fence.clone());
    let open = |plan| Request::Open { plan: Box::new(plan), note: String::new() };
    let mut opened = launcher.call(open(plan.clone()), vec![]).await;
    if let Err(CallError::Refused(Error { kind: ErrorKind::NoNat, message })) = &opened {
        // A machine that cannot join fences to its network runs the function alone: better than not at all.
        version.component.say(&format!("without a network: {message}"));
        plan.network = Network::None;
        opened = launcher.call(open(plan), vec![]).await;
    }
    let (Response::Open { users }, descriptors) = opened.map_err(failed)? else {
        return Err(failed(CallError::Confused));
    };
    let [listener] = only(descriptors)?;
    let listener = TcpListener::from_std(listener.into())
        .map_err(|error| OpenError::Machine(format!("its Runtime API: {error}")))?;
    Ok(Made { fence, events, users, listener })
}

/// What runs in every fence of the version.
async fn find_command<'a>(
    launcher: &Launcher,
    version: &'a Version,
    fence: &FenceId,
) -> Result<&'a Vec<String>, OpenError> {
    let look = InFence { launcher, fence };
    let found = version.command.get_or_try_init(async || {
        let found = command(&version.spec, version.making.client.as_ref(), &look).await;
        found.map_err(failed)?.map_err(|missing| OpenError::Function(missing.to_string()))
    });
    found.await
}

fn only<const N: usize>(descriptors: Vec<OwnedFd>) -> Result<[OwnedFd; N], OpenError> {
    <[OwnedFd; N]>::try_from(descriptors).map_err(|_| failed(CallError::Confused))
}

fn failed(error: CallError) -> OpenError {
    let message = error.to_string();
    let CallError::Refused(Error { kind, .. }) = error else {
        return OpenError::Machine(message);
    };
    match kind {
        ErrorKind::NotGranted | ErrorKind::Invalid | ErrorKind::Exec => {
            OpenError::Function(message)
        }
        ErrorKind::Version
        | ErrorKind::AlreadyOpen
        | ErrorKind::NoSuchFence
        | ErrorKind::NoSuchStep
        | ErrorKind::NoNat
        | ErrorKind::System => OpenError::Machine(message),
    }
}

/// Until the instance has been closed, and what it had sent is read.
async fn serve(listener: TcpListener, link: InstanceLink, caller: Option<v1::Caller>) {
    let closed = async {
        link.closed().await;
        tokio::time::sleep(LAST_REQUESTS).await;
    };
    tokio::select! {
        () = runtime_api::serve(listener, link.clone(), caller) => {}
        () = closed => {}
    }
}

/// Tells how the runtime ended, and goes on until the fence is forgotten.
async fn watch(mut events: FenceEvents, tell: oneshot::Sender<Ended>, component: Arc<Component>) {
    let mut tell = Some(tell);
    let mut ended = |how| {
        if let Some(tell) = tell.take() {
            // A function that is gone does not want to know.
            let _ = tell.send(how);
        }
    };
    while let Some(event) = events.recv().await {
        match event {
            FenceEvent::Told(Event::StepExited { step: RUNTIME, exit, .. }) => ended(how(&exit)),
            FenceEvent::Told(Event::StepExited { .. } | Event::Emptied { .. }) => {}
            FenceEvent::Told(Event::Notice { text, .. }) => component.say(&text),
            FenceEvent::Told(Event::FenceEnded { cause, .. }) => ended(Ended::Gone(cause)),
            FenceEvent::LauncherEnded => ended(Ended::Gone("the launcher has ended".to_owned())),
        }
    }
}

fn how(exit: &Exit) -> Ended {
    // 137: a shell's word for that. A runtime may outlive a process of its own for which there was no memory.
    let is_killed = matches!(exit.status, ExitStatus::Signal(9) | ExitStatus::Code(137));
    match exit.status {
        _ if is_killed && exit.oom_kills > 0 => Ended::OutOfMemory,
        ExitStatus::Code(code) => Ended::Exited(code),
        ExitStatus::Signal(signal) => Ended::Signalled(signal),
    }
}

/// Looks as the function's user.
struct InFence<'a> {
    launcher: &'a Launcher,
    fence: &'a FenceId,
}

impl Look for InFence<'_> {
    type Error = CallError;

    async fn exists(&self, path: &str) -> Result<bool, CallError> {
        let (fence, path, user) = (self.fence.clone(), path.into(), User::GGC);
        match self.launcher.call(Request::OpenInFence { fence, path, user }, vec![]).await {
            Ok((Response::Opened, _)) => Ok(true),
            Ok(_) => Err(CallError::Confused),
            // Not there, or not for this user.
            Err(CallError::Refused(Error { kind: ErrorKind::Invalid, .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_fence_that_the_kernel_holds_on_to_is_not_forgotten() {
        let (launcher, mut silence) = Launcher::silent();
        let fence = fresh_id(1);
        let mut events = launcher.listen(fence.clone());
        let closing = tokio::spawn(async move { close(&launcher, fence).await });
        sleep(10 * CLOSING).await;
        assert!(!closing.is_finished() && !events.is_closed());
        let asked = silence.answer(Response::Done).await;
        assert!(matches!(asked, Request::Close { .. }), "{asked:?}");
        closing.await.unwrap();
        assert!(events.recv().await.is_none());
    }
}
