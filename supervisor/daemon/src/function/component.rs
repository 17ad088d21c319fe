//! What all versions and instances of one function share: who it is on the IPC socket, and its log.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use hedgerow_ipc::{Identity, Principal, Token};
use hedgerow_isolation::plan::IdRange;
use tokio::net::UnixListener;
use tokio::sync::oneshot;

use super::DaemonInstances;
use crate::definition::Definition;
use crate::disk::Watched;
use crate::driver::{self, FenceError};
use crate::log::{ComponentLog, Entry, Level};

/// In the place of a step's name in the log.
const STEP: &str = "function";

#[derive(Debug)]
pub struct Component {
    name: String,
    /// What every step of a component finds in its environment.
    pub environment: BTreeMap<String, String>,
    log: Mutex<ComponentLog>,
    /// Until it is served.
    bound: Mutex<Option<Bound>>,
    /// Dropped to stop serving its socket.
    _ipc: oneshot::Sender<()>,
    _disk: Watched,
}

#[derive(Debug)]
struct Bound {
    token: Token,
    listener: UnixListener,
    stopped: oneshot::Receiver<()>,
}

impl Component {
    pub fn new(with: &DaemonInstances, definition: &Definition) -> Result<Self, FenceError> {
        let token = Token::generate()?;
        // No instance outlives the daemon, and its socket need not either.
        let (listener, _) = driver::bind(&with.layout, definition.slot)?;
        let (stop, stopped) = oneshot::channel();
        let log = ComponentLog::new(
            &definition.name,
            &definition.version,
            with.layout.log(&definition.name),
            with.layout.journal.clone(),
            &with.settings.log,
        );
        Ok(Self {
            name: definition.name.clone(),
            environment: driver::environment(&with.settings, token.as_str()),
            log: Mutex::new(log),
            bound: Mutex::new(Some(Bound { token, listener, stopped })),
            _ipc: stop,
            _disk: with.disk.watched(definition),
        })
    }

    /// Serves its socket to processes that have the ids `users`: of the first of its fences that is open.
    pub fn serve(&self, with: &DaemonInstances, users: IdRange) {
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Bound { token, listener, stopped }) = bound else { return };
        let identity = Identity {
            principal: Principal::Component(self.name.as_str().into()),
            token,
            uids: users.first..users.first + IdRange::COUNT,
        };
        let (hub, services) = (with.hub.clone(), Arc::clone(&with.services));
        let stop = async move {
            // It is dropped and sends nothing.
            let _ = stopped.await;
        };
        tokio::spawn(hedgerow_ipc::serve(listener, identity, hub, services, stop));
    }

    /// Whatever is logged from here on is said to be of that version.
    pub fn becomes(&self, version: &str) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).becomes(version);
    }

    pub fn log(&self, entries: &[Entry]) {
        self.with_log(|log| log.write(STEP, entries));
    }

    /// A line of Lambda's.
    pub fn log_line(&self, line: &str) {
        self.log(&[Entry { level: Level::Info, text: line.to_owned() }]);
    }

    /// A line of ours about what is lost or not done.
    pub fn warn(&self, line: &str) {
        self.log(&[Entry { level: Level::Warn, text: line.to_owned() }]);
    }

    /// A line about the function.
    pub fn say(&self, text: &str) {
        self.with_log(|log| log.say(text));
    }

    /// After the last that an instance wrote.
    pub fn settle(&self) {
        self.with_log(ComponentLog::settle);
    }

    fn with_log(&self, write: impl FnOnce(&mut ComponentLog) -> io::Result<()>) {
        if let Err(error) = write(&mut self.log.lock().unwrap_or_else(PoisonError::into_inner)) {
            tracing::error!("the log of {} cannot be written: {error}", self.name);
        }
    }
}
