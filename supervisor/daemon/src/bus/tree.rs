//! The object tree: a mirror of the control's snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use hedgerow_api::{Error, path};
use tokio::sync::{Mutex, Semaphore, watch};
use zbus::object_server::{Interface, SignalEmitter};
use zbus::{Connection, OwnedObjectPath, fdo};

use super::component::Component;
use super::deployment::Deployment;
use super::function::Function;
use super::invocation::DESCRIPTORS;
use super::job::Job;
use super::loads::Loads;
use super::{Access, ComponentView, Control, DeploymentView, FunctionView, JobId, JobView, Load};

/// What all interfaces share.
#[derive(Debug)]
pub struct Tree<C> {
    pub control: Arc<C>,
    pub access: Access,
    loads: Loads,
    /// Invocations that may be answered by descriptor at once.
    descriptors: Arc<Semaphore>,
    objects: Mutex<Objects>,
}

/// What is on the bus, as it was last told. The interfaces read the receiving ends.
#[derive(Debug, Default)]
struct Objects {
    components: BTreeMap<String, watch::Sender<ComponentView>>,
    functions: BTreeMap<String, watch::Sender<FunctionView>>,
    jobs: BTreeMap<JobId, watch::Sender<JobView>>,
    deployments: BTreeMap<String, watch::Sender<DeploymentView>>,
}

/// The difference between a snapshot and what is on the bus.
struct Difference<K, V> {
    gone: Vec<K>,
    there: Vec<(K, V)>,
}

impl<C: Control> Tree<C> {
    pub fn new(control: Arc<C>, access: Access) -> Self {
        let descriptors = Arc::new(Semaphore::new(DESCRIPTORS));
        let (loads, objects) = (Loads::default(), Mutex::default());
        Self { control, access, loads, descriptors, objects }
    }

    /// Touches no lock of an interface either.
    pub async fn load(&self, component: &str) -> Load {
        self.loads.of(&*self.control, component).await
    }

    /// Adds, changes and removes objects until the bus shows the current snapshot.
    ///
    /// Called for each change, and before a job's path is handed out, so that the path exists when
    /// the caller reads it. Touches no lock of an interface: a method that waits for this holds one.
    pub async fn reconcile(self: &Arc<Self>, connection: &Connection) -> zbus::Result<()> {
        let mut objects = self.objects.lock().await;
        let (components, functions, jobs, deployments) = {
            let changes = self.control.changes();
            let now = changes.borrow();
            (
                difference(&objects.components, &now.components),
                difference(&objects.functions, &now.functions),
                difference(&objects.jobs, &now.jobs),
                difference(&objects.deployments, &now.deployments),
            )
        };
        let server = connection.object_server();
        for name in components.gone {
            objects.components.remove(&name);
            server.remove::<Component<C>, _>(path::component(&name)).await?;
        }
        for (name, view) in components.there {
            let path = path::component(&name);
            if let Some(shown) = objects.components.get(&name) {
                let changed = Component::<C>::changed(&shown.send_replace(view.clone()), &view);
                let component = Component::new(self.clone(), name, shown.subscribe());
                emit(connection, path, &component, &changed).await?;
            } else {
                let shown = watch::Sender::new(view);
                let component = Component::new(self.clone(), name.clone(), shown.subscribe());
                objects.components.insert(name, shown);
                server.at(path, component).await?;
            }
        }
        for name in functions.gone {
            objects.functions.remove(&name);
            server.remove::<Function<C>, _>(path::function(&name)).await?;
        }
        for (name, view) in functions.there {
            let path = path::function(&name);
            let function = |shown: &watch::Sender<FunctionView>| {
                Function::new(self.clone(), shown.subscribe(), Arc::clone(&self.descriptors))
            };
            if let Some(shown) = objects.functions.get(&name) {
                let changed = Function::<C>::changed(&shown.send_replace(view.clone()), &view);
                emit(connection, path, &function(shown), &changed).await?;
            } else {
                let shown = watch::Sender::new(view);
                server.at(path, function(&shown)).await?;
                objects.functions.insert(name, shown);
            }
        }
        // Before its job, which names it.
        for id in deployments.gone {
            objects.deployments.remove(&id);
            server.remove::<Deployment<C>, _>(path::deployment(&id)).await?;
        }
        for (id, view) in deployments.there {
            let path = path::deployment(&id);
            if let Some(shown) = objects.deployments.get(&id) {
                let changed = Deployment::<C>::changed(&shown.send_replace(view.clone()), &view);
                let deployment = Deployment::new(self.clone(), shown.subscribe());
                emit(connection, path, &deployment, &changed).await?;
            } else {
                let shown = watch::Sender::new(view);
                let deployment = Deployment::new(self.clone(), shown.subscribe());
                objects.deployments.insert(id, shown);
                server.at(path, deployment).await?;
            }
        }
        for id in jobs.gone {
            objects.jobs.remove(&id);
            server.remove::<Job, _>(path::job(id.0)).await?;
        }
        for (id, view) in jobs.there {
            let path = path::job(id.0);
            if let Some(shown) = objects.jobs.get(&id) {
                let changed = Job::changed(&shown.send_replace(view.clone()), &view);
                emit(connection, path, &Job::new(shown.subscribe()), &changed).await?;
            } else {
                let shown = watch::Sender::new(view);
                let job = Job::new(shown.subscribe());
                objects.jobs.insert(id, shown);
                server.at(path, job).await?;
            }
        }
        Ok(())
    }

    /// The path of a job that was just made; its object exists.
    pub async fn job(
        self: &Arc<Self>,
        connection: &Connection,
        id: JobId,
    ) -> Result<OwnedObjectPath, Error> {
        self.reconcile(connection).await?;
        Ok(path::job(id.0))
    }
}

fn difference<K: Ord + Clone, V: PartialEq + Clone>(
    shown: &BTreeMap<K, watch::Sender<V>>,
    now: &BTreeMap<K, V>,
) -> Difference<K, V> {
    let same = |key: &K, view: &V| shown.get(key).is_some_and(|sender| *sender.borrow() == *view);
    Difference {
        gone: shown.keys().filter(|key| !now.contains_key(key)).cloned().collect(),
        there: now
            .iter()
            .filter(|(key, view)| !same(key, view))
            .map(|(key, view)| (key.clone(), view.clone()))
            .collect(),
    }
}

/// One PropertiesChanged for all that changed together, with the values that Get would answer.
async fn emit<I: Interface>(
    connection: &Connection,
    path: OwnedObjectPath,
    interface: &I,
    changed: &[&'static str],
) -> zbus::Result<()> {
    let server = connection.object_server();
    let emitter = SignalEmitter::new(connection, path)?;
    let mut values = std::collections::HashMap::new();
    for name in changed {
        if let Some(value) = interface.get(name, server, connection, None, &emitter).await {
            let value = value.map_err(|error| zbus::Error::Failure(error.to_string()))?;
            values.insert(*name, value.into());
        }
    }
    fdo::Properties::properties_changed(&emitter, I::name(), values, (&[][..]).into()).await
}
