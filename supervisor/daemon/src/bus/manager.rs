//! `io.hedgerow.Edge1.Manager`.

use std::collections::BTreeMap;
use std::sync::Arc;

use hedgerow_api::{Act, ComponentEntry, DeployOptions, Error, FunctionEntry, JobProperties, path};
use hedgerow_function::Target;
use serde_json::json;
use zbus::message::Header;
use zbus::{Connection, OwnedObjectPath, interface};

use super::tree::Tree;
use super::{Control, JobId, Snapshot, options};

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub struct Manager<C> {
    tree: Arc<Tree<C>>,
}

impl<C: Control> Manager<C> {
    pub fn new(tree: Arc<Tree<C>>) -> Self {
        Self { tree }
    }

    /// Has the objects on the bus be those of now, where what is asked for is among them.
    async fn find(
        &self,
        connection: &Connection,
        header: &Header<'_>,
        is_there: impl Fn(&Snapshot) -> bool,
        missing: impl FnOnce() -> Error,
    ) -> Result<(), Error> {
        self.tree.access.check(connection, header, Act::Inspect).await?;
        if !is_there(&self.tree.control.changes().borrow()) {
            return Err(missing());
        }
        Ok(self.tree.reconcile(connection).await?)
    }
}

#[interface(name = "io.hedgerow.Edge1.Manager", introspection_docs = false)]
impl<C: Control> Manager<C> {
    #[zbus(out_args("job"))]
    async fn deploy(
        &self,
        add: BTreeMap<String, String>,
        remove: Vec<String>,
        options: DeployOptions,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedObjectPath, Error> {
        let caller = self.tree.access.check(connection, &header, Act::Deploy).await?;
        let request = options::request(add, remove, options).await?;
        let job = self.tree.control.deploy(caller, request).await?;
        self.tree.job(connection, job).await
    }

    #[zbus(out_args("json"))]
    async fn plan(
        &self,
        add: BTreeMap<String, String>,
        remove: Vec<String>,
        options: DeployOptions,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Error> {
        let caller = self.tree.access.check(connection, &header, Act::Deploy).await?;
        let request = options::request(add, remove, options).await?;
        Ok(self.tree.control.plan(caller, request).await?.to_string())
    }

    #[zbus(out_args("json"))]
    async fn explain(
        &self,
        component: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Error> {
        let caller = self.tree.access.check(connection, &header, Act::Inspect).await?;
        Ok(self.tree.control.explain(caller, component).await?.to_string())
    }

    #[zbus(out_args("properties"))]
    async fn get_job(
        &self,
        job: OwnedObjectPath,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<JobProperties, Error> {
        self.tree.access.check(connection, &header, Act::Inspect).await?;
        let changes = self.tree.control.changes();
        let now = changes.borrow();
        let number = path::job_number(job.as_str());
        let view = number.and_then(|number| now.jobs.get(&JobId(number)));
        view.cloned().ok_or_else(|| Error::NoSuchJob(format!("there is no job {job}")))
    }

    #[zbus(out_args("deployment"))]
    async fn get_deployment(
        &self,
        id: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedObjectPath, Error> {
        let missing = || Error::NoSuchDeployment(format!("no deployment {id:?} is remembered"));
        let is_there = |now: &Snapshot| now.deployments.contains_key(id);
        self.find(connection, &header, is_there, missing).await?;
        Ok(path::deployment(id))
    }

    #[zbus(out_args("component"))]
    async fn get_component(
        &self,
        name: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedObjectPath, Error> {
        let missing = || Error::NoSuchComponent(format!("no component {name:?} is deployed"));
        let is_there = |now: &Snapshot| now.components.contains_key(name);
        self.find(connection, &header, is_there, missing).await?;
        Ok(path::component(name))
    }

    #[zbus(out_args("components"))]
    async fn list_components(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<ComponentEntry>, Error> {
        self.tree.access.check(connection, &header, Act::Inspect).await?;
        let changes = self.tree.control.changes();
        let now = changes.borrow();
        let entry = |(name, view): (&String, &super::ComponentView)| ComponentEntry {
            name: name.clone(),
            version: view.version.clone(),
            state: view.state,
            path: path::component(name),
        };
        Ok(now.components.iter().map(entry).collect())
    }

    #[zbus(out_args("function"))]
    async fn get_function(
        &self,
        function: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedObjectPath, Error> {
        let missing = || Error::NoSuchFunction(format!("no function {function:?} is deployed"));
        let target = Target { function: function.to_owned(), qualifier: None };
        // Before anything is looked up for whoever calls.
        self.tree.access.check(connection, &header, Act::Inspect).await?;
        let found = self.tree.control.find_function(&target).map_err(|_| missing())?;
        let is_there = |now: &Snapshot| now.functions.contains_key(&found.name);
        self.find(connection, &header, is_there, missing).await?;
        Ok(path::function(&found.name))
    }

    #[zbus(out_args("functions"))]
    async fn list_functions(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<FunctionEntry>, Error> {
        self.tree.access.check(connection, &header, Act::Inspect).await?;
        let changes = self.tree.control.changes();
        let now = changes.borrow();
        let entry = |(name, view): (&String, &super::FunctionView)| FunctionEntry {
            name: name.clone(),
            version: view.version.clone(),
            health: view.health,
            path: path::function(name),
        };
        Ok(now.functions.iter().map(entry).collect())
    }

    #[zbus(out_args("json"))]
    async fn describe(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Error> {
        self.tree.access.check(connection, &header, Act::Inspect).await?;
        let changes = self.tree.control.changes();
        let now = changes.borrow();
        let components = now.components.iter().map(|(name, view)| {
            json!({
                "name": name,
                "version": view.version,
                "state": view.state,
                "state_changed": view.state_changed,
                "pid": view.pid,
                "restarts": view.restarts,
                "last_error": view.last_error,
                "status_codes": view.status_codes,
                "next_retry": view.next_retry,
                "paused": view.paused,
            })
        });
        let jobs = now.jobs.iter().map(|(id, view)| {
            json!({
                "job": id,
                "kind": view.kind,
                "state": view.state,
                "progress": view.progress,
                "error": view.error,
                "created": view.created,
                "finished": view.finished,
            })
        });
        let all = json!({
            "version": VERSION,
            "components": components.collect::<Vec<_>>(),
            "functions": now.functions.values().collect::<Vec<_>>(),
            "jobs": jobs.collect::<Vec<_>>(),
            "deployments": now.deployments.values().collect::<Vec<_>>(),
        });
        Ok(all.to_string())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &str {
        VERSION
    }
}
