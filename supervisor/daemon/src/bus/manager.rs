//! `io.hedgerow.Edge1.Manager`.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use hedgerow_api::{ComponentEntry, DeployOptions, Error, MAX_DEPLOY_NAMES, path};
use serde_json::json;
use zbus::message::Header;
use zbus::{Connection, OwnedObjectPath, interface};

use super::tree::Tree;
use super::{Control, DeployRequest, directory};

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub struct Manager<C> {
    tree: Arc<Tree<C>>,
}

impl<C: Control> Manager<C> {
    pub fn new(tree: Arc<Tree<C>>) -> Self {
        Self { tree }
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
        let caller = self.tree.access.check(connection, &header).await?;
        check_names(&add, &remove)?;
        let public_only = options.recipe_path.is_some() || options.artifact_path.is_some();
        let (recipes, artifacts) =
            (["recipe-dir", "recipe-path"], ["artifact-dir", "artifact-path"]);
        let request = DeployRequest {
            recipe_dir: open_directory(recipes, options.recipe_dir, options.recipe_path).await?,
            artifact_dir: open_directory(artifacts, options.artifact_dir, options.artifact_path)
                .await?,
            public_only,
            add,
            remove,
        };
        let job = self.tree.control.deploy(caller, request).await?;
        self.tree.job(connection, job).await
    }

    #[zbus(out_args("component"))]
    async fn get_component(
        &self,
        name: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedObjectPath, Error> {
        self.tree.access.check(connection, &header).await?;
        if !self.tree.control.changes().borrow().components.contains_key(name) {
            return Err(Error::NoSuchComponent(format!("no component {name:?} is deployed")));
        }
        self.tree.reconcile(connection).await?;
        Ok(path::component(name))
    }

    #[zbus(out_args("components"))]
    async fn list_components(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<ComponentEntry>, Error> {
        self.tree.access.check(connection, &header).await?;
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

    #[zbus(out_args("json"))]
    async fn describe(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String, Error> {
        self.tree.access.check(connection, &header).await?;
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
            "jobs": jobs.collect::<Vec<_>>(),
        });
        Ok(all.to_string())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &str {
        VERSION
    }
}

fn check_names(add: &BTreeMap<String, String>, remove: &[String]) -> Result<(), Error> {
    let refuse = |why: String| Err(Error::InvalidArgument(why));
    match add.len() + remove.len() {
        0 => return refuse("a deployment adds or removes at least one component".to_owned()),
        1..=MAX_DEPLOY_NAMES => {}
        _ => return refuse(format!("a deployment names at most {MAX_DEPLOY_NAMES} components")),
    }
    match remove.iter().find(|name| add.contains_key(*name)) {
        Some(name) => refuse(format!("component {name:?} is both to be added and removed")),
        None => Ok(()),
    }
}

/// An option as a descriptor or as a path, of which at most one is given.
async fn open_directory(
    [open, path]: [&'static str; 2],
    fd: Option<zbus::OwnedFd>,
    name: Option<String>,
) -> Result<Option<OwnedFd>, Error> {
    match (fd, name) {
        (None, None) => Ok(None),
        (Some(fd), None) => directory::passed(open, fd.into()).map(Some),
        (None, Some(name)) => directory::named(path, name).await.map(Some),
        (Some(_), Some(_)) => {
            Err(Error::InvalidArgument(format!("options {open} and {path} exclude each other")))
        }
    }
}
