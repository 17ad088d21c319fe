//! Instances as the pools of functions want them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use hedgerow_function::v1::Sdk;
use hedgerow_function::{
    FunctionSpec, Instance, InstanceId, InstanceLink, Instances, OpenError, Usage,
};
use hedgerow_ipc::Hub;
use hedgerow_isolation::plan::FenceId;
use hedgerow_isolation::protocol::{Request, Response};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::component::Component;
use super::making::{Making, MakingError};
use super::open;
use super::prepared::{Full, Prepared};
use crate::definition::{Definition, Function};
use crate::disk::Disk;
use crate::driver::FenceError;
use crate::launcher::{CallError, Launcher};
use crate::layout::Layout;
use crate::services::DaemonServices;
use crate::settings::Settings;

/// What the launcher does at once.
const PROMPT: Duration = Duration::from_secs(5);

/// Opens instances of functions that are provided.
pub struct DaemonInstances {
    pub launcher: Launcher,
    pub layout: Layout,
    pub settings: Settings,
    pub hub: Hub,
    pub services: Arc<DaemonServices>,
    pub disk: Arc<Disk>,
    /// What functions reach with the SDK of Greengrass v1, once there is what it reaches.
    pub sdk: OnceLock<Sdk>,
    prepared: Arc<Prepared>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// By name.
    components: HashMap<String, Weak<Component>>,
    /// By name and digest.
    versions: HashMap<(String, String), Arc<Version>>,
    open: HashMap<InstanceId, Open>,
}

/// An instance that is open, or being opened.
#[derive(Clone)]
struct Open {
    function: String,
    /// Until it had nothing to do for the first time.
    opened: Weak<Version>,
    fence: FenceId,
}

/// A version of a function.
#[derive(Debug)]
pub struct Version {
    pub component: Arc<Component>,
    pub making: Making,
    /// What the digest is over; the rest may have changed.
    pub spec: FunctionSpec,
    /// Found out in the first of its fences.
    pub command: OnceCell<Vec<String>>,
}

/// A version whose instances can be opened for as long as this is kept.
#[derive(Debug)]
pub struct Provided {
    instances: Arc<DaemonInstances>,
    key: (String, String),
    version: Arc<Version>,
}

/// Why no instance of a function can be opened.
#[derive(Debug, thiserror::Error)]
pub enum ProvideError {
    #[error(transparent)]
    Making(#[from] MakingError),
    #[error(transparent)]
    Fence(#[from] FenceError),
}

#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error(transparent)]
    Call(#[from] CallError),
    /// It may still be done.
    #[error("the launcher has not answered for {} s", PROMPT.as_secs())]
    Late,
}

/// Name and digest.
fn key(spec: &FunctionSpec) -> (String, String) {
    (spec.name.clone(), spec.digest.clone())
}

impl DaemonInstances {
    pub fn new(
        launcher: &Launcher,
        layout: &Layout,
        settings: &Settings,
        hub: &Hub,
        services: &Arc<DaemonServices>,
        disk: &Arc<Disk>,
    ) -> Self {
        Self {
            launcher: launcher.clone(),
            layout: layout.clone(),
            settings: settings.clone(),
            hub: hub.clone(),
            services: Arc::clone(services),
            disk: Arc::clone(disk),
            sdk: OnceLock::new(),
            prepared: Arc::new(Prepared::new(launcher, settings.function.prepared_fences)),
            known: Mutex::default(),
        }
    }

    /// From here on instances of the function can be opened whose [`FunctionSpec::digest`] is the definition's. To be
    /// called before the spec is [defined](hedgerow_function::Functions::define); what it returns is to be kept until
    /// another one is, and has its own.
    pub async fn provide(
        self: &Arc<Self>,
        definition: &Definition,
        function: &Function,
    ) -> Result<Provided, ProvideError> {
        self.disk.admit(definition, &self.launcher).await.map_err(FenceError::from)?;
        let making = Making::new(definition.clone(), function)?;
        let component = self.component(definition)?;
        let (spec, command) = (function.spec.clone(), OnceCell::new());
        let version = Arc::new(Version { component, making, spec, command });
        let key = key(&function.spec);
        self.known().versions.insert(key.clone(), Arc::clone(&version));
        self.prepare(&version, Full::Leave);
        Ok(Provided { instances: Arc::clone(self), key, version })
    }

    /// The fence of its next instance.
    fn prepare(&self, version: &Arc<Version>, full: Full) {
        let known = self.known();
        // With this lock held: whoever ends the version removes it from here first.
        let is_provided = known.versions.values().any(|known| Arc::ptr_eq(known, version));
        if is_provided && !version.spec.pinned {
            self.prepared.prepare(version, full);
        }
    }

    fn component(&self, definition: &Definition) -> Result<Arc<Component>, FenceError> {
        if let Some(component) = self.named(&definition.name) {
            component.becomes(&definition.version);
            return Ok(component);
        }
        let component = Arc::new(Component::new(self, definition)?);
        let weak = Arc::downgrade(&component);
        let mut known = self.known();
        known.components.retain(|_, component| component.strong_count() > 0);
        known.components.insert(definition.name.clone(), weak);
        Ok(component)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fence(&self, id: InstanceId) -> Result<FenceId, OpenError> {
        let gone = || OpenError::Machine("its fence is gone".to_owned());
        self.known().open.get(&id).map(|open| open.fence.clone()).ok_or_else(gone)
    }

    /// A line in the function's log about what is lost or not done.
    pub fn warn(&self, function: &str, line: &str) {
        if let Some(component) = self.named(function) {
            component.warn(line);
        }
    }

    fn named(&self, function: &str) -> Option<Arc<Component>> {
        self.known().components.get(function).and_then(Weak::upgrade)
    }

    /// Of all instances, with the function's name.
    pub fn fences(&self) -> Vec<(String, FenceId)> {
        self.known().open.values().cloned().map(|open| (open.function, open.fence)).collect()
    }

    /// For what takes no time.
    async fn ask(&self, request: Request) -> Result<Response, AskError> {
        match timeout(PROMPT, self.launcher.call(request, vec![])).await {
            Ok(answer) => Ok(answer?.0),
            Err(_) => Err(AskError::Late),
        }
    }
}

impl Instances for DaemonInstances {
    async fn open(&self, spec: &FunctionSpec, link: InstanceLink) -> Result<Instance, OpenError> {
        let key = (spec.name.clone(), spec.digest.clone());
        let version = self.known().versions.get(&key).cloned();
        let gone = || OpenError::Machine("this version of it is not deployed any more".to_owned());
        let version = version.ok_or_else(gone)?;
        let made = self.prepared.take(&version);
        let fence = match &made {
            Some(made) => made.fence.clone(),
            None => open::fresh_id(version.making.definition.slot),
        };
        let (function, opened) = (spec.name.clone(), Arc::downgrade(&version));
        let open = Open { function, opened, fence: fence.clone() };
        self.known().open.insert(link.id(), open);
        open::open(self, &version, spec, link, fence, made).await
    }

    async fn freeze(&self, id: InstanceId) -> Result<(), OpenError> {
        let fence = self.fence(id)?;
        let frozen = self.ask(Request::Freeze { fence }).await;
        // In the place of the one that was wanted: not each time, or a few functions would chase each other's away.
        let opened = self.known().open.get_mut(&id).map(|open| take(&mut open.opened));
        if let Some(version) = opened.and_then(|opened| opened.upgrade()) {
            self.prepare(&version, Full::Oldest);
        }
        match frozen {
            // The launcher does one thing after the other: whatever it is asked next finds the instance frozen.
            Ok(_) | Err(AskError::Late) => Ok(()),
            Err(AskError::Call(error)) => Err(OpenError::Machine(error.to_string())),
        }
    }

    async fn thaw(&self, id: InstanceId) -> Result<(), OpenError> {
        let fence = self.fence(id)?;
        match self.ask(Request::Thaw { fence }).await {
            Ok(_) => Ok(()),
            Err(error) => Err(OpenError::Machine(error.to_string())),
        }
    }

    async fn close(&self, id: InstanceId) {
        let open = self.known().open.remove(&id);
        if let Some(open) = open {
            open::close(&self.launcher, open.fence).await;
        }
    }

    async fn usage(&self, id: InstanceId) -> Option<Usage> {
        let fence = self.fence(id).ok()?;
        match self.ask(Request::Usage { fence }).await.ok()? {
            Response::Usage(usage) => Some(Usage {
                memory: usage.load.memory,
                peak_memory: usage.peak_memory,
                cpu_usec: usage.load.cpu_usec,
            }),
            _ => None,
        }
    }

    fn give_back(&self) -> bool {
        self.prepared.give_back()
    }

    fn log(&self, function: &str, line: &str) {
        if let Some(component) = self.named(function) {
            component.log_line(line);
        }
    }
}

impl fmt::Debug for DaemonInstances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DaemonInstances").finish_non_exhaustive()
    }
}

impl Provided {
    /// No instance of it can be opened from here on. Returns when no fence is prepared for one either.
    pub async fn end(self) {
        let (instances, version) = (Arc::clone(&self.instances), Arc::clone(&self.version));
        drop(self);
        instances.prepared.end(&version).await;
    }
}

impl Drop for Provided {
    fn drop(&mut self) {
        let mut known = self.instances.known();
        if let Entry::Occupied(entry) = known.versions.entry(self.key.clone())
            && Arc::ptr_eq(entry.get(), &self.version)
        {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use hedgerow_isolation::plan::IdRange;

    use super::*;
    use crate::deployment::definitions;
    use crate::fixture::{Fixture, function};

    #[tokio::test(start_paused = true)]
    async fn a_freeze_that_is_late_may_still_come_and_what_is_thawed_late_is_not_used() {
        let device = Fixture::new();
        let instances = &device.around.instances;
        let id = InstanceId(1);
        assert!(instances.freeze(id).await.is_err(), "there is no such instance");
        let open = Open { function: "f".to_owned(), opened: Weak::new(), fence: open::fresh_id(1) };
        instances.known().open.insert(id, open);
        assert_eq!(instances.freeze(id).await, Ok(()));
        assert!(instances.thaw(id).await.is_err());
    }

    /// A version of a function of that name.
    async fn version(device: &Fixture, name: &str) -> Provided {
        device.deploy(&[(name, function(name, &[]))]);
        let definitions = definitions(&device.around, &device.platform).expect("readable");
        let (definition, _) = &definitions.defined[0];
        let function = definition.function.as_ref().expect("a function");
        device.around.instances.provide(definition, function).await.expect("provided")
    }

    #[tokio::test(start_paused = true)]
    async fn of_fences_that_chase_each_other_away_none_is_left() {
        let device = Fixture::new();
        let (a, b) = (
            version(&device, "a").await.version.clone(),
            version(&device, "b").await.version.clone(),
        );
        for version in [&a, &b] {
            version.command.set(vec!["/bootstrap".to_owned()]).expect("nobody has looked");
        }
        let (launcher, mut silence) = Launcher::silent();
        let prepared = Arc::new(Prepared::new(&launcher, 1));
        // Each while the one before is still being made.
        let mut made = vec![];
        for version in [&a, &b, &a] {
            prepared.prepare(version, Full::Oldest);
            let (Request::Open { plan, .. }, answer) = silence.hear().await else { panic!("open") };
            made.push((plan.fence, answer));
        }
        let wanted = made[2].0.clone();
        for (_, answer) in &mut made.drain(..) {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
            listener.set_nonblocking(true).expect("possible");
            let users = Response::Open { users: IdRange { first: 100_000 } };
            answer.send(Ok((users, vec![listener.into()]))).expect("it waits");
        }
        let mut ending = pin!(prepared.end(&b));
        let ended = timeout(PROMPT, &mut ending).await;
        assert!(ended.is_err(), "what the launcher has not closed is still there");
        for _ in 0..2 {
            let closed = timeout(PROMPT, silence.answer(Response::Done)).await.expect("closed");
            let Request::Close { fence } = closed else { panic!("{closed:?}") };
            assert_ne!(fence, wanted);
        }
        ending.await;
        prepared.end(&b).await;
        assert_eq!(prepared.take(&a).expect("prepared").fence, wanted);
        assert!(prepared.take(&a).is_none());
    }
}
