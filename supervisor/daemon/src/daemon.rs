//! The daemon from start to ordered stop.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use hedgerow_component::platform::Platform;
use hedgerow_function::{Events, Functions, reclaim_under_pressure};
use hedgerow_ipc::Hub;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::bus::{self, Access, PrivateBus, ServeError};
use crate::configuration_updates::ConfigurationUpdates;
use crate::deployment::Deployments;
use crate::disk::{self, Disk};
use crate::driver::Surroundings;
use crate::function::{self, DaemonInstances, Observer};
use crate::image;
use crate::jobs::Jobs;
use crate::launcher::Launcher;
use crate::layout::{self, Layout};
use crate::lifecycle::{Goal, State};
use crate::metrics::Metrics;
use crate::operations::Operations;
use crate::os_release;
use crate::records::Records;
use crate::recover;
use crate::registry::{Registry, Status};
use crate::services::DaemonServices;
use crate::settings::Settings;
use crate::supervisor::Supervisor;

/// Between two tries to be on the bus.
const BUS_RETRY: Duration = Duration::from_secs(1);

/// Of the whole machine (accounting/psi.rst).
const MEMORY_PRESSURE: &str = "/proc/pressure/memory";

/// Which bus to be on.
#[derive(Debug, Clone, Copy)]
pub enum Bus {
    System,
    /// One of our own, for root and this user.
    Private {
        uid: u32,
    },
}

impl Bus {
    fn access(self) -> Access {
        match self {
            Self::System => Access::system(),
            Self::Private { uid } => Access::system().with_user(uid),
        }
    }
}

/// Runs until SIGTERM or SIGINT, then stops every component in order.
pub async fn run(layout: Layout, bus: Bus) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    make_directories(&layout)?;
    let settings = Settings::read(&layout.config)?;
    let platform = platform(&settings);
    let mut records = Records::open(&layout.database())?;
    if let Some(observer) = crash_point() {
        records = records.observed_by(move |label, point| observer(label, point));
    }
    let records = Arc::new(records);
    let jobs = Arc::new(Jobs::load(Arc::clone(&records))?);
    let (launcher, fences) = tokio::select! {
        connected = Launcher::connect(layout.launcher_socket()) => connected,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let registry = Arc::new(Registry::default());
    let (hub, consent) = (Hub::new(hedgerow_ipc::Limits::default()), Arc::default());
    let services = DaemonServices {
        launcher: launcher.clone(),
        registry: Arc::clone(&registry),
        records: Arc::clone(&records),
        hub: hub.clone(),
        consent: Arc::clone(&consent),
        configuration_updates: ConfigurationUpdates::default(),
        metrics: Metrics::default(),
        deployments: OnceLock::new(),
        operations: OnceLock::new(),
        settings: settings.clone(),
        writing: tokio::sync::Mutex::default(),
    };
    let services = Arc::new(services);
    let disk = Arc::new(Disk::of(layout.state.clone(), settings.store.keep_free));
    let instances = DaemonInstances::new(&launcher, &layout, &settings, &hub, &services, &disk);
    let instances = Arc::new(instances);
    let functions = Functions::within(settings.function.bounds(), Arc::clone(&instances));
    let (events, queue) = Events::new(functions.clone());
    let around = Arc::new(Surroundings {
        functions,
        events,
        instances,
        disk,
        launcher,
        registry,
        records,
        layout,
        settings,
        hub,
        services,
        consent,
        observations: Arc::default(),
        endpoint_fault: watch::Sender::default(),
        os_image: os_release::identity(Path::new("/etc/os-release")),
    });
    // Nobody else sets it.
    let _ = around.instances.sdk.set(function::sdk(&around));
    let sources = function::start_events(&around, queue, crash_point())?;
    recover::recover(&around, &platform, fences).await.context("recovering")?;
    recover::resume_jobs(&around, &jobs, &platform).context("resuming jobs")?;
    let (deployments, deploying) =
        Deployments::start(Arc::clone(&around), Arc::clone(&jobs), platform)?;
    tokio::spawn(image::adopt(Arc::clone(&around), deployments.clone()));
    let operations = Operations { around: Arc::clone(&around), jobs };
    // Nobody else sets them.
    let _ = around.services.deployments.set(deployments.clone());
    let _ = around.services.operations.set(operations.clone());
    let supervisor = Supervisor::new(operations, deployments);

    if let Some(settings) = &around.settings.lambda_endpoint {
        function::serve_endpoint(&around, settings.clone(), bus.access()).await;
    }

    tokio::spawn(feed_watchdog());
    tokio::spawn(disk::watch(Arc::clone(&around)));
    tokio::spawn(reclaim(around.functions.clone(), Arc::clone(&around.instances)));
    let serving = be_on_the_bus(around.layout.clone(), bus, supervisor);
    tokio::select! {
        result = serving => result?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping every component");
    notify("STOPPING=1");
    around.launcher.leave();
    // It must not start again what is being stopped.
    deploying.abort();
    sources.abort();
    let stop = async {
        tokio::join!(stop_all(&around), around.events.finish(around.settings.stop.timeout()));
        around.launcher.farewell().await;
    };
    tokio::select! {
        () = stop => {}
        // Whoever asks twice does not want to wait, for a launcher that never comes back, say.
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// `HEDGEROW_CRASH=label:before` ends the process, as SIGKILL would, at that commit: how tests visit every one.
fn crash_point() -> Option<Observer> {
    let wanted = std::env::var("HEDGEROW_CRASH").ok()?;
    Some(Arc::new(move |label: &'static str, point| {
        if wanted == format!("{label}:{point:?}").to_lowercase() {
            let own = nix::unistd::Pid::this();
            // Nothing is left to report an error to.
            let _ = nix::sys::signal::kill(own, nix::sys::signal::Signal::SIGKILL);
        }
    }))
}

/// Serves the bus, again and again where it goes away. Ready is said once the name is ours.
async fn be_on_the_bus(
    layout: Layout,
    bus: Bus,
    supervisor: Arc<Supervisor>,
) -> anyhow::Result<()> {
    loop {
        let error = match serve_once(&layout, bus, &supervisor).await {
            Ok(error) => error.into(),
            Err(error) => error,
        };
        if let Some(ServeError::NameTaken) = error.downcast_ref() {
            return Err(error);
        }
        tracing::warn!("off the bus: {error:#}");
        tokio::time::sleep(BUS_RETRY).await;
    }
}

async fn serve_once(
    layout: &Layout,
    bus: Bus,
    supervisor: &Arc<Supervisor>,
) -> anyhow::Result<ServeError> {
    let (_private, address) = match bus {
        Bus::System => (None, hedgerow_api::Bus::System),
        Bus::Private { uid } => {
            let private = PrivateBus::start(&layout.bus_socket(), &[uid]).await?;
            let root = layout.runtime.parent().unwrap_or(&layout.runtime).to_owned();
            (Some(private), hedgerow_api::Bus::Root(root))
        }
    };
    let connection = address.connect().await.context("connecting to the bus")?;
    let served = bus::serve(connection, Arc::clone(supervisor), bus.access()).await?;
    notify("READY=1");
    Ok(served.run().await)
}

/// Tells systemd that the loop turns, twice in each of the times it asks for (sd_watchdog_enabled(3)).
async fn feed_watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let mut interval = tokio::time::interval(limit / 2);
    loop {
        interval.tick().await;
        notify("WATCHDOG=1");
    }
}

/// Ends fences that are prepared and idle instances of functions while memory is short.
async fn reclaim(functions: Functions, instances: Arc<DaemonInstances>) {
    let path = Path::new(MEMORY_PRESSURE);
    let ended = reclaim_under_pressure(&functions, &*instances, path).await;
    tracing::warn!("{ended}");
}

fn notify(state: &str) {
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Custom(state)]) {
        tracing::warn!("cannot notify systemd: {error}");
    }
}

/// Dependents first: each component is stopped once none that depends on it is left.
async fn stop_all(around: &Surroundings) {
    // One that is at rest already changes nothing when it is asked, and would be waited for in vain. The goal is
    // in memory only: what is desired stays, and runs again at the next start.
    let is_open = |status: &Status| status.fence.is_some() || status.state != State::Finished;
    let in_order = around.registry.end_in_order(Goal::Stop, is_open);
    if tokio::time::timeout(around.settings.stop.timeout(), in_order).await.is_err() {
        tracing::warn!("no time is left: killing what still runs");
        around.registry.kill(is_open).await;
    }
}

fn make_directories(layout: &Layout) -> anyhow::Result<()> {
    let directories = [
        (layout.packages(), 0o755),
        (layout.log_directory(), 0o750),
        (layout.state.join("work"), 0o711),
        (layout.state.join("layers"), 0o700),
        // The sockets in it are open to every user: who is not the daemon stops here.
        (layout.runtime.join("ipc"), 0o700),
        (layout.runtime.join(layout::nothing()), 0o755),
    ];
    for (path, mode) in directories {
        make_directory(&path, mode).with_context(|| format!("cannot make {}", path.display()))?;
    }
    Ok(())
}

fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

fn platform(settings: &Settings) -> Platform {
    let mut platform = Platform::of_this_machine();
    for (key, value) in &settings.device.platform {
        platform = platform.with(key, value);
    }
    platform
}
