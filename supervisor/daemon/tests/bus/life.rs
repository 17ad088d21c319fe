//! Components and jobs, as a program sees them come, change and go.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use futures_util::StreamExt;
use hedgerow_api::zbus::fdo::{ObjectManagerProxy, PropertiesProxy};
use hedgerow_api::{
    BUS_NAME, ComponentState, DeployOptions, Error, JobKind, JobProperties, JobState, ManagerProxy,
    ROOT_PATH, components, path,
};
use hedgerow_daemon::bus::{Access, JobId, ServeError, serve};

use crate::simulated::Simulated;
use crate::support::{World, connect, private_bus, within};

const NAME: &str = "com.example.Sensor-2_a";

#[tokio::test]
async fn a_deployment_is_a_job_and_its_component_an_object() {
    let world = World::new().await;
    let job = world.deploy(NAME).await;
    let job = world.finished(&job).await;
    assert_eq!((job.kind, job.state), (JobKind::Deploy, JobState::Succeeded));
    assert_eq!(job.result.started.as_deref(), Some(&[NAME.to_owned()][..]));
    assert!(job.finished.is_set() && job.error.name.is_empty());

    let listed = components(&world.client).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].name.as_str(), listed[0].memory), (NAME, 4 << 20));
    let component = world.component(NAME).await;
    assert_eq!(component.inner().path().as_str(), path::component(NAME).as_str());
    assert_eq!(component.state().await.unwrap(), ComponentState::Running);
    assert_eq!(component.version().await.unwrap(), "1.0.0");
    let entries = world.manager().await.list_components().await.unwrap();
    assert_eq!(entries[0].path, path::component(NAME));
    let described = world.manager().await.describe().await.unwrap();
    let described: serde_json::Value = serde_json::from_str(&described).unwrap();
    assert_eq!(described["components"][0]["state"], "RUNNING");
}

#[tokio::test]
async fn a_failed_deployment_names_component_step_and_last_lines() {
    let world = World::new().await;
    let job = world.deploy("com.example.Broken").await;
    let job = world.finished(&job).await;
    assert_eq!(job.state, JobState::Failed);
    assert!(matches!(Error::from_job(&job.error), Some(Error::DeploymentFailed(_))));
    assert_eq!(job.result.component.as_deref(), Some("com.example.Broken"));
    assert_eq!(job.result.step.as_deref(), Some("install"));
    assert_eq!(job.result.log.unwrap().last().unwrap(), "giving up");
}

#[tokio::test]
async fn what_changes_together_is_told_together() {
    let world = World::new().await;
    world.deploy(NAME).await;
    let properties = PropertiesProxy::builder(&world.client)
        .destination(BUS_NAME)
        .path(path::component(NAME))
        .build()
        .await
        .unwrap();
    let mut signals = properties.receive_properties_changed().await.unwrap();
    world.control.snapshot.send_modify(|now| {
        let view = now.components.get_mut(NAME).unwrap();
        view.state = ComponentState::Errored;
        view.state_changed.boottime += 1;
        view.pid = 0;
        view.restarts += 1;
        view.last_error = "step run: killed, out of memory".into();
    });
    let signal = within(signals.next()).await.unwrap();
    let arguments = signal.args().unwrap();
    let changed = arguments.changed_properties().iter();
    let seen: BTreeMap<_, _> = changed.map(|(name, value)| (*name, value.to_string())).collect();
    let names: Vec<_> = seen.keys().copied().collect();
    assert_eq!(names, ["LastError", "Pid", "Restarts", "State", "StateChanged"]);
    assert_eq!(seen["State"], "\"ERRORED\"");
    assert_eq!(seen["Pid"], "uint32 0");
}

#[tokio::test]
async fn objects_come_and_go_with_signals() {
    let world = World::new().await;
    let objects = ObjectManagerProxy::builder(&world.client)
        .destination(BUS_NAME)
        .path(ROOT_PATH)
        .build()
        .await
        .unwrap();
    let mut added = objects.receive_interfaces_added().await.unwrap();
    let mut removed = objects.receive_interfaces_removed().await.unwrap();
    let job = world.deploy(NAME).await;
    let mut paths = vec![];
    for _ in 0..3 {
        let signal = within(added.next()).await.unwrap();
        paths.push(signal.args().unwrap().object_path().to_string());
    }
    paths.sort();
    let deployment = world.deployment_of(&job).await;
    assert_eq!(paths, [path::component(NAME).to_string(), deployment.to_string(), job.to_string()]);

    world
        .manager()
        .await
        .deploy(&BTreeMap::new(), &[NAME.into()], DeployOptions::default())
        .await
        .unwrap();
    let signal = within(removed.next()).await.unwrap();
    assert_eq!(signal.args().unwrap().object_path().as_str(), path::component(NAME).as_str());
    world.control.snapshot.send_modify(|now| {
        now.jobs.remove(&JobId(path::job_number(job.as_str()).unwrap()));
    });
    let signal = within(removed.next()).await.unwrap();
    assert_eq!(signal.args().unwrap().object_path().as_str(), job.as_str());
    let gone = world.manager().await.get_component(NAME).await;
    assert!(matches!(gone, Err(Error::NoSuchComponent(_))), "{gone:?}");
}

#[tokio::test]
async fn start_stop_and_restart_are_jobs() {
    let world = World::new().await;
    world.deploy(NAME).await;
    let component = world.component(NAME).await;
    let mut pids = component.receive_pid_changed().await;
    for (job, pid) in [
        (component.stop().await.unwrap(), 0),
        (component.start().await.unwrap(), 2000),
        (component.restart().await.unwrap(), 3000),
    ] {
        assert_eq!(world.finished(&job).await.state, JobState::Succeeded, "{pid}");
    }
    // The cache of the proxy lives on the signals alone.
    within(async { while pids.next().await.unwrap().get().await.unwrap() != 3000 {} }).await;
}

#[tokio::test]
async fn a_log_comes_over_a_descriptor_and_can_be_followed() {
    let world = World::new().await;
    world.deploy(NAME).await;
    let component = world.component(NAME).await;
    let read = |fd: hedgerow_api::zbus::OwnedFd| {
        let mut text = String::new();
        File::from(std::os::fd::OwnedFd::from(fd)).read_to_string(&mut text).unwrap();
        text
    };
    assert_eq!(read(component.open_log(false, 0).await.unwrap()), "hello\nworld\n");
    assert_eq!(read(component.open_log(false, 1).await.unwrap()), "world\n");
    let followed = component.open_log(true, 1).await.unwrap();
    component.stop().await.unwrap();
    let mut bytes = [0; 64];
    let mut file = File::from(std::os::fd::OwnedFd::from(followed));
    let mut text = String::new();
    while !text.ends_with("FINISHED\n") {
        let count = file.read(&mut bytes).unwrap();
        text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    assert_eq!(text, "world\nnow FINISHED\n");
}

#[tokio::test]
async fn wrong_deployments_are_refused_by_name() {
    let world = World::new().await;
    let manager = world.manager().await;
    let one = BTreeMap::from([("a".to_owned(), "1.0.0".to_owned())]);
    let nothing = manager.deploy(&BTreeMap::new(), &[], DeployOptions::default()).await;
    assert!(matches!(nothing, Err(Error::InvalidArgument(_))), "{nothing:?}");
    let both = manager.deploy(&one, &["a".into()], world.directories()).await;
    assert!(matches!(both, Err(Error::InvalidArgument(_))), "{both:?}");
    let many: Vec<_> = (0..1025).map(|n| format!("c{n}")).collect();
    let many = manager.deploy(&BTreeMap::new(), &many, DeployOptions::default()).await;
    assert!(matches!(many, Err(Error::InvalidArgument(_))), "{many:?}");
    let file = std::os::fd::OwnedFd::from(File::open("/dev/null").unwrap());
    let options = DeployOptions { recipe_dir: Some(file.into()), ..DeployOptions::default() };
    let file = manager.deploy(&one, &[], options).await;
    assert!(matches!(file, Err(Error::InvalidArgument(_))), "{file:?}");
    let mut options = world.directories();
    options.recipe_path = Some("/usr".into());
    let twice = manager.deploy(&one, &[], options).await;
    assert!(matches!(twice, Err(Error::InvalidArgument(_))), "{twice:?}");
    let no_recipes = manager.deploy(&one, &[], DeployOptions::default()).await;
    assert!(matches!(no_recipes, Err(Error::InvalidRecipe(_))), "{no_recipes:?}");
}

#[tokio::test]
async fn a_job_is_there_before_its_path_is_answered() {
    let (root, _bus) = private_bus().await;
    let access = Access::system().with_user(nix::unistd::getuid().as_raw());
    // Held and not run: nothing mirrors changes but the calls themselves.
    let _served = serve(connect(&root).await, Arc::new(Simulated::new()), access).await.unwrap();
    let client = connect(&root).await;
    let manager = ManagerProxy::new(&client).await.unwrap();
    let nothing = DeployOptions::default();
    let job = manager.deploy(&BTreeMap::new(), &["a".into()], nothing).await.unwrap();
    let job = JobProperties::of(&client, &job).await.unwrap();
    assert_eq!(job.kind, JobKind::Deploy);
}

#[tokio::test]
async fn a_lost_bus_is_told_and_can_be_served_again() {
    let (root, bus) = private_bus().await;
    let control = Arc::new(Simulated::new());
    let access = Access::system().with_user(nix::unistd::getuid().as_raw());
    let served = serve(connect(&root).await, control.clone(), access).await.unwrap();
    let second = serve(connect(&root).await, control.clone(), access).await;
    assert!(matches!(second, Err(ServeError::NameTaken)), "{:?}", second.err());
    drop(bus);
    let lost = within(served.run()).await;
    assert!(matches!(lost, ServeError::Disconnected), "{lost}");

    let (root, _bus) = private_bus().await;
    let served = serve(connect(&root).await, control, access).await.unwrap();
    tokio::spawn(served.run());
    assert!(components(&connect(&root).await).await.unwrap().is_empty());
}
